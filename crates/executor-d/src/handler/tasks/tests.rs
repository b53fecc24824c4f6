//! What handlers and runners see of the tasks between them, in virtual time.

use std::{num::NonZeroUsize, ops::Range, sync::Arc, time::Duration};

use distjob_core::{JobId, Outcome, QueueName, Zxid, outcome::unpack};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::time::{advance, sleep};

use super::*;
use crate::handler::{AsyncFunction, Concurrently, Function, Handler, OnThread, Retry, Trial};

const POLICY: Policy = Policy {
    attempts: 2,
    initial: Duration::from_secs(1),
    max: Duration::from_secs(1),
};

/// A lease of the tasks 10 to 19, whose payloads are their numbers.
fn tasks(range: Range<u8>) -> Tasks {
    let job = Job {
        id: JobId::new("job").unwrap(),
        life: Zxid::new(1),
        queue: QueueName::default_queue(),
    };
    Tasks::new(Terms {
        job: Arc::new(job),
        first: range.start.into(),
        payloads: Arc::new(range.map(|index| [index]).collect()),
        attempt: 1,
        alone: false,
        policy: POLICY,
        commit: CommitLimits {
            bytes: 250,
            time: Duration::from_secs(1),
        },
    })
}

fn record(tasks: &Tasks, value: &[u8]) -> u64 {
    let task = tasks.next().unwrap();
    let index = task.index;
    assert_eq!(task.payload(), [u8::try_from(index).unwrap()]);
    tasks.record(task, Ok(value.to_vec().into()));
    index
}

/// From where to where the pending outcomes are.
fn taken(tasks: &Tasks) -> Vec<(u64, u64)> {
    let taken = tasks.take_outcomes().into_iter();
    taken.map(|(lo, run)| (lo, lo + run.count())).collect()
}

/// Runs until the stretch is over; the indexes.
fn run(stretch: &mut Stretch, mut after_each: impl FnMut(u64)) -> Vec<u64> {
    let mut indexes = Vec::new();
    while let Some(task) = stretch.task() {
        let index = task.index;
        assert_eq!(task.payload(), [u8::try_from(index).unwrap()]);
        indexes.push(index);
        stretch.record(Ok(vec![0; 100].into()));
        after_each(index);
    }
    indexes
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_due_when_there_is_much_or_some_time_after_the_first_outcome() {
    let tasks = tasks(10..20);
    assert_eq!(tasks.commit_due(), None);
    record(&tasks, b"small");
    let begun = Instant::now();
    tasks.changed().await;
    assert_eq!(tasks.commit_due(), Some(begun + Duration::from_secs(1)));
    advance(Duration::from_millis(500)).await;
    record(&tasks, b"small");
    assert_eq!(tasks.changed().now_or_never(), None, "nothing new is due");
    record(&tasks, &[0; 250]);
    tasks.changed().await;
    assert!(tasks.commit_due().unwrap() <= Instant::now());
    assert_eq!(taken(&tasks), [(10, 13)]);
    assert_eq!(tasks.commit_due(), None);
}

#[tokio::test(start_paused = true)]
async fn there_is_room_again_when_outcomes_are_committed_or_nothing_can_begin() {
    let tasks = tasks(10..20);
    record(&tasks, &[0; 250]);
    assert_eq!(tasks.room().now_or_never(), Some(()));
    record(&tasks, &[0; 250]);
    let bytes: usize = tasks.take_outcomes().values().map(|run| run.bytes().len()).sum();
    let room = tasks.room();
    tokio::pin!(room);
    assert_eq!((&mut room).now_or_never(), None, "taken is not yet committed");
    tasks.put_away(bytes);
    room.await;
    record(&tasks, &[0; 600]);
    let room = tasks.room();
    tokio::pin!(room);
    assert_eq!((&mut room).now_or_never(), None);
    tasks.cut(0);
    room.await;
    assert!(tasks.next().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_and_forgotten_fails_and_what_was_taken_away_does_not() {
    let tasks = tasks(10..20);
    let forgotten = [tasks.next(), tasks.next()];
    record(&tasks, b"");
    tasks.cut(0);
    tasks.close(&Failure::new("forgotten"));
    let [first, _] = forgotten;
    tasks.record(first.unwrap(), Ok(b"too late".into()));
    assert_eq!(taken(&tasks), [(12, 13)]);
    assert_eq!(tasks.take_waiting().into_keys().collect::<Vec<_>>(), [10, 11]);
    assert_eq!(tasks.take_cut(), [TaskRange::new(13, 20).unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_up_gives_the_rest_one_outcome_and_keeps_those_there_are() {
    let tasks = tasks(10..20);
    record(&tasks, b"value");
    let fails = tasks.next().unwrap();
    tasks.record(fails, Err("once".into()));
    let _runs = tasks.next().unwrap();
    tasks.cut(5);
    assert_eq!(tasks.give_up("over"), 7);
    let taken = tasks.take_outcomes();
    let outcomes: Vec<_> = unpack(taken[&10].bytes())
        .map(|record| record.unwrap().outcome)
        .collect();
    assert_eq!(outcomes[0], Outcome::Ok(b"value"));
    assert_eq!(outcomes[1..], [Outcome::Err(b"over"); 7]);
    assert!(taken.len() == 1 && tasks.take_waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stretch_ends_with_the_lease_or_what_is_left_of_it() {
    let lease = tasks(13..17);
    let mut stretch = lease.stretch().unwrap();
    // A commit would be due after three.
    assert_eq!(run(&mut stretch, |_| ()), [13, 14, 15]);
    lease.record_stretch(stretch.end());
    assert_eq!((taken(&lease), lease.tally().tasks_run), (vec![(13, 16)], 3));
    let mut rest = lease.stretch().unwrap();
    assert_eq!(run(&mut rest, |_| ()), [16]);
    assert!(lease.stretch().is_none());
    let halted = tasks(10..20);
    let mut stretch = halted.stretch().unwrap();
    let indexes = run(&mut stretch, |index| {
        if index == 11 {
            halted.cut(0);
        }
    });
    assert_eq!(indexes, [10, 11]);
}

#[tokio::test(start_paused = true)]
async fn a_stretch_ends_with_the_task_in_which_a_commit_becomes_due_but_runs_one_however_late_it_is() {
    let tasks = tasks(10..20);
    let mut late = tasks.stretch().unwrap();
    advance(Duration::from_secs(5)).await;
    assert_eq!(run(&mut late, |_| ()), [10]);
    late.begin();
    advance(Duration::from_millis(999)).await;
    assert_eq!(late.task().map(|task| task.index), Some(11));
    late.record(Ok(b"".into()));
    advance(Duration::from_millis(1)).await;
    assert!(late.task().is_none());
    tasks.record_stretch(late.end());
    assert!(tasks.commit_due().unwrap() <= Instant::now(), "it took its time");
}

#[tokio::test(start_paused = true)]
async fn a_stretch_says_which_tasks_are_to_be_run_again_and_cuts_its_outcomes_there() {
    let tasks = tasks(10..14);
    let mut stretch = tasks.stretch().unwrap();
    for verdict in [
        Ok(b"a".into()),
        Err("again".into()),
        Err(Failure::new("final").is_final()),
        Err(Failure::timed_out(Duration::from_secs(1))),
    ] {
        assert!(stretch.task().is_some());
        stretch.record(verdict);
        // There is no task that this could be of.
        stretch.record(Ok(b"lost".into()));
    }
    tasks.record_stretch(stretch.end());
    assert_eq!(taken(&tasks), [(10, 11), (12, 13)]);
    assert_eq!((tasks.tally().retries, tasks.tally().timeouts), (2, 1));
    let waiting = tasks.take_waiting();
    assert_eq!(waiting.keys().copied().collect::<Vec<_>>(), [11, 13]);
    assert!(
        waiting
            .values()
            .all(|waiting| waiting.attempt == 2 && !waiting.alone)
    );
}

/// Sleeps, longer for earlier tasks.
#[derive(Debug)]
struct Sleeps;

impl AsyncFunction for Sleeps {
    fn handle<'a>(&'a self, _: &'a Job, task: &'a Task) -> BoxFuture<'a, Verdict> {
        let pause = Duration::from_millis(100 - task.index);
        async move {
            sleep(pause).await;
            Ok(b"slept".into())
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn futures_run_several_at_once_and_one_that_must_be_alone_is() {
    for (alone, at_most_ms) in [(false, 200), (true, 600)] {
        let queue = QueueName::default_queue();
        let trial = Trial {
            alone,
            ..Trial::new(queue, ["a", "b", "c", "d", "e", "f"])
        };
        let begun = Instant::now();
        let handler = Concurrently::new(Sleeps, NonZeroUsize::new(3).unwrap());
        assert_eq!(trial.run(&handler).await.len(), 6);
        let took = begun.elapsed().as_millis();
        assert!((at_most_ms - 20..=at_most_ms).contains(&took), "{took}");
    }
}

/// Says its attempt.
#[derive(Debug)]
struct Counts;

impl Function for Counts {
    fn handle(&self, job: &Job, task: &Task) -> Verdict {
        match task.payload() {
            b"fails" => Err(Failure::new(job.idempotency_key(task.index)).retry(Retry::Uncounted)),
            _ => Ok(task.attempt.to_string().into_bytes().into()),
        }
    }
}

#[tokio::test]
async fn functions_run_on_a_thread_and_are_told_which_attempt_it_is() {
    let trial = Trial {
        attempt: 3,
        ..Trial::new(QueueName::default_queue(), ["works", "fails"])
    };
    let verdicts = trial.run(&OnThread::new(Counts)).await;
    assert_eq!(verdicts[&0], Ok(b"3".into()));
    assert_eq!(
        verdicts[&1].as_ref().unwrap_err().message,
        "trial.0000000000000001.1"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_attempts_of_functions_are_recorded_without_an_account_and_later_ones_with_one() {
    for (attempt, expected) in [(1, None), (2, Some(2))] {
        let mut lease = tasks(10..12);
        let shared = Arc::get_mut(&mut lease.shared).unwrap();
        shared.terms.attempt = attempt;
        OnThread::new(Counts).run(lease.clone()).await;
        let taken = lease.take_outcomes();
        let accounts = unpack(taken[&10].bytes()).map(|record| record.unwrap().account);
        let attempts: Vec<_> = accounts
            .map(|account| account.map(|account| account.attempts))
            .collect();
        assert_eq!(attempts, [expected; 2]);
    }
}
