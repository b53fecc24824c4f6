//! A program that takes results.

use std::fs;
use std::path::Path;

use anyhow::ensure;
use distjob_core::JobState;
use harness::eventually;
use serde_json::Value;

use super::{is_whole, sink, spool_is_empty};
use crate::SOON;
use crate::stage::{QUEUE, Stage};

/// A sink whose program is `/bin/sh` with this script, in which `$1` is the path and `$2` the manifest's; it sees `OUT`.
fn shell(script: &str, more: &str) -> String {
    let argv = serde_json::json!([
        "/bin/sh",
        "-c",
        script,
        "sh",
        "{path}",
        "{manifest}",
        "{id}/{queue}/{conclusion}"
    ]);
    sink(
        "command",
        &format!(
            "{more}\ncommand.argv = {argv}\ncommand.environment = [\"PATH\", \"OUT\"]\ncommand.kill_after = \"200ms\""
        ),
    )
}

async fn watcher(stage: &Stage, out: &Path, script: &str, more: &str) -> harness::Process {
    let program = stage
        .program(&shell(script, more))
        .env("OUT", out)
        .env("SECRET", "x");
    stage.world.start_member(program, "w").await.unwrap()
}

#[tokio::test]
async fn a_program_takes_the_result_and_its_manifest_and_sees_nothing_else() {
    let stage = Stage::new().await;
    let out = tempfile::tempdir().unwrap();
    let script =
        "set -e; cp \"$1\" $OUT/result; cp \"$2\" $OUT/manifest; echo \"$3\" > $OUT/words; env > $OUT/env";
    let job = stage.processed(20).await;
    let _watcher = watcher(&stage, out.path(), script, "").await;
    stage.gone(&job).await;
    is_whole(&fs::read(out.path().join("result")).unwrap(), &job);
    let manifest: Value = serde_json::from_slice(&fs::read(out.path().join("manifest")).unwrap()).unwrap();
    assert_eq!(manifest["id"], job.id.as_str());
    let words = fs::read_to_string(out.path().join("words")).unwrap();
    assert_eq!(words, format!("{}/{QUEUE}/partly-failed\n", job.id));
    let variables = fs::read_to_string(out.path().join("env")).unwrap();
    let key = format!("DISTJOB_KEY={}.{}\n", job.id, job.entry.life);
    assert!(
        variables.contains(&key) && !variables.contains("SECRET"),
        "{variables}"
    );
    spool_is_empty(&stage).await;
}

#[tokio::test]
async fn a_program_that_fails_says_why_and_is_run_again() {
    let stage = Stage::new().await;
    let out = tempfile::tempdir().unwrap();
    let script = "test -e $OUT/once && exit 0; touch $OUT/once; echo the tape is torn >&2; exit 3";
    let job = stage.processed(3).await;
    let watcher = watcher(&stage, out.path(), script, "").await;
    let said = watcher.wait_log("the tape is torn", SOON).await.unwrap();
    assert!(said.contains("exit status: 3"), "{said}");
    stage.gone(&job).await;
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_that_it_started() {
    let stage = Stage::new().await;
    let out = tempfile::tempdir().unwrap();
    // Nothing here minds TERM.
    let script = "test -e $OUT/once && exit 0; touch $OUT/once; trap '' TERM; sleep 1000 & echo $! > $OUT/pid; wait; wait";
    let job = stage.processed(3).await;
    let watcher = watcher(&stage, out.path(), script, "timeout = \"1s\"").await;
    watcher.wait_log("still ran after 1s", SOON).await.unwrap();
    stage.gone(&job).await;
    let pid = fs::read_to_string(out.path().join("pid")).unwrap();
    eventually("what it started is gone", SOON, async || {
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
        ensure!(status.is_empty() || status.contains("State:\tZ"), "{status}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_program_that_is_missing_is_named() {
    let stage = Stage::new().await;
    let job = stage.processed(3).await;
    let more = sink("command", "command.argv = [\"/no/such/program\", \"{path}\"]");
    let watcher = stage.world.start_member(stage.program(&more), "w").await.unwrap();
    let said = watcher
        .wait_log("hand the result to /no/such/program", SOON)
        .await
        .unwrap();
    assert!(said.contains("No such file"), "{said}");
    assert!(stage.look(&job).await.is_some());
}

#[tokio::test]
async fn a_program_keeps_its_manifest_when_another_one_has_ended() {
    let stage = Stage::new().await;
    let out = tempfile::tempdir().unwrap();
    // The second one looks when the first one is known to have the result.
    let first = "cp \"$2\" $OUT/first";
    let second = "while ! test -e $OUT/go; do sleep 0.05; done; cp \"$2\" $OUT/second";
    let argv = |script: &str| serde_json::json!(["/bin/sh", "-c", script, "sh", "{path}", "{manifest}"]);
    let more = format!(
        "{}[sinks.second]\nkind = \"command\"\ncommand.argv = {}\n\
         command.environment = [\"PATH\", \"OUT\"]\n[queues.{QUEUE}]\nsinks = [\"default\", \"second\"]\n",
        shell(first, ""),
        argv(second)
    );
    let job = stage.processed(3).await;
    let program = stage.program(&more).env("OUT", out.path());
    let watcher = stage.world.start_member(program, "w").await.unwrap();
    eventually("the first has ended", SOON, async || {
        let metrics = watcher.admin_get("/metrics").await?.body;
        ensure!(
            metrics.contains("sink_deliveries_total{sink=\"default\"} 1"),
            "{metrics}"
        );
        Ok(())
    })
    .await;
    fs::write(out.path().join("go"), "").unwrap();
    stage.gone(&job).await;
    assert!(out.path().join("second").exists());
    let metrics = watcher.admin_get("/metrics").await.unwrap().body;
    assert!(!metrics.contains("sink_failures_total{"), "{metrics}");
}

#[tokio::test]
async fn a_result_that_a_failing_program_has_taken_away_is_collected_again() {
    let stage = Stage::new().await;
    let out = tempfile::tempdir().unwrap();
    let script =
        "if test -e $OUT/once; then cp \"$1\" $OUT/result; exit; fi; touch $OUT/once; rm \"$1\"; exit 3";
    let job = stage.processed(20).await;
    let _watcher = watcher(&stage, out.path(), script, "").await;
    stage.gone(&job).await;
    is_whole(&fs::read(out.path().join("result")).unwrap(), &job);
    spool_is_empty(&stage).await;
}

#[tokio::test]
async fn a_job_that_is_not_done_goes_back_whether_its_sink_takes_results_or_not() {
    let stage = Stage::new().await;
    let out = tempfile::tempdir().unwrap();
    // Fails once, and the next time keeps all others waiting.
    let script = "test -e $OUT/once || { touch $OUT/once; exit 3; }; touch $OUT/again; \
                  while ! test -e $OUT/go; do sleep 0.05; done";
    let delivered = stage.processed(3).await;
    let _watcher = watcher(&stage, out.path(), script, "").await;
    eventually("it is tried again", SOON, async || {
        ensure!(out.path().join("again").exists(), "not yet");
        Ok(())
    })
    .await;
    let mut unfinished = stage.submit(3).await;
    stage.set(&mut unfinished, JobState::Processed).await;
    unfinished.entry = stage.reaches(&unfinished, JobState::Submitted).await;
    fs::write(out.path().join("go"), "").unwrap();
    stage.gone(&delivered).await;
    stage.execute(&unfinished, 3).await;
    stage.set(&mut unfinished, JobState::Processed).await;
    stage.gone(&unfinished).await;
}

#[tokio::test]
async fn jobs_that_wait_for_a_pipeline_take_the_way_of_the_newest_configuration() {
    let stage = Stage::new().await;
    let out = tempfile::tempdir().unwrap();
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(stage.processed(3).await);
    }
    let old = "touch $OUT/begun; while ! test -e $OUT/go; do sleep 0.05; done; echo >> $OUT/old";
    let watcher = watcher_of_one(&stage, out.path(), old).await;
    eventually("the first has begun", SOON, async || {
        ensure!(out.path().join("begun").exists(), "not yet");
        Ok(())
    })
    .await;
    let new = shell("echo >> $OUT/new", "");
    let toml = format!("{}\n[watcher]\npipelines = 1\n{new}", stage.world.config());
    watcher.reload(&toml).unwrap();
    watcher.wait_log("configuration reloaded", SOON).await.unwrap();
    fs::write(out.path().join("go"), "").unwrap();
    for job in &jobs {
        stage.gone(job).await;
    }
    let count = |name: &str| fs::read(out.path().join(name)).map_or(0, |lines| lines.len());
    // One had a pipeline, and one may have stood in for it.
    assert!(
        count("old") <= 2 && count("old") + count("new") == 5,
        "{} {}",
        count("old"),
        count("new")
    );
}

async fn watcher_of_one(stage: &Stage, out: &Path, script: &str) -> harness::Process {
    let program = stage.program(&format!("pipelines = 1\n{}", shell(script, "")));
    let program = program.env("OUT", out);
    stage.world.start_member(program, "w").await.unwrap()
}
