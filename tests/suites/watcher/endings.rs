//! What a job is said to have come to: beside its result, in its tombstone, to who waits for it, in metrics.

use serde_json::json;

use crate::stage::{QUEUE, Stage};

/// Delivers 90 tasks, of which 30 fail, with this policy; checks that everybody says the same.
async fn concludes(policy: &str, conclusion: &str, status: i32) {
    let stage = Stage::new().await;
    let program = stage.program(&format!("\n{policy}\n"));
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    let waiting = stage.submit(90).await;
    let wait = stage.start_ctl(&["wait", waiting.id.as_str()]);
    stage.execute(&waiting, 90).await;
    let mut waiting = waiting;
    stage.set(&mut waiting, distjob_core::JobState::Processed).await;
    stage.gone(&waiting).await;

    // Who waited while it went, and who asks afterwards.
    let expected = json!({"id": waiting.id.as_str(), "outcome": "delivered", "conclusion": conclusion,
        "tasks": 90, "failed": 30});
    let (waited, report) = Stage::ended(&wait).await;
    assert_eq!((waited, &report["jobs"][0]), (status, &expected));
    let (waited, report) = stage.ctl(&["wait", waiting.id.as_str()]).await;
    assert_eq!((waited, &report["jobs"][0]), (status, &expected));
    let (_, show) = stage.ctl(&["show", waiting.id.as_str()]).await;
    assert_eq!(
        (&show["store"]["conclusion"], &show["store"]["failed"]),
        (&json!(conclusion), &json!(30))
    );

    let manifest = stage.manifest(&waiting);
    assert_eq!(manifest["conclusion"], conclusion);
    let metrics = watcher.admin_get("/metrics").await.unwrap().body;
    let counted = format!("distjob_jobs_concluded_total{{queue=\"{QUEUE}\",conclusion=\"{conclusion}\"}} 1");
    assert!(metrics.contains(&counted), "{metrics}");
    watcher
        .wait_log(&format!("conclusion={conclusion}"), crate::SOON)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_third_that_failed_is_a_part_of_the_job() {
    concludes("", "partly-failed", 3).await;
}

#[tokio::test]
async fn failures_that_the_queue_tolerates_are_a_success() {
    concludes("[queue]\ntolerate = \"34%\"", "succeeded", 0).await;
}

#[tokio::test]
async fn what_is_said_of_one_queue_counts_there() {
    concludes(
        "[queue]\ntolerate = \"100%\"\n[queues.plays]\ntolerate = \"0%\"\nfailed_from = \"33.3%\"",
        "failed",
        1,
    )
    .await;
}

#[tokio::test]
async fn a_job_without_tasks_and_one_without_failures_have_succeeded() {
    let stage = Stage::new().await;
    let _watcher = stage.watcher("w").await;
    for count in [0, 2] {
        let job = stage.processed(count).await;
        stage.delivered(&job).await;
        let (status, report) = stage.ctl(&["wait", job.id.as_str()]).await;
        assert_eq!(
            (status, &report["jobs"][0]["conclusion"]),
            (0, &json!("succeeded")),
            "{report}"
        );
        let (status, report) = stage.ctl(&["retry", job.id.as_str()]).await;
        assert_eq!((status, &report["outcome"]), (0, &json!("nothing_failed")));
    }
}

#[tokio::test]
async fn the_tombstone_of_a_cancelled_job_says_so() {
    let stage = Stage::new().await;
    let mut job = stage.submit(5).await;
    stage.set(&mut job, distjob_core::JobState::Cancelled).await;
    let _watcher = stage.watcher("w").await;
    stage.gone(&job).await;
    let (status, report) = stage.ctl(&["wait", job.id.as_str()]).await;
    assert_eq!((status, &report["jobs"][0]["outcome"]), (1, &json!("cancelled")));
    let (status, _) = stage.ctl(&["retry", job.id.as_str()]).await;
    assert_eq!(status, 1);
}
