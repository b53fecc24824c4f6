//! `status`, `jobs` and `show`.

use distjob_core::store::{Claim, ClaimRequest, CommitRequest, Grant, Isolated};
use distjob_core::{Holder, JobId, MemberName, Outcome, Packed, Source, Zxid};
use harness::World;
use serde_json::json;
use zookeeper_client::{Acls, Client, CreateMode};

use crate::{SOON, ctl, found, report, start, store, submit};

/// Registers a member that lives as long as the client's session; its creation zxid.
async fn register(zk: &Client, world: &World, path: &str) -> Zxid {
    let about = json!({
        "host": "alpha", "pid": 42, "version": "0.1.0", "queues": ["primes"], "slots": 2, "since": 0
    });
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    let path = world.path(path);
    let (stat, _) = zk
        .create(&path, about.to_string().as_bytes(), &ephemeral)
        .await
        .unwrap();
    stat.czxid.into()
}

async fn lock(zk: &Client, world: &World, id: &str, watcher: &str) {
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    let path = world.path(&format!("watchlocks/{id}"));
    zk.create(&path, watcher.as_bytes(), &ephemeral).await.unwrap();
}

fn holder(born: Zxid, name: &str) -> Holder {
    Holder {
        born,
        name: MemberName::new(name).unwrap(),
    }
}

async fn claim(world: &World, id: &JobId, holder: &Holder, want: u64) -> Grant {
    let store = store(world);
    let meta = store.inspect(id, &Source::Plain).await.unwrap().meta.unwrap();
    let request = ClaimRequest {
        life: meta.life,
        holder,
        want,
        bytes_max: 1 << 20,
        isolate: 0,
        isolated: Isolated::Take,
        held: &[],
    };
    match store.claim(id, &request).await.unwrap() {
        Claim::Lease(grant) => grant,
        other => panic!("{other:?}"),
    }
}

async fn commit(world: &World, id: &JobId, holder: &Holder, lo: u64, outcomes: &[Outcome<'_>]) {
    let store = store(world);
    let meta = store.inspect(id, &Source::Plain).await.unwrap().meta.unwrap();
    let mut packed = Packed::default();
    outcomes.iter().for_each(|outcome| packed.push(*outcome));
    let request = CommitRequest {
        life: meta.life,
        holder,
        lo,
        outcomes: &packed,
    };
    assert!(store.commit(id, &request).await.unwrap().accepted);
}

#[tokio::test]
async fn status_shows_members_jobs_progress_and_who_watches_what() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    let zk = world.zk().await.unwrap();
    let born = register(&zk, &world, "executors/e-1").await;
    register(&zk, &world, "watchers/w-1").await;
    lock(&zk, &world, "done", "w-1").await;
    submit(&world, "work", 10).await;
    for (id, data) in [
        ("done", "uploaded=7"),
        ("empty", "prcd=0"),
        ("gone", "lost=5;why=a hole"),
        ("strange", "{\"not\": \"ours\"}"),
        ("käse", "subm=1"),
    ] {
        world.create_job(id, data).await.unwrap();
    }
    let (id, holder) = (JobId::new("work").unwrap(), holder(born, "e-1"));
    claim(&world, &id, &holder, 4).await;
    let outcomes = [Outcome::Ok(b"true"), Outcome::Err(b"no number")];
    commit(&world, &id, &holder, 0, &outcomes).await;

    let (status, report) = report(&world, &["status"]).await;
    assert_eq!(status, 0, "{report}");
    assert_eq!(report["ledger"]["store"], "ours");
    assert_eq!(report["executors"][0]["queues"], json!(["primes"]));
    assert_eq!(report["watchers"][0]["name"], "w-1");
    assert_eq!(report["watchers"][0]["watching"], json!(["done"]));
    assert_eq!(
        report["jobs"],
        json!({"subm": 1, "prcd": 1, "zpd": 0, "uploaded": 1, "cncl": 0, "lost": 1})
    );
    assert_eq!(report["tasks"], json!({"total": 15, "committed": 2, "failed": 1}));
    let names: Vec<_> = report["unreadable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|znode| znode["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["käse", "strange"]);

    let text = start(&world, ctl(&world, &["status"]))
        .succeeded(SOON)
        .await
        .unwrap();
    for line in ["1 executor", "1 watcher", "2 of 15 tasks done, 1 of them failed"] {
        assert!(text.iter().any(|found| found == line), "{line}: {text:?}");
    }
}

#[tokio::test]
async fn jobs_are_listed_oldest_first_and_filtered() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    for (id, data) in [
        ("z", "subm=0;queue=primes"),
        ("a", "prcd=0"),
        ("m", "prcd=0;queue=primes"),
    ] {
        world.create_job(id, data).await.unwrap();
    }
    world.create_job("strange", "hello").await.unwrap();
    let ids = async |args: &[&str]| {
        let (status, report) = report(&world, args).await;
        assert_eq!(status, 0);
        assert_eq!(report["unreadable"][0]["name"], "strange");
        let jobs = report["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&["jobs"]).await, ["z", "a", "m"]);
    assert_eq!(ids(&["jobs", "--state", "prcd"]).await, ["a", "m"]);
    assert_eq!(ids(&["jobs", "--queue", "primes"]).await, ["z", "m"]);
    assert_eq!(
        ids(&["jobs", "--queue", "primes", "--state", "prcd"]).await,
        ["m"]
    );
}

#[tokio::test]
async fn thousands_of_jobs_are_read_many_at_a_time() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    let zk = world.zk().await.unwrap();
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let paths: Vec<_> = (0..3000)
        .map(|n| world.path(&format!("jobs/job-{n:04}")))
        .collect();
    let creates = paths.iter().map(|path| zk.create(path, b"subm=3", &persistent));
    futures::future::try_join_all(creates).await.unwrap();
    let (status, report) = report(&world, &["status"]).await;
    assert_eq!(status, 0);
    assert_eq!(report["jobs"]["subm"], 3000);
    assert_eq!(report["tasks"]["total"], 9000);
}

#[tokio::test]
async fn show_tells_every_piece_of_a_job_and_whether_its_holder_lives() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    let zk = world.zk().await.unwrap();
    let born = register(&zk, &world, "executors/alive").await;
    submit(&world, "job", 100).await;
    let id = JobId::new("job").unwrap();
    let alive = holder(born, "alive");
    let dead = holder(Zxid::new(1), "dead");
    let unborn = holder(Zxid::new(u64::MAX >> 1), "unborn");
    for (holder, want) in [(&alive, 10), (&dead, 20), (&unborn, 5)] {
        claim(&world, &id, holder, want).await;
    }
    commit(&world, &id, &alive, 0, &[Outcome::Ok(b"")]).await;
    lock(&zk, &world, "job", "w-9").await;

    let (status, report) = report(&world, &["show", "job"]).await;
    assert_eq!(status, 0);
    assert_eq!(report["job"]["state"], "subm");
    assert_eq!(report["watcher"], "w-9");
    let store = &report["store"];
    assert_eq!(store["committed"], 1);
    assert_eq!(store["unreached_from"], 35);
    assert_eq!(store["whole"], true);
    let leases: Vec<_> = store["leases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lease| {
            (
                lease["executor"].as_str().unwrap(),
                lease["ranges"][0]["lo"].as_u64().unwrap(),
            )
        })
        .collect();
    // Sorted by holder: the oldest first.
    assert_eq!(leases, [("dead", 10), ("alive", 1), ("unknown", 30)]);
}

#[tokio::test]
async fn show_knows_a_job_that_is_done_and_one_that_never_was() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    submit(&world, "job", 3).await;
    crate::drop_job(&world, "job").await;
    crate::delete_job(&world, "job").await;
    let (status, done) = report(&world, &["show", "job"]).await;
    assert_eq!((status, &done["store"]["state"]), (0, &json!("gone")));
    assert!(done["job"].is_null());
    let (status, never) = report(&world, &["show", "never"]).await;
    assert_eq!((status, &never["store"]["state"]), (1, &json!("none")));
}
