//! Tasks that are posted to a receiver, by real executors.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::ensure;
use harness::{Receiver, Reply, Then, World, eventually};

use crate::SOON;
use crate::crew::Crew;

const QUEUE: &str = "default";

/// The rest of `[executor]`, and a queue of tasks for `receiver` with more keys.
fn toml(receiver: &Receiver, slots: usize, keys: &str) -> String {
    format!(
        "queues = [{QUEUE:?}]\nslots = {slots}\ncommit_every = \"50ms\"\n\n\
         [queue]\nhandler = \"http\"\nhttp.url = {:?}\nretry_initial = \"20ms\"\nretry_max = \"200ms\"\n{keys}\n",
        receiver.url("/work"),
    )
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("task-{index}")).collect()
}

/// Submits a job of these tasks; its id.
async fn submit(crew: &Crew, tasks: &[String]) -> String {
    let tasks: Vec<_> = tasks.iter().map(String::as_str).collect();
    crew.submit(QUEUE, &tasks).await
}

async fn requests_wait(receiver: &Receiver, count: usize) {
    eventually(&format!("{count} requests wait"), SOON, async || {
        ensure!(receiver.at_once() == count, "{}", receiver.at_once());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_queue_of_64_slots_has_64_requests_under_way_over_64_connections() {
    let receiver = Receiver::start(|request| Reply::ok(request.text().to_uppercase()))
        .await
        .unwrap();
    receiver.hold();
    let crew = Crew::start(&toml(&receiver, 64, "")).await;
    let id = submit(&crew, &numbered(2_000)).await;
    requests_wait(&receiver, 64).await;
    receiver.release();
    for line in crew.delivered(QUEUE, &id).await {
        assert_eq!(line.outcome, Ok(line.task.to_ascii_uppercase()));
    }
    assert_eq!((receiver.most_at_once(), receiver.connections()), (64, 64));
    let keys: BTreeSet<_> = receiver
        .received()
        .iter()
        .map(|request| request.header("idempotency-key").to_owned())
        .collect();
    assert_eq!((keys.len(), receiver.received().len()), (2_000, 2_000));
}

/// The part of a task before its number.
fn kind(task: &str) -> &str {
    task.split('-').next().unwrap_or_default()
}

/// What the receiver of [`whatever_a_receiver_does_each_task_has_one_outcome`] does to a task, by its attempt.
fn treat(task: &str, attempt: &str) -> Reply {
    let endless = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    match (kind(task), attempt) {
        ("fine", _) => Reply::ok(task),
        ("never", _) => Reply::status(404, &[], "no such thing"),
        ("moved", _) => Reply::status(301, &[("Location", "/elsewhere")], ""),
        ("long", _) => endless.then(Then::Forever(vec![b'x'; 4096])),
        ("down", _) => Reply::status(503, &[], "closed for ever"),
        // All the others are well again after a while.
        (_, "3") => Reply::ok(task),
        ("busy", _) => Reply::status(429, &[("Retry-After", "1")], "not now"),
        ("reset", _) => Reply::raw("").then(Then::Reset),
        ("close", _) => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").then(Then::Close),
        ("stall", _) => Reply::raw("HTTP/1.1 200 OK\r\nConte").then(Then::Stall),
        ("stuck", _) => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").then(Then::Stall),
        ("garbage", _) => Reply::raw("220 mail.internal ESMTP\r\n\r\n").then(Then::Close),
        _ => Reply::status(500, &[], "oh"),
    }
}

#[tokio::test]
async fn whatever_a_receiver_does_each_task_has_one_outcome() {
    let receiver = Receiver::start(|request| treat(&request.text(), request.header("distjob-attempt")))
        .await
        .unwrap();
    let keys = "timeout = \"2s\"\nbounds.output_max = \"64KiB\"";
    let crew = Crew::start(&toml(&receiver, 8, keys)).await;
    let kinds = [
        "fine", "never", "moved", "long", "down", "busy", "reset", "close", "stall", "stuck", "garbage",
        "error",
    ];
    let tasks: Vec<_> = (0..120)
        .map(|index| format!("{}-{index}", kinds[index % kinds.len()]))
        .collect();
    let id = submit(&crew, &tasks).await;
    let mut errors = BTreeSet::new();
    let lines = crew.delivered(QUEUE, &id).await;
    assert_eq!(lines.len(), tasks.len());
    for line in lines {
        let task = String::from_utf8(line.task).unwrap();
        match line.outcome {
            Ok(value) => assert_eq!(value, task.as_bytes()),
            Err(error) => {
                errors.insert(format!("{}: {error}", kind(&task)));
            }
        }
    }
    let errors: Vec<_> = errors.into_iter().collect();
    assert_eq!(
        errors,
        [
            "down: HTTP status 503 Service Unavailable: closed for ever",
            "long: the answer is longer than 65536 bytes, see bounds.output_max",
            "moved: HTTP status 301 Moved Permanently (redirects are not followed; to /elsewhere)",
            "never: HTTP status 404 Not Found: no such thing",
        ]
    );
    let mut attempts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in receiver.received() {
        let attempts = attempts.entry(kind(&request.text()).to_owned()).or_default();
        attempts.push(request.header("distjob-attempt").to_owned());
    }
    for (kind, attempts) in attempts {
        let most = attempts.iter().max().map(String::as_str);
        let expected = if ["fine", "never", "long"].contains(&&*kind) {
            "1"
        } else {
            "3"
        };
        assert_eq!(most, Some(expected), "{kind}");
    }
}

#[tokio::test]
async fn a_retry_waits_for_as_long_as_the_receiver_asks_and_holds_up_nobody() {
    let receiver =
        Receiver::start(
            |request| match (request.text().as_str(), request.header("distjob-attempt")) {
                ("task-0", "1") => Reply::status(429, &[("Retry-After", "6")], ""),
                _ => Reply::ok("fine"),
            },
        )
        .await
        .unwrap();
    let crew = Crew::start(&toml(&receiver, 1, "")).await;
    let begun = Instant::now();
    let id = submit(&crew, &numbered(50)).await;
    crew.delivered(QUEUE, &id).await;
    assert!(begun.elapsed() >= Duration::from_secs(6), "{:?}", begun.elapsed());
    let received = receiver.received();
    let last = received.last().unwrap();
    assert_eq!(
        (last.text().as_str(), last.header("distjob-attempt")),
        ("task-0", "2")
    );
    assert_eq!(
        received[0].header("idempotency-key"),
        last.header("idempotency-key")
    );
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_asked() {
    let proxy = Receiver::start(|_| Reply::ok("proxied")).await.unwrap();
    let receiver = Receiver::start(|_| Reply::ok("direct")).await.unwrap();
    let world = World::shared().await.unwrap();
    let program = world
        .executor(&format!("[executor]\n{}", toml(&receiver, 1, "")))
        .unwrap();
    let program = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .into_iter()
        .fold(program, |program, name| program.env(name, proxy.url("")));
    let _executor = world.start_member(program, "executor").await.unwrap();
    world
        .plain_submit(&world.job_id("direct"), &numbered(1))
        .await
        .unwrap();
    eventually("the receiver is asked", SOON, async || {
        ensure!(!receiver.received().is_empty(), "not yet");
        Ok(())
    })
    .await;
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn requests_of_a_cancelled_job_are_given_up_within_a_second() {
    let receiver = Receiver::start(|_| Reply::ok("")).await.unwrap();
    receiver.hold();
    let crew = Crew::start(&toml(&receiver, 4, "")).await;
    let mut fastest = Duration::MAX;
    // A busy machine may pause for longer, but not each time.
    for _ in 0..3 {
        let id = submit(&crew, &numbered(100)).await;
        requests_wait(&receiver, 4).await;
        let cancel = crew.world.program("distjobctl", "").unwrap();
        let cancelling = crew.world.start(cancel.args(["cancel", &id]), "cancel").unwrap();
        cancelling.succeeded(SOON).await.unwrap();
        let cancelled = Instant::now();
        eventually("no request waits", SOON, async || {
            ensure!(receiver.open() == 0, "{}", receiver.open());
            Ok(())
        })
        .await;
        fastest = fastest.min(cancelled.elapsed());
    }
    assert!(fastest < Duration::from_secs(1), "{fastest:?}");
}

#[tokio::test]
async fn an_executor_that_is_asked_to_stop_waits_for_its_requests_and_posts_no_others() {
    let receiver = Receiver::start(|_| Reply::ok("fine")).await.unwrap();
    receiver.hold();
    let crew = Crew::start(&toml(&receiver, 4, "")).await;
    let id = submit(&crew, &numbered(100)).await;
    requests_wait(&receiver, 4).await;
    crew.executor.terminate().unwrap();
    crew.executor.wait_log("asked to stop", SOON).await.unwrap();
    receiver.release();
    crew.executor.succeeded(SOON).await.unwrap();
    let posted = receiver.received().len();
    assert!(posted < 10, "{posted}");
    // What is left goes on elsewhere, and nothing is posted twice.
    let _second = Crew::executor(&crew.world, "second", &toml(&receiver, 4, "")).await;
    crew.delivered(QUEUE, &id).await;
    assert_eq!(receiver.received().len(), 100);
}
