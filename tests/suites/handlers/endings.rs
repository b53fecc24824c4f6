//! What becomes of jobs whose tasks fail, or come too late, with everybody at work.

use std::time::{Duration, Instant};

use harness::{World, unique};
use serde_json::{Value, json};

use crate::SOON;
use crate::crew::{Crew, command};

/// What a task is recorded with that was still running, or had not begun, at the deadline.
const TOO_LATE: &str = "the job's deadline has passed";

/// Runs `distjobctl`; its status and what it reported.
async fn ctl(world: &World, args: &[&str]) -> (i32, Value) {
    let program = world.program("distjobctl", "").unwrap();
    let program = program.args(args).args(["--json", "--timeout", "60s"]);
    let process = world.start(program, &format!("distjobctl-{}", unique())).unwrap();
    let status = process.wait(SOON).await.unwrap().code().unwrap();
    let text = process.stdout().lines().join("\n");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn what_failed_is_run_again_when_it_was_mended_and_nothing_else_is() {
    let crew = Crew::start("queues = [\"others\"]\n").await;
    let mended = crew.world.dir().join("mended");
    let script = format!(
        "test -e {} && echo again && exit; test $0 -ge 30 && echo once && exit; echo broken >&2; exit 3",
        mended.display()
    );
    let policy = "attempts = 2\nretry_initial = \"10ms\"\n";
    let toml = command(&["sh", "-c", &script, "{task}"], policy);
    let _executor = Crew::executor(&crew.world, "worker", &toml).await;
    let tasks: Vec<String> = (0..100).rev().map(|task| task.to_string()).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let id = crew.submit("default", &tasks).await;
    let (status, report) = ctl(&crew.world, &["wait", &id]).await;
    let job = &report["jobs"][0];
    assert_eq!(
        (status, &job["conclusion"], &job["failed"]),
        (3, &json!("partly-failed"), &json!(30)),
        "{report}"
    );
    let lines = crew.lines("default", &id).await;
    assert_eq!(lines[69]["value"], "once");
    assert_eq!(lines[69]["attempts"], 1);
    assert_eq!(lines[70]["task"], "29");
    assert_eq!(
        (&lines[70]["attempts"], &lines[70]["stderr"]),
        (&json!(2), &json!("broken\n"))
    );
    assert!(lines[70]["duration_ms"].as_f64().unwrap() > 0.0);
    let manifest = crew.world.manifest("default", &id).unwrap().unwrap();
    assert_eq!(
        (&manifest["failed"], &manifest["attempts"]),
        (&json!(30), &json!(130))
    );

    std::fs::write(&mended, "").unwrap();
    let (status, report) = ctl(&crew.world, &["retry", &id]).await;
    assert_eq!((status, &report["failed"]), (0, &json!(30)), "{report}");
    let retry = report["retry"].as_str().unwrap();
    let (status, report) = ctl(&crew.world, &["wait", retry]).await;
    assert_eq!(
        (status, &report["jobs"][0]["conclusion"]),
        (0, &json!("succeeded"))
    );
    let lines = crew.lines("default", retry).await;
    let again: Vec<&str> = lines.iter().map(|line| line["task"].as_str().unwrap()).collect();
    assert_eq!(again, tasks[70..]);
    assert!(lines.iter().all(|line| line["value"] == "again"));
}

#[tokio::test]
async fn a_job_ends_at_its_deadline_with_what_was_done_by_then() {
    let crew = Crew::start(&command(&["sleep", "{task}"], "")).await;
    let tasks = [&["0"; 4][..], &["600"; 30]].concat();
    let file = crew.file("tasks", &tasks.join("\n"));
    let began = Instant::now();
    let args = ["--deadline", "5s", file.to_str().unwrap()];
    let ids = crew.world.submit(&args, SOON).await.unwrap();
    let (status, report) = ctl(&crew.world, &["wait", &ids[0]]).await;
    let took = began.elapsed();
    assert_eq!(
        (status, &report["jobs"][0]["failed"]),
        (3, &json!(30)),
        "{report}"
    );
    assert!(
        took > Duration::from_secs(5) && took < Duration::from_secs(20),
        "{took:?}"
    );
    let lines = crew.delivered("default", &ids[0]).await;
    for (index, line) in lines.iter().enumerate() {
        let expected = if index < 4 {
            Ok(Vec::new())
        } else {
            Err(TOO_LATE.to_owned())
        };
        assert_eq!(line.outcome, expected, "{index}");
    }
    let manifest = crew.world.manifest("default", &ids[0]).unwrap().unwrap();
    assert!(manifest["deadline_ms"].as_u64() <= manifest["delivered_ms"].as_u64());
}

#[tokio::test]
async fn a_job_whose_deadline_passes_before_anybody_comes_ends_without_running_a_task() {
    let crew = Crew::start("queues = [\"others\"]\n").await;
    let file = crew.file("tasks", &["x"; 2000].join("\n"));
    let args = ["--deadline", "1ms", file.to_str().unwrap()];
    let ids = crew.world.submit(&args, SOON).await.unwrap();
    let ran = crew.world.dir().join("ran");
    let _executor = Crew::executor(
        &crew.world,
        "late",
        &command(&["touch", ran.to_str().unwrap()], ""),
    )
    .await;
    let (status, report) = ctl(&crew.world, &["wait", &ids[0]]).await;
    assert_eq!(
        (status, &report["jobs"][0]["conclusion"]),
        (1, &json!("failed")),
        "{report}"
    );
    let lines = crew.delivered("default", &ids[0]).await;
    assert!(lines.iter().all(|line| line.outcome == Err(TOO_LATE.to_owned())));
    assert!(!ran.exists());
}
