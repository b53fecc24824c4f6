//! Which fault happens when, to whom, and for how long: drawn from a seed before the run begins.
//!
//! Nothing here looks at a clock or at the cluster. [`Kind`] names the faults and says what each of them [seizes]; a
//! [`Nemesis`] is one of them with everything about it decided; a [`Plan`] is the faults of a run in the order in
//! which they begin.
//!
//! [seizes]: Kind::seizes

mod draw;
mod kind;
mod nemesis;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::kind::{Kind, Thing};
pub use self::nemesis::{From, Half, Nemesis, POINTS, Victim, Way};

/// Who is there to be harmed. Members of a role are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// Executors.
    pub executors: u32,
    /// Watchers.
    pub watchers: u32,
    /// Hosts from which submitters run.
    pub submitters: u32,
    /// ZooKeeper servers.
    pub servers: u32,
    /// Whether Redis has a replica that can be promoted.
    pub has_replica: bool,
    /// After how long without a sign of life a member's session ends.
    pub session_timeout: Duration,
}

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Counts from 1, in the order of the plan.
    pub number: u32,
    /// How long after the beginning of its scene it begins.
    pub lag: Duration,
    /// How long it lasts. What a fault needs for healing comes on top.
    pub lasts: Duration,
    /// What happens.
    pub nemesis: Nemesis,
}

/// Faults that happen together: one, or a pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// How long all is quiet before it.
    pub quiet: Duration,
    /// In the order in which they begin.
    pub steps: Vec<Step>,
}

/// The faults of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One after the other.
    pub scenes: Vec<Scene>,
}

impl Scene {
    /// How long it lasts, if healing takes no time.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.steps
            .iter()
            .map(|step| step.lag + step.lasts)
            .max()
            .unwrap_or_default()
    }
}

impl Plan {
    /// The plan of a run of `length` with this `seed`, made of `kinds` only; of all that the cast allows when `kinds` is
    /// empty. The same arguments make the same plan.
    ///
    /// Faults come alone or in pairs, with quiet stretches between them. A pair never seizes the same thing twice. No
    /// kind comes again before every other one has come, but for those whose recovery is measured; at the beginning the
    /// kinds of most value come first, so that a short run has them.
    #[must_use]
    pub fn draw(seed: u64, length: Duration, kinds: &[Kind], cast: &Cast) -> Self {
        draw::draw(seed, length, kinds, cast)
    }

    /// All faults, in the order of the plan.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.scenes.iter().flat_map(|scene| &scene.steps)
    }

    /// How long it takes, if healing takes no time.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.scenes.iter().map(|scene| scene.quiet + scene.lasts()).sum()
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut at = Duration::ZERO;
        for scene in &self.scenes {
            at += scene.quiet;
            for step in &scene.steps {
                writeln!(f, "{:>7.1} s {step}", (at + step.lag).as_secs_f64())?;
            }
            at += scene.lasts();
        }
        Ok(())
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "#{:<4} {:>5.1} s  {}",
            self.number,
            self.lasts.as_secs_f64(),
            self.nemesis
        )
    }
}

#[cfg(test)]
mod tests;
