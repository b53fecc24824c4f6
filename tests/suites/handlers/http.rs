//! Tasks that are posted to a receiver, by real executors.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use harness::{Delivered, Process, Receiver, Reply, Then, World, eventually};

use crate::SOON;

const QUEUE: &str = "web";

/// An executor that posts to `receiver`, with more keys of its queue, and a watcher.
async fn crew(world: &World, receiver: &Receiver, slots: usize, keys: &str) -> [Process; 2] {
    let toml = format!(
        "[executor]\nqueues = [{QUEUE:?}]\nslots = {slots}\ncommit_every = \"50ms\"\n\n\
         [queues.{QUEUE}]\nhandler = \"http\"\nhttp.url = {:?}\nretry_initial = \"20ms\"\nretry_max = \"200ms\"\n{keys}\n",
        receiver.url("/work"),
    );
    let executor = world.start_member(world.executor(&toml).unwrap(), "executor");
    let watcher = world.start_member(world.watcher("").unwrap(), "watcher");
    let (executor, watcher) = tokio::join!(executor, watcher);
    [executor.unwrap(), watcher.unwrap()]
}

/// Submits a job of these tasks; its id.
async fn submit(world: &World, tasks: &[String]) -> String {
    let file = world.dir().join("tasks");
    std::fs::write(&file, tasks.join("\n")).unwrap();
    let id = world.job_id("http");
    let args = ["--id", &id, "--queue", QUEUE, file.to_str().unwrap()];
    world.submit(&args, SOON).await.unwrap();
    id
}

/// What came of a job when it is delivered.
async fn outcomes(world: &World, id: &str, tasks: &[String]) -> Vec<Delivered> {
    eventually("the job is delivered", SOON, async || {
        world.delivered_whole(QUEUE, id, tasks)
    })
    .await
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("task-{index}")).collect()
}

#[tokio::test]
async fn a_queue_of_64_slots_has_64_requests_under_way_over_64_connections() {
    let world = World::shared().await.unwrap();
    let receiver = Receiver::start(|request| Reply::ok(request.text().to_uppercase()))
        .await
        .unwrap();
    receiver.hold();
    let _crew = crew(&world, &receiver, 64, "").await;
    let tasks = numbered(2_000);
    let id = submit(&world, &tasks).await;
    eventually("64 requests wait", SOON, async || {
        ensure!(receiver.at_once() == 64, "{}", receiver.at_once());
        Ok(())
    })
    .await;
    receiver.release();
    for line in outcomes(&world, &id, &tasks).await {
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

/// What the receiver of [`whatever_a_receiver_does_each_task_has_one_outcome`] does to a task, by its attempt.
fn treat(task: &str, attempt: &str) -> Reply {
    let endless = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    match (task.split('-').next().unwrap_or_default(), attempt) {
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
    let world = World::shared().await.unwrap();
    let receiver = Receiver::start(|request| treat(&request.text(), request.header("distjob-attempt")))
        .await
        .unwrap();
    let _crew = crew(
        &world,
        &receiver,
        8,
        "timeout = \"500ms\"\nbounds.output_max = \"64KiB\"",
    )
    .await;
    let kinds = [
        "fine", "never", "moved", "long", "down", "busy", "reset", "close", "stall", "stuck", "garbage",
        "error",
    ];
    let tasks: Vec<_> = (0..120)
        .map(|index| format!("{}-{index}", kinds[index % kinds.len()]))
        .collect();
    let id = submit(&world, &tasks).await;
    let mut errors = BTreeMap::new();
    for line in outcomes(&world, &id, &tasks).await {
        let task = String::from_utf8(line.task).unwrap();
        match line.outcome {
            Ok(value) => assert_eq!(value, task.as_bytes()),
            Err(error) => {
                let kind = task.split('-').next().unwrap_or_default().to_owned();
                errors.entry(kind).or_insert_with(BTreeSet::new).insert(error);
            }
        }
    }
    let errors: Vec<_> = errors
        .iter()
        .flat_map(|(kind, errors)| errors.iter().map(move |error| format!("{kind}: {error}")))
        .collect();
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
        let kind = request.text().split('-').next().unwrap_or_default().to_owned();
        attempts
            .entry(kind)
            .or_default()
            .push(request.header("distjob-attempt").to_owned());
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
    let world = World::shared().await.unwrap();
    let receiver =
        Receiver::start(
            |request| match (request.text().as_str(), request.header("distjob-attempt")) {
                ("task-0", "1") => Reply::status(429, &[("Retry-After", "3")], ""),
                _ => Reply::ok("fine"),
            },
        )
        .await
        .unwrap();
    let _crew = crew(&world, &receiver, 1, "").await;
    let tasks = numbered(50);
    let begun = std::time::Instant::now();
    let id = submit(&world, &tasks).await;
    outcomes(&world, &id, &tasks).await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
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
    let world = World::shared().await.unwrap();
    let proxy = Receiver::start(|_| Reply::ok("proxied")).await.unwrap();
    let receiver = Receiver::start(|_| Reply::ok("direct")).await.unwrap();
    let toml = format!(
        "[executor]\nqueues = [{QUEUE:?}]\n[queue]\nhandler = \"http\"\nhttp.url = {:?}\n",
        receiver.url("/")
    );
    let program = world.executor(&toml).unwrap();
    let program = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .into_iter()
        .fold(program, |program, name| program.env(name, proxy.url("")));
    let _executor = world.start_member(program, "executor").await.unwrap();
    let _watcher = world
        .start_member(world.watcher("").unwrap(), "watcher")
        .await
        .unwrap();
    let tasks = numbered(3);
    let id = submit(&world, &tasks).await;
    for line in outcomes(&world, &id, &tasks).await {
        assert_eq!(line.outcome, Ok(b"direct".to_vec()));
    }
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn requests_of_a_cancelled_job_are_given_up_within_a_second() {
    let world = World::shared().await.unwrap();
    let receiver = Receiver::start(|_| Reply::ok("")).await.unwrap();
    receiver.hold();
    let _crew = crew(&world, &receiver, 4, "").await;
    let id = submit(&world, &numbered(100)).await;
    eventually("4 requests wait", SOON, async || {
        ensure!(receiver.at_once() == 4, "{}", receiver.at_once());
        Ok(())
    })
    .await;
    let cancel = world.program("distjobctl", "").unwrap().args(["cancel", &id]);
    world
        .start(cancel, "cancel")
        .unwrap()
        .succeeded(SOON)
        .await
        .unwrap();
    eventually("no request waits", Duration::from_secs(1), async || {
        ensure!(receiver.open() == 0, "{}", receiver.open());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_executor_that_is_asked_to_stop_waits_for_its_requests_and_posts_no_others() {
    let world = World::shared().await.unwrap();
    let receiver = Receiver::start(|_| Reply::ok("fine")).await.unwrap();
    receiver.hold();
    let [executor, _watcher] = crew(&world, &receiver, 4, "").await;
    let tasks = numbered(100);
    let id = submit(&world, &tasks).await;
    eventually("4 requests wait", SOON, async || {
        ensure!(receiver.at_once() == 4, "{}", receiver.at_once());
        Ok(())
    })
    .await;
    executor.terminate().unwrap();
    executor.wait_log("asked to stop", SOON).await.unwrap();
    receiver.release();
    executor.succeeded(SOON).await.unwrap();
    let posted = receiver.received().len();
    assert!(posted < 10, "{posted}");
    // What is left goes on elsewhere, and nothing is posted twice.
    let _crew = crew(&world, &receiver, 4, "").await;
    outcomes(&world, &id, &tasks).await;
    assert_eq!(receiver.received().len(), 100);
}
