//! Worlds do not meet, and see what is in them.

use std::fs;
use std::time::Duration;

use anyhow::ensure;
use harness::{Delivered, World, eventually, is_prime};
use redis::AsyncCommands as _;
use zookeeper_client::{Acls, CreateMode};

use crate::SOON;

#[tokio::test]
async fn a_plain_submission_is_seen_with_its_keys_and_only_in_its_world() {
    let (world, other) = (World::shared().await.unwrap(), World::shared().await.unwrap());
    let id = world.job_id("plain");
    world.plain_submit(&id, &["17", "18"]).await.unwrap();
    assert_eq!(world.jobs().await.unwrap()[&id], "subm=2");
    let left = world.keys_left().await.unwrap();
    assert_eq!(
        left.iter()
            .map(|key| (key.name.as_str(), key.ttl_s))
            .collect::<Vec<_>>(),
        [(id.as_str(), None)]
    );
    assert!(other.jobs().await.unwrap().is_empty());
    assert!(other.keys().await.unwrap().is_empty());
    assert!(world.locks().await.unwrap().is_empty() && world.executors().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_world_is_drained_when_jobs_and_keys_are_gone() {
    let world = World::shared().await.unwrap();
    let id = world.job_id("drained");
    world.plain_submit(&id, &["17"]).await.unwrap();
    let moment = Duration::from_secs(1);
    let left = world.drained(moment).await.unwrap_err();
    assert!(format!("{left:#}").contains(&id), "{left:#}");
    world
        .zk()
        .await
        .unwrap()
        .delete(&world.path(&format!("jobs/{id}")), None)
        .await
        .unwrap();
    let left = world.drained(moment).await.unwrap_err();
    assert!(format!("{left:#}").contains("keys"), "{left:#}");
    world.redis().await.unwrap().del::<_, ()>(&id).await.unwrap();
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn members_are_seen_and_their_sessions_ended_and_proxied() {
    let world = World::shared().await.unwrap();
    let proxy = world.zookeeper_proxy().await.unwrap();
    let member = harness::servers::zookeeper::connect(&proxy.addr().to_string())
        .await
        .unwrap();
    let directory = CreateMode::Persistent.with_acls(Acls::anyone_all());
    member.mkdir(&world.path("executors"), &directory).await.unwrap();
    let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    let path = world.path("executors/me");
    let (stat, _) = member.create(&path, br#"{"pid":1}"#, &ephemeral).await.unwrap();

    let seen = &world.executors().await.unwrap()[0];
    assert_eq!(
        (seen.name.as_str(), seen.session, seen.czxid),
        ("me", member.session_id(), stat.czxid)
    );
    assert_eq!(seen.about["pid"], 1);
    world.expire(seen.session).await.unwrap();
    assert!(world.executors().await.unwrap().is_empty());
    let redis = world.redis_proxy().await.unwrap();
    harness::servers::redis::connect(&redis.redis_url())
        .await
        .unwrap();
}

#[tokio::test]
async fn tombstones_and_the_ledger_mark_are_not_left_keys() {
    let world = World::shared().await.unwrap();
    let mut redis = world.redis().await.unwrap();
    let key = |name: &str| format!("{}{name}", world.prefix());
    redis.set::<_, _, ()>(key("ledger"), 1).await.unwrap();
    redis.set_ex::<_, _, ()>(key("{a}:meta"), 1, 100).await.unwrap();
    assert_eq!(world.keys_left().await.unwrap(), []);
    assert_eq!(world.keys().await.unwrap().len(), 2);
    redis.set::<_, _, ()>(key("{b}:meta"), 1).await.unwrap();
    redis.set_ex::<_, _, ()>(key("{b}:tasks"), 1, 100).await.unwrap();
    let left: Vec<_> = world
        .keys_left()
        .await
        .unwrap()
        .into_iter()
        .map(|key| key.name)
        .collect();
    assert_eq!(left, [key("{b}:meta"), key("{b}:tasks")]);
}

#[tokio::test]
async fn delivered_lines_are_parsed_and_checked() {
    let world = World::shared().await.unwrap();
    assert_eq!(world.delivered("primes", "job").unwrap(), None);
    fs::create_dir_all(world.sink().join("primes")).unwrap();
    let file = world.sink().join("primes/job.jsonl");
    let lines = concat!(
        r#"{"index":0,"task":"17","outcome":"ok","value":"true"}"#,
        "\n",
        r#"{"index":1,"task_base64":"/w==","outcome":"err","error":"not a number"}"#,
        "\n"
    );
    fs::write(&file, lines).unwrap();
    let second = Delivered {
        index: 1,
        task: vec![255],
        outcome: Err("not a number".to_owned()),
        attempts: None,
    };
    assert_eq!(world.delivered("primes", "job").unwrap().unwrap()[1], second);
    world
        .delivered_whole("primes", "job", &[&b"17"[..], &[255]])
        .unwrap();
    world
        .delivered_whole("primes", "job", &["17"])
        .expect_err("a line too many");
    world
        .delivered_whole("primes", "job", &["17", "18"])
        .expect_err("another task");
    fs::write(&file, lines.trim_end()).unwrap();
    world
        .delivered("primes", "job")
        .expect_err("a line without its end");
}

#[tokio::test]
async fn a_private_world_can_act_on_its_servers() {
    let world = World::private().await.unwrap();
    world.zookeeper().unwrap().restart().await.unwrap();
    world.redis_server().unwrap().restart().await.unwrap();
    world.plain_submit("fixed-id", &["1"]).await.unwrap();
    assert!(
        world
            .config()
            .contains(&format!("connect = \"{}\"", world.zookeeper_addr()))
    );
}

#[tokio::test]
#[should_panic(expected = "not within 50ms: a million looks; last seen: look ")]
async fn a_condition_that_never_holds_panics_with_what_was_seen() {
    let mut looks = 0;
    eventually("a million looks", Duration::from_millis(50), async || {
        looks += 1;
        ensure!(looks == 1_000_000, "look {looks}");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "the first look did not end")]
async fn a_look_that_hangs_ends_too() {
    eventually("the end of time", Duration::from_millis(50), async || {
        std::future::pending::<anyhow::Result<()>>().await
    })
    .await;
}

#[test]
fn the_oracle_knows_its_primes() {
    let primes: Vec<u64> = (0..60).filter(|n| is_prime(*n)).collect();
    assert_eq!(
        primes,
        [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]
    );
    assert!(is_prime(89_999_999) && !is_prime(9_409 * 9_409) && is_prime(999_999_999_989));
}
