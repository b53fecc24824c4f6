//! Tasks that take their executor down with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::World;
use tokio::task::JoinHandle;

use crate::load::{Job, all_right, executor, watcher};

/// An executor that is started again whenever it dies, as a service manager would.
struct Supervised {
    stopped: Arc<AtomicBool>,
    deaths: JoinHandle<usize>,
}

impl Supervised {
    fn start(world: &Arc<World>, name: &str, more: &'static str) -> Supervised {
        let (world, name) = (Arc::clone(world), name.to_owned());
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let deaths = tokio::spawn(async move {
            for start in 0.. {
                let process = world
                    .start(executor(&world, more), &format!("{name}-{start}"))
                    .unwrap();
                while process.exit_status().is_none() {
                    if stop.load(Ordering::Relaxed) {
                        return start;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            usize::MAX
        });
        Supervised { stopped, deaths }
    }

    /// Kills it for good; how often it died before.
    async fn stop(self) -> usize {
        self.stopped.store(true, Ordering::Relaxed);
        self.deaths.await.unwrap()
    }
}

/// Tasks that do no harm, and one that does.
fn poisoned(world: &World, stem: &str, count: usize, at: usize) -> Job {
    let mut job = Job::echo(world, stem, count);
    "abort".clone_into(&mut job.tasks[at]);
    job
}

async fn world() -> Arc<World> {
    let mut world = World::private().await.unwrap();
    // Each death is known only when the session of the dead is over.
    world.set_session_timeout(Duration::from_millis(1_000));
    Arc::new(world)
}

#[tokio::test]
async fn a_task_that_kills_its_executor_ends_as_an_error_and_all_others_are_done() {
    let world = world().await;
    let executors = [
        Supervised::start(&world, "executor-1", ""),
        Supervised::start(&world, "executor-2", ""),
    ];
    let _watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    let jobs = [
        poisoned(&world, "poisoned", 200, 77),
        Job::echo(&world, "innocent", 300),
    ];
    for job in &jobs {
        job.submit_plainly(&world).await;
    }
    all_right(&world, &jobs).await;
    let mut deaths = 0;
    for executor in executors {
        deaths += executor.stop().await;
    }
    assert_eq!(deaths, 5, "as many as poison_after allows");
}

#[tokio::test]
async fn two_poisoned_jobs_and_one_executor_leave_every_innocent_task_unharmed() {
    let world = world().await;
    let executor = Supervised::start(&world, "executor", "");
    let _watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    let jobs = [
        poisoned(&world, "poisoned-a", 60, 30),
        poisoned(&world, "poisoned-b", 60, 0),
        Job::echo(&world, "innocent-a", 60),
        Job::of(&world, "innocent-b", vec!["sleep 400"; 10]),
    ];
    for job in &jobs {
        job.submit_plainly(&world).await;
    }
    all_right(&world, &jobs).await;
    executor.stop().await;
}

#[tokio::test]
async fn a_job_of_nothing_but_poison_ends_and_its_neighbour_does_not_notice() {
    let world = world().await;
    let executor = Supervised::start(&world, "executor", "poison_after = 3");
    let _watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    let jobs = [
        Job::of(&world, "poison", vec!["abort"; 3]),
        Job::echo(&world, "neighbour", 500),
    ];
    for job in &jobs {
        job.submit_plainly(&world).await;
    }
    all_right(&world, &jobs).await;
    executor.stop().await;
}
