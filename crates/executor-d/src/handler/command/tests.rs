//! Programs, on trial.

use std::{collections::BTreeMap, num::NonZeroUsize, path::Path, time::Duration};

use super::{Command, Program, Starts};
use crate::{
    config::{Argument, Placeholder},
    handler::{
        Retry, Trial, Verdict,
        process::{Bounds, Spawner},
    },
};

/// The program `argv`.
fn program(argv: &[&str]) -> Program {
    let argv: Vec<Argument> = argv
        .iter()
        .map(|word| (*word).to_owned().try_into().unwrap())
        .collect();
    Program {
        task_is_argument: argv.iter().any(|argument| argument.has(Placeholder::Task)),
        spawner: Spawner::new(Bounds::for_tests()),
        argv,
        tasks_per_process: NonZeroUsize::MIN,
        success: vec![0],
        final_statuses: vec![9],
        timeout: Some(Duration::from_secs(30)),
        starts: Starts::default(),
    }
}

fn shell(script: &str) -> Program {
    program(&["sh", "-c", script])
}

/// A program for `at_once` tasks.
fn lines(script: &str, at_once: usize) -> Program {
    Program {
        tasks_per_process: NonZeroUsize::new(at_once).unwrap(),
        ..shell(script)
    }
}

async fn run(program: Program, tasks: &[&[u8]]) -> BTreeMap<u64, Verdict> {
    let trial = Trial::new("default".parse().unwrap(), tasks.iter().map(|task| task.to_vec()));
    trial.run(&Command(program.into())).await
}

async fn run_one(program: Program, task: &[u8]) -> Verdict {
    run(program, &[task]).await.remove(&0).unwrap()
}

/// Values as text, errors as text and whether there is to be another attempt.
fn told(verdict: &Verdict) -> Result<&str, (&str, Retry)> {
    match verdict {
        Ok(value) => Ok(str::from_utf8(value).unwrap()),
        Err(failure) => Err((&failure.message, failure.retry)),
    }
}

#[tokio::test]
async fn a_value_is_the_output_without_the_newline_at_its_end() {
    for (script, value) in [
        ("echo a", "a"),
        ("printf a", "a"),
        ("printf 'a\\n\\n'", "a\n"),
        (":", ""),
    ] {
        assert_eq!(told(&run_one(shell(script), b"").await), Ok(value));
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_go_in_and_out_as_they_are() {
    let task = [0xff, 0, b'\n', 0xfe];
    assert_eq!(run_one(program(&["cat"]), &task).await.unwrap(), task.as_slice());
    let task = [0xff, b' ', b'"', 0xfe];
    assert_eq!(
        run_one(program(&["printf", "%s", "{task}"]), &task)
            .await
            .unwrap(),
        task.as_slice()
    );
}

#[tokio::test]
async fn a_task_is_told_which_it_is() {
    let script = "echo $DISTJOB_JOB $DISTJOB_INDEX $DISTJOB_ATTEMPT $DISTJOB_QUEUE $DISTJOB_KEY";
    let all = "trial 0 1 default trial.0000000000000001.0";
    assert_eq!(told(&run_one(shell(script), b"").await), Ok(all));
    let words = program(&["echo", "{job}", "{index}", "{attempt}", "{queue}", "{key}"]);
    assert_eq!(told(&run_one(words, b"").await), Ok(all));
}

#[tokio::test]
async fn what_a_task_says_is_no_placeholder() {
    let verdict = run_one(program(&["echo", "{task}{index}"]), b"{index}{task}").await;
    assert_eq!(told(&verdict), Ok("{index}{task}0"));
}

#[tokio::test]
async fn the_exit_status_tells_whether_there_is_another_attempt() {
    let ends = [
        ("exit 3", "exit status 3", Retry::Policy),
        ("exit 9", "exit status 9", Retry::Never),
        ("kill -SEGV $$", "died of SIGSEGV", Retry::Policy),
        ("kill -USR1 $$", "died of signal 10", Retry::Policy),
    ];
    for (script, message, retry) in ends {
        assert_eq!(told(&run_one(shell(script), b"").await), Err((message, retry)));
    }
    let lenient = Program {
        success: vec![0, 3],
        ..shell("echo fine; exit 3")
    };
    assert_eq!(told(&run_one(lenient, b"").await), Ok("fine"));
}

#[tokio::test]
async fn the_end_of_stderr_comes_with_an_error() {
    let failure = run_one(shell("echo why >&2; exit 1"), b"").await.unwrap_err();
    assert_eq!(failure.stderr, b"why\n");
}

#[tokio::test]
async fn too_long_and_too_much_are_errors() {
    let slow = Program {
        timeout: Some(Duration::from_millis(100)),
        ..shell("sleep 100")
    };
    let failure = run_one(slow, b"").await.unwrap_err();
    assert!(failure.timed_out && failure.retry == Retry::Policy, "{failure:?}");
    let verdict = run_one(program(&["yes"]), b"").await;
    let message = "wrote a value of more than 1048576 bytes (bounds.output_max)";
    assert_eq!(told(&verdict), Err((message, Retry::Never)));
}

#[tokio::test]
async fn arguments_that_cannot_be_are_final_and_a_program_that_is_missing_is_nobodys_fault() {
    for task in [b"a\0b".to_vec(), vec![b'x'; 1 << 20]] {
        let failure = run_one(program(&["echo", "{task}"]), &task).await.unwrap_err();
        assert_eq!(failure.retry, Retry::Never);
    }
    let failure = run_one(program(&["no-such-program"]), b"").await.unwrap_err();
    assert_eq!(failure.retry, Retry::Elsewhere(Duration::from_millis(100)));
    assert!(
        failure.message.starts_with("cannot start no-such-program: "),
        "{failure}"
    );
}

#[tokio::test]
async fn several_tasks_are_lines_of_one_process() {
    let script = "while read -r line; do echo \"$line $$\"; done";
    let verdicts = run(lines(script, 3), &[b"a", b"b", b"c", b"d"]).await;
    let told: Vec<_> = verdicts.values().map(|verdict| told(verdict).unwrap()).collect();
    let (task, process): (Vec<_>, Vec<_>) = told.iter().map(|line| line.split_once(' ').unwrap()).unzip();
    assert_eq!(task, ["a", "b", "c", "d"]);
    assert!(process[0] == process[1] && process[1] == process[2] && process[2] != process[3]);
}

#[tokio::test]
async fn many_lines_go_through_a_process_that_reads_and_writes_as_it_likes() {
    let tasks: Vec<Vec<u8>> = (0..20_000)
        .map(|task: u32| task.to_string().into_bytes())
        .collect();
    let tasks: Vec<&[u8]> = tasks.iter().map(Vec::as_slice).collect();
    let verdicts = run(lines("cat", 20_000), &tasks).await;
    assert!(
        verdicts
            .values()
            .zip(tasks)
            .all(|(verdict, task)| verdict.as_deref() == Ok(task))
    );
}

#[tokio::test]
async fn the_first_task_without_a_line_is_to_blame_and_the_next_process_goes_on_behind_it() {
    let script = "while read -r line; do [ $line = bad ] && exit 4; echo ok $line; done";
    let verdicts = run(lines(script, 10), &[b"a", b"bad", b"b", b"bad", b"c"]).await;
    let told: Vec<_> = verdicts.values().map(told).collect();
    let bad = Err(("exit status 4", Retry::Policy));
    assert_eq!(told, [Ok("ok a"), bad, Ok("ok b"), bad, Ok("ok c")]);
}

#[tokio::test]
async fn a_line_that_takes_too_long_is_one_tasks_fault() {
    let script = "while read -r line; do [ $line = slow ] && sleep 100; sleep 0.1; echo $line; done";
    let program = Program {
        timeout: Some(Duration::from_millis(700)),
        ..lines(script, 10)
    };
    let tasks: [&[u8]; 12] = [
        b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"slow", b"i", b"j", b"k",
    ];
    let verdicts = run(program, &tasks).await;
    for (index, verdict) in &verdicts {
        match verdict {
            Ok(value) => assert_eq!(value.as_ref(), tasks[usize::try_from(*index).unwrap()]),
            Err(failure) => assert!(*index == 8 && failure.timed_out, "{index}: {failure}"),
        }
    }
}

#[tokio::test]
async fn more_lines_than_tasks_make_all_of_them_doubtful() {
    let verdicts = run(lines("echo a banner; cat", 2), &[b"a", b"b"]).await;
    let message = "the program wrote more lines than it was given";
    assert!(
        verdicts
            .values()
            .all(|verdict| told(verdict) == Err((message, Retry::Policy))),
        "{verdicts:?}"
    );
}

#[tokio::test]
async fn a_last_line_needs_no_newline_of_a_program_that_succeeds() {
    let verdicts = run(lines("read a; read b; printf \"$a\\n$b\"", 2), &[b"a", b"b"]).await;
    assert_eq!(told(&verdicts[&1]), Ok("b"));
    let verdicts = run(
        lines("read a; read b; printf \"$a\\n$b\"; exit 3", 2),
        &[b"a", b"b"],
    )
    .await;
    assert_eq!(told(&verdicts[&1]), Err(("exit status 3", Retry::Policy)));
}

#[tokio::test]
async fn a_payload_of_several_lines_is_no_line() {
    let verdicts = run(lines("cat", 5), &[b"a", b"b\nc", b"d"]).await;
    assert_eq!(told(&verdicts[&0]), Ok("a"));
    assert!(matches!(told(&verdicts[&1]), Err((_, Retry::Never))));
    assert_eq!(told(&verdicts[&2]), Ok("d"));
}

#[tokio::test]
async fn a_line_that_is_too_long_is_one_tasks_fault() {
    let script = "while read -r line; do [ $line = long ] && yes | tr -d '\\n'; echo $line; done";
    let verdicts = run(lines(script, 5), &[b"a", b"long", b"b"]).await;
    assert_eq!(told(&verdicts[&0]), Ok("a"));
    assert!(matches!(told(&verdicts[&1]), Err((_, Retry::Never))));
    assert_eq!(told(&verdicts[&2]), Ok("b"));
}

#[tokio::test]
async fn a_handler_that_is_dropped_leaves_no_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!(
        "trap '' TERM; echo $$ > {}; while :; do sleep 0.01; done",
        file.display()
    );
    let trial = Trial::new("default".parse().unwrap(), ["a"]);
    let handler = Command(shell(&script).into());
    let running = super::Handler::run(&handler, trial.tasks());
    let pid = tokio::select! {
        () = running => panic!("it ended"),
        pid = pid_in(&file) => pid,
    };
    while Path::new(&format!("/proc/{pid}")).exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn pid_in(file: &Path) -> String {
    loop {
        match std::fs::read_to_string(file) {
            Ok(pid) if pid.ends_with('\n') => return pid.trim().to_owned(),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
