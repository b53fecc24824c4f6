//! What a run is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use super::Stage;
use crate::cluster::{self, PREFIX, ROOT};
use crate::expect::BLOAT_BYTES;
use crate::history::{Parameters, RedisKind};
use crate::plan::{Cast, Kind, Plan};

/// Executors of a run.
pub(crate) const EXECUTORS: u32 = 3;
/// Watchers of a run.
pub(crate) const WATCHERS: u32 = 2;
/// Hosts from which submitters run.
pub(crate) const SUBMITTERS: u32 = 2;
/// ZooKeeper servers.
const SERVERS: u32 = 3;
/// How long every daemon's session lasts without a sign of life.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(3);
/// After the last fault every job must have ended within this time.
pub(crate) const SETTLE_WITHIN: Duration = Duration::from_secs(120);

/// How much memory an executor may have: many times what it needs, and less than a task wants that bloats.
const EXECUTOR_BYTES: u64 = BLOAT_BYTES as u64 / 2;

/// Rarer than a run settles: what daemons should have heard of by a watch is not to be found by a scrub in time.
const SCRUB_LINE: &str = "scrub_every = \"1h\"";

/// As by default.
const POISON_AFTER: u32 = 5;

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Draws plan and workload.
    pub seed: u64,
    /// For how long faults happen.
    pub minutes: u64,
    /// The kinds of faults; none: all. See [`Settings::is_quiet`] for no faults.
    pub kinds: Vec<Kind>,
    /// Whether no fault is to happen at all.
    pub is_quiet: bool,
    /// How Redis keeps what it was told.
    pub redis: RedisKind,
    /// The run's directory.
    pub dir: PathBuf,
}

impl Settings {
    /// The history's file in a run's directory.
    pub const HISTORY: &str = "history.jsonl";

    /// For how long faults happen.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_secs(60 * self.minutes)
    }

    /// The faults of the run.
    #[must_use]
    pub fn plan(&self) -> Plan {
        if self.is_quiet {
            return Plan { scenes: Vec::new() };
        }
        let cast = Cast {
            executors: EXECUTORS,
            watchers: WATCHERS,
            submitters: SUBMITTERS,
            servers: SERVERS,
            has_replica: self.redis == RedisKind::Replica,
            session_timeout: SESSION_TIMEOUT,
        };
        Plan::draw(self.seed, self.length(), &self.kinds, &cast)
    }

    /// The command that repeats the run.
    #[must_use]
    pub fn command(&self) -> String {
        let mut command = format!(
            "cargo xtask faults --minutes {} --seed {} --redis {}",
            self.minutes, self.seed, self.redis
        );
        if self.is_quiet {
            command += " --nemesis none";
        } else if !self.kinds.is_empty() {
            let names = self.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>();
            command += &format!(" --nemesis {}", names.join(","));
        }
        command
    }

    /// How the cluster is run: as its programs are by default, but for what faults of seconds need.
    pub(super) fn cluster(&self) -> cluster::Settings {
        let mut settings = cluster::Settings::new(&self.dir, self.seed, self.redis);
        settings.session_timeout = SESSION_TIMEOUT;
        settings.clocks = true;
        settings.executor_bytes = Some(EXECUTOR_BYTES);
        // What is unclear is asked again sooner, and what failed is tried again sooner, than where nothing is broken.
        settings.zookeeper_lines = "operation_timeout = \"5s\"".to_owned();
        settings.redis_lines = "response_timeout = \"2s\"\nconnect_timeout = \"2s\"".to_owned();
        // Longer than a submitter is frozen, shorter than all executors are.
        settings.submitter_lines = "staging_ttl = \"15s\"".to_owned();
        settings.executor_lines =
            format!("slots = 4\ngrace_period = \"5s\"\npoison_after = {POISON_AFTER}\n{SCRUB_LINE}");
        settings.watcher_lines = format!("grace_period = \"5s\"\nretry_max = \"2s\"\n{SCRUB_LINE}");
        settings
    }

    pub(super) fn parameters(&self, stage: &Stage) -> Parameters {
        let mut nemeses: Vec<_> = self.plan().steps().map(|step| step.nemesis.kind()).collect();
        nemeses.sort_unstable();
        nemeses.dedup();
        Parameters {
            seed: self.seed,
            minutes: self.minutes,
            nemeses: nemeses.iter().map(ToString::to_string).collect(),
            redis: self.redis,
            network: stage.network(),
            session_timeout_ms: millis(SESSION_TIMEOUT),
            settle_bound_ms: millis(SETTLE_WITHIN),
            poison_after: POISON_AFTER,
            root: ROOT.to_owned(),
            prefix: PREFIX.to_owned(),
            daemons: stage.posts().iter().map(|post| post.name().to_owned()).collect(),
            command: self.command(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(kinds: Vec<Kind>, is_quiet: bool) -> Settings {
        Settings {
            seed: 7,
            minutes: 3,
            kinds,
            is_quiet,
            redis: RedisKind::AofAlways,
            dir: PathBuf::new(),
        }
    }

    #[test]
    fn the_command_that_repeats_a_run_says_all_that_the_plan_depends_on() {
        let command = "cargo xtask faults --minutes 3 --seed 7 --redis aof-always";
        assert_eq!(settings(Vec::new(), false).command(), command);
        let two = settings(vec![Kind::KillLeader, Kind::CutTail], false).command();
        assert_eq!(two, format!("{command} --nemesis kill-leader,cut-tail"));
        assert_eq!(
            settings(Vec::new(), true).command(),
            format!("{command} --nemesis none")
        );
    }

    #[test]
    fn a_quiet_run_has_no_faults() {
        assert_eq!(settings(Vec::new(), true).plan().scenes, []);
        assert!(!settings(Vec::new(), false).plan().scenes.is_empty());
    }
}
