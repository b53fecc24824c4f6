//! `cancel` and `restore`, and what they refuse.

use harness::World;
use serde_json::json;

use crate::{SOON, ctl, found, report, start};

#[tokio::test]
async fn jobs_are_cancelled_until_it_is_too_late() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    for (id, data) in [
        ("a", "subm=3;queue=primes"),
        ("b", "prcd=3"),
        ("c", "lost=3;why=a hole"),
        ("d", "uploaded=3"),
        ("e", "cncl=3"),
        ("f", "hello"),
    ] {
        world.create_job(id, data).await.unwrap();
    }
    let (status, report) = report(&world, &["cancel", "a", "b", "c", "d", "e", "f", "g"]).await;
    assert_eq!(status, 1);
    let jobs = report["jobs"].as_array().unwrap();
    let outcomes: Vec<_> = jobs.iter().map(|job| job["outcome"].as_str().unwrap()).collect();
    assert_eq!(
        outcomes,
        [
            "done",
            "done",
            "done",
            "refused",
            "already",
            "unreadable",
            "unknown"
        ]
    );
    let now = world.jobs().await.unwrap();
    assert_eq!(now["a"], "cncl=3;queue=primes");
    assert_eq!(now["b"], "cncl=3");
    assert_eq!(now["c"], "cncl=3");
    assert_eq!(now["d"], "uploaded=3");
    assert_eq!(now["f"], "hello");
}

#[tokio::test]
async fn only_a_lost_job_is_restored() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    world
        .create_job("lost", "lost=3;queue=primes;why=a hole")
        .await
        .unwrap();
    world.create_job("cncl", "cncl=3").await.unwrap();
    let (status, report_lost) = report(&world, &["restore", "lost"]).await;
    assert_eq!(status, 0);
    assert_eq!(
        report_lost["jobs"],
        json!([{"id": "lost", "to": "subm", "outcome": "done", "was": "lost"}])
    );
    let (status, _) = report(&world, &["restore", "cncl"]).await;
    assert_eq!(status, 1);
    let now = world.jobs().await.unwrap();
    assert_eq!((&*now["lost"], &*now["cncl"]), ("subm=3;queue=primes", "cncl=3"));
}

#[tokio::test]
async fn a_lost_reply_to_a_cancel_cancels_once() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    world.create_job("a", "subm=3").await.unwrap();
    let proxy = world.zookeeper_proxy().await.unwrap();
    let fault = proxy.lose_reply("cncl=3");
    let process = start(&world, ctl(&world, &["cancel", "a"]).zookeeper_at(proxy.addr()));
    let said = process.succeeded(SOON).await.unwrap();
    assert_eq!(fault.fires(), 1);
    assert!(said.iter().any(|line| line.contains("cancelled")), "{said:?}");
    assert_eq!(world.jobs().await.unwrap()["a"], "cncl=3");
}

#[tokio::test]
async fn mistakes_of_usage_have_status_2_and_name_the_rule() {
    let world = World::shared().await.unwrap();
    for (args, status, reason) in [
        (&["cancel", "a/b"][..], 2, "a job id consists of"),
        (&["wait"], 2, "required"),
        (&["jobs", "--state", "done"], 2, "possible values"),
        (&[], 2, "say what to do"),
        (&["status", "--set", "distjobctl.nonsense=1"], 78, "unknown key"),
    ] {
        let process = start(&world, ctl(&world, args));
        let code = process.wait(SOON).await.unwrap().code();
        let said = process.stderr().tail(20);
        assert_eq!(code, Some(status), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
    }
}
