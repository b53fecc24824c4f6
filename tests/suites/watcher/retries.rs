//! Failed tasks, kept by the watcher and submitted again by `distjobctl retry`.

use distjob_core::{JobId, JobState, Source};
use harness::World;
use redis::AsyncCommands as _;
use serde_json::json;

use crate::SOON;
use crate::stage::{Job, QUEUE, Stage};

/// A job of `count` tasks that was delivered.
async fn delivered(stage: &Stage, count: usize) -> Job {
    let _watcher = stage.watcher("w").await;
    let job = stage.processed(count).await;
    stage.delivered(&job).await;
    job
}

/// What the error of a retry of a job says.
async fn refused(stage: &Stage, job: &str) -> String {
    let process = stage.start_ctl(&["retry", job]);
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    process.stderr().tail(10)
}

/// The tasks of a job that is open.
async fn tasks(stage: &Stage, id: &JobId) -> Vec<Vec<u8>> {
    let mut redis = stage.world.redis().await.unwrap();
    let key = stage.store.keys().job(id).tasks;
    redis.lrange(key, 0, -1).await.unwrap()
}

#[tokio::test]
async fn a_retry_has_the_failed_tasks_alone_in_their_order_and_is_made_once() {
    let stage = Stage::new().await;
    // Slices of seven tasks, with every byte value in them.
    let job = delivered(&stage, 100).await;
    let id = job.id.retry(job.entry.life);
    let expected = json!({"id": job.id.as_str(), "failed": 33, "retry": id.as_str(), "outcome": "submitted",
        "queue": QUEUE});
    assert_eq!(stage.ctl(&["retry", job.id.as_str()]).await, (0, expected));
    assert_eq!(tasks(&stage, &id).await, job.failed_tasks());
    let data = &stage.world.jobs().await.unwrap()[id.as_str()];
    assert!(
        data.starts_with(&format!("subm=33;queue={QUEUE};from=")),
        "{data}"
    );

    let (status, again) = stage.ctl(&["retry", job.id.as_str()]).await;
    assert_eq!((status, &again["outcome"]), (0, &json!("already")));
    // Also when the list is gone.
    stage.forget_failed(&job).await;
    let (status, again) = stage.ctl(&["retry", job.id.as_str()]).await;
    assert_eq!((status, &again["retry"]), (0, &json!(id.as_str())));
    assert_eq!(stage.world.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_retry_can_be_retried() {
    let stage = Stage::new().await;
    let job = delivered(&stage, 30).await;
    assert_eq!(stage.ctl(&["retry", job.id.as_str()]).await.0, 0);
    let (mut job, failed) = (stage.opened(&job.id.retry(job.entry.life)).await, 3);
    stage.execute(&job, 10).await;
    stage.set(&mut job, JobState::Processed).await;
    let _watcher = stage.watcher("w").await;
    stage.delivered(&job).await;
    let (status, report) = stage.ctl(&["retry", job.id.as_str()]).await;
    assert_eq!((status, &report["failed"]), (0, &json!(failed)));
    let second = job.id.retry(job.entry.life);
    assert_eq!(tasks(&stage, &second).await, job.failed_tasks());
}

#[tokio::test]
async fn a_job_that_is_not_finished_or_never_was_is_not_retried() {
    let stage = Stage::new().await;
    let job = stage.submit(3).await;
    let said = refused(&stage, job.id.as_str()).await;
    assert!(
        said.contains("is not finished, but subm") && said.contains("distjobctl wait"),
        "{said}"
    );
    let said = refused(&stage, "never").await;
    assert!(said.contains("never was, or ended longer ago"), "{said}");
}

#[tokio::test]
async fn a_retry_of_tasks_that_are_not_kept_any_more_says_how_to_do_it_by_hand() {
    let stage = Stage::new().await;
    let job = delivered(&stage, 30).await;
    // One is missing: rather nothing than a part.
    let mut redis = stage.world.redis().await.unwrap();
    let _: Vec<u8> = redis
        .rpop(stage.failed_key(&job).await.unwrap(), None)
        .await
        .unwrap();
    let said = refused(&stage, job.id.as_str()).await;
    assert!(said.contains("redis has kept 9 of the 10 failed tasks"), "{said}");
    stage.forget_failed(&job).await;
    let said = refused(&stage, job.id.as_str()).await;
    assert!(
        said.contains("are not kept, or not any more") && said.contains("jq -r"),
        "{said}"
    );
    assert!(stage.world.jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_retry_that_was_killed_is_done_by_the_next() {
    for (point, outcome) in [("pushed", "submitted"), ("created", "already")] {
        let stage = Stage::new().await;
        let job = delivered(&stage, 30).await;
        let killed = stage.ctl_program(&["retry", job.id.as_str()]);
        let killed = killed.env("DISTJOB_TEST_POINTS", format!("{point}=kill"));
        let killed = stage.world.start(killed, "killed").unwrap();
        assert_eq!(killed.wait(SOON).await.unwrap().code(), None, "{point}");
        let (status, report) = stage.ctl(&["retry", job.id.as_str()]).await;
        assert_eq!((status, &report["outcome"]), (0, &json!(outcome)), "{point}");
        let retry = stage.opened(&job.id.retry(job.entry.life)).await;
        assert_eq!(tasks(&stage, &retry.id).await, job.failed_tasks(), "{point}");
    }
}

#[tokio::test]
async fn a_watcher_that_dies_or_comes_back_late_does_no_harm_to_what_another_keeps() {
    for action in ["kill", "stop"] {
        let stage = Stage::new().await;
        let point = format!("before-rename={action}");
        let first = stage.watcher_with_point("first", &point).await;
        let job = stage.processed(30).await;
        first.wait_log("a test asked for this", SOON).await.unwrap();
        let _second = stage.watcher("second").await;
        stage.delivered(&job).await;
        if action == "stop" {
            first.resume().unwrap();
            first.wait_log("registered", SOON).await.unwrap();
            first.stop(SOON).await.unwrap();
        }
        assert_eq!(stage.kept(&job).await, job.failed_tasks(), "{action}");
        assert_eq!(stage.ctl(&["retry", job.id.as_str()]).await.0, 0);
    }
}

#[tokio::test]
async fn failed_tasks_are_kept_also_when_another_watcher_cleans_up() {
    for point in ["uploaded", "dropped"] {
        let stage = Stage::new().await;
        let first = stage.watcher_with_point("first", &format!("{point}=kill")).await;
        let job = stage.processed(30).await;
        assert!(!first.wait(SOON).await.unwrap().success());
        let _second = stage.watcher("second").await;
        stage.delivered(&job).await;
        assert_eq!(stage.kept(&job).await, job.failed_tasks(), "{point}");
    }
}

#[tokio::test]
async fn where_failed_tasks_are_not_to_be_kept_they_are_not() {
    let stage = Stage::new().await;
    let program = stage.program("keep_failed = false\n");
    let _watcher = stage.world.start_member(program, "w").await.unwrap();
    let job = stage.processed(30).await;
    stage.delivered(&job).await;
    assert_eq!(stage.kept(&job).await, [[0_u8; 0]; 0]);
}

#[tokio::test]
async fn a_store_without_room_for_failed_tasks_holds_no_delivery_up() {
    let stage = Stage::in_world(World::private().await.unwrap()).await;
    let watcher = stage.watcher("w").await;
    let mut job = stage.submit(30).await;
    stage.execute(&job, 30).await;
    let mut redis = stage.world.redis().await.unwrap();
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("1");
    limit.query_async::<()>(&mut redis).await.unwrap();
    stage.set(&mut job, JobState::Processed).await;
    stage.delivered(&job).await;
    watcher
        .wait_log("cannot be kept for a retry", SOON)
        .await
        .unwrap();
    let said = refused(&stage, job.id.as_str()).await;
    assert!(said.contains("are not kept, or not any more"), "{said}");
}

#[tokio::test]
async fn a_large_list_is_kept_and_copied_in_many_pages() {
    let stage = Stage::new().await;
    let tasks: Vec<Vec<u8>> = (0..60)
        .map(|index: usize| index.to_string().repeat(20_000).into_bytes())
        .collect();
    let mut job = stage.announce(60, tasks).await;
    let source: &Source = &job.entry.data.source;
    let open = stage.store.open(&job.id, job.entry.life, 60, source);
    open.await.unwrap();
    stage.execute(&job, 60).await;
    stage.set(&mut job, JobState::Processed).await;
    let _watcher = stage.watcher("w").await;
    stage.delivered(&job).await;
    assert_eq!(stage.ctl(&["retry", job.id.as_str()]).await.0, 0);
    let retry = job.id.retry(job.entry.life);
    assert!(self::tasks(&stage, &retry).await == job.failed_tasks());
}
