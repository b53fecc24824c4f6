//! From the last commit of a job to its result.
//!
//! Redis tells of each change of a job's results, so the last commit is known to the moment, and nobody is asked for it. The
//! result has its name before its directory is synced, and is durable before the ledger says that it is delivered: the moment
//! at which it became durable lies between the two.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use harness::{AppendOnly, World};
use redis::aio::PubSub;

use crate::{
    arrivals::Arrivals,
    bench::Bench,
    figures::throughput::{JOB, cluster},
    floors::ledger::{LedgerFloor, Steps},
    jobs::Jobs,
    moments::follow,
    quantiles::Quantiles,
    report::{Report, Row},
};

const QUEUE: &str = "primes";

/// No job alone takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// From the last commit.
struct Delivery {
    /// To the result's name.
    named: Duration,
    /// To the ledger's word that it is durable.
    told: Duration,
}

/// Measures jobs that come one at a time.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let (jobs, size) = (bench.count(100, 2), bench.count(JOB, 100));
    let stage = cluster(bench, AppendOnly::No).await?;
    let floor = LedgerFloor::new(stage.world()).await?;
    let aside = stage.world().dir().join("floor");
    std::fs::create_dir(&aside).context("make a directory for the floor")?;
    let mut scene = Scene::new(stage.world(), size).await?;
    // A first time in vain: files are read, code is compiled.
    scene.jobs(bench.count(50, 1)).await?;
    floor.in_sequence(bench.count(200, 1), &aside).await?;
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds() {
        rounds.push((scene.jobs(jobs).await?, floor.in_sequence(jobs, &aside).await?));
    }
    let named: Stretch = (|ours| ours.named, |floor| after_commit(floor, 2));
    let told: Stretch = (|ours| ours.told, |floor| after_commit(floor, 3));
    let kinds = [
        ("its file", "2 ledger writes, a durable file", named),
        (
            "the ledger's word that the file is durable",
            "3 ledger writes, a durable file",
            told,
        ),
    ];
    for (what, against, (ours, theirs)) in kinds {
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let pairs = rounds.iter().map(|(deliveries, floors)| {
                let of_ours = Quantiles::of_times(deliveries.iter().map(ours));
                (
                    of_ours.at(share),
                    Quantiles::of_times(floors.iter().map(theirs)).at(share),
                )
            });
            let pairs: Vec<_> = pairs.collect();
            let what = format!("last commit of a job of {size} to {what}, {name}");
            report.row(Row::pairs(what, "ms", against, &pairs));
        }
    }
    Ok(())
}

/// How a time is cut out of a delivery, and out of its floor.
type Stretch = (fn(&Delivery) -> Duration, fn(&Steps) -> Duration);

/// The writes from the second one on, which comes after the last commit, and a durable file.
fn after_commit(floor: &Steps, writes: usize) -> Duration {
    floor.file + floor.writes.iter().skip(1).take(writes).sum::<Duration>()
}

/// Who follows jobs from their submission to their end.
struct Scene<'a> {
    world: &'a World,
    tasks: Vec<String>,
    steps: Jobs,
    arrivals: Arrivals,
    commits: PubSub,
    submitted: usize,
}

impl<'a> Scene<'a> {
    async fn new(world: &'a World, size: usize) -> Result<Self> {
        let _: () = redis::cmd("CONFIG")
            .arg(&["SET", "notify-keyspace-events", "Kh"])
            .query_async(&mut world.redis().await?)
            .await
            .context("let Redis tell of changes of hashes")?;
        let mut commits = redis::Client::open(world.redis_url())?.get_async_pubsub().await?;
        commits
            .psubscribe(format!("__keyspace@0__:{}{{*}}:results", world.prefix()))
            .await
            .context("hear of changes of results")?;
        Ok(Self {
            world,
            tasks: (0..size).map(|task| (task % 100).to_string()).collect(),
            steps: Jobs::listen(world).await?,
            arrivals: Arrivals::listen(&world.sink().join(QUEUE))?,
            commits,
            submitted: 0,
        })
    }

    async fn jobs(&mut self, count: usize) -> Result<Vec<Delivery>> {
        let mut deliveries = Vec::with_capacity(count);
        for _ in 0..count {
            deliveries.push(self.job().await?);
        }
        Ok(deliveries)
    }

    async fn job(&mut self) -> Result<Delivery> {
        self.submitted += 1;
        let id = format!("delivery-{:023}", self.submitted);
        let mut redis = self.world.redis().await?;
        let _: u64 = redis::cmd("RPUSH")
            .arg(&id)
            .arg(&self.tasks)
            .query_async(&mut redis)
            .await?;
        let data = format!("subm={};queue={QUEUE}", self.tasks.len());
        self.world.create_job(&id, data).await?;
        let mut commits = self.commits.on_message();
        let end = async { tokio::try_join!(follow(&mut self.steps, LIMIT), self.arrivals.next()) };
        tokio::pin!(end);
        let mut last = None;
        let (moments, (_, named)) = loop {
            tokio::select! {
                biased;
                commit = commits.next() => {
                    if commit.context("Redis tells of nothing any more")?.get_channel_name().contains(&id) {
                        last = Some(Instant::now());
                    }
                }
                end = &mut end => break end?,
            }
        };
        let last = last.context("no commit was heard of")?;
        Ok(Delivery {
            named: named.saturating_duration_since(last),
            told: moments.uploaded.saturating_duration_since(last),
        })
    }
}
