//! A server that takes files by PUT, and makes directories only when it is asked to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use harness::{Received, Receiver, Reply, Then};

use super::{is_whole, name, receiver, sink, spool_is_empty};
use crate::SOON;
use crate::stage::{Job, QUEUE, Stage};

/// What is on the server: files with their content, directories without.
type Files = Arc<Mutex<BTreeMap<String, Option<Vec<u8>>>>>;

/// As much WebDAV as it takes (RFC 4918): a PUT or MKCOL whose parent is missing is a conflict.
fn dav(files: &Files, request: &Received) -> Reply {
    let mut words = request.line.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap().trim_end_matches('/'));
    let mut files = files.lock().unwrap();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let has_parent = parent.is_empty() || files.contains_key(parent);
    let status = match method {
        "PUT" | "MKCOL" if !has_parent => 409,
        "MKCOL" if files.contains_key(path) => 405,
        "PUT" => {
            files.insert(path.to_owned(), Some(request.body.clone()));
            201
        }
        "MKCOL" => {
            files.insert(path.to_owned(), None);
            201
        }
        _ => 405,
    };
    Reply::status(status, &[], "")
}

/// Whether the result of a job is on the server.
fn has(files: &Files, job: &Job) -> bool {
    let path = format!("/dav/{}.jsonl", name(job));
    files.lock().unwrap().contains_key(&path)
}

/// Such a server, after these replies.
async fn server(first: Vec<Reply>) -> (Receiver, Files) {
    let files = Files::default();
    let shared = Arc::clone(&files);
    (receiver(first, move |request| dav(&shared, request)).await, files)
}

fn objects(server: &Receiver, more: &str) -> String {
    sink(
        "objects",
        &format!("objects.url = {:?}\n{more}", server.url("/dav/")),
    )
}

#[tokio::test]
async fn a_server_gets_the_directories_that_it_lacks_and_the_manifest_before_the_result() {
    let stage = Stage::new().await;
    let (server, files) = server(Vec::new()).await;
    let job = stage.processed(40).await;
    let login = "[sinks.default.objects.options]\nusername = \"me\"\npassword = \"secret\"";
    let program = stage.program(&objects(&server, login));
    let _watcher = stage.world.start_member(program, "w").await.unwrap();
    stage.gone(&job).await;

    let files = files.lock().unwrap().clone();
    let names: Vec<_> = files.keys().cloned().collect();
    let result = format!("/dav/{}.jsonl", name(&job));
    let manifest = format!("/dav/{}.manifest.json", name(&job));
    assert_eq!(names, ["/dav", &format!("/dav/{QUEUE}"), &result, &manifest]);
    is_whole(files[&result].as_ref().unwrap(), &job);
    let received = server.received();
    let puts = received.iter().filter(|request| request.line.starts_with("PUT"));
    let puts: Vec<_> = puts
        .map(|request| request.line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(
        puts,
        [&manifest, &manifest, &result],
        "the first met no directory"
    );
    for request in &received {
        assert_eq!(request.header("authorization"), "Basic bWU6c2VjcmV0");
    }
    assert_eq!(
        received.last().unwrap().header("content-type"),
        "application/x-ndjson"
    );
    spool_is_empty(&stage).await;
}

#[tokio::test]
async fn what_a_server_says_is_in_the_log_and_the_delivery_is_repeated() {
    let stage = Stage::new().await;
    let full = Reply::status(507, &[], "the disk\nis full");
    let (server, files) = server(vec![full, Reply::raw("").then(Then::Reset)]).await;
    let job = stage.processed(4).await;
    let program = stage.program(&objects(&server, ""));
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    let said = watcher.wait_log("the answer was 507", SOON).await.unwrap();
    assert!(said.contains("the disk is full"), "{said}");
    stage.gone(&job).await;
    assert!(has(&files, &job));
}

#[tokio::test]
async fn a_server_that_stalls_is_left_and_asked_again() {
    let stage = Stage::new().await;
    let (server, files) = server(vec![Reply::raw("").then(Then::Stall)]).await;
    let job = stage.processed(4).await;
    let program = stage.program(&objects(&server, "timeout = \"1s\""));
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    watcher.wait_log("nothing happened for 1s", SOON).await.unwrap();
    stage.gone(&job).await;
    assert!(has(&files, &job));
}

#[tokio::test]
async fn a_server_that_never_ends_its_refusal_holds_nobody_up() {
    let stage = Stage::new().await;
    let endless = Reply::raw("HTTP/1.1 507 Full\r\nContent-Length: 100\r\n\r\nthe disk").then(Then::Stall);
    let (server, _files) = server(vec![endless]).await;
    let job = stage.processed(4).await;
    let program = stage.program(&objects(&server, ""));
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    let said = watcher.wait_log("the answer was 507", SOON).await.unwrap();
    assert!(said.contains("the disk"), "{said}");
    stage.gone(&job).await;
}
