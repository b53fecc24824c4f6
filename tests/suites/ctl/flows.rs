//! `show`'s tree, `graph`, `groups`, `skip`, and sinks in trouble.

use distjob_core::trouble::SinkTrouble;
use distjob_core::{JobData, JobId, MemberName, SinkName, Source};
use harness::World;
use serde_json::json;
use zookeeper_client::{Acls, CreateMode};

use crate::{SOON, ctl, delete_job, found, report, start, store, submit};

/// Creates a znode, of a job or a group.
async fn put(world: &World, path: &str, data: &str) {
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let zk = world.zk().await.unwrap();
    zk.create(&world.path(path), data.as_bytes(), &persistent)
        .await
        .unwrap();
}

/// What it writes for people.
async fn text(world: &World, args: &[&str]) -> String {
    let process = start(world, ctl(world, args));
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(0), "{args:?}");
    process.stdout().lines().join("\n") + "\n"
}

/// Three stages: the first is done, dropped and gone, the second is delivered, and of the third nothing is done.
async fn three_stages(world: &World) {
    submit(world, "first", 4).await;
    let (store, first) = (store(world), JobId::new("first").unwrap());
    let meta = store.inspect(&first, &Source::Plain).await.unwrap().meta.unwrap();
    let last = "uploaded=4;queue=words;from=t;failed=1;conclusion=partly-failed;then=second";
    let last = JobData::parse(last.as_bytes()).unwrap();
    let drop = store.drop_job(&first, meta.life, &meta.source, 3600, Some(&last));
    drop.await.unwrap();
    delete_job(world, "first").await;
    let second = "uploaded=3;queue=merge;parent=first;depth=1;failed=0;conclusion=succeeded;then=third";
    put(world, "jobs/second", second).await;
    put(world, "jobs/third", "subm=2;queue=zip;parent=second;depth=2").await;
}

#[tokio::test]
async fn show_draws_what_a_job_follows_and_what_follows_it_also_when_the_first_is_gone() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    three_stages(&world).await;
    let shown = text(&world, &["show", "second"]).await;
    let tree = "
first (words: gone, partly-failed, 1 of 4 tasks failed)
└── second (merge: uploaded, succeeded, 3 tasks)  <-- this job
    └── third (zip: subm, 0 of 2 tasks done)
";
    assert!(shown.ends_with(tree), "{shown}");
    // Of the one that is gone the same is seen.
    let (status, seen) = report(&world, &["show", "first"]).await;
    assert_eq!(status, 0);
    let expected = json!({
        "id": "first", "queue": "words", "state": "gone", "conclusion": "partly-failed", "tasks": 4, "failed": 1,
        "group": null, "joins": null,
        "follow_ups": [{
            "id": "second", "queue": "merge", "state": "uploaded", "conclusion": "succeeded", "tasks": 3, "failed": 0,
            "group": null, "joins": null,
            "follow_ups": [{
                "id": "third", "queue": "zip", "state": "subm", "conclusion": null, "tasks": 2, "failed": null,
                "group": null, "joins": null, "follow_ups": []
            }]
        }]
    });
    assert_eq!(seen["tree"], expected);
    submit(&world, "alone", 1).await;
    let (_, alone) = report(&world, &["show", "alone"]).await;
    assert!(alone["tree"].is_null());
}

#[tokio::test]
async fn graph_draws_a_job_a_group_or_all_of_them() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    three_stages(&world).await;
    put(&world, "groups/g", "closed;queue=words").await;
    put(&world, "groups/g/pending", "").await;
    put(&world, "groups/g/done", "").await;
    put(&world, "groups/g/pending/a", "").await;
    put(&world, "jobs/a", "subm=2;queue=words;group=g").await;

    let of_job = text(&world, &["graph", "third"]).await;
    assert_eq!(
        of_job,
        "\
flowchart LR
    n0[\"first<br/>words: gone, partly-failed, 1 of 4 tasks failed\"]
    n1[\"second<br/>merge: uploaded, succeeded, 3 tasks\"]
    n2[\"third<br/>zip: subm, 0 of 2 tasks done\"]
    n0 --> n1
    n1 --> n2
"
    );
    let of_group = text(&world, &["graph", "--group", "g"]).await;
    assert_eq!(
        of_group,
        "\
flowchart LR
    n0[\"a<br/>words: subm, 0 of 2 tasks done\"]
    g0{{\"group g<br/>closed, 0 of 1 done\"}}
    n0 --> g0
"
    );
    let all = text(&world, &["graph", "--all"]).await;
    for part in ["n0[\"a<", "n0 --> g0", "\"first<", "\"third<"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let (status, _) = report(&world, &["graph", "never"]).await;
    assert_eq!(status, 1);
    let (status, _) = report(&world, &["graph", "--group", "never"]).await;
    assert_eq!(status, 1);

    let (status, groups) = report(&world, &["groups"]).await;
    let expected = json!([{
        "name": "g", "state": "closed", "queue": "words", "pending": 1, "done": 0, "then": []
    }]);
    assert_eq!((status, &groups["groups"]), (0, &expected));
}

#[tokio::test]
async fn a_sink_is_skipped_only_while_a_job_waits_for_its_sinks() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    put(&world, "jobs/waits", "prcd=2;queue=words;x=1").await;
    put(&world, "jobs/done", "uploaded=2").await;
    let skip = async |id: &str, sink: &str| {
        let (status, told) = report(&world, &["skip", id, sink]).await;
        (
            status,
            told["outcome"].as_str().unwrap().to_owned(),
            told["skip"].clone(),
        )
    };
    let both = json!(["mail", "hook"]);
    assert_eq!(
        skip("waits", "mail").await,
        (0, "done".to_owned(), json!(["mail"]))
    );
    assert_eq!(skip("waits", "hook").await, (0, "done".to_owned(), both.clone()));
    assert_eq!(
        skip("waits", "mail").await,
        (0, "already".to_owned(), both.clone())
    );
    assert_eq!(skip("done", "mail").await, (1, "refused".to_owned(), json!([])));
    assert_eq!(skip("never", "mail").await, (1, "unknown".to_owned(), json!([])));
    let zk = world.zk().await.unwrap();
    let (data, _) = zk.get_data(&world.path("jobs/waits")).await.unwrap();
    assert_eq!(data, b"prcd=2;queue=words;skip=mail,hook;x=1");
    let (_, shown) = report(&world, &["show", "waits"]).await;
    assert_eq!(shown["job"]["skip"], both);
}

#[tokio::test]
async fn status_and_show_tell_of_a_sink_that_does_not_take_a_job() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    put(&world, "jobs/stuck", "prcd=2").await;
    let (status, well) = report(&world, &["status"]).await;
    assert_eq!((status, &well["troubles"]), (0, &json!([])));
    let trouble = SinkTrouble {
        sink: SinkName::new("mail").unwrap(),
        error: "no room".to_owned(),
        since_ms: 7,
        attempts: 3,
        watcher: MemberName::new("alpha-42").unwrap(),
        next_ms: 9,
        others: Vec::new(),
    };
    let id = JobId::new("stuck").unwrap();
    store(&world).set_trouble(&id, &trouble, 3600).await.unwrap();
    let about = json!({
        "sink": "mail", "error": "no room", "since_ms": 7, "attempts": 3, "watcher": "alpha-42", "next_ms": 9
    });
    let (_, shown) = report(&world, &["show", "stuck"]).await;
    assert_eq!(shown["trouble"], about);
    let (_, status) = report(&world, &["status"]).await;
    let mut listed = about;
    listed["job"] = json!("stuck");
    assert_eq!(status["troubles"], json!([listed]));
}
