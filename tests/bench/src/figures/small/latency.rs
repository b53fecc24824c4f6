//! How long one small job takes when there is no other.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use harness::AppendOnly;
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions};

use super::QUEUE;
use crate::{
    arrivals::Arrivals,
    bench::Bench,
    figures::throughput::cluster,
    floors::ledger::{LedgerFloor, Steps, WRITES},
    jobs::Jobs,
    moments::follow,
    quantiles::Quantiles,
    report::{Report, Row},
    stage::Stage,
};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// No job alone takes so long.
const LIMIT: Duration = Duration::from_secs(30);

/// A job waits for so long after the one before: it comes to programs that are at rest.
const PAUSE: Duration = Duration::from_millis(2);

/// How a duration is cut out of a job, and out of its floor.
struct Stretch {
    what: &'static str,
    floor: &'static str,
    ours: fn(&Life) -> Duration,
    theirs: fn(&Steps) -> Duration,
}

/// Each from the first thing that the client does.
const STRETCHES: [Stretch; 3] = [
    Stretch {
        what: "to its file",
        floor: "3 ledger writes, a durable file",
        ours: |life| life.file,
        theirs: |floor| floor.of_writes(3) + floor.file,
    },
    Stretch {
        what: "to its delivery in the ledger",
        floor: "4 ledger writes, a durable file",
        ours: |life| life.uploaded,
        theirs: |floor| floor.of_writes(4) + floor.file,
    },
    Stretch {
        what: "to its end",
        floor: "5 ledger writes, no file",
        ours: |life| life.gone,
        theirs: |floor| floor.of_writes(WRITES),
    },
];

/// One job of one task at a time, by a client that stays connected; its floor are the writes that the ledger needs for it.
pub(super) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let jobs = bench.count(400, 5);
    let stage = cluster(bench, AppendOnly::No).await?;
    let results = stage.world().sink().join(QUEUE);
    let mut alone = Alone::new(&stage, &results).await?;
    let floor = LedgerFloor::new(stage.world()).await?;
    let aside = stage.world().dir().join("floor");
    std::fs::create_dir(&aside).context("make a directory for the floor")?;
    // A first time in vain: files are read, code is compiled.
    alone.jobs(bench.count(400, 2)).await?;
    floor.in_sequence(bench.count(400, 2), &aside).await?;
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds() {
        rounds.push((alone.jobs(jobs).await?, floor.in_sequence(jobs, &aside).await?));
    }
    for stretch in &STRETCHES {
        for (share, name, most) in [(0.5, "p50", 1.5), (0.99, "p99", 4.0)] {
            let of_round = |(ours, theirs): &(Vec<Life>, Vec<Steps>)| {
                let ours = Quantiles::of_times(ours.iter().map(stretch.ours));
                let theirs = Quantiles::of_times(theirs.iter().map(stretch.theirs));
                (ours.at(share), theirs.at(share))
            };
            let pairs: Vec<_> = rounds.iter().map(of_round).collect();
            let what = format!("one job of 1 task {}, {name}", stretch.what);
            report.row(Row::pairs(what, "ms", stretch.floor, &pairs).at_most(most));
        }
    }
    tell_steps(&rounds, report);
    Ok(())
}

/// Where the time goes within a job.
fn tell_steps(rounds: &[(Vec<Life>, Vec<Steps>)], report: &mut Report) {
    let middle = |of: fn(&Life) -> Duration| {
        let all = rounds.iter().flat_map(|(ours, _)| ours);
        Quantiles::of_times(all.map(of)).at(0.5)
    };
    report.note(format!(
        "p50 from the client's first step: created {:.2} ms, all outcomes {:.2} ms, file {:.2} ms, uploaded {:.2} ms, gone {:.2} ms",
        middle(|life| life.created),
        middle(|life| life.done),
        middle(|life| life.file),
        middle(|life| life.uploaded),
        middle(|life| life.gone),
    ));
    let floors = || rounds.iter().flat_map(|(_, floors)| floors);
    let writes = (0..WRITES).map(|nth| {
        let times = floors().filter_map(move |steps| steps.writes.get(nth).copied());
        format!("{:.2}", Quantiles::of_times(times).at(0.5))
    });
    let writes: Vec<_> = writes.collect();
    let file = Quantiles::of_times(floors().map(|steps| steps.file)).at(0.5);
    report.note(format!(
        "p50 of the floor: ledger writes {} ms, a durable file {file:.2} ms",
        writes.join(", ")
    ));
}

/// When a job reached what, from the client's first step.
#[derive(Debug, Clone, Copy)]
struct Life {
    created: Duration,
    done: Duration,
    file: Duration,
    uploaded: Duration,
    gone: Duration,
}

/// A client that submits one job at a time and follows it.
struct Alone {
    redis: MultiplexedConnection,
    zk: Client,
    directory: String,
    steps: Jobs,
    arrivals: Arrivals,
    submitted: usize,
}

impl Alone {
    async fn new(stage: &Stage, results: &Path) -> Result<Self> {
        let world = stage.world();
        Ok(Self {
            redis: world.redis().await?,
            zk: world.zk().await?,
            directory: world.path("jobs"),
            steps: stage.jobs().await?,
            arrivals: Arrivals::listen(results)?,
            submitted: 0,
        })
    }

    async fn jobs(&mut self, count: usize) -> Result<Vec<Life>> {
        let mut lives = Vec::with_capacity(count);
        for _ in 0..count {
            tokio::time::sleep(PAUSE).await;
            lives.push(self.job().await?);
        }
        Ok(lives)
    }

    /// Submits as a program in any language may: the task to a list, then the znode.
    async fn job(&mut self) -> Result<Life> {
        self.submitted += 1;
        let id = format!("alone-{:026}", self.submitted);
        let path = format!("{}/{id}", self.directory);
        let begun = Instant::now();
        let _: u64 = self.redis.rpush(&id, "17").await?;
        let create = async {
            self.zk
                .create(&path, b"subm=1;queue=primes", &PERSISTENT)
                .await
                .context("create a job")
        };
        let follow = follow(&mut self.steps, &id, LIMIT);
        let (_, moments, file) = tokio::try_join!(create, follow, self.arrivals.of(&id, LIMIT))?;
        Ok(Life {
            created: moments.created - begun,
            done: moments.done - begun,
            file: file - begun,
            uploaded: moments.uploaded - begun,
            gone: moments.gone - begun,
        })
    }
}
