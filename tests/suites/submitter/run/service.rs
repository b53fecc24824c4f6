//! The service as a process: what it needs, how it ends, what it lives through.

use harness::{World, eventually};

use super::{jobs, program, ready, serve};
use crate::{SOON, start, task_texts};

fn spool(world: &World) -> String {
    format!(
        "[run.spool]\ndirectory = {:?}\nscan_every = \"100ms\"\nsettle = \"0s\"\n",
        world.dir().join("spool")
    )
}

fn drop_file(world: &World, name: &str, content: &str) {
    let spool = world.dir().join("spool");
    let part = spool.join(format!(".{name}"));
    std::fs::write(&part, content).unwrap();
    std::fs::rename(part, spool.join(name)).unwrap();
}

#[tokio::test]
async fn a_service_without_a_place_to_take_tasks_from_says_so() {
    let world = World::shared().await.unwrap();
    let process = start(&world, program(&world, ""));
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(78));
    assert!(process.stderr().contains("run.spool.directory"));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_an_error_at_the_start() {
    let world = World::shared().await.unwrap();
    let table = "[run.spool]\ndirectory = \"/proc/nowhere/spool\"\n";
    let process = start(&world, program(&world, table));
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    assert!(process.stderr().contains("/proc/nowhere/spool"));
}

#[tokio::test]
async fn it_ends_well_when_asked_and_tells_its_numbers_before() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &spool(&world)).await;
    drop_file(&world, "a", "1\n2\n");
    jobs(&world, 1).await;
    eventually("the numbers tell of it", SOON, async || {
        let metrics = service.admin_get("/metrics").await?.body;
        for line in [
            "distjob_submitter_jobs_total 1",
            "distjob_submitter_tasks_total 2",
            "distjob_submitter_files_total{outcome=\"submitted\"} 1",
        ] {
            anyhow::ensure!(metrics.lines().any(|known| known == line), "{line} in {metrics}");
        }
        Ok(())
    })
    .await;
    service.terminate().unwrap();
    assert_eq!(service.wait(SOON).await.unwrap().code(), Some(0));
    assert!(service.stderr().contains("nothing is left in hand"));
}

#[tokio::test]
async fn it_lives_through_restarts_of_both_stores_and_the_end_of_its_session() {
    let world = World::private().await.unwrap();
    let service = serve(&world, &spool(&world)).await;
    drop_file(&world, "before", "1\n");
    let first = jobs(&world, 1).await;
    assert_eq!(task_texts(&world, &first[0]).await, ["1"]);

    world.zookeeper().unwrap().restart().await.unwrap();
    drop_file(&world, "after-zookeeper", "2\n");
    jobs(&world, 2).await;

    world.redis_server().unwrap().restart().await.unwrap();
    drop_file(&world, "after-redis", "3\n");
    jobs(&world, 3).await;

    world.zookeeper().unwrap().expire_all_sessions().await.unwrap();
    drop_file(&world, "after-expiry", "4\n");
    jobs(&world, 4).await;
    ready(&service).await;
    service.stop(SOON).await.unwrap();
}

#[tokio::test]
async fn while_a_store_is_away_it_is_not_ready_and_what_it_took_becomes_a_job_afterwards() {
    let world = World::shared().await.unwrap();
    let proxy = world.redis_proxy().await.unwrap();
    let program =
        program(&world, &(spool(&world) + "[submitter]\ntimeout = \"1s\"\n")).redis_at(proxy.addr());
    let service = start(&world, program);
    ready(&service).await;
    proxy.refuse().await;
    proxy.cut();
    drop_file(&world, "a", "1\n2\n");
    eventually("it is not ready", SOON, async || {
        let answer = service.admin_get("/readyz").await?;
        anyhow::ensure!(
            answer.status == 503 && answer.body.contains("redis"),
            "{}",
            answer.body
        );
        Ok(())
    })
    .await;
    proxy.accept().await.unwrap();
    let jobs = jobs(&world, 1).await;
    eventually("the file is done", SOON, async || {
        anyhow::ensure!(world.dir().join("spool/done/a").exists(), "not yet");
        Ok(())
    })
    .await;
    assert_eq!(task_texts(&world, &jobs[0]).await, ["1", "2"]);
    ready(&service).await;
}

#[tokio::test]
async fn a_reload_changes_the_size_of_jobs_and_a_bad_one_changes_nothing() {
    let world = World::shared().await.unwrap();
    let config = |more: &str| {
        format!(
            "{}[admin]\nlisten = \"127.0.0.1:0\"\n\n{}{more}",
            world.config(),
            spool(&world)
        )
    };
    let service = serve(&world, &spool(&world)).await;
    drop_file(&world, "a", "1\n2\n");
    jobs(&world, 1).await;
    service.reload(&config("[queue]\nmax_tasks = 1\n")).unwrap();
    service.wait_log("queue.max_tasks", SOON).await.unwrap();
    drop_file(&world, "b", "1\n2\n");
    jobs(&world, 3).await;
    service.reload(&config("[queue]\nmax_tasks = 0\n")).unwrap();
    service.wait_log("the old one stays", SOON).await.unwrap();
    drop_file(&world, "c", "1\n2\n");
    jobs(&world, 5).await;
}
