//! `gc`, `accept-store`, and stores that are away or the wrong ones.

use harness::{Port, World};
use redis::AsyncCommands as _;
use serde_json::json;

use crate::{SOON, ctl, delete_job, found, report, start, submit};

#[tokio::test]
async fn gc_drops_what_is_provably_gone_and_nothing_else() {
    let world = World::shared().await.unwrap();
    submit(&world, "kept", 3).await;
    submit(&world, "rolled-back", 5).await;
    submit(&world, "done", 3).await;
    crate::drop_job(&world, "done").await;
    // The znodes are gone; of one the keys came back with an old snapshot.
    delete_job(&world, "rolled-back").await;
    delete_job(&world, "done").await;
    // A later life of the store: the ledger at hand may be behind it, so it proves nothing.
    let mut redis = world.redis().await.unwrap();
    let newer = format!("{}{{newer}}:meta", world.prefix());
    let fields = [("J", "7fffffffffffffff"), ("state", "open"), ("n", "1")];
    redis.hset_multiple::<_, _, _, ()>(&newer, &fields).await.unwrap();

    // A tombstone grows older meanwhile.
    let names = async || {
        let keys = world.keys().await.unwrap();
        keys.into_iter().map(|key| key.name).collect::<Vec<_>>()
    };
    let before = names().await;
    let (status, dry) = report(&world, &["gc", "--dry-run"]).await;
    assert_eq!(
        (status, &dry["dry_run"], &dry["kept"]),
        (0, &json!(true), &json!(2))
    );
    assert_eq!(names().await, before);

    let (status, report) = report(&world, &["gc"]).await;
    assert_eq!((status, &report["kept"]), (0, &json!(2)));
    let dropped = report["dropped"].as_array().unwrap();
    assert_eq!(dropped.len(), 1);
    assert_eq!(
        (&dropped[0]["id"], &dropped[0]["tasks"]),
        (&json!("rolled-back"), &json!(5))
    );
    let left: Vec<_> = world
        .keys_left()
        .await
        .unwrap()
        .into_iter()
        .map(|key| key.name)
        .collect();
    let key = |name: &str| format!("{}{name}", world.prefix());
    assert_eq!(left, [key("{kept}:meta"), key("{kept}:tasks"), newer]);
}

#[tokio::test]
async fn gc_gives_a_tombstone_that_lost_its_time_to_live_another_one() {
    let world = World::shared().await.unwrap();
    submit(&world, "done", 3).await;
    crate::drop_job(&world, "done").await;
    delete_job(&world, "done").await;
    let tombstone = format!("{}{{done}}:meta", world.prefix());
    let mut redis = world.redis().await.unwrap();
    redis.persist::<_, ()>(&tombstone).await.unwrap();

    let (status, found) = report(&world, &["gc"]).await;
    assert_eq!((status, &found["dropped"][0]["id"]), (0, &json!("done")));
    assert!(redis.ttl::<_, i64>(&tombstone).await.unwrap() > 0);
    let (_, again) = report(&world, &["gc"]).await;
    assert_eq!(again["dropped"], json!([]));
}

#[tokio::test]
async fn gc_keeps_its_hands_off_a_store_of_another_ledger() {
    let world = World::shared().await.unwrap();
    submit(&world, "job", 3).await;
    delete_job(&world, "job").await;
    let mut redis = world.redis().await.unwrap();
    let mark = format!("{}ledger", world.prefix());
    redis.set::<_, _, ()>(&mark, "0000000000000bad").await.unwrap();
    let process = start(&world, ctl(&world, &["gc"]));
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    assert!(process.stderr().contains("redis belongs to another ledger"));
    assert_eq!(world.keys_left().await.unwrap().len(), 2);
}

#[tokio::test]
async fn accept_store_makes_an_emptied_store_usable_again() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    submit(&world, "job", 3).await;
    let (status, nothing) = report(&world, &["accept-store"]).await;
    assert_eq!((status, &nothing["changed"]), (0, &json!(false)));

    let mut redis = world.redis().await.unwrap();
    for key in world.keys().await.unwrap() {
        redis.del::<_, ()>(key.name).await.unwrap();
    }
    let (status, complaint) = report(&world, &["status"]).await;
    assert_eq!((status, &complaint["ledger"]["store"]), (0, &json!("unmarked")));
    let said = complaint["ledger"]["complaint"].as_str().unwrap();
    assert!(said.contains("distjobctl accept-store"), "{said}");

    let (status, accepted) = report(&world, &["accept-store"]).await;
    assert_eq!((status, &accepted["changed"]), (0, &json!(true)));
    assert_eq!(
        (&accepted["mark_before"], &accepted["jobs"]),
        (&json!(null), &json!(1))
    );
    submit(&world, "another", 3).await;
}

#[tokio::test]
async fn a_store_that_is_away_has_status_69_and_hides_nothing_of_the_other() {
    let world = World::shared().await.unwrap();
    found(&world).await;
    world.create_job("job", "subm=3").await.unwrap();
    let nowhere = Port::reserve().unwrap();
    let args = ["status", "--json", "--timeout", "3s"];

    let process = start(&world, ctl(&world, &args).redis_at(nowhere.addr()));
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(69));
    let text = process.stdout().lines().join("\n");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&report["jobs"]["subm"], &report["tasks"]),
        (&json!(1), &json!(null))
    );
    assert!(process.stderr().contains("redis stayed unreachable"));

    let process = start(&world, ctl(&world, &args).zookeeper_at(nowhere.addr()));
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(69));
    assert!(process.stderr().contains("zookeeper stayed unreachable"));
}

#[tokio::test]
async fn looking_for_a_ledger_where_there_is_none_does_not_make_one() {
    let world = World::shared().await.unwrap();
    let process = start(&world, ctl(&world, &["status"]));
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    assert!(process.stderr().contains("there is no ledger at"));
    let zk = world.zk().await.unwrap();
    assert!(zk.list_children(&world.root()).await.unwrap().is_empty());
}
