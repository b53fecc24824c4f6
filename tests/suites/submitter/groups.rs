//! Jobs of a group: who comes in, who closes it, and who comes too late.

use harness::World;
use zookeeper_client::Client;

use crate::{SOON, file, once, start, submit};

/// The group's data and the ids of its members that are not done.
async fn group(world: &World, name: &str) -> (String, Vec<String>) {
    let zk: Client = world.zk().await.unwrap();
    let path = world.path(&format!("groups/{name}"));
    let (data, _) = zk.get_data(&path).await.unwrap();
    let (mut pending, _) = zk.get_children(&format!("{path}/pending")).await.unwrap();
    pending.sort();
    (String::from_utf8(data).unwrap(), pending)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Runs it on an input that is refused; what it says.
async fn refused(world: &World, content: &str, args: &[&str]) -> String {
    let process = start(world, once(world, "", args).arg(file(world, content)));
    let status = process.wait(SOON).await.unwrap();
    let said = process.stderr().tail(20);
    assert_eq!(status.code(), Some(1), "{args:?}: {said}");
    said
}

#[tokio::test]
async fn jobs_come_into_a_group_until_the_last_one_closes_it() {
    let world = World::shared().await.unwrap();
    let member = ["--group", "g", "--queue", "words"];
    let first = submit(&world, "1\n", &[&member[..], &["--id", "a"]].concat()).await;
    assert_eq!(first, (Some(0), names(&["a"])));
    assert_eq!(
        group(&world, "g").await,
        ("open;queue=words".to_owned(), names(&["a"]))
    );
    let last = submit(
        &world,
        "1\n2\n",
        &[&member[..], &["--id", "b", "--last"]].concat(),
    )
    .await;
    assert_eq!(last, (Some(0), names(&["b"])));
    let closed = ("closed;queue=words".to_owned(), names(&["a", "b"]));
    assert_eq!(group(&world, "g").await, closed);
    let jobs = world.jobs().await.unwrap();
    assert!(format!("{jobs:?}").contains("group=g"), "{jobs:?}");

    // A resubmission changes nothing, and is a success, although the group takes no more.
    let again = submit(&world, "1\n", &[&member[..], &["--id", "a"]].concat()).await;
    assert_eq!(again, (Some(0), vec![]));
    let again = submit(
        &world,
        "1\n2\n",
        &[&member[..], &["--id", "b", "--last"]].concat(),
    )
    .await;
    assert_eq!(again, (Some(0), vec![]));
    let late = refused(&world, "1\n", &[&member[..], &["--id", "c"]].concat()).await;
    assert!(late.contains("group g is closed"), "{late}");
    assert_eq!(group(&world, "g").await, closed);
    assert_eq!(world.jobs().await.unwrap(), jobs);
}

#[tokio::test]
async fn a_group_has_one_queue() {
    let world = World::shared().await.unwrap();
    submit(&world, "1\n", &["--group", "g", "--queue", "words"]).await;
    let other = refused(&world, "1\n", &["--group", "g", "--queue", "lines", "--last"]).await;
    assert!(
        other.contains("group g is of jobs in queue words, not lines"),
        "{other}"
    );
    let (data, pending) = group(&world, "g").await;
    assert_eq!((data.as_str(), pending.len()), ("open;queue=words", 1));
}

#[tokio::test]
async fn the_last_job_of_a_batch_closes_the_group_when_all_others_are_in() {
    let world = World::shared().await.unwrap();
    let args = ["--group", "g", "--last", "--batch", "2", "--id", "n"];
    let lines: String = (0..41).map(|number| format!("{number}\n")).collect();
    let (status, ids) = submit(&world, &lines, &args).await;
    assert_eq!((status, ids.len()), (Some(0), 21));
    assert_eq!(ids.last().map(String::as_str), Some("n-0021"));
    let (data, pending) = group(&world, "g").await;
    let mut expected = ids;
    expected.sort();
    assert_eq!((data.as_str(), pending), ("closed;queue=default", expected));
}

#[tokio::test]
async fn an_input_without_tasks_closes_a_group_with_an_empty_job() {
    let world = World::shared().await.unwrap();
    submit(&world, "1\n", &["--group", "g", "--id", "a"]).await;
    let (status, ids) = submit(&world, "", &["--group", "g", "--last", "--batch", "2"]).await;
    assert_eq!((status, ids.len()), (Some(0), 1));
    let (data, pending) = group(&world, "g").await;
    assert_eq!((data.as_str(), pending.len()), ("closed;queue=default", 2));
    assert!(pending.contains(&ids[0]));
}

#[tokio::test]
async fn a_job_that_was_there_before_cannot_close_its_group() {
    let world = World::shared().await.unwrap();
    submit(&world, "1\n", &["--group", "g", "--id", "a"]).await;
    let said = refused(&world, "1\n", &["--group", "g", "--id", "a", "--last"]).await;
    assert!(said.contains("group g is still open"), "{said}");
    let (data, pending) = group(&world, "g").await;
    assert_eq!((data.as_str(), pending), ("open;queue=default", names(&["a"])));
}
