//! Lists and streams in the store's Redis.

use ::redis::AsyncCommands as _;
use harness::unique;
use serde_json::Value;

use super::{is_whole, sink};
use crate::SOON;
use crate::stage::Stage;

/// A sink that adds to a key of its own.
fn redis(key: &str, more: &str) -> String {
    sink("redis", &format!("redis.key = {key:?}\n{more}"))
}

fn key(stage: &Stage) -> String {
    format!("{}out:{}", stage.world.prefix(), unique())
}

#[tokio::test]
async fn a_list_gets_the_manifest_of_each_result_once_however_often_it_is_delivered() {
    let stage = Stage::new().await;
    let key = key(&stage);
    let job = stage.processed(12).await;
    for point in ["entries-added=kill", ""] {
        let program = stage.program(&redis(&key, "")).env("DISTJOB_TEST_POINTS", point);
        let watcher = stage
            .world
            .start_member(program, &format!("w{}", point.len()))
            .await
            .unwrap();
        if point.is_empty() {
            stage.gone(&job).await;
        } else {
            watcher.wait(SOON).await.unwrap();
        }
    }
    let mut redis = stage.world.redis().await.unwrap();
    let entries: Vec<String> = redis.lrange(&key, 0, -1).await.unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    let manifest: Value = serde_json::from_str(&entries[0]).unwrap();
    assert_eq!(
        (&manifest["id"], &manifest["tasks"]),
        (&job.id.as_str().into(), &12.into())
    );
}

#[tokio::test]
async fn a_stream_gets_each_line_once_when_a_watcher_dies_among_them() {
    let stage = Stage::new().await;
    let key = key(&stage);
    let job = stage.processed(1300).await;
    let lines = redis(&key, "redis.type = \"stream\"\nredis.what = \"line\"");
    let packed = format!("{lines}[queue]\narchive = \"zstd\"\n");
    let dying = stage
        .program(&packed)
        .env("DISTJOB_TEST_POINTS", "entries-added=kill");
    let dying = stage.world.start_member(dying, "dying").await.unwrap();
    dying.wait(SOON).await.unwrap();
    let mut redis = stage.world.redis().await.unwrap();
    let before: usize = ::redis::cmd("XLEN")
        .arg(&key)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(before > 0 && before < 1300, "{before}");

    let _next = stage
        .world
        .start_member(stage.program(&packed), "next")
        .await
        .unwrap();
    stage.gone(&job).await;
    let mut range = ::redis::cmd("XRANGE");
    range.arg(&key).arg("-").arg("+");
    let entries: Vec<(String, Vec<String>)> = range.query_async(&mut redis).await.unwrap();
    let lines: Vec<_> = entries
        .iter()
        .map(|(_, fields)| match fields.as_slice() {
            [job_field, id, line_field, line] => {
                assert_eq!([job_field, id, line_field], ["job", job.id.as_str(), "line"]);
                line.as_str()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    is_whole((lines.join("\n") + "\n").as_bytes(), &job);
}

#[tokio::test]
async fn a_list_keeps_as_many_entries_as_it_may_and_nothing_else_is_overwritten() {
    let stage = Stage::new().await;
    let key = key(&stage);
    let mut redis_connection = stage.world.redis().await.unwrap();
    let () = redis_connection.set(&key, "mine").await.unwrap();
    let job = stage.processed(12).await;
    let program = stage.program(&redis(&key, "redis.what = \"line\"\nredis.max_length = 5"));
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    watcher
        .wait_log("there is a string, and no list", SOON)
        .await
        .unwrap();
    let () = redis_connection.del(&key).await.unwrap();
    stage.gone(&job).await;
    let entries: Vec<String> = redis_connection.lrange(&key, 0, -1).await.unwrap();
    let indexes: Vec<u64> = entries
        .iter()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["index"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(indexes, [7, 8, 9, 10, 11]);
}
