//! Jobs over HTTP: what a body becomes, what is refused, and what survives.

use std::net::SocketAddr;

use anyhow::ensure;
use distjob_core::QueueName;
use futures::future::join_all;
use harness::http::{Response, request};
use harness::{Effect, Process, Program, Trigger, World, eventually};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::network::{jobs_at_least, listens};
use super::{program, ready, serve};
use crate::{SOON, keys, start, stopped, task_texts};

/// These tables behind a listener.
fn tables(more: &str) -> String {
    format!("[run.http]\nlisten = \"127.0.0.1:0\"\n{more}")
}

async fn http(process: &Process) -> SocketAddr {
    let place = listens(process, "http intake on tcp:").await;
    place.parse().unwrap()
}

async fn post(addr: SocketAddr, target: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Response {
    request(addr, "POST", target, headers, body.as_ref())
        .await
        .unwrap()
}

fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{response:?}"))
}

/// The ids of the jobs in an answer that tells of a success.
fn ids(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{}", response.text());
    let jobs = json(response)["jobs"].as_array().unwrap().clone();
    jobs.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Sends these bytes, and returns all that comes back until the other side closes.
async fn raw(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // A server that has heard enough may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_is_a_job_when_it_is_answered() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("")).await;
    let addr = http(&service).await;
    let answer = post(addr, "/submit/primes", &[], "17\n\n18").await;
    let id = ids(&answer).remove(0);
    assert_eq!(task_texts(&world, &id).await, ["17", "", "18"]);
    assert!(world.jobs().await.unwrap()[&id].starts_with("subm=3;queue=primes;"));
    assert_eq!(
        (json(&answer)["tasks"].as_u64(), json(&answer)["before"].as_u64()),
        (Some(3), Some(0))
    );

    let lines = "{\"a\": 1}\n\n[2]\n";
    let answer = post(
        addr,
        "/submit/default",
        &[("Content-Type", "application/x-ndjson")],
        lines,
    )
    .await;
    let id = ids(&answer).remove(0);
    assert_eq!(task_texts(&world, &id).await, ["{\"a\": 1}", "[2]"]);
}

#[tokio::test]
async fn a_body_that_is_too_much_for_one_job_becomes_several() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("[queue]\nmax_tasks = 2\nmax_bytes = \"100B\"\n")).await;
    let addr = http(&service).await;
    let long = "x".repeat(99);
    let body = format!("1\n2\n3\n{long}\n5\n6\n");
    let ids = ids(&post(addr, "/submit/primes", &[], body).await);
    let expected: [&[&str]; 3] = [&["1", "2"], &["3", &long], &["5", "6"]];
    assert_eq!(ids.len(), 3);
    for (at, tasks) in expected.into_iter().enumerate() {
        assert_eq!(task_texts(&world, &ids[at]).await, tasks);
        if at > 0 {
            assert_eq!(ids[at], format!("{}-{:04}", ids[0], at + 1));
        }
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_under_its_key_makes_one_job() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("")).await;
    let addr = http(&service).await;
    let keyed = [("Idempotency-Key", "order 7")];
    let first = post(addr, "/submit/primes", &keyed, "1\n2\n").await;
    let expected = QueueName::new("primes").unwrap().request("order 7");
    assert_eq!(ids(&first), [expected.as_str()]);
    let again = post(addr, "/submit/primes", &keyed, "1\n2\n").await;
    assert_eq!(
        (ids(&again), json(&again)["before"].as_u64()),
        (ids(&first), Some(1))
    );
    let other = post(addr, "/submit/primes", &keyed, "1\n2\n3\n").await;
    assert_eq!(other.status, 422);
    assert!(other.text().contains("it has 2 tasks, not 3"), "{}", other.text());
    let elsewhere = post(addr, "/submit/default", &keyed, "1\n2\n3\n").await;
    assert_ne!(ids(&elsewhere), ids(&first));
    assert_eq!(world.jobs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn requests_under_one_key_at_the_same_time_make_one_job() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("")).await;
    let addr = http(&service).await;
    let keyed = [("Idempotency-Key", "once")];
    let answers = join_all((0..20).map(|_| post(addr, "/submit/primes", &keyed, "1\n2\n"))).await;
    let first = ids(&answers[0]);
    assert!(answers.iter().all(|answer| ids(answer) == first));
    let before: u64 = answers
        .iter()
        .filter_map(|answer| json(answer)["before"].as_u64())
        .sum();
    assert_eq!(before, 19);
    assert_eq!(task_texts(&world, &first[0]).await, ["1", "2"]);
    assert_eq!(world.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_bad_line_makes_nothing_of_the_whole_body() {
    let world = World::shared().await.unwrap();
    let more = "[queue]\nmax_tasks = 2\n[submitter]\nmax_task_bytes = \"20B\"\n";
    let service = serve(&world, &tables(more)).await;
    let addr = http(&service).await;
    let jsonl = [("Content-Type", "application/x-ndjson")];
    let long = format!("1\n2\n{}\n", "3".repeat(21));
    for (headers, body, line, why) in [
        (&jsonl[..], &b"1\n2\n3\n4\n\"\xff\"\n"[..], 5, "not UTF-8"),
        (&jsonl, b"1\n2\n{\"a\":}\n", 3, "not JSON"),
        (&[], long.as_bytes(), 3, "more than 20 bytes"),
    ] {
        let answer = post(addr, "/submit/primes", headers, body).await;
        assert_eq!((answer.status, json(&answer)["line"].as_u64()), (422, Some(line)));
        assert!(answer.text().contains(why), "{}", answer.text());
    }
    assert!(world.jobs().await.unwrap().is_empty());
    eventually("what was staged has expired", SOON, async || {
        let keys = keys(&world).await;
        ensure!(keys.is_empty(), "{keys:?}");
        Ok(())
    })
    .await;
}

/// Method, target and headers of a request, and the status and a part of the error that it is answered with.
type Refused<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_status() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("max_body = \"1KiB\"\n")).await;
    let addr = http(&service).await;
    let long_key = "k".repeat(257);
    let cases: [Refused<'_>; 12] = [
        ("POST", "/submit/a.b", &[], 400, "queue name"),
        ("POST", "/submit/", &[], 400, "queue name"),
        (
            "POST",
            "/submit/primes",
            &[("Idempotency-Key", "")],
            400,
            "1 to 256",
        ),
        (
            "POST",
            "/submit/primes",
            &[("Idempotency-Key", &long_key)],
            400,
            "1 to 256",
        ),
        (
            "POST",
            "/submit/primes",
            &[("Content-Encoding", "gzip")],
            415,
            "compressed",
        ),
        (
            "POST",
            "/submit/primes",
            &[("Content-Type", "multipart/form-data; boundary=x")],
            415,
            "--data-binary",
        ),
        ("GET", "/submit/primes", &[], 405, "use POST"),
        ("DELETE", "/jobs/a", &[], 405, "use GET"),
        ("GET", "/jobs/a.b", &[], 400, "job id"),
        ("GET", "/jobs/nobody-knows-it", &[], 404, "no job nobody-knows-it"),
        ("GET", "/", &[], 404, "POST /submit/<queue>"),
        ("BREW", "/coffee", &[], 404, "POST /submit/<queue>"),
    ];
    for (method, target, headers, status, why) in cases {
        let answer = request(addr, method, target, headers, b"1\n").await.unwrap();
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
        assert!(
            json(&answer)["error"].as_str().unwrap().contains(why),
            "{}",
            answer.text()
        );
    }
    let empty = post(addr, "/submit/primes", &[], "").await;
    assert_eq!((empty.status, empty.text().contains("no tasks")), (422, true));
    let large = post(addr, "/submit/primes", &[], vec![b'\n'; 1025]).await;
    assert_eq!((large.status, large.text().contains("max_body")), (413, true));
    assert!(world.jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_body_that_would_be_very_many_jobs_is_refused() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("[queues.primes]\nmax_tasks = 1\n")).await;
    let many = post(http(&service).await, "/submit/primes", &[], vec![b'\n'; 10_001]).await;
    assert_eq!((many.status, many.text().contains("10000 jobs")), (413, true));
    assert!(world.jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_sent_to_do_harm_does_none() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("max_body = \"1KiB\"\ntimeout = \"500ms\"\n")).await;
    let addr = http(&service).await;
    let head = "POST /submit/primes HTTP/1.1\r\nHost: x\r\n";
    let huge = format!("{head}Cookie: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!(raw(addr, huge.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let many = format!("{head}{}\r\n", "A: b\r\n".repeat(1000));
    assert!(raw(addr, many.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    // Chunks for ever, the length never said.
    let chunk = format!("400\r\n{}\r\n", "\n".repeat(0x400));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(100));
    assert!(raw(addr, chunked.as_bytes()).await.starts_with("HTTP/1.1 413 "));
    let broken = format!("{head}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n");
    assert!(raw(addr, broken.as_bytes()).await.starts_with("HTTP/1.1 400 "));
    // More is promised than comes.
    let slow = format!("{head}Content-Length: 100\r\n\r\n1\n2\n");
    assert!(raw(addr, slow.as_bytes()).await.starts_with("HTTP/1.1 408 "));
    // A head that never ends, and silence: the connection is closed, or this would wait for ever.
    raw(addr, head.as_bytes()).await;
    raw(addr, b"").await;
    raw(addr, b"\x16\x03\x01\x02\x00\x01\x00").await;
    assert!(world.jobs().await.unwrap().is_empty());
    // All of that later it serves as before.
    assert_eq!(post(addr, "/submit/primes", &[], "1\n").await.status, 200);
}

#[tokio::test]
async fn who_closes_his_half_still_hears_the_answer_and_who_goes_away_leaves_nothing() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("")).await;
    let addr = http(&service).await;
    let head = "POST /submit/primes HTTP/1.1\r\nHost: x\r\n";
    let mut half = TcpStream::connect(addr).await.unwrap();
    let whole = format!("{head}Content-Length: 4\r\n\r\n1\n2\n");
    half.write_all(whole.as_bytes()).await.unwrap();
    half.shutdown().await.unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let mut gone = TcpStream::connect(addr).await.unwrap();
    let part = format!("{head}Content-Length: 100\r\n\r\n1\n2\n");
    gone.write_all(part.as_bytes()).await.unwrap();
    drop(gone);
    eventually("the broken body is noticed", SOON, async || {
        let metrics = service.admin_get("/metrics").await?.body;
        let line = "distjob_submitter_answers_total{intake=\"http\",answer=\"400\"} 1";
        ensure!(metrics.contains(line), "{metrics}");
        Ok(())
    })
    .await;
    assert_eq!(world.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn killed_at_any_step_a_request_that_is_repeated_is_one_job() {
    for point in ["pushed", "created", "opened"] {
        let world = World::shared().await.unwrap();
        let doomed = armed(&world, &format!("{point}=kill"));
        let doomed = start(&world, doomed);
        ready(&doomed).await;
        let addr = http(&doomed).await;
        let keyed = [("Idempotency-Key", point)];
        let cut = request(addr, "POST", "/submit/primes", &keyed, b"1\n2\n3\n").await;
        assert!(cut.is_err(), "{point}: {cut:?}");
        assert_eq!(doomed.wait(SOON).await.unwrap().code(), None);
        let service = serve(&world, &tables("")).await;
        let answer = post(http(&service).await, "/submit/primes", &keyed, "1\n2\n3\n").await;
        let id = ids(&answer).remove(0);
        assert_eq!(world.jobs().await.unwrap().len(), 1, "{point}");
        assert_eq!(task_texts(&world, &id).await, ["1", "2", "3"], "{point}");
    }
}

/// A service that stops or kills itself at a point.
fn armed(world: &World, point: &str) -> Program {
    program(world, &tables("")).env("DISTJOB_TEST_POINTS", point)
}

#[tokio::test]
async fn what_was_answered_survives_sigkill() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("")).await;
    let addr = http(&service).await;
    let bodies = (0..50).map(|n| format!("{n}\n"));
    let posts =
        bodies.map(|body| async move { request(addr, "POST", "/submit/primes", &[], body.as_bytes()).await });
    let answers = async { join_all(posts).await };
    let (answers, ()) = tokio::join!(answers, async {
        jobs_at_least(&world, 5).await;
        service.kill().await.unwrap();
    });
    let jobs = world.jobs().await.unwrap();
    for (n, answer) in answers.into_iter().enumerate() {
        let Ok(answer) = answer else { continue };
        let id = ids(&answer).remove(0);
        assert!(jobs[&id].starts_with("subm=1;queue=primes;"));
        assert_eq!(task_texts(&world, &id).await, [n.to_string()]);
    }
}

#[tokio::test]
async fn a_request_in_hand_is_answered_before_the_service_ends() {
    let world = World::shared().await.unwrap();
    let proxy = world.zookeeper_proxy().await.unwrap();
    let id = QueueName::new("primes").unwrap().request("late");
    let fault = proxy.arm(
        Effect::HoldReply,
        Trigger::creating(&world.path(&format!("jobs/{id}"))),
    );
    let service = start(&world, program(&world, &tables("")).zookeeper_at(proxy.addr()));
    ready(&service).await;
    let addr = http(&service).await;
    let idle = TcpStream::connect(addr).await.unwrap();
    let posting =
        tokio::spawn(
            async move { post(addr, "/submit/primes", &[("Idempotency-Key", "late")], "1\n").await },
        );
    fault.fired(SOON).await.unwrap();
    service.terminate().unwrap();
    eventually("nobody listens any more", SOON, async || {
        ensure!(TcpStream::connect(addr).await.is_err(), "it does");
        Ok(())
    })
    .await;
    fault.release();
    assert_eq!(ids(&posting.await.unwrap()), [id.as_str()]);
    assert_eq!(service.wait(SOON).await.unwrap().code(), Some(0));
    drop(idle);
}

#[tokio::test]
async fn a_thousand_connections_at_once_are_all_served() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("")).await;
    let addr = http(&service).await;
    let posts = (0..1000).map(|n| async move {
        // All are connected before the first says anything.
        (n, TcpStream::connect(addr).await.unwrap())
    });
    let streams = join_all(posts).await;
    let answers = streams.into_iter().map(|(n, mut stream)| async move {
        let body = format!("{n}\n");
        let length = body.len();
        let head =
            format!("POST /submit/primes HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 200 "), "{n}: {answer}");
    });
    join_all(answers).await;
    assert_eq!(world.jobs().await.unwrap().len(), 1000);
}

#[tokio::test]
async fn a_job_is_told_of_until_its_tombstone_expires() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables("")).await;
    let addr = http(&service).await;
    let id = ids(&post(addr, "/submit/primes", &[], "1\n2\n").await).remove(0);
    let look = async || request(addr, "GET", &format!("/jobs/{id}"), &[], b"").await;
    let seen = json(&look().await.unwrap());
    let figures = ["tasks", "committed", "failed"].map(|name| seen[name].as_u64());
    assert_eq!(figures, [Some(2), Some(0), Some(0)], "{seen}");
    assert_eq!(
        (seen["state"].as_str(), seen["queue"].as_str()),
        (Some("subm"), Some("primes"))
    );

    let zk = world.zk().await.unwrap();
    let data = world.jobs().await.unwrap()[&id].replacen("subm", "cncl", 1);
    zk.set_data(&world.path(&format!("jobs/{id}")), data.as_bytes(), None)
        .await
        .unwrap();
    let watcher = world.watcher("").unwrap();
    let _watcher = world.start_member(watcher, "watcher").await.unwrap();
    eventually("it is told to be gone", SOON, async || {
        let seen = json(&look().await?);
        ensure!(
            seen["state"] == "gone" && seen["conclusion"] == "cancelled",
            "{seen}"
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_service_that_stands_still_is_waited_for() {
    let world = World::shared().await.unwrap();
    let service = start(&world, armed(&world, "pushed=stop"));
    ready(&service).await;
    let addr = http(&service).await;
    let posting = tokio::spawn(async move { post(addr, "/submit/primes", &[], "1\n").await });
    stopped(&service).await;
    service.resume().unwrap();
    assert_eq!(ids(&posting.await.unwrap()).len(), 1);
}
