//! `wait`.

use std::time::Duration;

use distjob_core::Conclusion;
use harness::{Process, World};
use serde_json::json;

use crate::{SOON, ctl, delete_job, drop_job, end_job, found, report, set_job, start, submit};

/// A `wait` that has begun to.
async fn waiting(world: &World, args: &[&str]) -> Process {
    let program = ctl(world, args)
        .arg("--json")
        .args(["--set", "log.level=distjobctl=debug"]);
    let process = start(world, program);
    process.wait_log("waiting for a change", SOON).await.unwrap();
    process
}

fn outcome(process: &Process) -> serde_json::Value {
    let text = process.stdout().lines().join("\n");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    report["jobs"][0]["outcome"].clone()
}

#[tokio::test]
async fn it_ends_with_success_when_the_job_is_delivered() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    submit(&world, "job", 3).await;
    let process = waiting(&world, &["wait", "job"]).await;
    for data in ["prcd=3", "uploaded=3"] {
        set_job(&world, "job", data).await;
    }
    assert_eq!(process.exit_status(), None);
    drop_job(&world, "job").await;
    delete_job(&world, "job").await;
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(0));
    assert_eq!(outcome(&process), "delivered");
    // Afterwards the store remembers that it was there. How it ended was not said.
    let (status, later) = report(&world, &["wait", "job"]).await;
    assert_eq!((status, &later["jobs"][0]["outcome"]), (1, &json!("over")));
}

#[tokio::test]
async fn its_status_is_that_of_the_worst_job() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    for (id, failed, conclusion) in [
        ("good", 0, Conclusion::Succeeded),
        ("part", 1, Conclusion::PartlyFailed),
        ("bad", 3, Conclusion::Failed),
    ] {
        submit(&world, id, 3).await;
        end_job(&world, id, failed, conclusion).await;
    }
    for (ids, expected) in [
        (&["good"][..], 0),
        (&["good", "part"], 3),
        (&["part", "bad", "good"], 1),
    ] {
        let (status, _) = report(&world, &[&["wait"], ids].concat()).await;
        assert_eq!(status, expected, "{ids:?}");
    }
}

#[tokio::test]
async fn a_job_that_goes_faster_than_it_looks_is_known_by_its_tombstone() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    submit(&world, "job", 3).await;
    let process = waiting(&world, &["wait", "job"]).await;
    process.pause().unwrap();
    end_job(&world, "job", 2, Conclusion::PartlyFailed).await;
    process.resume().unwrap();
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(3));
    assert_eq!(outcome(&process), "delivered");
}

#[tokio::test]
async fn it_ends_with_failure_when_the_job_is_cancelled_or_lost() {
    for (data, expected) in [("cncl=3", "cancelled"), ("lost=3;why=a hole", "lost")] {
        let world = World::shared().await.unwrap();
        found(&world).await;
        world.create_job("job", "subm=3").await.unwrap();
        let process = waiting(&world, &["wait", "job"]).await;
        set_job(&world, "job", data).await;
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1), "{data}");
        assert_eq!(outcome(&process), expected);
    }
}

#[tokio::test]
async fn it_waits_for_all_and_fails_when_one_never_was() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    world.create_job("job", "subm=3").await.unwrap();
    let process = waiting(&world, &["wait", "job", "never"]).await;
    delete_job(&world, "job").await;
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    let text = process.stdout().lines().join("\n");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        report["jobs"],
        json!([
            {"id": "job", "outcome": "delivered", "conclusion": null, "tasks": null, "failed": null},
            {"id": "never", "outcome": "unknown"}
        ])
    );
}

#[tokio::test]
async fn it_gives_up_after_its_time() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    world.create_job("job", "subm=3").await.unwrap();
    let (status, report) = report(&world, &["wait", "job", "--timeout", "3s"]).await;
    assert_eq!((status, &report["jobs"][0]["outcome"]), (1, &json!("waiting")));
}

#[tokio::test]
async fn it_outlasts_restarts_and_expired_sessions() {
    let world = World::private().await.unwrap();
    found(&world).await;
    world.create_job("job", "subm=3").await.unwrap();
    let process = waiting(&world, &["wait", "job"]).await;
    let mark = process.stderr().mark();
    world.zookeeper().unwrap().restart().await.unwrap();
    process
        .stderr()
        .wait_after(mark, "waiting for a change", SOON)
        .await
        .unwrap();
    let mark = process.stderr().mark();
    world.zookeeper().unwrap().expire_all_sessions().await.unwrap();
    process
        .stderr()
        .wait_after(mark, "waiting for a change", SOON)
        .await
        .unwrap();
    delete_job(&world, "job").await;
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_later_job_of_the_same_id_is_another_one() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    world.create_job("job", "subm=3").await.unwrap();
    let process = waiting(&world, &["wait", "job"]).await;
    process.pause().unwrap();
    delete_job(&world, "job").await;
    world.create_job("job", "subm=4").await.unwrap();
    process.resume().unwrap();
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(0));
    assert_eq!(outcome(&process), "delivered");
}

#[tokio::test]
async fn it_is_interrupted_by_a_signal() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    world.create_job("job", "subm=3").await.unwrap();
    let process = waiting(&world, &["wait", "job"]).await;
    process.terminate().unwrap();
    assert_eq!(
        process.wait(Duration::from_secs(5)).await.unwrap().code(),
        Some(1)
    );
}
