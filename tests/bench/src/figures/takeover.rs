//! How soon others do what an executor was doing when it was killed.
//!
//! Nobody may guess that it is dead: the ledger says so, when its session has timed out. So the time has two parts, and only
//! the second one is distjob's: from the kill to the end of the session, and from there to the ranges running elsewhere.
//!
//! An executor that does not answer any more has been heard of up to a third of its session's timeout ago, so the first part
//! may be shorter than the timeout; the server looks for dead sessions once a tick, which makes it longer by up to a tick. The
//! servers of this benchmark tick each 200 ms; with ZooKeeper's example configuration it is 2 s.

use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use harness::{AppendOnly, Receiver, Reply, Then};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};
use zookeeper_client::{AddWatchMode, EventType, PersistentWatcher};

use crate::{
    bench::Bench,
    report::{Report, Row},
    stage::Stage,
};

/// What every member of the measure has.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

/// Nobody who takes over at all takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// Ranges that the victim holds: it runs so many tasks at once, each of which never ends there.
const SLOTS: usize = 4;

/// Measures.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let kills = bench.count(3, 1);
    let timeout = match bench.is_quick() {
        true => Duration::from_secs(2),
        false => SESSION_TIMEOUT,
    };
    let mut stage = bench.stage(AppendOnly::No).await?;
    stage.world_mut().set_session_timeout(timeout);
    let mut tasks = Tasks::listen().await?;
    let zk = stage.world().zk().await?;
    let executors = stage.world().path("executors");
    stage.executor(&tasks.toml()).await?;
    let mut members = zk.watch(&executors, AddWatchMode::PersistentRecursive).await?;
    let (mut all, mut own) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds() {
        let (mut worst, mut worst_own) = (Duration::ZERO, Duration::ZERO);
        for kill in 0..kills {
            let nth = round * kills + kill;
            let (took, of_it_own) = take_over(&mut stage, &mut tasks, &mut members, nth).await?;
            worst = worst.max(took);
            worst_own = worst_own.max(of_it_own);
        }
        all.push(worst.as_secs_f64() * 1000.0);
        own.push(worst_own.as_secs_f64() * 1000.0);
    }
    let most = timeout + Duration::from_secs(1);
    let what = format!(
        "SIGKILL of an executor to its {SLOTS} ranges running elsewhere, session timeout {timeout:?}, worst of {kills}"
    );
    report.row(Row::new(what, "ms", all).at_most(most.as_secs_f64() * 1000.0));
    report.row(Row::new("of it after the end of its session, worst", "ms", own));
    Ok(())
}

/// Kills the executor that came as the nth, from 0, and is the only one, when it runs tasks and another one has come. Returns
/// how long it took until the other one ran them: from the kill, and from the end of the session.
async fn take_over(
    stage: &mut Stage,
    tasks: &mut Tasks,
    members: &mut PersistentWatcher,
    nth: usize,
) -> Result<(Duration, Duration)> {
    let lines = (0..SLOTS).map(|task| format!("{nth}-{task}"));
    let file = stage.tasks("takeover", lines)?;
    stage.submit("default", &file, SLOTS).await?;
    timeout_of(tasks.begun()).await?;
    stage.executor(&tasks.toml()).await?;
    let victim = stage.members().get(nth).context("nobody to kill")?;
    let name = stage
        .world()
        .member_of(victim)
        .await?
        .context("it has not registered")?
        .name;
    let killed = Instant::now();
    victim.kill().await?;
    let (ended, running) = tokio::try_join!(timeout_of(gone(members, &name)), timeout_of(tasks.begun()))?;
    Ok((running - killed, running.saturating_duration_since(ended)))
}

async fn timeout_of(moment: impl Future<Output = Result<Instant>>) -> Result<Instant> {
    timeout(LIMIT, moment).await.context("nobody runs the tasks")?
}

/// Returns when the znode of this member is gone.
async fn gone(members: &mut PersistentWatcher, name: &str) -> Result<Instant> {
    loop {
        let event = members.changed().await;
        ensure!(
            event.event_type != EventType::Session,
            "the benchmark's own session had a break"
        );
        if event.event_type == EventType::NodeDeleted && event.path.ends_with(name) {
            return Ok(Instant::now());
        }
    }
}

/// A server that runs the tasks of executors: one that it hears of for the first time never ends, the second time it ends at
/// once. So a job ends in the hands of its second executor.
struct Tasks {
    receiver: Receiver,
    begun: UnboundedReceiver<Instant>,
}

impl Tasks {
    async fn listen() -> Result<Self> {
        let (tell, begun) = unbounded_channel();
        let known = Mutex::new(BTreeSet::new());
        let receiver = Receiver::start(move |request| {
            // Nobody listens any more when the measure is over.
            let _ = tell.send(Instant::now());
            let is_first = known.lock().is_ok_and(|mut known| known.insert(request.text()));
            match is_first {
                true => Reply::raw(b"").then(Then::Stall),
                false => Reply::ok("done"),
            }
        });
        Ok(Self {
            receiver: receiver.await?,
            begun,
        })
    }

    /// The configuration of an executor that has its tasks run here.
    fn toml(&self) -> String {
        let url = self.receiver.url("/");
        format!(
            "[executor]\nqueues = [\"default\"]\nslots = {SLOTS}\n\n\
             [queue]\nhandler = \"http\"\n\n[queue.http]\nurl = {url:?}\n"
        )
    }

    /// Returns when as many more tasks have begun as an executor runs at once, and when the last of them did.
    async fn begun(&mut self) -> Result<Instant> {
        let mut last = None;
        for _ in 0..SLOTS {
            last = self.begun.recv().await;
        }
        last.context("the server of tasks has ended")
    }
}
