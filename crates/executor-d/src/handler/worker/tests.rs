use std::{
    collections::BTreeMap,
    ffi::OsString,
    num::{NonZeroU64, NonZeroUsize},
    path::Path,
    time::Duration,
};

use distjob_core::QueueName;
use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use super::{Pool, Worker, WorkerSettings, reply::Reply, request::Request};
use crate::handler::{
    Failure, Handler as _, Retry, Trial, Verdict,
    process::{Bounds, Spawner, Starts},
};

/// For what takes milliseconds on an idle machine.
const SOON: Duration = Duration::from_secs(20);

fn queue() -> QueueName {
    QueueName::new("drills").unwrap()
}

fn settings(argv: &[&str]) -> WorkerSettings {
    let bounds = Bounds {
        output_max: 1000,
        stderr_max: 100,
        ..Bounds::for_tests()
    };
    WorkerSettings {
        queue: queue(),
        spawner: Spawner::new(bounds),
        argv: argv.iter().map(OsString::from).collect(),
        in_flight: NonZeroUsize::MIN,
        tasks_per_process: None,
        timeout: Some(SOON),
    }
}

/// The program of these tests.
fn program(notes: &Path) -> WorkerSettings {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/handler/worker/tests.sh");
    settings(&["/bin/sh", script, notes.to_str().unwrap()])
}

fn worker(settings: WorkerSettings) -> Worker {
    Worker(Pool::new(settings, Starts::default()).into())
}

/// With `in_flight` requests at once in a process.
fn wide(in_flight: usize) -> Worker {
    let in_flight = NonZeroUsize::new(in_flight).unwrap();
    worker(WorkerSettings {
        in_flight,
        ..program(Path::new("/dev/null"))
    })
}

async fn run(worker: &Worker, payloads: &[&str]) -> Vec<Verdict> {
    let trial = Trial::new(queue(), payloads.iter().copied());
    let verdicts = timeout(SOON, trial.run(worker)).await.unwrap();
    assert!(
        verdicts.keys().copied().eq(0..payloads.len() as u64),
        "{verdicts:?}"
    );
    verdicts.into_values().collect()
}

/// Runs one task alone.
async fn run_alone(worker: &Worker, payload: &str) -> Verdict {
    let trial = Trial {
        alone: true,
        ..Trial::new(queue(), [payload])
    };
    let verdicts: BTreeMap<u64, Verdict> = timeout(SOON, trial.run(worker)).await.unwrap();
    verdicts.into_values().next().unwrap()
}

fn ok(value: &str) -> Verdict {
    Ok(value.as_bytes().to_vec().into())
}

fn failure(verdict: &Verdict) -> (&str, Retry) {
    let Failure { message, retry, .. } = verdict.as_ref().unwrap_err();
    (message, *retry)
}

fn is_alive(pid: &str) -> bool {
    // A zombie is none.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come to that");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The lines of a file that may not be there yet.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_lines_in_the_document_are_lines_of_the_protocol() {
    let document = include_str!("../../docs/handlers.md");
    let lines: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("{\"id\""))
        .collect();
    let mut request = Vec::new();
    Request {
        id: 7,
        job: "report-2",
        index: 41,
        attempt: 1,
        queue: "hashes",
        key: "report-2.00000000000000ff.41",
        payload: b"a.jpg",
    }
    .push(&mut request);
    assert_eq!(request, format!("{}\n", lines[0]).into_bytes());
    let replies = lines[1..]
        .iter()
        .map(|line| Reply::read(line.as_bytes()).unwrap().said);
    let retries: Vec<_> = replies
        .map(|said| said.map_err(|failure| failure.retry).err())
        .collect();
    let later = Retry::After(Duration::from_secs(5));
    assert_eq!(retries, [None, None, Some(later), Some(Retry::Never)]);
}

#[tokio::test]
async fn a_process_stays_for_the_tasks_of_several_leases() {
    let worker = wide(1);
    let first = run(&worker, &["pid", "pid", "echo a\\\\b"]).await;
    assert_eq!(first[0], first[1]);
    // The program puts into its reply what stood in the request.
    assert_eq!(first[2], ok("a\\\\b"));
    assert_eq!(run(&worker, &["pid"]).await[0], first[0]);
}

#[tokio::test]
async fn replies_come_in_any_order() {
    let verdicts = run(&wide(2), &["hold", "release", "hold", "release"]).await;
    assert_eq!(verdicts, [ok("first"), ok("second"), ok("first"), ok("second")]);
}

#[tokio::test]
async fn an_error_is_told_with_what_was_said_about_it() {
    let verdict = run(&wide(1), &["echo", "error of some kind"]).await.remove(1);
    let Failure {
        message,
        stderr,
        retry,
        ..
    } = verdict.unwrap_err();
    assert_eq!((message.as_ref(), retry), ("of some kind", Retry::Policy));
    assert_eq!(stderr, b"all about it\n");
}

#[tokio::test]
async fn the_end_of_a_process_counts_for_the_only_task_that_it_had() {
    let verdicts = run(&wide(1), &["pid", "exit 3", "die", "orphan", "torn", "pid"]).await;
    assert_eq!(
        failure(&verdicts[1]),
        ("the worker ended: exit status 3", Retry::Policy)
    );
    assert_eq!(verdicts[1].as_ref().unwrap_err().stderr, b"bye 3\n");
    assert!(verdicts[0].is_ok() && verdicts[5].is_ok() && verdicts[0] != verdicts[5]);
}

#[tokio::test]
async fn each_way_to_break_is_told() {
    for (task, expected) in [
        ("die", "the worker ended: signal: 9 (SIGKILL)"),
        ("orphan", "the worker ended: exit status 7"),
        ("torn", "the worker ended, in the middle of a line: exit status 1"),
        ("dumb", "the worker closed its input or output"),
        (
            "garbage",
            "the worker wrote garbage: not one JSON object: Loading",
        ),
        ("blank", "the worker wrote garbage: not one JSON object: "),
        (
            "shape",
            "the worker wrote garbage: not exactly one of value, value_base64 and error: {\"id\":2}",
        ),
        (
            "other",
            "the worker wrote garbage: a reply to what was not asked, or was answered before",
        ),
    ] {
        let begun = Instant::now();
        let verdicts = run(&wide(1), &["pid", task, "echo on"]).await;
        assert_eq!(failure(&verdicts[1]), (expected, Retry::Policy), "{task}");
        assert_eq!(verdicts[2], ok("on"), "{task}");
        assert!(begun.elapsed() < SOON / 4, "{task}");
    }
    let verdicts = run(&wide(1), &["pid", "bulk", "echo on"]).await;
    let expected = "the worker wrote a line of more than 1000 bytes (bounds.output_max)";
    assert_eq!(failure(&verdicts[1]), (expected, Retry::Never));
}

#[tokio::test]
async fn a_second_reply_is_garbage_for_whoever_comes_next() {
    let verdicts = run(&wide(1), &["twice", "echo a", "echo b"]).await;
    assert_eq!(verdicts[0], ok("1"));
    assert_eq!(verdicts[2], ok("b"));
}

#[tokio::test]
async fn what_a_process_says_at_its_end_counts() {
    assert_eq!(run(&wide(1), &["deaf"]).await, [ok("last")]);
    assert_eq!(run(&wide(1), &["last"]).await, [ok("and gone")]);
}

#[tokio::test]
async fn a_process_may_end_when_it_has_answered() {
    let worker = wide(1);
    let verdicts = run(&worker, &["last", "last", "last", "last"]).await;
    // Whoever was asked of one that was about to end is not to blame.
    let is_fair = |verdict: &Verdict| *verdict == ok("and gone") || failure(verdict).1 == Retry::Uncounted;
    assert!(verdicts.iter().all(is_fair), "{verdicts:?}");
    assert_eq!(worker.0.failures(), 0);
}

#[tokio::test]
async fn nobody_knows_which_of_several_tasks_ended_their_process() {
    let verdicts = run(&wide(3), &["hold", "hold", "exit 3"]).await;
    for verdict in &verdicts {
        assert_eq!(failure(verdict).1, Retry::Uncounted);
    }
    assert_eq!(failure(&run_alone(&wide(3), "exit 3").await).1, Retry::Policy);
}

#[tokio::test]
async fn garbage_with_an_id_is_the_fault_of_one_of_several() {
    let verdicts = run(&wide(3), &["hold", "shape", "hold"]).await;
    let retries: Vec<Retry> = verdicts.iter().map(|verdict| failure(verdict).1).collect();
    assert_eq!(retries, [Retry::Uncounted, Retry::Policy, Retry::Uncounted]);
}

#[tokio::test]
async fn only_one_request_at_a_time_may_be_answered_without_its_id() {
    assert_eq!(run(&wide(1), &["anonymous"]).await, [ok("nobody")]);
    let verdicts = run(&wide(2), &["echo a", "anonymous"]).await;
    assert!(failure(&verdicts[1]).0.contains("needs the id"), "{verdicts:?}");
}

#[tokio::test]
async fn a_process_that_takes_too_long_is_ended_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    for task in ["hang", "stubborn"] {
        let notes = dir.path().join(task);
        let worker = worker(WorkerSettings {
            timeout: Some(Duration::from_millis(300)),
            ..program(&notes)
        });
        let verdicts = run(&worker, &[&format!("{task} {}", notes.display()), "echo on"]).await;
        let failure = verdicts[0].as_ref().unwrap_err();
        assert!(failure.timed_out && failure.retry == Retry::Policy, "{failure:?}");
        assert_eq!(verdicts[1], ok("on"));
        assert!(!is_alive(&lines(&notes)[0]), "{task}");
    }
}

#[tokio::test]
async fn a_dropped_future_ends_the_process_that_is_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    let worker = worker(program(&notes));
    let trial = Trial::new(queue(), [format!("hang {}", notes.display())]);
    let at_work = tokio::spawn(worker.run(trial.tasks()));
    until(|| !lines(&notes).is_empty()).await;
    at_work.abort();
    let _ = at_work.await;
    let pid = &lines(&notes)[0];
    until(|| !is_alive(pid)).await;
}

#[tokio::test]
async fn idle_processes_find_the_end_of_their_input() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    let worker = worker(program(&notes));
    let _ = run(&worker, &["echo a"]).await;
    drop(worker);
    until(|| lines(&notes) == ["finished"]).await;
}

#[tokio::test]
async fn a_process_gets_so_many_tasks_and_no_more() {
    let worker = worker(WorkerSettings {
        tasks_per_process: NonZeroU64::new(2),
        in_flight: NonZeroUsize::new(4).unwrap(),
        ..program(Path::new("/dev/null"))
    });
    let mut pids = run(&worker, &["pid"; 4]).await;
    pids.extend(run(&worker, &["pid"]).await);
    assert!(pids[0] == pids[1] && pids[1] != pids[2] && pids[2] == pids[3] && pids[3] != pids[4]);
}

#[tokio::test]
async fn what_is_said_in_bulk_holds_up_nobody() {
    assert_eq!(run(&wide(1), &["flood", "echo a"]).await, [ok("dry"), ok("a")]);
}

#[tokio::test]
async fn requests_that_are_not_read_are_no_trap() {
    let worker = worker(WorkerSettings {
        timeout: Some(Duration::from_millis(300)),
        in_flight: NonZeroUsize::new(2).unwrap(),
        ..settings(&["/bin/sleep", "1000"])
    });
    let large = "x".repeat(1 << 20);
    let verdicts = run(&worker, &[&large, &large]).await;
    assert!(verdicts[0].as_ref().unwrap_err().timed_out);
    assert_eq!(failure(&verdicts[1]).1, Retry::Uncounted);
}

#[tokio::test]
async fn a_program_that_cannot_be_started_uses_up_no_attempt_and_does_not_spin() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    let script = format!("echo started >>{}; exit 1", notes.display());
    for argv in [&["/no/such/program"][..], &["/bin/sh", "-c", &script]] {
        let worker = worker(settings(argv));
        let tasks = Trial::new(queue(), ["echo a"; 3]).tasks();
        let at_work = tokio::spawn(worker.run(tasks.clone()));
        // The third failure makes the next process wait for 400 ms.
        until(|| worker.0.failures() >= 3).await;
        tasks.cut(0);
        timeout(SOON, at_work).await.unwrap().unwrap();
        for verdict in tasks.take_heard().values() {
            assert_eq!(failure(verdict).1, Retry::Uncounted);
        }
    }
    assert!(lines(&notes).len() <= 5, "{:?}", lines(&notes));
}

#[tokio::test]
async fn a_task_that_ends_every_process_is_found_out() {
    let worker = wide(1);
    // The program might be at fault: nothing is known of it yet.
    assert_eq!(failure(&run(&worker, &["exit 3"]).await[0]).1, Retry::Uncounted);
    // This process waited for its task.
    assert_eq!(failure(&run(&worker, &["exit 3"]).await[0]).1, Retry::Policy);
    assert_eq!(run(&worker, &["echo a"]).await, [ok("a")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_tasks_do_each_has_one_verdict(
        words in prop::collection::vec(
            prop::sample::select(vec!["echo a", "error b", "exit 1", "hold", "last", "garbage", "twice", "other", "shape"]),
            0..12,
        ),
        in_flight in 1_usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let in_flight = NonZeroUsize::new(in_flight).unwrap();
            let worker = worker(WorkerSettings {
                in_flight,
                timeout: Some(Duration::from_millis(300)),
                ..program(Path::new("/dev/null"))
            });
            // Panics when one has none.
            let verdicts = run(&worker, &words).await;
            for (word, verdict) in words.iter().zip(&verdicts) {
                match (*word, verdict) {
                    ("echo a", Ok(value)) => assert_eq!(**value, *b"a"),
                    ("last" | "twice", Ok(_)) | (_, Err(_)) => {}
                    wrong => panic!("{wrong:?}"),
                }
            }
        });
    }
}
