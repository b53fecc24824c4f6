//! Everything ends at once.

use harness::{AppendOnly, World};

use crate::load::{all_right, fleet, in_full_swing, submitted};

#[tokio::test]
async fn a_power_failure_under_load_costs_no_result() {
    let world = World::private_with(AppendOnly::Always).await.unwrap();
    let before = fleet(&world, 2, 2).await;
    let mut jobs = submitted(&world, 9, 400).await;
    in_full_swing(&world, &jobs).await;
    let (zookeeper, redis) = (world.zookeeper().unwrap(), world.redis_server().unwrap());
    for process in &before {
        process.kill().await.unwrap();
    }
    tokio::try_join!(zookeeper.kill(), redis.kill()).unwrap();
    tokio::try_join!(zookeeper.start(), redis.start()).unwrap();
    let _after = fleet(&world, 2, 2).await;
    jobs.extend(submitted(&world, 3, 50).await);
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn both_stores_restarted_under_load_are_survived() {
    let world = World::private_with(AppendOnly::Always).await.unwrap();
    let _fleet = fleet(&world, 2, 2).await;
    let mut jobs = submitted(&world, 9, 400).await;
    in_full_swing(&world, &jobs).await;
    let (zookeeper, redis) = (world.zookeeper().unwrap(), world.redis_server().unwrap());
    tokio::try_join!(zookeeper.restart(), redis.restart()).unwrap();
    jobs.extend(submitted(&world, 3, 50).await);
    all_right(&world, &jobs).await;
}
