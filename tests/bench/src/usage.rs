//! What work costs: processor time of each process, requests to ZooKeeper, commands to Redis.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result};
use rustix::param::clock_ticks_per_second;

use crate::stage::Stage;

/// What lines about commands begin with.
const INFO_PREFIX: &str = "cmdstat_";

/// What its server is called in [`Usage::cpu`].
pub(crate) const ZOOKEEPER: &str = "zookeeper";

/// Everybody together in [`Usage::requests`] and [`Usage::answers`].
pub(crate) const ALL: &str = "all";

/// What has been used so far. [`Usage::since`] makes of two of them what was used in between.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    /// Processor time: "zookeeper", "redis", each member by its name, and "submitter", which stands for all children of this
    /// process that have ended.
    pub(crate) cpu: BTreeMap<String, Duration>,
    /// Requests to ZooKeeper: of each member by its name; [`ALL`] has those of everybody.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Replies and notifications by ZooKeeper, as above.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Calls of each command of Redis, those of scripts included.
    pub(crate) commands: BTreeMap<String, u64>,
    /// Bytes that Redis read and wrote.
    pub(crate) redis_bytes: u64,
}

impl Usage {
    /// Of all who are on a stage now.
    pub(crate) async fn so_far(stage: &Stage) -> Result<Self> {
        let world = stage.world();
        let (zookeeper, redis) = (world.zookeeper()?, world.redis_server()?);
        let mut usage = Self::default();
        let servers = [
            (ZOOKEEPER, zookeeper.child()?.pid()),
            ("redis", redis.child()?.pid()),
        ];
        let members = stage.members().iter().map(|member| (member.name(), member.pid()));
        for (name, pid) in servers.into_iter().chain(members) {
            usage
                .cpu
                .insert(name.to_owned(), processor_time(&pid.to_string(), [14, 15])?);
        }
        usage
            .cpu
            .insert("submitter".to_owned(), processor_time("self", [16, 17])?);
        usage.count_packets(stage).await?;
        for line in stage.redis_lines("commandstats").await? {
            if let Some((command, calls)) = calls(&line) {
                usage.commands.insert(command, calls);
            }
        }
        for field in ["total_net_input_bytes", "total_net_output_bytes"] {
            usage.redis_bytes += stage.redis_info("stats", field).await?.parse::<u64>()?;
        }
        Ok(usage)
    }

    async fn count_packets(&mut self, stage: &Stage) -> Result<()> {
        let zookeeper = stage.world().zookeeper()?;
        let totals = zookeeper.four_letters("mntr").await?;
        let total = |name: &str| {
            let value = totals.lines().find_map(|line| line.strip_prefix(name));
            anyhow::Ok(
                value
                    .with_context(|| format!("no {name}"))?
                    .trim()
                    .parse::<u64>()?,
            )
        };
        self.requests
            .insert(ALL.to_owned(), total("zk_packets_received")?);
        self.answers.insert(ALL.to_owned(), total("zk_packets_sent")?);
        let connections = zookeeper.four_letters("cons").await?;
        for member in stage.members() {
            let Some(registered) = stage.world().member_of(member).await? else {
                continue;
            };
            let session = format!("sid=0x{:x},", registered.session.0);
            let connection = connections.lines().find(|line| line.contains(&session));
            let connection = connection.with_context(|| format!("{} is not connected", member.name()))?;
            let name = || member.name().to_owned();
            self.requests.insert(name(), field(connection, "recved=")?);
            self.answers.insert(name(), field(connection, "sent=")?);
        }
        Ok(())
    }

    /// What was used since an earlier look.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu: difference(&self.cpu, &before.cpu, Duration::saturating_sub),
            requests: difference(&self.requests, &before.requests, u64::saturating_sub),
            answers: difference(&self.answers, &before.answers, u64::saturating_sub),
            commands: difference(&self.commands, &before.commands, u64::saturating_sub),
            redis_bytes: self.redis_bytes.saturating_sub(before.redis_bytes),
        }
    }
}

fn difference<T: Copy + Default>(
    now: &BTreeMap<String, T>,
    before: &BTreeMap<String, T>,
    minus: impl Fn(T, T) -> T,
) -> BTreeMap<String, T> {
    let before = |name: &str| before.get(name).copied().unwrap_or_default();
    now.iter()
        .map(|(name, value)| (name.clone(), minus(*value, before(name))))
        .collect()
}

/// Two fields of `/proc/<process>/stat`, numbered from 1, together.
pub(crate) fn processor_time(process: &str, fields: [usize; 2]) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The name of the program may have blanks in it; field 3 comes after its last parenthesis.
    let (_, rest) = stat.rsplit_once(')').context("a process without a name")?;
    let values: Vec<&str> = rest.split_whitespace().collect();
    let mut ticks = 0;
    for field in fields {
        ticks += values.get(field - 3).context("a short stat")?.parse::<u64>()?;
    }
    Ok(Duration::from_secs_f64(
        ticks as f64 / clock_ticks_per_second() as f64,
    ))
}

/// `cmdstat_hset:calls=21,usec=…`.
fn calls(line: &str) -> Option<(String, u64)> {
    let (command, rest) = line.strip_prefix(INFO_PREFIX)?.split_once(":calls=")?;
    let (calls, _) = rest.split_once(',')?;
    Some((command.to_owned(), calls.parse().ok()?))
}

/// The number behind a name in a line.
fn field(line: &str, name: &str) -> Result<u64> {
    let (_, rest) = line.split_once(name).with_context(|| format!("no {name}"))?;
    let digits = rest
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    digits.parse().with_context(|| format!("read {name}"))
}
