//! What it costs ZooKeeper that every member hears of every job: processor time of the server for an event, a write, and a
//! read, with light sessions in place of members.
//!
//! Figures for the cost model rather than for a comparison: the machine's, as its docs say, but their ratios to a write
//! carry over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use harness::AppendOnly;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use zookeeper_client::{Acls, AddWatchMode, Client, CreateMode, CreateOptions, EventType};

use crate::{
    bench::Bench,
    report::{Line, Report, Row, Scale, Series},
    stage::{LIMIT, Stage},
    usage::Usage,
};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// As long as that of a job that a program has submitted.
const DATA: &[u8] = b"subm=5000;queue=primes;from=0197b0a3c0de7000a1b2c3d4e5f60718";

/// Znodes that are written to in turn.
const ZNODES: usize = 100;

/// Requests on their way at once, where as many are sent as the server takes.
const IN_FLIGHT: usize = 300;

/// Writes a second where no more come than in a calm deployment.
const CALM_PER_SECOND: u64 = 200;

/// So many events are delivered in a measurement, where that takes no more writes than [`WRITES_MAX`].
const EVENTS: usize = 150_000;

const WRITES_MAX: usize = 5_000;

/// What the server did for so many writes.
struct Spent {
    writes: usize,
    cpu: Duration,
    elapsed: Duration,
}

impl Spent {
    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.writes as f64
    }
}

/// Measures writes with ever more listeners, then reads.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let stage = bench.stage(AppendOnly::No).await?;
    let ground = Ground::new(&stage).await?;
    // A first time in vain: the server compiles what it runs often.
    ground.write(bench.count(20_000, 10), Pace::Fast).await?;
    let counts: &[usize] = if bench.is_quick() { &[3] } else { &[10, 100, 300] };
    let (mut fast, mut calm) = (Vec::new(), Vec::new());
    for listeners in counts {
        let audience = Audience::new(&stage, &ground.jobs, *listeners).await?;
        let writes = bench.count((EVENTS / listeners).min(WRITES_MAX), 10);
        let (mut events, mut cost, mut calm_cost) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.rounds() {
            let alone = ground.write(writes, Pace::Fast).await?;
            let heard = audience.hear(&ground, writes, Pace::Fast).await?;
            events.push((writes * listeners) as f64 / heard.elapsed.as_secs_f64());
            cost.push(extra_us(&heard, &alone, *listeners));
            let few = bench.count(usize::try_from(CALM_PER_SECOND * 3)?, 10);
            let alone = ground.write(few, Pace::Calm).await?;
            let heard = audience.hear(&ground, few, Pace::Calm).await?;
            calm_cost.push(extra_us(&heard, &alone, *listeners));
        }
        let rows = [
            Row::new(
                format!("events, {listeners} sessions, as many as go"),
                "events/s",
                events,
            ),
            Row::new(
                format!("ZooKeeper's time for one, {listeners} sessions"),
                "µs",
                cost,
            ),
            Row::new(
                format!("the same at {CALM_PER_SECOND} writes a second"),
                "µs",
                calm_cost,
            ),
        ];
        fast.push((*listeners as f64, rows[1].value()));
        calm.push((*listeners as f64, rows[2].value()));
        rows.into_iter().for_each(|row| report.row(row));
    }
    report.series(Series {
        name: "what an event costs ZooKeeper".to_owned(),
        x: "sessions that watch".to_owned(),
        scale: Scale::Log,
        y: "processor time, µs".to_owned(),
        lines: vec![
            Line {
                name: "as many as go".to_owned(),
                points: fast,
            },
            Line {
                name: format!("at {CALM_PER_SECOND} writes a second"),
                points: calm,
            },
        ],
    });
    requests(bench, &ground, report).await
}

/// What requests cost that nobody else hears of.
async fn requests(bench: &Bench, ground: &Ground<'_>, report: &mut Report) -> Result<()> {
    let count = bench.count(20_000, 100);
    let (mut writes, mut reads, mut together) = (Vec::new(), Vec::new(), Vec::new());
    let (mut write_rate, mut read_rate) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        let written = ground.write(count, Pace::Fast).await?;
        writes.push(written.cpu_us());
        write_rate.push(count as f64 / written.elapsed.as_secs_f64());
        let read = ground.read(count).await?;
        reads.push(read.cpu_us());
        read_rate.push(count as f64 / read.elapsed.as_secs_f64());
        together.push(ground.read_together(count).await?.cpu_us());
    }
    report.row(Row::new("writes, as many as go", "/s", write_rate));
    report.row(Row::new("ZooKeeper's time for a write", "µs", writes));
    report.row(Row::new("reads, as many as go", "/s", read_rate));
    report.row(Row::new("ZooKeeper's time for a read", "µs", reads));
    report.row(Row::new(
        format!("the same, {ZNODES} znodes a request"),
        "µs",
        together,
    ));
    Ok(())
}

/// The processor time of an event, in microseconds: what was spent with listeners less what was spent without.
fn extra_us(heard: &Spent, alone: &Spent, listeners: usize) -> f64 {
    (heard.cpu_us() - alone.cpu_us()).max(0.0) / listeners as f64
}

/// How fast writes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Many at once.
    Fast,
    /// At [`CALM_PER_SECOND`], one by one.
    Calm,
}

/// Znodes to write to: heard of, and not.
struct Ground<'a> {
    stage: &'a Stage,
    zk: Client,
    jobs: String,
    silent: String,
}

impl<'a> Ground<'a> {
    async fn new(stage: &'a Stage) -> Result<Self> {
        let zk = stage.world().zk().await?;
        let root = format!("{}-fanout", stage.world().root());
        let (jobs, silent) = (format!("{root}/jobs"), format!("{root}/silent"));
        for directory in [&jobs, &silent] {
            zk.mkdir(directory, &PERSISTENT)
                .await
                .context("make a directory")?;
            for nth in 0..ZNODES {
                let path = znode(directory, nth);
                zk.create(&path, DATA, &PERSISTENT)
                    .await
                    .context("make a znode")?;
            }
        }
        Ok(Self {
            stage,
            zk,
            jobs,
            silent,
        })
    }

    /// Writes where nobody listens.
    async fn write(&self, writes: usize, pace: Pace) -> Result<Spent> {
        self.spend(writes, self.set(&self.silent, writes, pace)).await
    }

    /// Reads znodes, one a request.
    async fn read(&self, reads: usize) -> Result<Spent> {
        let reading = stream::iter(0..reads)
            .map(async |nth| self.zk.get_data(&znode(&self.jobs, nth)).await.context("read"))
            .buffer_unordered(IN_FLIGHT)
            .try_for_each(async |_| Ok(()));
        self.spend(reads, reading).await
    }

    /// Reads znodes, all of them with one request, again and again.
    async fn read_together(&self, reads: usize) -> Result<Spent> {
        let reading = stream::iter(0..reads.div_ceil(ZNODES))
            .map(async |_| {
                let mut reader = self.zk.new_multi_reader();
                for nth in 0..ZNODES {
                    reader.add_get_data(&znode(&self.jobs, nth))?;
                }
                reader.commit().await.map(drop).context("read many")
            })
            .buffer_unordered(IN_FLIGHT / 10)
            .try_for_each(async |()| Ok(()));
        self.spend(reads.next_multiple_of(ZNODES), reading).await
    }

    async fn set(&self, directory: &str, writes: usize, pace: Pace) -> Result<()> {
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(CALM_PER_SECOND)?);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if pace == Pace::Calm {
            for nth in 0..writes {
                ticks.tick().await;
                self.zk.set_data(&znode(directory, nth), DATA, None).await?;
            }
            return Ok(());
        }
        stream::iter(0..writes)
            .map(async |nth| {
                let path = znode(directory, nth);
                self.zk.set_data(&path, DATA, None).await.context("write")
            })
            .buffer_unordered(IN_FLIGHT)
            .try_for_each(async |_| Ok(()))
            .await
    }

    /// What the server does while something goes on.
    async fn spend(&self, writes: usize, work: impl Future<Output = Result<()>>) -> Result<Spent> {
        let before = self.server_cpu().await?;
        let begun = Instant::now();
        timeout(LIMIT, work).await.context("wait for ZooKeeper")??;
        let elapsed = begun.elapsed();
        let cpu = self.server_cpu().await?.saturating_sub(before);
        Ok(Spent { writes, cpu, elapsed })
    }

    async fn server_cpu(&self) -> Result<Duration> {
        let usage = Usage::so_far(self.stage).await?;
        usage.cpu.get("zookeeper").copied().context("no ZooKeeper")
    }
}

fn znode(directory: &str, nth: usize) -> String {
    format!("{directory}/0197b0a3c0de7000a1b2c3d4{:08x}", nth % ZNODES)
}

/// Sessions that watch as members do.
struct Audience {
    sessions: Vec<Client>,
    /// A permit for each event.
    heard: Arc<Semaphore>,
    _listeners: JoinSet<()>,
}

impl Audience {
    async fn new(stage: &Stage, directory: &str, listeners: usize) -> Result<Self> {
        let sessions = try_join_all((0..listeners).map(|_| stage.world().zk())).await?;
        let heard = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        for session in &sessions {
            let mut watcher = session
                .watch(directory, AddWatchMode::PersistentRecursive)
                .await?;
            let heard = Arc::clone(&heard);
            tasks.spawn(async move {
                while watcher.changed().await.event_type != EventType::Session {
                    heard.add_permits(1);
                }
            });
        }
        Ok(Self {
            sessions,
            heard,
            _listeners: tasks,
        })
    }

    /// Writes where all of them listen, until all have heard of everything.
    async fn hear(&self, ground: &Ground<'_>, writes: usize, pace: Pace) -> Result<Spent> {
        let all = u32::try_from(writes * self.sessions.len())?;
        let writing = async {
            ground.set(&ground.jobs, writes, pace).await?;
            self.heard
                .acquire_many(all)
                .await
                .context("wait for events")?
                .forget();
            Ok(())
        };
        ground.spend(writes, writing).await
    }
}
