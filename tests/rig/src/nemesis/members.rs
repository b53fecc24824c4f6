//! Faults of executors, watchers and submitters: their processes, their sessions, their clocks.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::within;
use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until};
use zookeeper_client::SessionId;

use crate::history::Role;
use crate::plan::{Nemesis, Step, Victim};
use crate::run::Stage;
use crate::workload::Mischief;

/// Between two changes of members while they churn.
const CHURN_EVERY: Duration = Duration::from_secs(2);

/// A watcher of a busy cluster comes to every point of its work within this time.
const CAUGHT_WITHIN: Duration = Duration::from_secs(10);

/// SIGKILL of a daemon that has something in hand, and a new one at the end.
pub(super) async fn kill(stage: &Stage, step: &Step, victim: Victim, is_measured: bool) -> Result<()> {
    let post = stage.post(victim)?;
    let member = post.member(&stage.stores).await;
    if let Some(member) = &member {
        stage.until_busy(post.role(), member).await;
    }
    post.kill().await?;
    let killed_ms = stage.recorder.now_ms();
    let end = Instant::now() + step.lasts;
    if let Some(member) = member.filter(|_| is_measured) {
        // Its work may be seen elsewhere sooner than the end of the fault, or later.
        stage.record_recovery(post, &member, killed_ms).await;
    }
    sleep_until(end).await;
    post.start().await
}

/// SIGKILL or SIGSTOP of a watcher when it comes to a point of its work; one that never comes there leaves as asked.
pub(super) async fn ambush(stage: &Stage, step: &Step, points: &str, is_measured: bool) -> Result<()> {
    let Nemesis::Ambush { watcher, freeze, .. } = step.nemesis else {
        return Ok(());
    };
    let post = stage.post(Victim::Watcher(watcher))?;
    post.stop().await?;
    post.start_ambushed(points).await?;
    let registered = within(CAUGHT_WITHIN, async || {
        post.member(&stage.stores).await.context("not registered")
    });
    let member = registered.await.ok();
    let caught = within(CAUGHT_WITHIN, async || {
        ensure!(post.is_caught().await, "it has not come there");
        Ok(())
    });
    let is_caught = caught.await.is_ok();
    let end = Instant::now() + step.lasts;
    let caught_ms = stage.recorder.now_ms();
    if let Some(member) = member.filter(|_| is_measured && is_caught && freeze.is_none()) {
        stage.record_recovery(post, &member, caught_ms).await;
    }
    if is_caught {
        sleep_until(end).await;
    }
    if freeze.is_some() {
        post.signal(Signal::CONT).await;
    }
    // Not to be caught at another time.
    post.stop().await?;
    post.start().await
}

/// SIGTERM of a daemon, which must end in good order, and a new one at the end.
pub(super) async fn stop(stage: &Stage, step: &Step, victim: Victim) -> Result<()> {
    let post = stage.post(victim)?;
    let end = Instant::now() + step.lasts;
    post.stop().await?;
    sleep_until(end).await;
    post.start().await
}

/// SIGSTOP of a daemon, then SIGCONT.
pub(super) async fn freeze(stage: &Stage, step: &Step, victim: Victim) -> Result<()> {
    let post = stage.post(victim)?;
    post.signal(Signal::STOP).await;
    sleep(step.lasts).await;
    post.signal(Signal::CONT).await;
    Ok(())
}

/// SIGSTOP of all executors, then SIGCONT.
pub(super) async fn freeze_executors(stage: &Stage, step: &Step) {
    let signal = async |signal| {
        for post in stage.posts().iter().filter(|post| post.role() == Role::Executor) {
            post.signal(signal).await;
        }
    };
    signal(Signal::STOP).await;
    sleep(step.lasts).await;
    signal(Signal::CONT).await;
}

/// Harms each submitter that starts on a host meanwhile.
pub(super) async fn harm_submitters(stage: &Stage, step: &Step, host: u32) {
    let mischief = match step.nemesis {
        Nemesis::Freeze(..) => Mischief::Freeze(step.lasts),
        _ => Mischief::Kill,
    };
    stage.workload.harm(host, Some(mischief));
    sleep(step.lasts).await;
    stage.workload.harm(host, None);
}

/// Ends a daemon's session as the servers do when it is over.
pub(super) async fn expire(stage: &Stage, step: &Step, victim: Victim) -> Result<()> {
    // Between two sessions, or with ZooKeeper away, there is nothing to be ended.
    if let Some(member) = stage.post(victim)?.member(&stage.stores).await {
        stage.cluster.ledger().expire(SessionId(member.session)).await?;
    }
    sleep(step.lasts).await;
    Ok(())
}

/// Moves a daemon's clock, and back.
pub(super) async fn move_clock(stage: &Stage, step: &Step, victim: Victim, by_s: i32) -> Result<()> {
    let post = stage.post(victim)?;
    post.shift_clock(by_s.into()).await?;
    sleep(step.lasts).await;
    post.shift_clock(0).await
}

/// Every 2 s a daemon goes, in one of two ways, and a new one comes.
pub(super) async fn churn(stage: &Stage, step: &Step) -> Result<()> {
    let end = Instant::now() + step.lasts;
    for (turn, post) in stage.posts().iter().cycle().enumerate() {
        let next = Instant::now() + CHURN_EVERY;
        if next > end {
            break;
        }
        if turn % 2 == 0 {
            post.kill().await?;
        } else {
            post.stop().await?;
        }
        post.start().await?;
        sleep_until(next).await;
    }
    sleep_until(end).await;
    Ok(())
}
