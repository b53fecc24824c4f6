//! How long one small job takes when there is no other.

mod client;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use harness::AppendOnly;

use self::client::Client;
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
    let mut scene = Scene::new(&stage, &stage.world().sink().join(QUEUE)).await?;
    let mut plain = Client::plain(&stage).await?;
    let mut http = Client::http(&stage).await?;
    let floor = LedgerFloor::new(stage.world()).await?;
    let aside = stage.world().dir().join("floor");
    std::fs::create_dir(&aside).context("make a directory for the floor")?;
    // A first time in vain: files are read, code is compiled.
    scene.jobs(&mut plain, bench.count(400, 2)).await?;
    scene.jobs(&mut http, bench.count(50, 1)).await?;
    floor.in_sequence(bench.count(400, 2), &aside).await?;
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds() {
        rounds.push(Round {
            plain: scene.jobs(&mut plain, jobs).await?,
            floor: floor.in_sequence(jobs, &aside).await?,
            http: scene.jobs(&mut http, bench.count(200, 3)).await?,
            once: scene.jobs(&mut Client::Once, bench.count(20, 1)).await?,
        });
    }
    for stretch in &STRETCHES {
        for (share, name, most) in [(0.5, "p50", 1.5), (0.99, "p99", 4.0)] {
            let what = format!("one job of 1 task {}, {name}", stretch.what);
            report.row(
                stretch
                    .row(what, &rounds, |round| &round.plain, share)
                    .at_most(most),
            );
        }
    }
    let to_file = &STRETCHES[0];
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        let what = format!("by a request to submitter run: {}, {name}", to_file.what);
        report.row(to_file.row(what, &rounds, |round| &round.http, share));
        let what = format!("by a request to submitter run: to the answer, {name}");
        let answers =
            |round: &Round| Quantiles::of_times(round.http.iter().map(|life| life.answered)).at(share);
        report.row(Row::new(
            what,
            "ms",
            rounds.iter().map(answers).collect::<Vec<_>>(),
        ));
    }
    let what = format!("by a submitter once for each: {}, p50", to_file.what);
    report.row(to_file.row(what, &rounds, |round| &round.once, 0.5));
    tell_steps(&rounds, report);
    Ok(())
}

/// What was measured by turns.
struct Round {
    plain: Vec<Life>,
    floor: Vec<Steps>,
    http: Vec<Life>,
    once: Vec<Life>,
}

impl Stretch {
    /// The value that this share of the jobs of each round does not exceed, beside that of the floor.
    fn row(&self, what: String, rounds: &[Round], jobs: fn(&Round) -> &[Life], share: f64) -> Row {
        let pairs = rounds.iter().map(|round| {
            let ours = Quantiles::of_times(jobs(round).iter().map(self.ours));
            let theirs = Quantiles::of_times(round.floor.iter().map(self.theirs));
            (ours.at(share), theirs.at(share))
        });
        Row::pairs(what, "ms", self.floor, &pairs.collect::<Vec<_>>())
    }
}

/// Where the time goes within a job.
fn tell_steps(rounds: &[Round], report: &mut Report) {
    let middle = |of: fn(&Life) -> Duration| {
        let all = rounds.iter().flat_map(|round| &round.plain);
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
    let floors = || rounds.iter().flat_map(|round| &round.floor);
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
    answered: Duration,
    done: Duration,
    file: Duration,
    uploaded: Duration,
    gone: Duration,
}

/// Who follows jobs that come one at a time.
struct Scene<'a> {
    stage: &'a Stage,
    steps: Jobs,
    arrivals: Arrivals,
}

impl<'a> Scene<'a> {
    async fn new(stage: &'a Stage, results: &Path) -> Result<Self> {
        Ok(Self {
            stage,
            steps: stage.jobs().await?,
            arrivals: Arrivals::listen(results)?,
        })
    }

    async fn jobs(&mut self, client: &mut Client, count: usize) -> Result<Vec<Life>> {
        let mut lives = Vec::with_capacity(count);
        for _ in 0..count {
            tokio::time::sleep(PAUSE).await;
            lives.push(self.job(client).await?);
        }
        Ok(lives)
    }

    async fn job(&mut self, client: &mut Client) -> Result<Life> {
        let begun = Instant::now();
        let submit = async {
            client.submit(self.stage).await?;
            anyhow::Ok(Instant::now())
        };
        let (answered, moments, (of, file)) =
            tokio::try_join!(submit, follow(&mut self.steps, LIMIT), self.arrivals.next())?;
        ensure!(of == moments.job, "a result of {of} and not of {}", moments.job);
        Ok(Life {
            created: moments.created - begun,
            answered: answered - begun,
            done: moments.done - begun,
            file: file - begun,
            uploaded: moments.uploaded - begun,
            gone: moments.gone - begun,
        })
    }
}
