//! Everything at once, for a while.

use std::time::Duration;

use harness::{Process, Program, World};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::load::{Job, all_right, executor, watcher};

const CHURN_FOR: Duration = Duration::from_secs(20);
const BETWEEN_DEATHS: Duration = Duration::from_millis(700);
const BETWEEN_JOBS: Duration = Duration::from_millis(250);

/// Daemons of one kind, of which now and then one goes and another one comes.
struct Crowd<'a> {
    world: &'a World,
    kind: &'static str,
    program: fn(&World, &str) -> Program,
    started: usize,
    alive: Vec<Process>,
    /// Those that were asked to leave, until they have.
    leaving: Vec<Process>,
}

impl Crowd<'_> {
    fn of<'a>(world: &'a World, kind: &'static str, program: fn(&World, &str) -> Program) -> Crowd<'a> {
        let (alive, leaving) = (Vec::new(), Vec::new());
        let mut crowd = Crowd {
            world,
            kind,
            program,
            started: 0,
            alive,
            leaving,
        };
        (0..3).for_each(|_| crowd.grow());
        crowd
    }

    fn grow(&mut self) {
        self.started += 1;
        let name = format!("{}-{}", self.kind, self.started);
        let process = self.world.start((self.program)(self.world, ""), &name).unwrap();
        self.alive.push(process);
    }

    /// The oldest one goes: killed, asked to leave, or frozen until the next one goes.
    async fn renew(&mut self) {
        let oldest = self.alive.remove(0);
        match self.started % 3 {
            0 => oldest.kill().await.unwrap(),
            1 => {
                oldest.terminate().unwrap();
                self.leaving.push(oldest);
            }
            _ => {
                oldest.pause().unwrap();
                self.leaving.push(oldest);
            }
        }
        self.grow();
    }

    /// All that left in good order must have ended so; all that froze go on.
    async fn settle(&mut self) {
        for process in self.leaving.drain(..) {
            // It may have ended already.
            let _ = process.signal(Signal::CONT);
            let _ = process.terminate();
            process.succeeded(Duration::from_secs(20)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn members_that_come_and_go_all_the_time_deliver_every_job() {
    let world = World::private().await.unwrap();
    let mut executors = Crowd::of(&world, "executor", executor);
    let mut watchers = Crowd::of(&world, "watcher", watcher);
    // The store is marked by whoever comes first, while the ledger has no past.
    world.registered(&executors.alive[0]).await.unwrap();
    let until = Instant::now() + CHURN_FOR;
    let submitting = async {
        let mut jobs = Vec::new();
        while Instant::now() < until {
            let job = Job::echo(&world, "flow", 40 + 37 * (jobs.len() % 5));
            job.submit_plainly(&world).await;
            jobs.push(job);
            sleep(BETWEEN_JOBS).await;
        }
        jobs
    };
    let churning = async {
        while Instant::now() < until {
            sleep(BETWEEN_DEATHS).await;
            executors.renew().await;
            sleep(BETWEEN_DEATHS).await;
            watchers.renew().await;
        }
    };
    let (jobs, ()) = tokio::join!(submitting, churning);
    executors.settle().await;
    watchers.settle().await;
    all_right(&world, &jobs).await;
}
