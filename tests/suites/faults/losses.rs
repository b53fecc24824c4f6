//! Jobs that Redis lost a part of.

use anyhow::ensure;
use harness::{World, eventually};
use redis::AsyncCommands as _;

use crate::load::{Job, SOON, executor, fleet, submitted, watcher};

impl Job {
    fn key(&self, world: &World, part: &str) -> String {
        format!("{}{{{}}}:{part}", world.prefix(), self.id)
    }
}

/// Returns when some of the job's tasks are done, and not all.
async fn half_done(world: &World, job: &Job) {
    eventually("the job is partly done", SOON, async || {
        let committed: Option<u64> = world
            .redis()
            .await?
            .hget(job.key(world, "meta"), "committed")
            .await?;
        ensure!(
            committed.is_some_and(|committed| committed > 0),
            "{committed:?} committed"
        );
        Ok(())
    })
    .await;
}

async fn delete(world: &World, job: &Job, part: &str) {
    let deleted: u64 = world
        .redis()
        .await
        .unwrap()
        .del(job.key(world, part))
        .await
        .unwrap();
    assert_eq!(deleted, 1, "there were no {part} of {}", job.id);
}

/// Returns when the job is lost, for a reason, and not delivered.
async fn lost(world: &World, job: &Job) {
    eventually("the job is lost", SOON, async || {
        let jobs = world.jobs().await?;
        let data = jobs.get(&job.id).map_or("no znode", String::as_str);
        ensure!(data.starts_with("lost=") && data.contains(";why="), "{data}");
        Ok(())
    })
    .await;
    assert_eq!(world.delivered("default", &job.id).unwrap(), None);
}

/// Deletes one of the keys of a job that is worked on.
async fn lost_without(part: &str) {
    let world = World::shared().await.unwrap();
    let fleet = fleet(&world, 2, 1).await;
    let others = submitted(&world, 3, 200).await;
    // Last, so that nothing stands between its first outcomes and its loss.
    let victim = Job::of(&world, part, vec!["sleep 20"; 900]);
    victim.submit_plainly(&world).await;
    half_done(&world, &victim).await;
    delete(&world, &victim, part).await;
    lost(&world, &victim).await;
    eventually("the others are delivered", SOON, async || {
        others.iter().try_for_each(|job| job.check(&world))
    })
    .await;
    drop(fleet);
}

#[tokio::test]
async fn a_job_that_loses_its_tasks_half_way_is_lost_and_no_other() {
    lost_without("tasks").await;
}

#[tokio::test]
async fn a_job_that_loses_its_leases_half_way_is_lost_and_no_other() {
    lost_without("leases").await;
}

#[tokio::test]
async fn a_job_that_loses_its_results_half_way_is_lost_and_no_other() {
    lost_without("results").await;
}

#[tokio::test]
async fn a_job_that_loses_its_counters_half_way_is_lost_and_no_other() {
    lost_without("meta").await;
}

#[tokio::test]
async fn a_job_that_loses_its_freed_ranges_is_lost_and_no_other() {
    let world = World::shared().await.unwrap();
    let leaving = world
        .start_member(executor(&world, "claim_target = \"5s\""), "executor-leaving")
        .await
        .unwrap();
    let victim = Job::of(&world, "freed", vec!["sleep 20"; 600]);
    victim.submit_plainly(&world).await;
    half_done(&world, &victim).await;
    leaving.stop(SOON).await.unwrap();
    delete(&world, &victim, "freed").await;
    let _executor = world
        .start_member(executor(&world, ""), "executor")
        .await
        .unwrap();
    let _watcher = world.start_member(watcher(&world, ""), "watcher").await.unwrap();
    let others = submitted(&world, 3, 100).await;
    lost(&world, &victim).await;
    eventually("the others are delivered", SOON, async || {
        others.iter().try_for_each(|job| job.check(&world))
    })
    .await;
}
