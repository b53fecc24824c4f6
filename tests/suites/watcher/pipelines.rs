//! What becomes of a result between the store and its sinks: formats, archives, and the spool while a sink fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use distjob_core::trouble::SinkTrouble;
use distjob_core::{JobState, SinkName};
use futures::future::join_all;
use harness::{Delivered, Process, eventually};
use redis::AsyncCommands as _;
use serde_json::{Value, json};

use crate::SOON;
use crate::stage::{Job, QUEUE, Stage};

/// What a program writes to its stdout; it has to succeed.
fn output_of(program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    output.stdout
}

/// A watcher with these lines more, which has registered.
async fn watcher(stage: &Stage, more: &str) -> Process {
    stage.world.start_member(stage.program(more), "w").await.unwrap()
}

/// The rows of a result, as standard tools bring them to light.
fn unpacked(archive: &str, path: &str, inner: &str) -> Vec<u8> {
    match archive {
        "none" => std::fs::read(path).unwrap(),
        "gzip" => output_of("gzip", &["-dc", path]),
        "zstd" => output_of("zstd", &["-dcq", path]),
        _ => {
            output_of("unzip", &["-tq", path]);
            output_of("unzip", &["-p", path, inner])
        }
    }
}

/// The rows of a job's result as CSV, read by another program: as lists of fields.
fn parsed_csv(text: &[u8]) -> Vec<Vec<String>> {
    let path = tempfile_of(text);
    let script = "import csv,json,sys\nprint(json.dumps(list(csv.reader(open(sys.argv[1],newline='')))))";
    let json = output_of("/usr/bin/python3", &["-c", script, path.to_str().unwrap()]);
    std::fs::remove_file(path).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn tempfile_of(bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("distjob-{}.csv", harness::unique()));
    std::fs::write(&path, bytes).unwrap();
    path
}

fn check_rows(format: &str, rows: &[u8], job: &Job) {
    let outcomes = job.tasks.iter().enumerate();
    let outcomes: Vec<_> = outcomes.map(|(index, task)| Job::outcome(index, task)).collect();
    match format {
        "jsonl" => {
            let lines = Delivered::parse(std::str::from_utf8(rows).unwrap()).unwrap();
            assert_eq!(lines.len(), job.tasks.len());
            for (line, (task, outcome)) in lines.iter().zip(job.tasks.iter().zip(&outcomes)) {
                assert_eq!((&line.task, &line.outcome), (task, outcome));
            }
        }
        "csv" => {
            let rows = parsed_csv(rows);
            assert_eq!(
                (rows.len(), rows[0][2].as_str()),
                (job.tasks.len() + 1, "outcome")
            );
            for (row, outcome) in rows[1..].iter().zip(&outcomes) {
                assert_eq!(row[2] == "ok", outcome.is_ok(), "{row:?}");
                assert_eq!(&row[4], outcome.as_ref().err().map_or("", String::as_str));
            }
        }
        _ => {
            let values = outcomes.into_iter().filter_map(Result::ok);
            let expected = values.flat_map(|value| [value, b"\n".to_vec()].concat());
            assert_eq!(rows, expected.collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn every_format_in_every_archive_is_what_standard_tools_read() {
    let formats = [("jsonl", "jsonl"), ("csv", "csv"), ("raw", "txt")];
    let archives = [("none", ""), ("gzip", ".gz"), ("zstd", ".zst"), ("zip", "")];
    for (archive, packed) in archives {
        let stage = Stage::new().await;
        for (format, ending) in formats {
            let more = format!(
                "[queue]\nformat = {format:?}\narchive = {archive:?}\nname = \"{{queue}}/{format}/{{date}}/{{id}}\"\n"
            );
            let watcher = watcher(&stage, &more).await;
            let job = stage.processed(100).await;
            stage.gone(&job).await;
            watcher.stop(SOON).await.unwrap();

            let (manifest, path) = delivered_in(&stage.world.sink(), &job);
            let inner = format!("{}.{ending}", job.id);
            let whole = if archive == "zip" {
                format!("{}.zip", job.id)
            } else {
                format!("{inner}{packed}")
            };
            assert!(
                path.ends_with(&whole) && path.contains(&format!("/{QUEUE}/{format}/20")),
                "{path}"
            );
            check_rows(format, &unpacked(archive, &path, &inner), &job);

            let sum = String::from_utf8(output_of("sha256sum", &[&path])).unwrap();
            assert_eq!(sum.split(' ').next(), manifest["sha256"].as_str());
            assert_eq!(
                std::fs::metadata(&path).unwrap().len(),
                manifest["bytes"].as_u64().unwrap()
            );
            assert_eq!(
                (&manifest["format"], &manifest["archive"]),
                (&json!(format), &json!(archive))
            );
            if archive == "zip" {
                let inside: Value =
                    serde_json::from_slice(&output_of("unzip", &["-p", &path, "manifest.json"])).unwrap();
                assert_eq!((&inside["tasks"], &inside["name"]), (&json!(100), &json!(inner)));
            }
        }
        stage.nothing_is_left().await;
    }
}

/// The manifest of a job somewhere below a directory, and the path of the result beside it.
fn delivered_in(directory: &Path, job: &Job) -> (Value, String) {
    let name = format!("{}.manifest.json", job.id);
    let found = output_of("find", &[directory.to_str().unwrap(), "-name", &name]);
    let path = String::from_utf8(found).unwrap().trim().to_owned();
    let manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let result = directory.join(manifest["name"].as_str().unwrap());
    (manifest, result.display().to_string())
}

#[tokio::test]
async fn a_death_at_any_point_of_the_way_of_an_archive_is_survived() {
    let dies_at = async |point: &str| {
        let stage = Stage::new().await;
        let more = "[queue]\narchive = \"zstd\"\n";
        let first = stage
            .program(more)
            .env("DISTJOB_TEST_POINTS", format!("{point}=kill"));
        let first = stage.world.start_member(first, "first").await.unwrap();
        let job = stage.processed(23).await;
        assert!(!first.wait(SOON).await.unwrap().success(), "{point}");
        if point == "zipped" {
            stage.reaches(&job, JobState::Zipped).await;
        }
        let _second = watcher(&stage, more).await;
        stage.gone(&job).await;
        let (_, path) = delivered_in(&stage.world.sink(), &job);
        check_rows("jsonl", &unpacked("zstd", &path, ""), &job);
        stage.nothing_is_left().await;
    };
    let points = [
        "locked",
        "collected",
        "zipped",
        "before-rename",
        "manifest-written",
        "manifest",
        "after-rename",
        "delivered",
        "uploaded",
        "dropped",
        "before-delete",
    ];
    for some in points.chunks(4) {
        join_all(some.iter().map(|point| dies_at(point))).await;
    }
}

/// A stage with a second sink that cannot be written to until its directory is made room for.
struct Blocked {
    stage: Stage,
    other: PathBuf,
}

impl Blocked {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let other = stage.world.sink().with_file_name("other");
        std::fs::write(&other, "in the way").unwrap();
        Self { stage, other }
    }

    /// Jobs of the queue of this suite go to both sinks, all others to the first.
    fn config(&self, more: &str) -> String {
        format!(
            "{more}[sinks.other]\ndirectory = {:?}\n[queues.{QUEUE}]\nsinks = [\"default\", \"other\"]\n",
            self.other
        )
    }

    fn unblock(&self) {
        std::fs::remove_file(&self.other).unwrap();
    }

    /// What is noted of a job, once something is.
    async fn trouble(&self, job: &Job) -> SinkTrouble {
        eventually("somebody notes the trouble", SOON, async || {
            let trouble = self.stage.store.trouble(&job.id).await?;
            trouble.ok_or_else(|| anyhow::anyhow!("nothing is noted"))
        })
        .await
    }

    /// Waits until the job is delivered to both sinks, and nothing is left.
    async fn delivered_to_both(&self, job: &Job) {
        self.stage.delivered(job).await;
        let (manifest, path) = delivered_in(&self.other, job);
        let (first, _) = delivered_in(&self.stage.world.sink(), job);
        assert_eq!(manifest["sha256"], first["sha256"]);
        check_rows("jsonl", &std::fs::read(path).unwrap(), job);
        eventually("the note is gone", SOON, async || {
            let trouble = self.stage.store.trouble(&job.id).await?;
            ensure!(trouble.is_none(), "{trouble:?}");
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_sink_that_fails_is_tried_again_from_the_spool_and_shows_and_holds_no_other_job_up() {
    let blocked = Blocked::new().await;
    let stage = &blocked.stage;
    let watcher = watcher(stage, &blocked.config("pipelines = 1\n")).await;
    let job = stage.processed(30).await;
    let trouble = blocked.trouble(&job).await;
    assert_eq!(trouble.sink.as_str(), "other");
    assert!(trouble.error.contains("other"), "{}", trouble.error);
    assert_eq!(stage.partials().len(), 1);
    // What is in the spool is all that is needed: the store is not read again.
    let mut redis = stage.world.redis().await.unwrap();
    let _: u64 = redis.del(stage.keys(&job).results).await.unwrap();

    let easy = stage.processed_in("easy", 3).await;
    stage.gone(&easy).await;
    let again = eventually("it is tried again", SOON, async || {
        let again = blocked.trouble(&job).await;
        ensure!(again.attempts > trouble.attempts, "{again:?}");
        Ok(again)
    })
    .await;
    assert_eq!(again.since_ms, trouble.since_ms);
    let metrics = watcher.admin_get("/metrics").await.unwrap().body;
    for counter in [
        "sink_failures_total{sink=\"other\"}",
        "sink_deliveries_total{sink=\"default\"}",
    ] {
        assert!(
            metrics.contains(&format!("\ndistjob_{counter} ")),
            "{counter}: {metrics}"
        );
    }

    blocked.unblock();
    blocked.delivered_to_both(&job).await;
}

#[tokio::test]
async fn without_room_in_the_spool_a_result_is_read_again() {
    let blocked = Blocked::new().await;
    let stage = &blocked.stage;
    let _watcher = watcher(stage, &blocked.config("spool_max = 0\n")).await;
    let job = stage.processed(30).await;
    blocked.trouble(&job).await;
    blocked.unblock();
    blocked.delivered_to_both(&job).await;
}

#[tokio::test]
async fn another_watcher_takes_over_what_waits_for_a_sink() {
    let blocked = Blocked::new().await;
    let stage = &blocked.stage;
    let first = watcher(stage, &blocked.config("")).await;
    let job = stage.processed(30).await;
    blocked.trouble(&job).await;
    first.kill().await.unwrap();
    let second = stage.program(&blocked.config(""));
    let _second = stage.world.start_member(second, "second").await.unwrap();
    blocked.unblock();
    stage.delivered(&job).await;
    let (_, path) = delivered_in(&blocked.other, &job);
    check_rows("jsonl", &std::fs::read(path).unwrap(), &job);
}

#[tokio::test]
async fn a_sink_that_an_operator_skips_is_not_waited_for() {
    let blocked = Blocked::new().await;
    let stage = &blocked.stage;
    let _watcher = watcher(stage, &blocked.config("")).await;
    let job = stage.processed(30).await;
    blocked.trouble(&job).await;
    let other = SinkName::new("other").unwrap();
    eventually("the skip is written", SOON, async || {
        let Some(entry) = stage.look(&job).await else {
            return Ok(());
        };
        let data = entry.data.skipping(&other).unwrap_or_else(|| entry.data.clone());
        stage.ledger.set(&job.id, &entry, &data).await?;
        let entry = stage.look(&job).await;
        let skips = entry.is_none_or(|entry| entry.data.ties.skip.contains(&other));
        ensure!(skips, "somebody else wrote at the same time");
        Ok(())
    })
    .await;
    stage.delivered(&job).await;
    assert!(blocked.other.is_file());
}
