//! Whole runs, with mishaps at random, and with stores that answer nothing for a while.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use anyhow::ensure;
use futures::future::join_all;
use harness::{Process, Proxy, Trigger, eventually};
use tokio::time::sleep;

use crate::load::{self, Job, SOON, in_full_swing};
use crate::rig::{EFFECTS, Rig};

/// Two executors and two watchers, all through the proxies.
async fn fleet(rig: &Rig) -> Vec<Process> {
    let mut fleet = Vec::new();
    for number in 1..=2 {
        let executor = rig.through(rig.executor(""));
        fleet.push(rig.start(executor, &format!("executor-{number}")).await);
        let watcher = rig.through(load::watcher(&rig.world, ""));
        fleet.push(rig.start(watcher, &format!("watcher-{number}")).await);
    }
    fleet
}

/// Submits these jobs, every fourth through the proxies by the submitter, which has to say so once.
async fn submit(rig: &Rig, jobs: &[Job]) {
    for (number, job) in jobs.iter().enumerate() {
        if number % 4 == 0 {
            let said = rig.submitter(job).succeeded(SOON).await.unwrap();
            assert_eq!(said, [job.id.as_str()]);
        } else {
            job.submit_plainly(&rig.world).await;
        }
    }
}

/// The `number`th of the numbers below `limit` that belong to a seed.
fn draw(seed: u64, number: u32, limit: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, number).hash(&mut hasher);
    hasher.finish() % limit
}

/// One mishap after the other, ten in all: at a request that the seed chooses, in turns to either store, a lost reply, a lost
/// request, or one of them held until the next mishap; now and then all connections are cut.
async fn mishaps(rig: &Rig, seed: u64) {
    let mut held = None;
    for number in 0..10 {
        let (proxy, most): (&Proxy, u64) = if number % 2 == 0 {
            (&rig.redis, 60)
        } else {
            (&rig.zookeeper, 30)
        };
        let skip = u32::try_from(draw(seed, number, most)).unwrap();
        let effect = EFFECTS[usize::try_from(draw(seed, 100 + number, 4)).unwrap()];
        let fault = proxy.arm(effect, Trigger::when(|_| true).skip(skip));
        fault.fired(SOON).await.unwrap();
        // Lets go what was held before.
        held = Some(fault);
        if draw(seed, 200 + number, 3) == 0 {
            proxy.cut();
        }
    }
    drop(held);
}

async fn random_mishaps(seed: u64) {
    let rig = Rig::private().await;
    let fleet = fleet(&rig).await;
    let jobs: Vec<Job> = (0..20).map(|_| Job::echo(&rig.world, "random", 150)).collect();
    tokio::join!(submit(&rig, &jobs), mishaps(&rig, seed));
    rig.all_right_and_run_once(&jobs).await;
    assert_eq!(fleet.len(), 4);
}

#[tokio::test]
async fn ten_mishaps_at_random_while_jobs_flow_cost_nothing_but_time() {
    random_mishaps(1).await;
}

#[tokio::test]
async fn ten_other_mishaps_at_random_cost_nothing_either() {
    random_mishaps(2).await;
}

/// How a black hole ends.
#[derive(Clone, Copy)]
enum End {
    /// All that was sent arrives, late.
    Arrives,
    /// All that was sent is lost.
    Lost,
}

/// Lets a store answer nothing for so long, while jobs flow.
async fn black_hole(rig: &Rig, proxy: &Proxy, lasts: Duration, end: End) -> Vec<Job> {
    let jobs: Vec<Job> = (0..6).map(|_| Job::echo(&rig.world, "hole", 300)).collect();
    submit(rig, &jobs).await;
    in_full_swing(&rig.world, &jobs).await;
    let late = Job::echo(&rig.world, "meanwhile", 30);
    let submitting = async {
        let said = rig.submitter(&late).succeeded(SOON).await.unwrap();
        assert_eq!(said, [late.id.as_str()]);
    };
    proxy.hold_all();
    let ending = async {
        sleep(lasts).await;
        if matches!(end, End::Lost) {
            proxy.cut();
        }
        proxy.pass();
    };
    tokio::join!(submitting, ending);
    [jobs, vec![late]].concat()
}

async fn ready(fleet: &[Process]) {
    let wait = fleet.iter().map(|process| {
        eventually("all are ready again", SOON, async move || {
            let answer = process.admin_get("/readyz").await?;
            ensure!(answer.status == 200, "{}: {answer:?}", process.name());
            Ok(())
        })
    });
    join_all(wait).await;
}

#[tokio::test]
async fn a_redis_that_answers_nothing_for_a_while_and_then_everything_is_survived() {
    let rig = Rig::private().await;
    let fleet = fleet(&rig).await;
    let jobs = black_hole(&rig, &rig.redis, Duration::from_secs(4), End::Arrives).await;
    rig.all_right_and_run_once(&jobs).await;
    ready(&fleet).await;
}

#[tokio::test]
async fn a_redis_that_answers_nothing_for_a_while_and_forgets_it_all_is_survived() {
    let rig = Rig::private().await;
    let fleet = fleet(&rig).await;
    let jobs = black_hole(&rig, &rig.redis, Duration::from_secs(4), End::Lost).await;
    rig.all_right_and_run_once(&jobs).await;
    ready(&fleet).await;
}

#[tokio::test]
async fn a_zookeeper_that_answers_nothing_for_a_while_and_then_everything_is_survived() {
    let rig = Rig::private().await;
    let fleet = fleet(&rig).await;
    let jobs = black_hole(&rig, &rig.zookeeper, Duration::from_secs(4), End::Arrives).await;
    rig.all_right_and_run_once(&jobs).await;
    ready(&fleet).await;
}

#[tokio::test]
async fn a_zookeeper_that_answers_nothing_for_a_while_and_forgets_it_all_is_survived() {
    let rig = Rig::private().await;
    let fleet = fleet(&rig).await;
    let jobs = black_hole(&rig, &rig.zookeeper, Duration::from_secs(4), End::Lost).await;
    rig.all_right_and_run_once(&jobs).await;
    ready(&fleet).await;
}

#[tokio::test]
async fn a_zookeeper_that_answers_nothing_for_longer_than_sessions_last_is_survived() {
    let mut rig = Rig::private().await;
    rig.world.set_session_timeout(Duration::from_secs(2));
    let fleet = fleet(&rig).await;
    let jobs = black_hole(&rig, &rig.zookeeper, Duration::from_secs(6), End::Arrives).await;
    rig.all_right(&jobs).await;
    ready(&fleet).await;
}
