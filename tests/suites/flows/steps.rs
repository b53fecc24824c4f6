//! What follows a job, by each kind of step.

use anyhow::ensure;
use distjob_core::{JobState, QueueName};
use harness::eventually;
use serde_json::{Value, json};

use crate::SOON;
use crate::plot::{Plot, errors, values};
use crate::stage::{Job, QUEUE};

const MERGE: (&str, &str) = ("merge", "queue = \"merged\"");

#[tokio::test]
async fn the_values_of_a_job_become_the_tasks_of_another() {
    let plot = Plot::new(&[MERGE]).await;
    let job = plot.stage.processed(23).await;
    let _watcher = plot.watcher("w").await;
    let follow_up = plot.follow_up(&job, "merge").await.unwrap();
    assert_eq!(follow_up.tasks, values(&job));
    let data = &follow_up.entry.data;
    assert_eq!(
        (
            &data.queue,
            data.count,
            data.ties.depth,
            data.ties.parent.as_ref()
        ),
        (
            &QueueName::new("merged").unwrap(),
            follow_up.tasks.len() as u64,
            1,
            Some(&job.id)
        )
    );
    plot.comes_true(&job, "merge", &values(&job)).await;
    plot.stage.delivered(&job).await;
}

#[tokio::test]
async fn several_jobs_follow_one_each_with_what_its_step_takes() {
    let steps = [
        MERGE,
        ("errors", "queue = \"e\"\nresults = \"err\""),
        ("again", "queue = \"a\"\nresults = \"err\"\npayload = \"task\""),
        ("lines", "queue = \"l\"\nresults = \"all\"\npayload = \"line\""),
        ("whole", "queue = \"w\"\npayload = \"archive\""),
    ];
    let plot = Plot::new(&steps).await;
    let job = plot.stage.processed(23).await;
    let _watcher = plot.watcher("w").await;
    plot.comes_true(&job, "merge", &values(&job)).await;
    plot.comes_true(&job, "errors", &errors(&job)).await;
    plot.comes_true(&job, "again", &job.failed_tasks()).await;
    let path = plot
        .stage
        .world
        .sink()
        .join(QUEUE)
        .join(format!("{}.jsonl", job.id));
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    plot.comes_true(&job, "lines", &lines).await;
    let whole = plot.follow_up(&job, "whole").await.unwrap();
    let [told] = &whole.tasks[..] else {
        panic!("{} tasks", whole.tasks.len())
    };
    let (told, manifest): (Value, _) = (serde_json::from_slice(told).unwrap(), plot.stage.manifest(&job));
    assert_eq!(told["locations"], json!({"default": path.to_str().unwrap()}));
    assert_eq!(
        (&told["job"], &told["tasks"], &told["failed"]),
        (&json!(job.id.as_str()), &json!(23), &json!(7))
    );
    for field in [
        "life",
        "queue",
        "conclusion",
        "format",
        "archive",
        "sha256",
        "bytes",
    ] {
        assert_eq!(told[field], manifest[field], "{field}");
    }
    plot.finish(whole).await;
    plot.stage.delivered(&job).await;
}

#[tokio::test]
async fn a_job_that_would_have_no_tasks_does_not_follow() {
    let plot = Plot::new(&[("dead", "queue = \"d\"\nresults = \"err\"")]).await;
    // Every third task fails.
    let job = plot.stage.processed(2).await;
    let _watcher = plot.watcher("w").await;
    assert!(plot.follow_up(&job, "dead").await.is_none());
    plot.stage.delivered(&job).await;
    let empty = plot.stage.processed(0).await;
    assert!(plot.follow_up(&empty, "dead").await.is_none());
    plot.stage.delivered(&empty).await;
}

#[tokio::test]
async fn a_step_follows_only_such_an_end_as_it_names() {
    let plot = Plot::new(&[
        ("good", "queue = \"g\"\nwhen = [\"succeeded\"]"),
        ("bad", "queue = \"b\"\nwhen = [\"partly-failed\", \"failed\"]"),
    ])
    .await;
    let _watcher = plot.watcher("w").await;
    for (count, follows, does_not) in [(2, "good", "bad"), (3, "bad", "good")] {
        let job = plot.stage.processed(count).await;
        plot.comes_true(&job, follows, &values(&job)).await;
        assert!(plot.follow_up(&job, does_not).await.is_none(), "{does_not}");
        plot.stage.delivered(&job).await;
    }
}

#[tokio::test]
async fn a_job_of_many_tasks_is_followed_by_all_of_them() {
    let plot = Plot::new(&[("all", "queue = \"a\"\nresults = \"all\"\npayload = \"task\"")]).await;
    // More than go to the store at once.
    let job = plot.stage.processed(9001).await;
    let _watcher = plot.watcher("w").await;
    plot.comes_true(&job, "all", &job.tasks).await;
}

#[tokio::test]
async fn a_job_that_follows_too_many_is_delivered_and_nothing_follows_it() {
    let plot = Plot::new(&[MERGE]).await;
    let deep = async |depth| -> Job {
        let mut job = plot.stage.submit(5).await;
        plot.stage.execute(&job, 5).await;
        job.entry.data.ties.depth = depth;
        plot.stage.set(&mut job, JobState::Processed).await;
        job
    };
    let (last, beyond) = (deep(31).await, deep(32).await);
    let watcher = plot.watcher("w").await;
    plot.comes_true(&last, "merge", &values(&last)).await;
    assert!(plot.follow_up(&beyond, "merge").await.is_none());
    plot.stage.delivered(&beyond).await;
    let log = watcher.stderr();
    log.wait("nothing follows this job", SOON).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_job_is_followed_by_nothing() {
    let plot = Plot::new(&[MERGE]).await;
    let mut job = plot.stage.submit(5).await;
    plot.stage.execute(&job, 5).await;
    plot.stage.set(&mut job, JobState::Cancelled).await;
    let _watcher = plot.watcher("w").await;
    assert!(plot.follow_up(&job, "merge").await.is_none());
    plot.stage.nothing_is_left().await;
}

#[tokio::test]
async fn what_was_staged_for_an_end_that_did_not_come_does_not_stay_in_the_store() {
    let alarm = "queue = \"alarm\"\nresults = \"all\"\npayload = \"task\"\nwhen = [\"failed\"]";
    let plot = Plot::new(&[("alarm", alarm)]).await;
    // It comes to partly-failed.
    let job = plot.stage.processed(23).await;
    let _watcher = plot.watcher("w").await;
    assert!(plot.follow_up(&job, "alarm").await.is_none());
    eventually("nothing is staged", SOON, async || {
        let keys = plot.stage.world.keys().await?;
        let staged = keys.iter().find(|key| key.name.contains(":in:then-"));
        ensure!(staged.is_none(), "{staged:?}");
        Ok(())
    })
    .await;
}
