//! A receiver that is told of results.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::{Received, Receiver, Reply, Then, eventually};
use serde_json::{Value, json};

use super::{receiver, sink};
use crate::SOON;
use crate::stage::{Job, QUEUE, Stage};

fn webhook(receiver: &Receiver, more: &str) -> String {
    let url = receiver.url("/hook?token=hidden");
    sink(
        "webhook",
        &format!("timeout = \"1s\"\nwebhook.url = {url:?}\n{more}"),
    )
}

fn is_about(request: &Received, job: &Job) {
    assert_eq!(request.line, "POST /hook?token=hidden HTTP/1.1");
    let key = format!("{}.{}", job.id, job.entry.life);
    assert_eq!(request.header("idempotency-key"), key);
    assert_eq!(request.header("distjob-job"), job.id.as_str());
    assert_eq!(request.header("distjob-queue"), QUEUE);
    assert_eq!(request.header("content-type"), "application/json");
    let manifest: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        (&manifest["id"], &manifest["tasks"], &manifest["life"]),
        (
            &json!(job.id.as_str()),
            &json!(job.tasks.len()),
            &json!(job.entry.life.to_string())
        )
    );
}

/// Whether it passes the check that the documentation shows to receivers, word by word.
fn is_genuine(request: &Received) -> bool {
    let document = include_str!("../../../../crates/watcher-d/src/docs/sinks.md");
    let (_, rest) = document.split_once("```python\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let program = format!(
        "{shown}\nimport sys\nsys.exit(not is_genuine(b\"s3cret\", sys.argv[1], sys.argv[2].encode()))"
    );
    let python = Command::new("python3")
        .args([
            "-c",
            &program,
            request.header("distjob-signature"),
            &request.text(),
        ])
        .status();
    python.unwrap().success()
}

#[tokio::test]
async fn a_receiver_is_told_once_with_a_key_and_a_signature_that_it_can_check() {
    let stage = Stage::new().await;
    let receiver = receiver(Vec::new(), |_| Reply::ok("")).await;
    let job = stage.processed(9).await;
    let more =
        "webhook.secret = \"s3cret\"\nwebhook.headers = { Authorization = \"Bearer {env:HOOK_TOKEN}\" }";
    let program = stage.program(&webhook(&receiver, more)).env("HOOK_TOKEN", "abc");
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    stage.gone(&job).await;
    let received = receiver.received();
    assert_eq!(received.len(), 1);
    is_about(&received[0], &job);
    assert!(is_genuine(&received[0]));
    assert_eq!(received[0].header("authorization"), "Bearer abc");
    let mut forged = received[0].clone();
    forged.body[3] ^= 1;
    assert!(!is_genuine(&forged));
    let log = watcher.stderr().tail(100);
    assert!(
        !log.contains("hidden") && !log.contains("s3cret") && !log.contains("abc"),
        "{log}"
    );
}

#[tokio::test]
async fn a_receiver_that_fails_in_every_way_is_told_again_with_the_same_key_until_it_agrees() {
    let stage = Stage::new().await;
    let first = vec![
        Reply::status(500, &[], "no"),
        Reply::raw("").then(Then::Reset),
        Reply::raw("").then(Then::Stall),
        Reply::raw("HTTP/1.1 200").then(Then::Close),
        Reply::status(302, &[("Location", "http://127.0.0.1:1/")], ""),
    ];
    let failures = first.len();
    let receiver = receiver(first, |_| Reply::status(204, &[], "")).await;
    let job = stage.processed(3).await;
    let program = stage.program(&webhook(&receiver, ""));
    let _watcher = stage.world.start_member(program, "w").await.unwrap();
    stage.gone(&job).await;
    let received = receiver.received();
    assert!(received.len() > failures);
    for request in &received {
        is_about(request, &job);
        assert_eq!(request.header("distjob-signature"), "");
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let stage = Stage::new().await;
    let told: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let times = Arc::clone(&told);
    let receiver = Receiver::start(move |_| {
        let mut times = times.lock().unwrap();
        times.push(Instant::now());
        match times.len() {
            1 => Reply::status(503, &[("Retry-After", "2")], ""),
            _ => Reply::ok(""),
        }
    });
    let receiver = receiver.await.unwrap();
    let job = stage.processed(3).await;
    let program = stage.program(&webhook(&receiver, ""));
    let _watcher = stage.world.start_member(program, "w").await.unwrap();
    stage.gone(&job).await;
    let told = told.lock().unwrap().clone();
    assert!(told[1] - told[0] >= Duration::from_secs(2), "{told:?}");
}

#[tokio::test]
async fn a_receiver_in_trouble_holds_up_no_other_sink() {
    let stage = Stage::new().await;
    let receiver = receiver(Vec::new(), |_| Reply::ok("")).await;
    receiver.hold();
    let url = receiver.url("/hook?token=hidden");
    let more = format!(
        "\n[sinks.hook]\nkind = \"webhook\"\nwebhook.url = {url:?}\ntimeout = \"1h\"\n\
         [queues.{QUEUE}]\nsinks = [\"hook\", \"default\"]\n"
    );
    let job = stage.processed(3).await;
    let _watcher = stage.world.start_member(stage.program(&more), "w").await.unwrap();
    eventually("the receiver was asked", SOON, async || {
        anyhow::ensure!(receiver.at_once() == 1, "not yet");
        Ok(())
    })
    .await;
    assert!(stage.look(&job).await.is_some(), "not all have it");
    receiver.release();
    stage.gone(&job).await;
    stage.delivered(&job).await;
    is_about(&receiver.received()[0], &job);
}

#[tokio::test]
async fn a_receiver_that_answers_nobody_keeps_no_job_of_another_sink_waiting() {
    let stage = Stage::new().await;
    let receiver = receiver(Vec::new(), |_| Reply::raw("").then(Then::Stall)).await;
    let more = format!(
        "pipelines = 2\n[sinks.hook]\nkind = \"webhook\"\nwebhook.url = {:?}\n[queues.{QUEUE}]\nsinks = [\"hook\"]\n",
        receiver.url("/hook")
    );
    let _watcher = stage.world.start_member(stage.program(&more), "w").await.unwrap();
    let caught = [stage.processed(1).await, stage.processed(1).await];
    eventually("both pipelines wait for the receiver", SOON, async || {
        let received = receiver.received().len();
        anyhow::ensure!(received == 2, "{received}");
        Ok(())
    })
    .await;
    let other = stage.processed_in("other", 3).await;
    stage.gone(&other).await;
    for job in &caught {
        assert!(stage.look(job).await.is_some());
    }
}
