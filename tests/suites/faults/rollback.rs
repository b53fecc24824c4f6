//! A Redis that comes back with what it had some time ago.

use std::fs;
use std::path::Path;

use anyhow::ensure;
use harness::{AppendOnly, World, eventually};

use crate::audit::audit;
use crate::load::{Job, SOON, fleet, in_full_swing, submitted};

/// Where Redis 7 keeps its append-only file, in its own directory.
const DATA: &str = "appendonlydir";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

async fn distjobctl(world: &World, args: &[&str]) {
    let program = world.program("distjobctl", "").unwrap().args(args);
    let name = format!("distjobctl-{}", args[0]);
    world
        .start(program, &name)
        .unwrap()
        .succeeded(SOON)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_redis_restored_from_an_older_copy_delivers_right_or_says_what_is_lost() {
    let world = World::private_with(AppendOnly::Always).await.unwrap();
    let _fleet = fleet(&world, 2, 2).await;
    let early = submitted(&world, 6, 400).await;
    in_full_swing(&world, &early).await;
    let redis = world.redis_server().unwrap();
    let (data, older) = (redis.dir().join(DATA), world.dir().join("older"));
    redis.stop().await.unwrap();
    copy(&data, &older);
    redis.start().await.unwrap();
    // Enough that they outlive their own submission by far: the submitter is started three times meanwhile.
    let late = submitted(&world, 8, 1_000).await;
    in_full_swing(&world, &late).await;
    redis.stop().await.unwrap();
    fs::remove_dir_all(&data).unwrap();
    copy(&older, &data);
    redis.start().await.unwrap();

    let lost = eventually("every job is delivered or lost", SOON, async || {
        let standing = world.jobs().await?;
        let is_lost = |data: &String| data.starts_with("lost=") && data.contains("why=");
        ensure!(standing.values().all(is_lost), "{standing:?}");
        Ok(standing)
    })
    .await;
    assert!(!lost.is_empty(), "all was done before the older copy came back");
    let (delivered, missing): (Vec<&Job>, Vec<&Job>) = early
        .iter()
        .chain(&late)
        .partition(|job| !lost.contains_key(&job.id));
    delivered.iter().for_each(|job| job.check(&world).unwrap());
    for job in missing {
        assert!(
            late.iter().any(|late| late.id == job.id),
            "{} was in the copy",
            job.id
        );
        assert_eq!(world.delivered("default", &job.id).unwrap(), None);
    }

    let ids: Vec<&str> = ["cancel"]
        .into_iter()
        .chain(lost.keys().map(String::as_str))
        .collect();
    distjobctl(&world, &ids).await;
    eventually("what was lost is cleaned up", SOON, async || {
        let standing = world.jobs().await?;
        ensure!(standing.is_empty(), "{standing:?}");
        Ok(())
    })
    .await;
    // The copy also brought back jobs that were delivered and dropped after it was made.
    distjobctl(&world, &["gc"]).await;
    world.drained(SOON).await.unwrap();
    audit(&world);
}
