//! A Redis that restarts, dies, goes away for a while, and loses connections.

use std::time::Duration;

use anyhow::ensure;
use harness::{AppendOnly, Process, World, eventually};

use crate::load::{Job, SOON, all_right, executor, fleet, in_full_swing, submitted, watcher};

#[tokio::test]
async fn redis_restarted_under_load_with_its_append_only_file_is_survived() {
    let world = World::private_with(AppendOnly::Always).await.unwrap();
    let _fleet = fleet(&world, 2, 2).await;
    let mut jobs = submitted(&world, 9, 300).await;
    in_full_swing(&world, &jobs).await;
    world.redis_server().unwrap().restart().await.unwrap();
    jobs.extend(submitted(&world, 3, 100).await);
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn redis_killed_under_load_with_its_append_only_file_is_survived() {
    let world = World::private_with(AppendOnly::Always).await.unwrap();
    let _fleet = fleet(&world, 2, 2).await;
    let mut jobs = submitted(&world, 9, 300).await;
    in_full_swing(&world, &jobs).await;
    let redis = world.redis_server().unwrap();
    redis.kill().await.unwrap();
    let meanwhile = Job::echo(&world, "meanwhile", 100);
    let (_, started) = tokio::join!(meanwhile.submit(&world), redis.start());
    started.unwrap();
    jobs.push(meanwhile);
    all_right(&world, &jobs).await;
}

/// Returns when all of them are, or are not, ready.
async fn ready(fleet: &[Process], status: u16) {
    eventually("all answer so", SOON, async || {
        for process in fleet {
            let answer = process.admin_get("/readyz").await?;
            ensure!(answer.status == status, "{}: {answer:?}", process.name());
        }
        Ok(())
    })
    .await;
}

/// Starts two executors of this patience and a watcher, stops Redis under load for 20 s, and returns the names that the
/// executors had before, in the meantime and afterwards. What they do in that time takes as long as it takes.
async fn away_for_20_s(patience: &str, leave: bool) {
    let world = World::private_with(AppendOnly::Always).await.unwrap();
    let more = format!("store_patience = \"{patience}\"");
    let mut executors = Vec::new();
    for number in 1..=2 {
        let name = format!("executor-{number}");
        executors.push(world.start_member(executor(&world, &more), &name).await.unwrap());
    }
    let _watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    let names = async || {
        let mut names: Vec<String> = Vec::new();
        for member in world.executors().await.unwrap() {
            names.push(member.name);
        }
        names.sort();
        names
    };
    let before = names().await;
    let jobs = submitted(&world, 6, 400).await;
    in_full_swing(&world, &jobs).await;
    let away = tokio::time::sleep(Duration::from_secs(20));
    let redis = world.redis_server().unwrap();
    redis.pause().unwrap();
    ready(&executors, 503).await;
    away.await;
    let meanwhile = names().await;
    redis.resume().unwrap();
    all_right(&world, &jobs).await;
    ready(&executors, 200).await;
    let after = names().await;
    if leave {
        assert!(meanwhile.is_empty(), "{meanwhile:?}");
        assert!(
            after.len() == 2 && after.iter().all(|name| !before.contains(name)),
            "{after:?}"
        );
    } else {
        assert_eq!((&meanwhile, &after), (&before, &before));
    }
}

#[tokio::test]
async fn redis_gone_for_less_than_their_patience_leaves_executors_what_they_were() {
    away_for_20_s("60s", false).await;
}

#[tokio::test]
async fn redis_gone_for_longer_than_their_patience_makes_executors_leave_and_come_back() {
    away_for_20_s("4s", true).await;
}

#[tokio::test]
async fn a_redis_that_was_demoted_is_away_until_it_is_promoted_although_it_answers() {
    let world = World::private().await.unwrap();
    let executor = executor(&world, "store_patience = \"6s\"");
    let executor = world.start_member(executor, "executor").await.unwrap();
    let watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    let fleet = [executor, watcher];
    let jobs = submitted(&world, 6, 1_000).await;
    in_full_swing(&world, &jobs).await;
    let mut raw = world.redis().await.unwrap();
    let mut replica_of = async |host: &str, port: &str| {
        let mut command = redis::cmd("REPLICAOF");
        command.arg(host).arg(port);
        command.query_async::<()>(&mut raw).await.unwrap();
    };
    replica_of("127.0.0.1", "1").await;
    fleet[0]
        .wait_log("redis was away for too long", SOON)
        .await
        .unwrap();
    ready(&fleet, 503).await;
    for process in &fleet {
        let lines = process.stderr().lines();
        let lost = lines.iter().filter(|line| line.contains("no longer ready"));
        // A store that seemed to be back in the meantime would have been lost again.
        assert_eq!(lost.count(), 1, "{}: {lines:#?}", process.name());
    }
    replica_of("NO", "ONE").await;
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn redis_connections_cut_again_and_again_cost_no_result() {
    let world = World::private().await.unwrap();
    let proxy = world.redis_proxy().await.unwrap();
    let mut fleet = Vec::new();
    for number in 1..=2 {
        let executor = executor(&world, "").redis_at(proxy.addr());
        fleet.push(
            world
                .start_member(executor, &format!("executor-{number}"))
                .await
                .unwrap(),
        );
        let watcher = watcher(&world, "").redis_at(proxy.addr());
        fleet.push(
            world
                .start_member(watcher, &format!("watcher-{number}"))
                .await
                .unwrap(),
        );
    }
    let jobs = submitted(&world, 9, 400).await;
    in_full_swing(&world, &jobs).await;
    for _ in 0..15 {
        proxy.cut();
        // What counts is that they fall into whatever is under way, each time something else.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    all_right(&world, &jobs).await;
}

async fn command(world: &World, words: &[&str]) {
    let mut redis = world.redis().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async::<()>(&mut redis).await.unwrap();
}

#[tokio::test]
async fn redis_without_memory_refuses_new_jobs_and_lets_those_end_that_it_has() {
    let world = World::private().await.unwrap();
    let _fleet = fleet(&world, 2, 1).await;
    let jobs = submitted(&world, 9, 300).await;
    command(&world, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = world
        .submit(&["--random-numbers", "100"], SOON)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("OOM"), "{refused}");
    all_right(&world, &jobs).await;
    command(&world, &["CONFIG", "SET", "maxmemory", "0"]).await;
    let later = submitted(&world, 2, 10).await;
    all_right(&world, &later).await;
}

#[tokio::test]
async fn redis_that_became_a_replica_is_waited_for() {
    let world = World::private().await.unwrap();
    let fleet = fleet(&world, 2, 1).await;
    let jobs = submitted(&world, 9, 400).await;
    in_full_swing(&world, &jobs).await;
    command(&world, &["REPLICAOF", "127.0.0.1", "1"]).await;
    for executor in &fleet[..2] {
        executor
            .wait_log("lost the connection*ReadOnly", SOON)
            .await
            .unwrap();
    }
    command(&world, &["REPLICAOF", "NO", "ONE"]).await;
    all_right(&world, &jobs).await;
}

#[tokio::test]
async fn scripts_that_redis_forgets_under_load_are_loaded_again() {
    let world = World::private().await.unwrap();
    let _fleet = fleet(&world, 2, 1).await;
    let jobs = submitted(&world, 9, 300).await;
    for delivered in 1..=6 {
        command(&world, &["SCRIPT", "FLUSH"]).await;
        eventually("the next job is delivered", SOON, async || {
            let count = jobs.iter().filter(|job| job.check(&world).is_ok()).count();
            ensure!(count >= delivered, "{count} delivered");
            Ok(())
        })
        .await;
    }
    all_right(&world, &jobs).await;
}
