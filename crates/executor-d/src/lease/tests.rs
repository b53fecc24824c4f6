//! Leases that run against a modelled store, in virtual time.

mod any_order;
mod world;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use self::world::{Dropped, Fate, LIFE, LIMITS, Script, Step, World, holder};
use super::{Ended, Order, RunLimits, Runner, Work};
use crate::{
    grip::Grip,
    handler::{Handler, Tasks},
    server::{GivenAway, SMALL_BYTES},
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn all(count: usize, ms: u64, step: Step) -> Vec<Script> {
    vec![Script::one(ms, step); count]
}

/// Runs all tasks of a job in one lease, several at once.
async fn run_all(world: &World, grip: &Grip, at_once: usize, limits: RunLimits) -> Ended {
    let work = world.claim(grip, 1000).unwrap();
    let (_orders, obeys) = watch::channel(Order::Go);
    world.runner(at_once).run(work, limits, obeys, None).await
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_committed_while_the_first_task_still_runs() {
    let mut scripts = all(8, 10, Step::Succeeds);
    scripts[0] = Script::one(10_000, Step::Succeeds);
    let (world, grip) = (World::new(&scripts), Grip::default());
    let watched = world.clone();
    let look = async move {
        sleep(ms(1000)).await;
        watched.outcomes().into_keys().collect::<Vec<_>>()
    };
    let (ended, early) = tokio::join!(run_all(&world, &grip, 2, LIMITS), look);
    assert_eq!(early, [1, 2, 3, 4, 5, 6, 7]);
    assert!(ended.is_over && ended.job_is_complete && ended.later.is_empty());
    assert_eq!((ended.tasks_run, grip.len()), (8, 0));
    let account = world.outcomes()[&0].1.unwrap();
    assert_eq!((account.attempts, account.elapsed), (1, ms(10_000)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_takes_much_longer_than_it_should_gives_back_what_has_not_begun() {
    let (world, grip) = (World::new(&all(10, 60_000, Step::Succeeds)), Grip::default());
    let limits = RunLimits {
        target: ms(250),
        ..LIMITS
    };
    let watched = world.clone();
    let look = async move {
        sleep(ms(510)).await;
        watched.freed()
    };
    let (ended, freed) = tokio::join!(run_all(&world, &grip, 1, limits), look);
    assert_eq!(freed, (1..10).collect::<Vec<_>>());
    assert!(ended.is_over && ended.gave_back && !ended.job_is_complete);
    assert_eq!(world.outcomes().into_keys().collect::<Vec<_>>(), [0]);
    assert_eq!(grip.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_keeps_as_much_as_it_should_have_had() {
    let (world, grip) = (World::new(&all(40, 100, Step::Succeeds)), Grip::default());
    let limits = RunLimits {
        target: ms(1000),
        ..LIMITS
    };
    let ended = run_all(&world, &grip, 1, limits).await;
    // After two seconds twenty have begun; half as many again take one more.
    assert!((28..=31).contains(&ended.tasks_run), "{}", ended.tasks_run);
    assert_eq!(world.freed().len() as u64, 40 - ended.tasks_run);
}

#[tokio::test(start_paused = true)]
async fn a_halted_lease_records_what_runs_and_gives_back_the_rest_at_once() {
    let (world, grip) = (World::new(&all(10, 1000, Step::Succeeds)), Grip::default());
    let work = world.claim(&grip, 10).unwrap();
    let (orders, obeys) = watch::channel(Order::Go);
    let watched = world.clone();
    let halt = async move {
        sleep(ms(1500)).await;
        orders.send_replace(Order::Halt);
        sleep(ms(10)).await;
        assert_eq!(watched.freed(), (4..10).collect::<Vec<_>>());
        orders
    };
    let (ended, _orders) = tokio::join!(world.runner(2).run(work, LIMITS, obeys, None), halt);
    assert!(ended.is_over && ended.gave_back);
    assert_eq!(world.outcomes().into_keys().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_halted_while_its_last_commit_is_under_way_gives_back_the_rest_all_the_same() {
    let (world, grip) = (World::new(&all(10, 10, Step::Succeeds)), Grip::default());
    world.state().fates = vec![Fate::Lost; 3].into();
    let work = world.claim(&grip, 10).unwrap();
    // No second task begins before the first has its outcome recorded.
    let mut limits = LIMITS;
    limits.commit.bytes = 1;
    let (orders, obeys) = watch::channel(Order::Go);
    let halt = async move {
        sleep(ms(100)).await;
        orders.send_replace(Order::Halt);
        orders
    };
    let (ended, _orders) = tokio::join!(world.runner(1).run(work, limits, obeys, None), halt);
    assert!(ended.is_over && ended.gave_back);
    assert_eq!(world.outcomes().into_keys().collect::<Vec<_>>(), [0]);
    assert_eq!(world.freed(), (1..10).collect::<Vec<_>>());
    assert!(world.state().model.leases.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_halted_before_it_began_runs_nothing() {
    let (world, grip) = (World::new(&all(3, 10, Step::Succeeds)), Grip::default());
    let work = world.claim(&grip, 10).unwrap();
    let (_orders, obeys) = watch::channel(Order::Halt);
    let ended = world.runner(2).run(work, LIMITS, obeys, None).await;
    assert!(ended.is_over && world.state().executions.is_empty());
    assert_eq!((world.freed(), grip.len()), (vec![0, 1, 2], 0));
}

/// Never ends.
#[derive(Debug)]
struct Hangs(Dropped);

impl Handler for Hangs {
    fn run(&self, tasks: Tasks) -> futures::future::BoxFuture<'static, ()> {
        let dropped = self.0.clone();
        Box::pin(async move {
            let _dropped = dropped;
            let _task = tasks.next();
            std::future::pending::<()>().await;
        })
    }
}

/// Runs a handler that never ends; when that was dropped, and how the lease ended.
async fn hang(world: &World, work: Work, limits: RunLimits, obeys: watch::Receiver<Order>) -> (usize, Ended) {
    let dropped = Dropped::default();
    let count = Arc::clone(&dropped.0);
    let runner = Runner {
        handler: Arc::new(Hangs(dropped)),
        ..world.runner(1)
    };
    // The handler itself keeps one, which is dropped with the runner.
    let ended = runner.run(work, limits, obeys, None).await;
    (count.load(Ordering::Relaxed), ended)
}

#[tokio::test(start_paused = true)]
async fn a_killed_lease_drops_its_handler_and_asks_the_store_for_nothing() {
    let (world, grip) = (World::new(&all(3, 10, Step::Succeeds)), Grip::default());
    let work = world.claim(&grip, 10).unwrap();
    let (orders, obeys) = watch::channel(Order::Go);
    let kill = async {
        sleep(ms(1500)).await;
        orders.send_replace(Order::Kill);
        Instant::now()
    };
    let ((dropped, ended), killed_at) = tokio::join!(hang(&world, work, LIMITS, obeys), kill);
    assert_eq!((dropped, Instant::now()), (2, killed_at));
    assert!(!ended.is_over && world.state().calls == 0);
    assert_eq!(grip.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_handler_is_dropped_and_every_task_that_is_left_has_its_error() {
    let (world, grip) = (World::new(&all(3, 10, Step::Succeeds)), Grip::default());
    let mut work = world.claim(&grip, 10).unwrap();
    let deadline = Instant::now() + ms(700);
    work.deadline = Some(deadline);
    let (_orders, obeys) = watch::channel(Order::Go);
    let (dropped, ended) = hang(&world, work, LIMITS, obeys).await;
    assert!(dropped == 2 && Instant::now() - deadline < ms(100));
    assert!(ended.is_over && ended.job_is_complete);
    for (outcome, account) in world.outcomes().values() {
        assert_eq!(outcome.as_deref().unwrap_err(), b"the job's deadline has passed");
        assert_eq!(*account, None);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_first_tasks_all_failed_the_others_are_not_run() {
    let (world, grip) = (World::new(&all(10, 100, Step::FailsForGood)), Grip::default());
    let limits = RunLimits {
        abort_after: "20%".parse().unwrap(),
        ..LIMITS
    };
    let ended = run_all(&world, &grip, 1, limits).await;
    assert!(ended.job_is_complete);
    let executed = world.state().executions.len();
    assert!((2..=4).contains(&executed), "{executed}");
    let last = world.outcomes().remove(&9).unwrap().0.unwrap_err();
    let message = String::from_utf8(last).unwrap();
    assert!(
        message.starts_with("not run: the first ") && message.ends_with(" tasks of the job all failed"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_waits_outside_of_its_lease_and_keeps_count() {
    let mut scripts = all(4, 10, Step::Succeeds);
    scripts[2] = Script(vec![(10, Step::Fails), (10, Step::Suffers), (30, Step::Succeeds)]);
    let (world, grip) = (World::new(&scripts), Grip::default());
    let mut ended = run_all(&world, &grip, 1, LIMITS).await;
    assert!(ended.is_over && !ended.job_is_complete);
    assert_eq!((ended.retries, grip.len()), (1, 1));
    for (attempt, alone) in [(2, false), (2, true)] {
        let later = ended.later.pop().unwrap();
        assert_eq!((later.work.attempt, later.work.alone), (attempt, alone));
        assert!(ended.later.is_empty() && later.due >= Instant::now() - ms(20));
        sleep_until(later.due).await;
        ended = world.run(later.work, LIMITS).await;
    }
    assert!(ended.job_is_complete && grip.len() == 0);
    let account = world.outcomes()[&2].1.unwrap();
    assert_eq!((account.attempts, account.elapsed), (2, ms(30)));
    assert_eq!(world.state().executions[&2], [1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_with_many_tasks_that_wait_begins_no_further_one() {
    let (world, grip) = (World::new(&all(200, 1, Step::Fails)), Grip::default());
    let ended = run_all(&world, &grip, 1, LIMITS).await;
    assert_eq!((ended.later.len(), world.freed().len()), (64, 136));
    assert!(ended.is_over && ended.gave_back);
    // In the store they are one lease, and one range covers them.
    assert_eq!(grip.len(), 1);
    assert!(
        world
            .claim(&grip, 1)
            .is_some_and(|work| work.lease.range.lo() == 64)
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_its_handler_forgets_has_failed() {
    #[derive(Debug)]
    struct Forgets;
    impl Handler for Forgets {
        fn run(&self, tasks: Tasks) -> futures::future::BoxFuture<'static, ()> {
            Box::pin(async move {
                let forgotten = tasks.next();
                drop(forgotten);
                if let Some(task) = tasks.next() {
                    tasks.record(task, Ok(b"done".into()));
                }
            })
        }
    }
    let (world, grip) = (World::new(&all(3, 10, Step::Succeeds)), Grip::default());
    let work = world.claim(&grip, 10).unwrap();
    let (_orders, obeys) = watch::channel(Order::Go);
    let runner = Runner {
        handler: Arc::new(Forgets),
        ..world.runner(1)
    };
    let ended = runner.run(work, LIMITS, obeys, None).await;
    let later: Vec<_> = ended
        .later
        .iter()
        .map(|later| later.work.lease.range.lo())
        .collect();
    assert_eq!(later, [0]);
    assert_eq!(world.outcomes().into_keys().collect::<Vec<_>>(), [1]);
    // What it did not begin although it could is not lost either.
    assert_eq!(world.freed(), [2]);
}

/// How many outcomes are recorded when a lease gives its slot away whose only value has so many bytes.
async fn recorded_when_the_slot_is_given_away(bytes: usize) -> usize {
    #[derive(Debug)]
    struct Answers(usize);
    impl Handler for Answers {
        fn run(&self, tasks: Tasks) -> futures::future::BoxFuture<'static, ()> {
            let value = vec![b'x'; self.0];
            Box::pin(async move {
                if let Some(task) = tasks.next() {
                    tasks.record(task, Ok(value.into()));
                }
            })
        }
    }
    let (world, grip) = (World::new(&all(1, 0, Step::Succeeds)), Grip::default());
    let work = world.claim(&grip, 1).unwrap();
    let (_orders, obeys) = watch::channel(Order::Go);
    let runner = Runner {
        handler: Arc::new(Answers(bytes)),
        ..world.runner(1)
    };
    let given_away = Arc::new(GivenAway::default());
    let slot = given_away.slot(1);
    let look = async {
        given_away.changed().await;
        world.outcomes().len()
    };
    let (ended, recorded) = tokio::join!(runner.run(work, LIMITS, obeys, Some(slot)), look);
    assert!(ended.is_over && ended.job_is_complete);
    recorded
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_given_away_before_a_small_outcome_is_recorded_and_after_a_large_one() {
    assert_eq!(recorded_when_the_slot_is_given_away(5).await, 0);
    assert_eq!(recorded_when_the_slot_is_given_away(2 * SMALL_BYTES).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_became_somebody_elses_ends_without_another_word() {
    let (world, grip) = (World::new(&all(10, 200, Step::Succeeds)), Grip::default());
    let thief = world.clone();
    let steal = async move {
        sleep(ms(500)).await;
        let mut state = thief.state();
        state.model.free(LIFE, &holder("me"), 1);
        state.calls
    };
    let (ended, before) = tokio::join!(run_all(&world, &grip, 1, LIMITS), steal);
    assert!(ended.is_over && ended.later.is_empty() && grip.len() == 0);
    assert_eq!(world.state().calls, before + 1, "one commit was refused");
    assert_eq!(world.outcomes().len() + world.freed().len(), 10);
    assert!(world.state().executions.len() < 6);
}

#[tokio::test(start_paused = true)]
async fn what_a_rolled_back_store_leases_to_us_again_is_left_to_the_next_claim() {
    let (world, grip) = (World::new(&all(4, 100, Step::Succeeds)), Grip::default());
    let before = world.clone();
    let work = world.claim(&grip, 4).unwrap();
    let snapshot = before.state().model.clone();
    let roll_back = async move {
        sleep(ms(290)).await;
        let mut state = before.state();
        assert_eq!(state.model.results.len(), 2);
        state.model = snapshot;
    };
    let (ended, ()) = tokio::join!(world.run(work, LIMITS), roll_back);
    assert!(!ended.is_over && !ended.job_is_complete);
    let again = world.claim(&grip, 4).unwrap();
    assert_eq!((again.lease.range.lo(), again.lease.range.hi()), (0, 2));
    assert!(world.run(again, LIMITS).await.job_is_complete);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_with_too_many_deaths_is_not_run() {
    let (world, grip) = (World::new(&all(1, 10, Step::Succeeds)), Grip::default());
    let mut work = world.claim(&grip, 1).unwrap();
    work.lease.attempts = 5;
    let ended = world.run(work, LIMITS).await;
    assert!(ended.job_is_complete && world.state().executions.is_empty());
    let outcome = world.outcomes().remove(&0).unwrap().0;
    assert_eq!(
        outcome.unwrap_err(),
        b"given up: 5 executors died while they ran this task"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_run_here_is_to_be_given_back_and_nothing_further_begins() {
    let mut scripts = all(8, 10, Step::Succeeds);
    scripts[2] = Script::one(0, Step::FindsNothing);
    let (world, grip) = (World::new(&scripts), Grip::default());
    let begun = Instant::now();
    let ended = run_all(&world, &grip, 1, LIMITS).await;
    assert!(begun.elapsed() < ms(1000), "a slot does not wait for a program");
    let [later] = &ended.later[..] else {
        panic!("{:?}", ended.later)
    };
    assert!(later.elsewhere && later.due > begun + ms(9_000));
    assert_eq!((later.work.lease.range.lo(), later.work.attempt), (2, 1));
    assert_eq!(world.outcomes().into_keys().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(world.freed(), [3, 4, 5, 6, 7]);
    assert_eq!(grip.len(), 1, "whoever takes it from here gives it back");
}
