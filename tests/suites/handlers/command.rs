//! The `command` handler: a process for each task, or for several.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::ensure;
use harness::eventually;

use crate::SOON;
use crate::crew::{Crew, command, ok};

#[tokio::test]
async fn a_task_is_an_argument_or_the_standard_input() {
    let crew = Crew::start(&command(&["echo", "<{task}>", "{index}", "{attempt}"], "")).await;
    let outcomes = crew.outcomes("default", &["a b", "*", "$HOME"]).await;
    assert_eq!(outcomes, [ok("<a b> 0 1"), ok("<*> 1 1"), ok("<$HOME> 2 1")]);
    crew.executor.stop(SOON).await.unwrap();

    let crew = Crew::start(&command(&["tr", "a-z", "A-Z"], "")).await;
    assert_eq!(
        crew.outcomes("default", &["abc", "d e"]).await,
        [ok("ABC"), ok("D E")]
    );
}

#[tokio::test]
async fn several_tasks_share_a_process() {
    // However long a process takes to start, claims are wide.
    let toml = command(&["sh", "-c", "while read -r line; do echo $line $$; done"], "");
    let toml = format!("claim_target = \"10s\"\n{toml}tasks_per_process = 100\n");
    let crew = Crew::start(&toml).await;
    let tasks: Vec<String> = (0..200).map(|task| task.to_string()).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let mut processes = Vec::new();
    for (outcome, task) in crew.outcomes("default", &tasks).await.into_iter().zip(tasks) {
        let value = String::from_utf8(outcome.unwrap()).unwrap();
        let (line, process) = value.split_once(' ').unwrap();
        assert_eq!(line, task);
        processes.push(process.to_owned());
    }
    processes.sort();
    processes.dedup();
    assert!(processes.len() <= 20, "{} processes", processes.len());
}

#[tokio::test]
async fn ten_thousand_processes_leave_nothing_behind() {
    let crew = Crew::start(&command(&["true"], "")).await;
    let tasks = vec!["x"; 10_000];
    let before = descriptors(crew.executor.pid());
    let outcomes = crew.outcomes("default", &tasks).await;
    assert!(outcomes.iter().all(|outcome| *outcome == ok("")));
    eventually("the descriptors are as before", SOON, async || {
        let now = descriptors(crew.executor.pid());
        ensure!(now <= before + 2, "{before} before, now {now}");
        Ok(())
    })
    .await;
    let children = children(crew.executor.pid());
    assert_eq!(children.len(), 1, "the keeper, and {children:?}");
    crew.executor.stop(SOON).await.unwrap();
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn a_task_that_fails_is_run_again_and_the_result_says_how_often() {
    let script = r#"[ "$1" = bad ] && echo "attempt $DISTJOB_ATTEMPT" >&2 && exit 3; [ $DISTJOB_ATTEMPT = 2 ] && echo $1"#;
    let toml = command(
        &["sh", "-c", script, "sh", "{task}"],
        "retry_initial = \"50ms\"\nattempts = 3\n",
    );
    let crew = Crew::start(&toml).await;
    let id = crew.submit("default", &["good", "bad"]).await;
    let lines = crew.lines("default", &id).await;
    assert_eq!(
        (&lines[0]["value"], &lines[0]["attempts"]),
        (&"good".into(), &2.into())
    );
    assert_eq!(
        (&lines[1]["error"], &lines[1]["attempts"]),
        (&"exit status 3".into(), &3.into())
    );
    assert_eq!(lines[1]["stderr"], "attempt 3\n");
}

#[tokio::test]
async fn a_status_may_be_final() {
    let toml = command(&["sh", "-c", "exit {task}"], "") + "success = [0, 7]\nfinal = [9]\n";
    let crew = Crew::start(&toml).await;
    let id = crew.submit("default", &["7", "9"]).await;
    let lines = crew.lines("default", &id).await;
    assert_eq!(lines[0]["outcome"], "ok");
    assert_eq!(
        (&lines[1]["error"], &lines[1]["attempts"]),
        (&"exit status 9".into(), &1.into())
    );
}

#[tokio::test]
async fn a_program_that_goes_missing_spoils_no_job() {
    let crew = Crew::start("queues = [\"primes\"]\n").await;
    let program = crew.world.dir().join("mine");
    std::os::unix::fs::symlink("/bin/echo", &program).unwrap();
    let toml = command(
        &[program.to_str().unwrap(), "{task}"],
        "retry_initial = \"50ms\"\n",
    );
    let executor = Crew::executor(&crew.world, "second", &toml).await;
    fs::remove_file(&program).unwrap();
    let id = crew.submit("default", &["a"]).await;
    executor.wait_log("cannot be started", SOON).await.unwrap();
    std::os::unix::fs::symlink("/bin/echo", &program).unwrap();
    let lines = crew.lines("default", &id).await;
    assert_eq!(
        (&lines[0]["value"], &lines[0]["attempts"]),
        (&"a".into(), &1.into())
    );
}

#[tokio::test]
async fn an_executor_that_stops_ends_a_child_that_ignores_it_and_gives_its_task_back() {
    let (pids, more) = ("pids", "kill_after = \"300ms\"\n");
    let crew = Crew::start("queues = [\"primes\"]\n").await;
    let pids = crew.world.dir().join(pids);
    let script = format!(
        "trap '' TERM; echo $$ >> {}; while :; do sleep 0.05; done",
        pids.display()
    );
    let toml = format!(
        "grace_period = \"300ms\"\n{}",
        command(&["sh", "-c", &script], &format!("[queue.bounds]\n{more}"))
    );
    let stubborn = Crew::executor(&crew.world, "stubborn", &toml).await;
    let id = crew.submit("default", &["a"]).await;
    let pid = crew.line_in(&pids).await;
    let begun = Instant::now();
    stubborn.stop(SOON).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());

    let _other = Crew::executor(&crew.world, "other", &command(&["cat"], "")).await;
    assert_eq!(crew.delivered("default", &id).await[0].outcome, ok("a"));
}

#[tokio::test]
async fn a_job_ends_elsewhere_when_its_executor_is_killed() {
    let mut crew = Crew::start("queues = [\"primes\"]\n").await;
    crew.world.set_session_timeout(Duration::from_secs(2));
    let pids = crew.world.dir().join("pids");
    let script = format!("echo $$ >> {}; sleep 1000; :", pids.display());
    let victim = Crew::executor(&crew.world, "victim", &command(&["sh", "-c", &script], "")).await;
    let id = crew.submit("default", &["a", "b"]).await;
    let children: Vec<u32> = eventually("both tasks run", SOON, async || {
        let text = fs::read_to_string(&pids)?;
        ensure!(text.lines().count() == 2, "only {text:?}");
        Ok(text.lines().map(|pid| pid.parse().unwrap()).collect())
    })
    .await;
    victim.kill().await.unwrap();
    let _other = Crew::executor(&crew.world, "other", &command(&["cat"], "")).await;
    let lines = crew.delivered("default", &id).await;
    assert_eq!(
        [lines[0].outcome.clone(), lines[1].outcome.clone()],
        [ok("a"), ok("b")]
    );
    eventually("nothing is left of the killed one", SOON, async || {
        for pid in &children {
            ensure!(!is_alive(*pid), "{pid} lives");
        }
        Ok(())
    })
    .await;
}

/// Whether there is such a process that is not dead, with nobody to care.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
