//! The bucket of tokens: the script comes to the sums of its model, by its own clock.

use std::time::Duration;

use distjob_core::QueueName;
use distjob_core::rate::{Bucket, Limit, Rate, Tokens};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::AsyncCommands as _;

use crate::fixture::Fixture;

const SEQUENCES: u32 = 200;

/// How one sequence goes on: the rate and burst by now, by how much the clock seems to have moved, how many are wanted.
type Take = (u32, &'static str, u32, i64, u32);

fn queue() -> QueueName {
    QueueName::new("thumbs").unwrap()
}

/// The bucket as it stands there.
async fn bucket(fixture: &Fixture, queue: &QueueName) -> Option<Bucket> {
    let key = fixture.store.keys().rate(queue);
    let fields: Vec<Option<u64>> = fixture
        .raw
        .clone()
        .hmget(key, &["parts", "per", "at"])
        .await
        .unwrap();
    let [parts, per, at] = fields[..] else {
        panic!("three fields were asked for");
    };
    Some(Bucket {
        parts: parts?,
        per_us: per?,
        at_us: at?,
    })
}

async fn compare(fixture: &Fixture, takes: &[Take]) -> Result<(), TestCaseError> {
    let queue = QueueName::new(harness::unique()).unwrap();
    let key = fixture.store.keys().rate(&queue);
    for (tasks, per, burst, moved, want) in takes {
        let rate: Rate = format!("{tasks}/{per}").parse().unwrap();
        let mut kept = bucket(fixture, &queue).await;
        if let Some(kept) = &mut kept {
            kept.at_us = kept.at_us.saturating_add_signed(-moved);
            let _: () = fixture.raw.clone().hset(&key, "at", kept.at_us).await.unwrap();
        }
        let tokens = fixture
            .store
            .take_tokens(&queue, rate, *burst, *want)
            .await
            .unwrap();
        let found = bucket(fixture, &queue).await.unwrap();
        let limit = Limit::new(rate, *burst).unwrap();
        let expected = Bucket::take(kept, limit, found.at_us, *want);
        prop_assert_eq!(expected, (found, tokens), "from {:?}", kept);
        let ttl: i64 = fixture.raw.clone().ttl(&key).await.unwrap();
        prop_assert!(ttl > 0, "a bucket of which nobody takes any more goes by itself");
    }
    Ok(())
}

#[test]
fn the_script_and_its_model_come_to_the_same_sums() {
    let tasks = prop_oneof![1..20u32, any::<u32>().prop_map(|tasks| tasks.max(1))];
    let per = prop_oneof![3 => Just("s"), 1 => Just("min"), 1 => Just("h")];
    let burst = prop_oneof![0..9u32, any::<u32>()];
    let moved = prop_oneof![
        Just(0i64),
        -9_000_000..9_000_000i64,
        any::<i32>().prop_map(|moved| i64::from(moved) * 1000)
    ];
    let want = prop_oneof![4 => 0..9u32, 1 => any::<u32>()];
    let takes = prop::collection::vec((tasks, per, burst, moved, want), 1..12);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fixture = runtime.block_on(Fixture::shared());
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&takes, |takes| runtime.block_on(compare(&fixture, &takes)))
        .unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test]
async fn a_rate_holds_for_all_who_ask_and_whoever_waits_is_told_how_long() {
    let fixture = Fixture::shared().await;
    let rate: Rate = "6/h".parse().unwrap();
    let take = async |want| fixture.store.take_tokens(&queue(), rate, 5, want).await.unwrap();
    let some = Tokens {
        granted: 3,
        wait: Duration::ZERO,
    };
    assert_eq!(take(3).await, some);
    let rest = take(3).await;
    assert_eq!(rest.granted, 2);
    assert!(
        rest.wait > Duration::from_secs(500) && rest.wait <= Duration::from_secs(600),
        "{rest:?}"
    );
    let none = take(1).await;
    assert!(none.granted == 0 && none.wait <= rest.wait, "{none:?}");
}

#[tokio::test]
async fn without_a_limit_the_store_is_not_asked() {
    let fixture = Fixture::shared().await;
    let tokens = fixture
        .store
        .take_tokens(&queue(), Rate::Unlimited, 0, 7)
        .await
        .unwrap();
    assert_eq!((tokens.granted, tokens.wait), (7, Duration::ZERO));
    assert_eq!(bucket(&fixture, &queue()).await, None);
    assert_eq!(fixture.store.connection_state().borrow().generation, 0);
}

#[tokio::test]
async fn a_bucket_that_cannot_be_read_is_a_full_one() {
    let fixture = Fixture::shared().await;
    let key = fixture.store.keys().rate(&queue());
    let rate = "9/h".parse().unwrap();
    for (field, damage) in [
        ("parts", None),
        ("per", Some("x")),
        ("at", Some("")),
        ("parts", Some("nan?")),
    ] {
        let mut raw = fixture.raw.clone();
        fixture.store.take_tokens(&queue(), rate, 9, 9).await.unwrap();
        let _: () = match damage {
            Some(damage) => raw.hset(&key, field, damage).await.unwrap(),
            None => raw.hdel(&key, field).await.unwrap(),
        };
        let tokens = fixture.store.take_tokens(&queue(), rate, 9, 99).await.unwrap();
        assert_eq!(tokens.granted, 9, "{field} {damage:?}");
    }
}
