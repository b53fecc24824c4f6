//! What processes may use, and what they are started with.

use std::path::PathBuf;

use anyhow::ensure;
use harness::eventually;
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::SOON;
use crate::crew::{Crew, command, ok};

/// What the shell says to `script`, with these bounds.
async fn said(script: &str, bounds: &str) -> Result<String, String> {
    let toml = command(&["sh", "-c", script], &format!("attempts = 1\n{bounds}"));
    let crew = Crew::start(&toml).await;
    let outcome = crew.outcomes("default", &["the task"]).await.remove(0);
    outcome.map(|value| String::from_utf8(value).unwrap())
}

#[tokio::test]
async fn the_environment_is_clean_but_for_what_is_listed_and_set() {
    let bounds =
        "[queue.variables]\nMODE = \"fast\"\n[queue.bounds]\nenvironment = [\"PATH\", \"DISTJOB_TEST_N*\"]\n";
    let names = said("env | cut -d= -f1 | sort | tr '\\n' ' '", bounds)
        .await
        .unwrap();
    let names: Vec<&str> = names
        .split_whitespace()
        .filter(|name| !["PWD", "OLDPWD", "_", "SHLVL"].contains(name))
        .collect();
    assert_eq!(
        names,
        [
            "DISTJOB_ATTEMPT",
            "DISTJOB_INDEX",
            "DISTJOB_JOB",
            "DISTJOB_KEY",
            "DISTJOB_QUEUE",
            "MODE",
            "PATH"
        ]
    );
}

#[tokio::test]
async fn time_is_bounded() {
    let error = said("sleep 1000 & wait", "timeout = \"200ms\"\n")
        .await
        .unwrap_err();
    assert_eq!(error, "took longer than 200ms");
}

#[tokio::test]
async fn output_is_bounded() {
    let error = said("yes", "[queue.bounds]\noutput_max = \"1KiB\"\n")
        .await
        .unwrap_err();
    assert_eq!(error, "wrote a value of more than 1024 bytes (bounds.output_max)");
}

#[tokio::test]
async fn memory_is_bounded() {
    let script = "python3 -c 'print(len(bytearray(10**9)))' 2> /dev/null";
    let error = said(script, "[queue.bounds]\nmemory_max = \"256MiB\"\n")
        .await
        .unwrap_err();
    assert_eq!(error, "exit status 1");
    assert_eq!(said(script, "").await, Ok("1000000000".to_owned()));
}

#[tokio::test]
async fn processor_time_is_bounded() {
    let error = said("while :; do :; done", "[queue.bounds]\ncpu_max = \"1s\"\n")
        .await
        .unwrap_err();
    assert_eq!(error, "used more than 1 s of processor time");
}

#[tokio::test]
async fn open_files_and_core_files_are_bounded() {
    let limits = said(
        "ulimit -n; ulimit -Hn; ulimit -c",
        "[queue.bounds]\nfiles_max = 37\n",
    )
    .await;
    assert_eq!(limits, Ok("37\n37\n0".to_owned()));
}

#[tokio::test]
async fn a_process_works_where_it_is_told_to() {
    assert_eq!(
        said("pwd", "[queue.bounds]\ndirectory = \"/usr\"\n").await,
        Ok("/usr".to_owned())
    );
}

#[tokio::test]
async fn a_process_runs_as_who_it_is_told_to() {
    if !geteuid().is_root() {
        eprintln!("passed over: only root can become somebody else");
        return;
    }
    let who = said(
        "id -un; id -gn; id -Gn; echo $USER",
        "[queue.bounds]\nuser = \"nobody\"\n",
    )
    .await;
    assert_eq!(who, Ok("nobody\nnogroup\nnogroup\nnobody".to_owned()));
}

#[tokio::test]
async fn limits_do_not_hide_what_a_program_says() {
    let crew = Crew::start(&command(
        &[
            "sh",
            "-c",
            "[ $1 = bad ] && exit 125; echo $1; echo oh >&2",
            "{task}",
            "{task}",
        ],
        "attempts = 1\n[queue.bounds]\nfiles_max = 100\n",
    ))
    .await;
    let outcomes = crew.outcomes("default", &["good", "bad"]).await;
    assert_eq!(outcomes, [ok("good"), Err("exit status 125".to_owned())]);
}

#[tokio::test]
async fn what_leaves_its_process_group_does_not_leave_its_cgroup() {
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("said");
    // The one in the foreground ends when the other one has left, and said who it is.
    let script = format!(
        "setsid sh -c 'echo $$; : > {said:?}; exec sleep 1000' & until [ -e {said:?} ]; do sleep 0.01; done"
    );
    let crew = Crew::start(&command(
        &["sh", "-c", &script],
        "[queue.bounds]\ncgroup = true\n",
    ))
    .await;
    let outcome = crew.outcomes("default", &["x"]).await.remove(0);
    let pid = String::from_utf8(outcome.unwrap()).unwrap();
    let process = PathBuf::from(format!("/proc/{pid}"));
    if crew
        .executor
        .stderr()
        .tail(100)
        .contains("no cgroups can be made here")
    {
        eprintln!("passed over: no cgroups of version 2 can be made here");
        return kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    }
    eventually("it is gone", SOON, async || {
        ensure!(!process.exists());
        Ok(())
    })
    .await;
    crew.executor.stop(SOON).await.unwrap();
}
