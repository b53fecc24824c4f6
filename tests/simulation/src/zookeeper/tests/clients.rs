//! Reads, writes, and the order of what is answered.

use distjob_runtime::zk::{
    ZkError,
    client::{Mode, Op},
};
use tokio::time::Instant;

use super::{LONG, Lag, Site, children, put};
use crate::zookeeper::{EnsembleSettings, Flaw};

#[tokio::test(start_paused = true)]
async fn what_a_client_wrote_it_reads_however_far_its_server_is_behind() {
    for seed in 0..20 {
        let site = Site::new(seed);
        let client = site.client_at("zookeeper1", 1).await;
        site.ensemble.set_lag(
            1,
            Lag {
                min_ms: 0,
                max_ms: 900,
            },
        );
        put(&client, "/a").await;
        for round in 0..10_i32 {
            let data = round.to_string();
            let set = client.set_data("/a", data.as_bytes(), Some(round));
            // Asked before the write is answered, and answered after it.
            let read = client.get_data("/a");
            let (set, read) = futures::join!(set, read);
            assert_eq!(read.unwrap(), (data.into_bytes(), set.unwrap()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_answers_from_what_it_has_applied_and_a_sync_catches_up() {
    let site = Site::new(1);
    let at_leader = site.client_at("zookeeper0", 1).await;
    let behind = site.client_at("zookeeper1", 2).await;
    let lag = Lag {
        min_ms: 300,
        max_ms: 300,
    };
    site.ensemble.set_lag(1, lag);
    put(&at_leader, "/a").await;
    assert_eq!(behind.get_data("/a").await.unwrap_err(), ZkError::NoNode);
    assert_eq!(behind.check_stat("/a").await.unwrap(), None);
    let (synced, read) = futures::join!(behind.sync("/a"), behind.get_data("/a"));
    synced.unwrap();
    let (_, stat) = read.unwrap();
    assert_eq!(at_leader.check_stat("/a").await.unwrap(), Some(stat));
}

#[tokio::test(start_paused = true)]
async fn a_hollow_sync_catches_up_with_nothing() {
    let settings = EnsembleSettings {
        flaw: Some(Flaw::HollowSync),
        ..EnsembleSettings::default()
    };
    let site = Site::with(1, settings);
    let at_leader = site.client_at("zookeeper0", 1).await;
    let behind = site.client_at("zookeeper1", 2).await;
    site.ensemble.freeze(1);
    put(&at_leader, "/a").await;
    behind.sync("/a").await.unwrap();
    assert_eq!(behind.check_stat("/a").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn stats_count_what_happens_as_zookeeper_does() {
    let site = Site::new(2);
    let client = site.client(1).await;
    put(&client, "/d").await;
    let created = client.create("/d/x", b"1", Mode::Ephemeral).await.unwrap();
    assert_eq!(created.ephemeral_owner, client.session_id());
    let set = client.set_data("/d/x", b"2", Some(0)).await.unwrap();
    assert_eq!((set.version, set.czxid), (1, created.czxid));
    client.delete("/d/x", Some(1)).await.unwrap();
    let (names, stat) = client.get_children("/d").await.unwrap();
    assert_eq!((names.len(), stat.cversion, stat.version), (0, 2, 0));
    let deleted_by = site.ensemble.history().last().unwrap().zxid;
    assert_eq!(stat.pzxid, deleted_by);
}

#[tokio::test(start_paused = true)]
async fn several_writes_take_effect_together_or_not_at_all() {
    let site = Site::new(3);
    let client = site.client(1).await;
    put(&client, "/a").await;
    let lock = Op::Create {
        path: "/lock",
        data: b"me",
        mode: Mode::Ephemeral,
    };
    let check = |version| Op::Check { path: "/a", version };
    let refused = client.multi(&[lock, check(1)]).await.unwrap_err();
    assert_eq!(refused, ZkError::BadVersion);
    assert_eq!(children(&client, "/").await, ["a"]);
    client.multi(&[check(0), lock]).await.unwrap();
    assert_eq!(client.multi(&[check(0), lock]).await, Err(ZkError::NodeExists));
    let deletes = ["/a", "/lock"].map(|path| Op::Delete { path, version: 0 });
    client.multi(&deletes).await.unwrap();
    let history = site.ensemble.history();
    assert_eq!(history.last().unwrap().changes.len(), 2);
    assert!(children(&client, "/").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_write_is_said() {
    let site = Site::new(4);
    let client = site.client(1).await;
    put(&client, "/a").await;
    put(&client, "/a/b").await;
    let create = |path| client.create(path, b"", Mode::Persistent);
    assert_eq!(create("/a").await, Err(ZkError::NodeExists));
    assert_eq!(create("/c/d").await, Err(ZkError::NoNode));
    assert_eq!(client.delete("/a", None).await, Err(ZkError::NotEmpty));
    assert_eq!(client.delete("/a/b", Some(1)).await, Err(ZkError::BadVersion));
    assert_eq!(client.set_data("/c", b"", None).await, Err(ZkError::NoNode));
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_course_of_things() {
    let run = async |seed| {
        let site = Site::new(seed);
        let began = Instant::now();
        let (one, other) = (site.client(1).await, site.client(2).await);
        put(&one, "/d").await;
        for index in 0..50 {
            let path = format!("/d/{index}");
            let client = if index % 3 == 0 { &one } else { &other };
            // The other one's server may not know the directory yet.
            let _ = client.create(&path, b"", Mode::Ephemeral).await;
        }
        drop(one);
        tokio::time::sleep(LONG).await;
        (began.elapsed(), site.trace.hash(), site.trace.marks())
    };
    let first = run(11).await;
    assert_eq!(run(11).await, first);
    assert_ne!(run(12).await, first);
}
