//! Killed and paused at each step.

use std::time::Duration;

use anyhow::ensure;
use harness::{Process, World, eventually};

use crate::{SOON, file, keys, once, start, stopped, task_texts};

/// A submitter that stops or kills itself at a point.
fn at_point(world: &World, point: &str, ttl: &str) -> Process {
    let table = format!("staging_ttl = {ttl:?}\npush_max_tasks = 2");
    let program = once(world, &table, &["--id", "job"])
        .arg(file(world, "1\n2\n3\n"))
        .env("DISTJOB_TEST_POINTS", point);
    start(world, program)
}

/// Runs it again, untroubled, as cron would; what it printed.
async fn again(world: &World) -> Vec<String> {
    let program = once(world, "", &["--id", "job"]).arg(file(world, "1\n2\n3\n"));
    start(world, program).succeeded(SOON).await.unwrap()
}

async fn list_expired(world: &World) {
    eventually("the staged tasks have expired", SOON, async || {
        let keys = keys(world).await;
        ensure!(keys.is_empty(), "{keys:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn killed_before_the_job_was_created_it_leaves_nothing() {
    for point in ["first-push", "pushed"] {
        let world = World::shared().await.unwrap();
        let process = at_point(&world, &format!("{point}=kill"), "1s");
        assert_eq!(process.wait(SOON).await.unwrap().code(), None, "{point}");
        assert!(world.jobs().await.unwrap().is_empty(), "{point}");
        list_expired(&world).await;
        assert_eq!(again(&world).await, ["job"], "{point}");
    }
}

#[tokio::test]
async fn killed_after_the_job_was_created_all_of_it_is_there_for_whoever_opens_it() {
    let world = World::shared().await.unwrap();
    let process = at_point(&world, "created=kill", "1h");
    assert_eq!(process.wait(SOON).await.unwrap().code(), None);
    assert!(world.jobs().await.unwrap()["job"].starts_with("subm=3"));
    let keys = world.keys().await.unwrap();
    let staged = keys.iter().find(|key| key.name.contains("{job}:in:")).unwrap();
    assert!(staged.ttl_s.is_some_and(|ttl| ttl > 3500), "{staged:?}");
    // It was submitted, so a second run has nothing to do.
    assert_eq!(again(&world).await, [""; 0]);
}

#[tokio::test]
async fn killed_after_the_job_was_opened_it_is_submitted_and_the_next_run_says_so() {
    let world = World::shared().await.unwrap();
    let process = at_point(&world, "opened=kill", "1h");
    assert_eq!(process.wait(SOON).await.unwrap().code(), None);
    assert_eq!(task_texts(&world, "job").await, ["1", "2", "3"]);
    assert_eq!(keys(&world).await, ["{job}:meta", "{job}:tasks"]);
    assert_eq!(again(&world).await, [""; 0]);
}

#[tokio::test]
async fn paused_for_longer_than_its_tasks_live_it_takes_the_job_back_and_fails() {
    for point in ["pushed", "created"] {
        let mut world = World::shared().await.unwrap();
        // The session outlasts the pause, so that the job does get created.
        world.set_session_timeout(Duration::from_secs(30));
        let process = at_point(&world, &format!("{point}=stop"), "1s");
        stopped(&process).await;
        list_expired(&world).await;
        process.resume().unwrap();
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1), "{point}");
        assert_eq!(process.stdout().lines(), [""; 0], "{point}");
        let said = process.stderr().tail(5);
        assert!(said.contains("its tasks have expired"), "{point}: {said}");
        let job = &world.jobs().await.unwrap()["job"];
        assert!(job.starts_with("cncl=3"), "{point}: {job}");
    }
}

#[tokio::test]
async fn paused_for_longer_than_its_session_and_its_tasks_live_it_fails_the_same() {
    let world = World::private().await.unwrap();
    for point in ["pushed", "created"] {
        let process = at_point(&world, &format!("{point}=stop"), "1s");
        stopped(&process).await;
        world.zookeeper().unwrap().expire_all_sessions().await.unwrap();
        list_expired(&world).await;
        process.resume().unwrap();
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1), "{point}");
        assert_eq!(process.stdout().lines(), [""; 0], "{point}");
        // Whether it gets created in the new session depends on which of the two ends it notices first.
        let jobs = world.jobs().await.unwrap();
        let job = jobs.get("job");
        assert!(
            job.is_none_or(|data| data.starts_with("cncl=3")),
            "{point}: {job:?}"
        );
        if job.is_some() {
            let zk = world.zk().await.unwrap();
            zk.delete(&world.path("jobs/job"), None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn paused_for_a_while_it_goes_on_as_if_nothing_had_been() {
    let world = World::private().await.unwrap();
    for point in ["first-push", "pushed", "created", "opened"] {
        let id = format!("job-{point}");
        let program = once(&world, "push_max_tasks = 2", &["--id", &id])
            .arg(file(&world, "1\n2\n3\n"))
            .env("DISTJOB_TEST_POINTS", format!("{point}=stop"));
        let process = start(&world, program);
        stopped(&process).await;
        world.zookeeper().unwrap().expire_all_sessions().await.unwrap();
        process.resume().unwrap();
        assert_eq!(process.succeeded(SOON).await.unwrap(), [id.as_str()], "{point}");
        assert_eq!(task_texts(&world, &id).await, ["1", "2", "3"], "{point}");
    }
}

#[tokio::test]
async fn a_job_that_was_only_created_is_opened_and_done_by_the_daemons() {
    let world = World::shared().await.unwrap();
    let process = at_point(&world, "created=kill", "1h");
    assert_eq!(process.wait(SOON).await.unwrap().code(), None);
    let (_executor, _watcher) = daemons(&world).await;
    world.drained(SOON).await.unwrap();
    world.delivered_whole("default", "job", &["1", "2", "3"]).unwrap();
    // Done, and remembered.
    assert_eq!(again(&world).await, [""; 0]);
}

#[tokio::test]
async fn a_submitter_that_slept_through_the_whole_life_of_its_job_still_succeeds() {
    let world = World::shared().await.unwrap();
    let (_executor, _watcher) = daemons(&world).await;
    let process = at_point(&world, "created=stop", "1h");
    stopped(&process).await;
    world.drained(SOON).await.unwrap();
    process.resume().unwrap();
    assert_eq!(process.succeeded(SOON).await.unwrap(), ["job"]);
    world.delivered_whole("default", "job", &["1", "2", "3"]).unwrap();
}

async fn daemons(world: &World) -> (Process, Process) {
    let executor = world.executor("").unwrap();
    let watcher = world.watcher("").unwrap();
    let executor = world.start_member(executor, "executor").await.unwrap();
    let watcher = world.start_member(watcher, "watcher").await.unwrap();
    (executor, watcher)
}
