//! What a member holds, when it went, and how long everything took.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use distjob_core::{Lease, TaskRange};
use harness::World;
use redis::AsyncCommands as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The ranges that one executor held at one moment, by job.
#[derive(Debug)]
pub(super) struct Holdings(BTreeMap<String, Vec<TaskRange>>);

/// What the executor `member` holds.
pub(super) async fn holdings(world: &World, member: &str) -> Result<Holdings> {
    let mut held = BTreeMap::new();
    for key in world.keys().await? {
        if let Some(job) = key.name.strip_suffix(":leases") {
            let ranges = leased(world, job, member).await?;
            if !ranges.is_empty() {
                held.insert(job.to_owned(), ranges);
            }
        }
    }
    Ok(Holdings(held))
}

impl Holdings {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of these ranges that `member` still holds, and those that were given back and lie there. Whatever is
    /// neither runs elsewhere, or has its outcomes.
    pub(super) async fn waiting(&self, world: &World, member: &str) -> Result<Vec<(String, TaskRange)>> {
        let mut waiting = Vec::new();
        for (job, held) in &self.0 {
            // In this order: what is given back between the two is seen at least once.
            let mut there = leased(world, job, member).await?;
            there.extend(freed(world, job).await?);
            let overlaps = |range: &TaskRange| {
                let meets = |other: &TaskRange| range.lo() < other.hi() && other.lo() < range.hi();
                held.iter().any(meets)
            };
            waiting.extend(
                there
                    .into_iter()
                    .filter(overlaps)
                    .map(|range| (job.clone(), range)),
            );
        }
        Ok(waiting)
    }
}

/// The ranges of `job`, the beginning of its keys, that `member` holds.
async fn leased(world: &World, job: &str, member: &str) -> Result<Vec<TaskRange>> {
    let leases: BTreeMap<String, String> = world.redis().await?.hgetall(format!("{job}:leases")).await?;
    let of_member = leases
        .iter()
        .filter(|(holder, _)| holder.ends_with(&format!(".{member}")));
    let mut ranges = Vec::new();
    for (_, leases) in of_member {
        ranges.extend(Lease::parse_list(leases)?.into_iter().map(|lease| lease.range));
    }
    Ok(ranges)
}

async fn freed(world: &World, job: &str) -> Result<Vec<TaskRange>> {
    let freed: Vec<String> = world.redis().await?.lrange(format!("{job}:freed"), 0, -1).await?;
    let parse = |text: &String| Ok(text.parse::<Lease>()?.range);
    freed.iter().map(parse).collect()
}

/// A look-out for the end of a member's session.
#[derive(Debug)]
pub(super) struct Departure(JoinHandle<Instant>);

impl Departure {
    /// Watches the member `name` of `directory`, `executors` or `watchers`.
    pub(super) async fn watch(world: &World, directory: &str, name: &str) -> Departure {
        let zk = world.zk().await.unwrap();
        let path = world.path(&format!("{directory}/{name}"));
        let (stat, watcher) = zk.check_and_watch_stat(&path).await.unwrap();
        assert!(stat.is_some(), "{path} is not there");
        Departure(tokio::spawn(async move {
            watcher.changed().await;
            drop(zk);
            Instant::now()
        }))
    }

    /// When the server ended the session.
    pub(super) async fn seen(self) -> Instant {
        self.0.await.unwrap()
    }
}

/// How long each round took.
#[derive(Debug)]
pub(super) struct Figures {
    title: &'static str,
    rounds: Vec<Round>,
}

#[derive(Debug)]
struct Round {
    /// From the signal to the end of the session.
    session: Duration,
    /// From the signal until others had all.
    whole: Duration,
}

impl Figures {
    pub(super) fn new(title: &'static str) -> Figures {
        let rounds = Vec::new();
        Figures { title, rounds }
    }

    /// Adds a round: the signal came at `at`, the session ended at `ended`, and others had all at `done`.
    pub(super) fn add(&mut self, at: Instant, ended: Instant, done: Instant) {
        self.rounds.push(Round {
            session: ended.duration_since(at),
            whole: done.duration_since(at),
        });
    }

    /// Prints the figures, and panics when a round took longer than `bound`.
    pub(super) fn assert_within(&self, bound: Duration) {
        for Round { session, whole } in &self.rounds {
            let (own, whole) = (whole.saturating_sub(*session).as_millis(), whole.as_millis());
            eprintln!(
                "{}: {whole} ms, of which {own} ms after the session's end",
                self.title
            );
        }
        let slowest = self.rounds.iter().map(|round| round.whole).max();
        assert!(
            slowest.is_some_and(|slowest| slowest <= bound),
            "{}: slower than {bound:?}: {:?}",
            self.title,
            self.rounds
        );
    }
}
