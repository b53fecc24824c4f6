//! What is done to Redis.

use distjob_rig::history::RedisKind;
use redis::AsyncCommands as _;

use crate::Rig;
use crate::inside::inside;

async fn a_promoted_replica_has_the_data_and_the_name() {
    let rig = Rig::start(RedisKind::Replica).await;
    let (store, fabric) = (rig.cluster.store(), rig.cluster.fabric());
    rig.works("first").await;
    for (id, host) in [("second", "redis-2"), ("third", "redis-1")] {
        store.promote(fabric).await.unwrap();
        assert_eq!(store.host().name(), host);
        // The mark that tells whose store it is came along: else nobody would work.
        rig.works(id).await;
        store.rejoin().await.unwrap();
        rig.works(&format!("after-{id}")).await;
    }
}

/// What the primary answers in its last moments never reaches the replica.
async fn a_promoted_replica_lacks_what_was_answered_last() {
    let rig = Rig::start(RedisKind::Replica).await;
    let (store, fabric) = (rig.cluster.store(), rig.cluster.fabric());
    let mut primary = store.primary().connect().await.unwrap();
    let answered = async {
        let mut last = 0_u64;
        while primary.set::<_, _, ()>("last", last + 1).await.is_ok() {
            last += 1;
        }
        last
    };
    let (promoted, answered) = tokio::join!(store.promote(fabric), answered);
    promoted.unwrap();
    let mut promoted = store.primary().connect().await.unwrap();
    let known = promoted.get::<_, Option<u64>>("last").await.unwrap();
    assert!(known.unwrap_or(0) < answered, "{known:?} of {answered}");
}

/// The tail is gone, what is before it is there.
async fn redis_comes_back_without_the_tail_of_its_file() {
    let rig = Rig::start(RedisKind::AofAlways).await;
    let store = rig.cluster.store();
    let set = async |name: &str| {
        let mut redis = store.primary().connect().await.unwrap();
        redis.set::<_, _, ()>(name, "1").await.unwrap();
    };
    set("early").await;
    let kept = store.end_of_file().unwrap();
    set("middle").await;
    set("late").await;

    store.primary().kill().await.unwrap();
    assert_eq!(store.cut_tail(1, Some(&kept)).unwrap(), 1);
    store.primary().start().await.unwrap();
    let mut redis = store.primary().connect().await.unwrap();
    let exist = |name| redis::Cmd::exists(name);
    let there: (bool, bool, bool) = redis::pipe()
        .add_command(exist("early"))
        .add_command(exist("middle"))
        .add_command(exist("late"))
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(there, (true, true, false));

    store.primary().kill().await.unwrap();
    assert!(store.cut_tail(1 << 30, Some(&kept)).unwrap() > 1);
    store.primary().start().await.unwrap();
    let mut redis = store.primary().connect().await.unwrap();
    assert!(redis.exists::<_, bool>("early").await.unwrap());
    assert!(!redis.exists::<_, bool>("middle").await.unwrap());
}

/// No memory, no scripts, no connections: each is got over.
async fn redis_can_be_short_of_memory_scripts_and_connections() {
    let rig = Rig::start(RedisKind::Aof).await;
    let store = rig.cluster.store();
    store.limit_memory().await.unwrap();
    let mut redis = store.primary().connect().await.unwrap();
    let refused = redis.set::<_, _, ()>("name", "value").await.unwrap_err();
    assert!(refused.to_string().contains("OOM"), "{refused}");
    store.free_memory().await.unwrap();
    store.flush_scripts().await.unwrap();
    rig.works("without-scripts").await;
    store.kill_clients().await.unwrap();
    rig.works("without-connections").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_a_promoted_replica_has_the_data_and_the_name() {
    if inside() {
        a_promoted_replica_has_the_data_and_the_name().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_a_promoted_replica_has_the_data_and_the_name() {
    a_promoted_replica_has_the_data_and_the_name().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_a_promoted_replica_lacks_what_was_answered_last() {
    if inside() {
        a_promoted_replica_lacks_what_was_answered_last().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_redis_comes_back_without_the_tail_of_its_file() {
    redis_comes_back_without_the_tail_of_its_file().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_redis_can_be_short_of_memory_scripts_and_connections() {
    redis_can_be_short_of_memory_scripts_and_connections().await;
}
