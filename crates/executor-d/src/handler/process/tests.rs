//! What children do to us, and what we do to them.

use std::{ffi::OsString, fs, time::Duration};

use rustix::process::{Pid, test_kill_process};
use tokio::time::{Instant, sleep};

use super::{Bounds, End, Input, Launched, Patience, Spawner, StartError, Whole, reaper::all_gone};

/// More than anything here takes, by far.
const LONG: Duration = Duration::from_secs(30);

fn spawner() -> Spawner {
    Spawner::new(Bounds::for_tests())
}

fn shell(spawner: &Spawner, script: &str, input: Input<'_>) -> Launched {
    spawner.launch(&["sh", "-c", script], &[], input).unwrap()
}

struct Finished {
    end: End,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

async fn finish(spawner: &Spawner, child: Launched, within: Option<Duration>) -> Finished {
    let mut output = Whole::new(spawner.bounds().output_max);
    let finished = child
        .finish(spawner.bounds(), &Patience::new(within), &mut output)
        .await;
    Finished {
        end: finished.end,
        stdout: output.into_bytes(),
        stderr: finished.stderr,
    }
}

async fn run(script: &str) -> Finished {
    let spawner = spawner();
    let child = shell(&spawner, script, Input::Empty);
    finish(&spawner, child, Some(LONG)).await
}

fn code(finished: &Finished) -> Option<i32> {
    match &finished.end {
        End::Exited(status) => status.code(),
        _ => None,
    }
}

fn is_alive(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    test_kill_process(pid).is_ok()
}

/// Waits until a file has a whole line, and returns it.
async fn line_of(path: &std::path::Path) -> String {
    let begun = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(line) if line.ends_with('\n') => return line,
            _ => assert!(begun.elapsed() < LONG, "no line in {}", path.display()),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn dies(pid: &str) {
    let begun = Instant::now();
    while is_alive(pid) {
        assert!(begun.elapsed() < LONG, "{pid} lives");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn output_errors_and_status_are_told() {
    let finished = run("echo out; echo err >&2; exit 7").await;
    assert_eq!(code(&finished), Some(7));
    assert_eq!(finished.stdout, b"out\n");
    assert_eq!(finished.stderr, b"err\n");
}

#[tokio::test]
async fn the_environment_is_what_was_named() {
    let spawner = spawner();
    let variables = [("DISTJOB_INDEX", OsString::from("7"))];
    let child = spawner.launch(&["env"], &variables, Input::Empty).unwrap();
    let finished = finish(&spawner, child, Some(LONG)).await;
    let environment = String::from_utf8(finished.stdout).unwrap();
    let mut names: Vec<_> = environment
        .lines()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["DISTJOB_INDEX", "PATH"]);
}

#[tokio::test]
async fn input_of_any_size_arrives_and_need_not_be_read() {
    let spawner = spawner();
    for size in [0, 1, 4096, 4097, 300_000] {
        let input = vec![b'x'; size];
        let child = shell(&spawner, "cat", Input::Bytes(&input));
        let finished = finish(&spawner, child, Some(LONG)).await;
        assert_eq!((code(&finished), finished.stdout.len()), (Some(0), size));
        for script in ["exit 3", "exec <&-; exit 3"] {
            let child = shell(&spawner, script, Input::Bytes(&input));
            let finished = finish(&spawner, child, Some(LONG)).await;
            assert_eq!(code(&finished), Some(3));
        }
    }
}

#[tokio::test]
async fn one_that_writes_for_ever_is_ended() {
    let finished = run("yes").await;
    assert!(matches!(finished.end, End::TooMuchOutput));
    assert_eq!(finished.stdout.len(), 1 << 20);
    // To its errors it may write as much as it likes; the end of them is kept.
    let finished = run("yes | head -c 3000000 >&2; printf end >&2").await;
    assert_eq!(code(&finished), Some(0));
    assert_eq!(finished.stderr.len(), 4096);
    assert!(finished.stderr.ends_with(b"\nend"));
}

#[tokio::test]
async fn one_that_takes_too_long_is_ended_and_its_last_words_are_kept() {
    let spawner = spawner();
    let script = "trap 'echo bye >&2; exit 0' TERM; echo early; while :; do sleep 0.01; done";
    let child = shell(&spawner, script, Input::Empty);
    let finished = finish(&spawner, child, Some(Duration::from_millis(300))).await;
    assert!(matches!(finished.end, End::TimedOut));
    assert!(finished.stderr.ends_with(b"bye\n"));
}

#[tokio::test]
async fn one_that_ignores_term_is_killed_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!(
        "trap '' TERM; sleep 1000 & echo $! > {}; wait; sleep 1000",
        file.display()
    );
    let spawner = spawner();
    let child = shell(&spawner, &script, Input::Empty);
    let begun = Instant::now();
    let within = Some(Duration::from_millis(300));
    let finished = finish(&spawner, child, within).await;
    assert!(matches!(finished.end, End::TimedOut));
    assert!(begun.elapsed() < LONG);
    dies(&fs::read_to_string(&file).unwrap()).await;
}

#[tokio::test]
async fn a_stopped_one_is_ended_too() {
    let spawner = spawner();
    let child = shell(&spawner, "kill -STOP $$", Input::Empty);
    let within = Some(Duration::from_millis(100));
    let finished = finish(&spawner, child, within).await;
    assert!(matches!(finished.end, End::TimedOut));
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_holds_up_nobody_and_ends() {
    let begun = Instant::now();
    let finished = run("sleep 1000 & echo $!").await;
    assert_eq!(code(&finished), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10));
    dies(std::str::from_utf8(&finished.stdout).unwrap()).await;
}

#[tokio::test]
async fn after_term_those_that_the_leader_left_have_the_time_that_is_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let (ready, saved) = (directory.path().join("ready"), directory.path().join("saved"));
    // The shell dies of TERM at once; what it started saves its work first.
    let script = format!(
        "sh -c 'trap \"sleep 0.1; echo yes > {}; exit\" TERM; echo 1 > {}; while :; do sleep 0.01; done' & wait",
        saved.display(),
        ready.display()
    );
    let mut bounds = Bounds::for_tests();
    bounds.kill_after = LONG;
    let spawner = Spawner::new(bounds);
    let child = shell(&spawner, &script, Input::Empty);
    line_of(&ready).await;
    child.group.end().await.unwrap();
    assert_eq!(fs::read_to_string(&saved).unwrap(), "yes\n");
}

#[tokio::test]
async fn a_child_that_nobody_waits_for_any_more_is_ended_in_the_background() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let spawner = spawner();
    let script = format!(
        "trap '' TERM; echo $$ > {}; while :; do sleep 0.01; done",
        file.display()
    );
    let child = shell(&spawner, &script, Input::Empty);
    let pid = line_of(&file).await;
    drop(finish(&spawner, child, None));
    assert_eq!(all_gone(LONG).await, 0);
    assert!(!is_alive(&pid));
}

#[test]
fn children_end_with_the_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let script = format!(
        "trap '' TERM; echo $$ > {}; while :; do sleep 0.01; done",
        file.display()
    );
    let mut bounds = Bounds::for_tests();
    bounds.kill_after = LONG;
    let child = runtime.block_on(async {
        let child = shell(&Spawner::new(bounds), &script, Input::Empty);
        line_of(&file).await;
        child
    });
    let pid = fs::read_to_string(&file).unwrap();
    runtime.block_on(async { drop(child) });
    drop(runtime);
    runtime_free_dies(&pid);
}

/// It was killed, and may be a zombie of ours.
fn runtime_free_dies(pid: &str) {
    let begun = std::time::Instant::now();
    let stat = format!("/proc/{}/stat", pid.trim());
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(begun.elapsed() < LONG, "{pid} lives");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_told_apart_from_what_the_task_makes_impossible() {
    let spawner = spawner();
    let start = |argv: &[&str]| spawner.launch(argv, &[], Input::Empty).map(drop).unwrap_err();
    assert!(matches!(start(&["no-such-program"]), StartError::Program { .. }));
    assert!(matches!(start(&["/etc/passwd"]), StartError::Program { .. }));
    assert!(matches!(start(&["echo", "a\0b"]), StartError::Arguments(_)));
    assert!(matches!(
        start(&["echo", &"x".repeat(1 << 20)]),
        StartError::Arguments(_)
    ));
}
