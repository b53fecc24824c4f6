//! One task at a time, against a receiver that does what servers do.

mod tls;

use std::{io::Write as _, sync::Arc};

use distjob_core::{JobId, QueueName, Zxid, retry::Policy};
use distjob_runtime::config::{CommonArgs, load};
use harness::{Received, Receiver, Reply, Then, eventually};
use tokio::time::Instant;

use super::*;
use crate::{Config, handler::Retry};

/// Long enough for anything that comes at all.
const SOON: Duration = Duration::from_secs(20);

/// A handler of the queue `default` that posts to `url`, with these settings.
fn http(url: &str, settings: &[&str]) -> Http {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[queue]\nhandler = \"http\"\n[queue.http]\nurl = {url:?}").unwrap();
    let args = CommonArgs {
        config: Some(file.path().to_owned()),
        set: settings.iter().map(|setting| setting.parse().unwrap()).collect(),
        ..CommonArgs::default()
    };
    let loaded = load::<Config>("executor-d", crate::EMBEDDED_CONFIG, &args).unwrap();
    Http::new(loaded.settings.queue(&QueueName::default_queue())).unwrap()
}

/// Runs one task.
async fn run(http: &Http, index: u64, payload: &str) -> Verdict {
    let job = Job {
        id: JobId::new("job").unwrap(),
        life: Zxid::new(7),
        queue: QueueName::default_queue(),
    };
    let task = Task {
        index,
        attempt: 2,
        begun: Instant::now(),
        payloads: Arc::new([payload].into_iter().collect()),
        position: 0,
    };
    http.handle(&job, &task).await
}

/// A receiver with one answer to everything, and a handler that posts to it.
async fn pair(reply: Reply, settings: &[&str]) -> (Receiver, Http) {
    let receiver = Receiver::start(move |_| reply.clone()).await.unwrap();
    let http = http(&receiver.url("/"), settings);
    (receiver, http)
}

async fn failure(http: &Http) -> Failure {
    run(http, 0, "task").await.unwrap_err()
}

async fn all_connections_are_closed(receiver: &Receiver) {
    eventually("the connections are closed", SOON, async || {
        anyhow::ensure!(receiver.open() == 0, "{} are open", receiver.open());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_task_is_a_post_that_tells_of_itself_and_the_body_of_the_answer_is_its_value() {
    let receiver = Receiver::start(|request| Reply::ok(request.text().to_uppercase()))
        .await
        .unwrap();
    let url = receiver.url("/make?size=9");
    let http = http(&url, &["queue.http.headers.authorization=Bearer abc"]);
    assert_eq!(run(&http, 5, "picture").await, Ok(b"PICTURE".as_slice().into()));
    let received = &receiver.received()[0];
    assert_eq!(received.line, "POST /make?size=9 HTTP/1.1");
    for (name, value) in [
        ("authorization", "Bearer abc"),
        ("content-length", "7"),
        ("content-type", "application/octet-stream"),
        ("distjob-attempt", "2"),
        ("distjob-index", "5"),
        ("distjob-job", "job"),
        ("distjob-queue", "default"),
        ("host", &receiver.addr().to_string()),
        ("idempotency-key", "job.0000000000000007.5"),
    ] {
        assert_eq!(received.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_body_in_chunks_with_trailers_is_put_together() {
    let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n";
    let (receiver, http) = pair(Reply::raw(reply), &[]).await;
    for index in 0..3 {
        assert_eq!(run(&http, index, "").await, Ok(b"abcde".as_slice().into()));
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn statuses_say_whether_a_task_is_tried_again_and_when() {
    let after = |seconds| Retry::After(Duration::from_secs(seconds));
    let policy = Policy {
        attempts: 2,
        ..Policy::ONCE
    };
    let next = |retry| policy.after_failure(1, retry, 0.0);
    for (status, headers, retry) in [
        (400, &[][..], Retry::Never),
        (404, &[("Retry-After", "1")], Retry::Never),
        (408, &[], Retry::Policy),
        (425, &[], Retry::Policy),
        (429, &[], Retry::Policy),
        (429, &[("Retry-After", "7")], after(7)),
        (500, &[], Retry::Policy),
        (503, &[("Retry-After", "1000000")], after(3600)),
        (
            503,
            &[
                ("Date", "Sun, 22 Nov 2026 11:00:00 GMT"),
                ("Retry-After", "Sun, 22 Nov 2026 11:00:12 GMT"),
            ],
            after(12),
        ),
        (503, &[("Retry-After", "soon")], Retry::Policy),
        (204, &[], Retry::Policy),
    ] {
        let reply = Reply::status(status, headers, "");
        let (_receiver, http) = pair(reply, &["queue.http.expected=[\"200\"]"]).await;
        let failed = failure(&http).await;
        assert_eq!(next(failed.retry), next(retry), "{status} {headers:?}");
    }
}

#[tokio::test]
async fn an_error_holds_the_start_of_what_the_receiver_said_of_it() {
    let said = format!("{{\"error\":\n  \"no such bucket\"}} {}", "x".repeat(9000));
    let (receiver, http) = pair(Reply::status(404, &[], said), &["queue.bounds.stderr_max=300B"]).await;
    let failure = failure(&http).await;
    let start = "HTTP status 404 Not Found: {\"error\": \"no such bucket\"} xxx";
    assert!(failure.message.starts_with(start), "{failure}");
    assert!(failure.message.len() < 300, "{failure}");
    assert_eq!(failure.stderr.len(), 300);
    all_connections_are_closed(&receiver).await;
}

#[tokio::test]
async fn redirects_are_not_followed_and_say_so() {
    let elsewhere = [("Location", "https://elsewhere.internal/a?token=hidden")];
    let (receiver, http) = pair(Reply::status(308, &elsewhere, ""), &[]).await;
    assert_eq!(
        failure(&http).await.message,
        "HTTP status 308 Permanent Redirect (redirects are not followed; to https://elsewhere.internal/a)"
    );
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_final_and_its_rest_is_not_read() {
    let announced = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    let endless = Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"2000\r\n".as_slice(), &[b'x'; 8192], b"\r\n"].concat();
    for reply in [
        announced.then(Then::Forever(vec![b'x'; 8192])),
        endless.then(Then::Forever(chunk)),
    ] {
        let (receiver, http) = pair(reply, &["queue.bounds.output_max=10KiB"]).await;
        let failure = failure(&http).await;
        assert_eq!(
            failure.message,
            "the answer is longer than 10240 bytes, see bounds.output_max"
        );
        assert_eq!(failure.retry, Retry::Never);
        all_connections_are_closed(&receiver).await;
    }
}

#[tokio::test]
async fn a_value_of_exactly_the_bound_is_a_value() {
    let (_receiver, http) = pair(Reply::ok([b'x'; 1024]), &["queue.bounds.output_max=1KiB"]).await;
    assert_eq!(run(&http, 0, "").await.unwrap().len(), 1024);
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let endless = Reply::raw("HTTP/1.1 200 OK\r\n").then(Then::Forever(b"X-More: yes\r\n".repeat(100)));
    let (receiver, http) = pair(endless, &[]).await;
    assert_eq!(failure(&http).await.retry, Retry::Policy);
    all_connections_are_closed(&receiver).await;
}

#[tokio::test]
async fn a_receiver_that_stalls_wherever_it_likes_is_timed_out_and_left() {
    for said in [
        "",
        "HTTP/1.1 20",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nhalf",
    ] {
        let (receiver, http) = pair(Reply::raw(said).then(Then::Stall), &["queue.timeout=200ms"]).await;
        let failure = failure(&http).await;
        assert!(
            failure.timed_out && failure.retry == Retry::Policy,
            "{said:?}: {failure:?}"
        );
        all_connections_are_closed(&receiver).await;
        assert_eq!(receiver.received().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_error_to_be_retried() {
    for said in [
        "",
        "HTTP/1.1 20",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ] {
        for then in [Then::Close, Then::Reset] {
            let (receiver, http) = pair(Reply::raw(said).then(then), &[]).await;
            let failure = failure(&http).await;
            assert_eq!(failure.retry, Retry::Policy, "{failure}");
            // The connection was a fresh one: nobody asks twice.
            assert_eq!(receiver.received().len(), 1, "{said:?}: {failure}");
        }
    }
}

#[tokio::test]
async fn what_is_no_http_is_an_error_to_be_retried() {
    let (receiver, http) = pair(Reply::raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"), &[]).await;
    assert_eq!(failure(&http).await.retry, Retry::Policy);
    all_connections_are_closed(&receiver).await;
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_an_error_to_be_retried() {
    let (mut receiver, http) = pair(Reply::ok(""), &[]).await;
    receiver.shut().await;
    let failure = failure(&http).await;
    let start = format!("no connection to http://{}: ", receiver.addr());
    assert!(
        failure.message.starts_with(&start) && failure.message.contains("refused"),
        "{failure}"
    );
    assert_eq!(failure.retry, Retry::Policy);
}

#[tokio::test]
async fn connections_are_kept_and_those_that_were_closed_meanwhile_are_replaced() {
    let (receiver, http) = pair(Reply::ok("fine"), &[]).await;
    for index in 0..10 {
        run(&http, index, "").await.unwrap();
    }
    assert_eq!(receiver.connections(), 1);

    let (receiver, http) = pair(Reply::ok("fine").then(Then::Close), &[]).await;
    for index in 0..10 {
        run(&http, index, "").await.unwrap();
    }
    assert_eq!(receiver.connections(), 10);
}

#[tokio::test]
async fn a_request_that_met_a_connection_that_was_just_closed_is_sent_again_once() {
    for then in [Then::Close, Then::Reset] {
        let script = move |request: &Received| match request.nth {
            0 => Reply::ok("fine"),
            _ => Reply::raw("").then(then.clone()),
        };
        let receiver = Receiver::start(script).await.unwrap();
        let http = http(&receiver.url("/"), &[]);
        for index in 0..5 {
            assert_eq!(run(&http, index, "").await, Ok(b"fine".as_slice().into()));
        }
        // Each but the first one met the connection of the one before it.
        assert_eq!((receiver.connections(), receiver.received().len()), (5, 9));
    }
}

#[tokio::test]
async fn what_a_receiver_says_beyond_its_answer_is_no_answer_to_the_next_task() {
    let twice =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nrightHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
    let (_receiver, http) = pair(Reply::raw(twice), &[]).await;
    for index in 0..50 {
        assert_eq!(run(&http, index, "").await, Ok(b"right".as_slice().into()));
    }
}

#[tokio::test]
async fn a_connection_that_was_idle_for_long_is_not_used_again() {
    let (receiver, http) = pair(Reply::ok("fine"), &[]).await;
    run(&http, 0, "").await.unwrap();
    // Only now: a clock that is paused jumps over what comes from outside.
    tokio::time::pause();
    tokio::time::advance(client::IDLE_MAX).await;
    tokio::time::resume();
    run(&http, 1, "").await.unwrap();
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_task_that_nobody_wants_any_more_leaves_no_connection() {
    let (receiver, http) = pair(Reply::ok("late"), &[]).await;
    receiver.hold();
    let mut task = Box::pin(run(&http, 0, ""));
    eventually("the receiver has it", SOON, async || {
        assert!(futures::poll!(&mut task).is_pending());
        anyhow::ensure!(receiver.at_once() == 1, "not there");
        Ok(())
    })
    .await;
    drop(task);
    all_connections_are_closed(&receiver).await;
}
