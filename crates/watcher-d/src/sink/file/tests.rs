//! The sink on a real file system.

use distjob_core::{
    Conclusion, JobData, JobEntry, MemberName, Packed, TaskRange, Zxid,
    outcome::Outcome,
    store::{Chunk, Slice},
    watcher::Loss,
};
use tempfile::TempDir;

use super::*;

fn holder(born: u64, name: &str) -> Holder {
    Holder {
        born: Zxid::new(born),
        name: MemberName::new(name).unwrap(),
    }
}

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

fn queue() -> QueueName {
    QueueName::default_queue()
}

fn sink_in(directory: &TempDir) -> FileSink {
    FileSink::new(directory.path().join("a/b"), holder(7, "me"))
}

/// Tasks `lo..hi`, each its own index, the odd ones failed.
fn slice(lo: u64, hi: u64) -> Slice {
    let tasks: Vec<Vec<u8>> = (lo..hi).map(|index| index.to_string().into_bytes()).collect();
    let mut packed = Packed::default();
    for (index, task) in (lo..hi).zip(&tasks) {
        packed.push(if index % 2 == 0 {
            Outcome::Ok(task)
        } else {
            Outcome::Err(task)
        });
    }
    let range = TaskRange::new(lo, hi).unwrap();
    Slice {
        chunks: vec![Chunk {
            range,
            packed: packed.bytes().to_vec(),
        }],
        tasks,
    }
}

/// What was collected, published.
async fn published(collecting: Box<dyn Collecting>, name: &str) -> Tally {
    let collected = collecting.finish().await.unwrap();
    let tally = collected.tally();
    collected.publish(manifest(name, tally)).await.unwrap();
    tally
}

fn manifest(name: &str, tally: Tally) -> Manifest {
    let entry = JobEntry {
        data: JobData::parse(b"prcd=5;deadline=17").unwrap(),
        life: Zxid::new(0x1f),
        version: 1,
        created_ms: 3,
    };
    Manifest::new(&id(name), &entry, tally, Conclusion::PartlyFailed, 4)
}

fn result(sink: &FileSink, name: &str) -> PathBuf {
    sink.result(&id(name), &queue()).target
}

fn partials(sink: &FileSink) -> Vec<String> {
    let entries = fs::read_dir(sink.queue_directory(&queue()).join(sweep::PARTIAL)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_appears_whole_under_its_name_and_not_before() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    let collecting = sink.collect(&id("job"), &queue());
    assert!(collecting.push(slice(0, 2)).await);
    assert!(collecting.push(slice(2, 5)).await);
    let collected = collecting.finish().await.unwrap();
    let target = result(&sink, "job");
    assert!(!target.exists());
    assert_eq!(partials(&sink), ["job.0000000000000007.me"]);

    let tally = collected.tally();
    collected.publish(manifest("job", tally)).await.unwrap();
    let text = fs::read_to_string(target).unwrap();
    assert_eq!(
        tally,
        Tally {
            ok: 3,
            err: 2,
            attempts: 5,
            bytes: text.len() as u64
        }
    );
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], index);
        assert_eq!(line["task"], index.to_string());
        assert_eq!(line["outcome"], if index % 2 == 0 { "ok" } else { "err" });
    }
    assert_eq!(lines.len(), 5);
    assert!(partials(&sink).is_empty());
}

#[tokio::test]
async fn a_job_without_tasks_is_an_empty_file() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    let tally = published(sink.collect(&id("none"), &queue()), "none").await;
    assert_eq!(tally, Tally::default());
    assert_eq!(fs::read(result(&sink, "none")).unwrap(), Vec::<u8>::new());
}

#[tokio::test]
async fn a_second_delivery_replaces_the_first() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    for _ in 0..2 {
        let collecting = sink.collect(&id("job"), &queue());
        collecting.push(slice(0, 3)).await;
        published(collecting, "job").await;
    }
    let text = fs::read_to_string(result(&sink, "job")).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(partials(&sink).is_empty());
}

#[tokio::test]
async fn a_manifest_says_beside_the_result_what_it_is() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    let collecting = sink.collect(&id("job"), &queue());
    assert!(collecting.push(slice(0, 5)).await);
    let tally = published(collecting, "job").await;
    let path = sink.manifest(&id("job"), &queue()).target;
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(
        manifest,
        serde_json::json!({
            "id": "job", "life": "000000000000001f", "queue": "default", "conclusion": "partly-failed",
            "tasks": 5, "ok": 3, "failed": 2, "attempts": 5, "bytes": tally.bytes,
            "created_ms": 3, "deadline_ms": 17, "delivered_ms": 4
        })
    );
}

#[tokio::test]
async fn a_result_whose_manifest_cannot_be_written_is_not_seen() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    let collected = sink.collect(&id("job"), &queue()).finish().await.unwrap();
    let manifest_place = sink.manifest(&id("job"), &queue()).target;
    fs::create_dir(&manifest_place).unwrap();
    let error = collected
        .publish(manifest("job", Tally::default()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("rename a partial file to"), "{error}");
    assert!(!result(&sink, "job").exists());
    assert!(partials(&sink).is_empty());
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    let collecting = sink.collect(&id("job"), &queue());
    collecting.push(slice(0, 2)).await;
    collecting.discard().await;
    assert!(partials(&sink).is_empty());

    drop(sink.collect(&id("job"), &queue()).finish().await.unwrap());
    assert!(partials(&sink).is_empty());
    assert!(!result(&sink, "job").exists());
}

#[tokio::test]
async fn outcomes_that_do_not_fit_their_tasks_end_the_file_with_the_place() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    let collecting = sink.collect(&id("job"), &queue());
    let mut damaged = slice(2, 4);
    damaged.chunks[0].packed.pop();
    collecting.push(slice(0, 2)).await;
    collecting.push(damaged).await;
    // The writer gives up at some moment; from then on nothing is taken any more.
    while collecting.push(slice(4, 6)).await {}
    match collecting.finish().await {
        Err(CollectError::Loss(loss)) => assert_eq!(loss, Loss::Corrupt(2)),
        other => panic!("{other:?}"),
    }
    assert!(partials(&sink).is_empty());
}

#[tokio::test]
async fn an_error_names_what_failed_and_where() {
    let directory = TempDir::new().unwrap();
    let blocker = directory.path().join("file");
    fs::write(&blocker, "not a directory").unwrap();
    let sink = FileSink::new(blocker.join("results"), holder(7, "me"));
    let error = sink.collect(&id("job"), &queue()).finish().await.unwrap_err();
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(
        text.starts_with("create the directory ") && text.contains("/file: File exists"),
        "{text}"
    );
}

#[tokio::test]
async fn directories_that_were_removed_are_made_again() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    for _ in 0..2 {
        published(sink.collect(&id("job"), &queue()), "job").await;
        assert!(result(&sink, "job").exists());
        fs::remove_dir_all(&sink.inner.directory).unwrap();
    }
}

#[tokio::test]
async fn only_leftovers_of_members_proven_dead_are_swept() {
    let directory = TempDir::new().unwrap();
    let sink = sink_in(&directory);
    assert_eq!(sink.sweep(Arc::default()).await.unwrap(), 0);
    sink.settle(&queue()).unwrap();
    let names = [
        "job.0000000000000003.dead",
        "job.0000000000000003.dead.manifest",
        "job.0000000000000004.alive",
        "job.0000000000000004.alive.manifest",
        "job.0000000000000009.younger-than-the-list",
        "something.else",
    ];
    for name in names {
        fs::write(
            sink.queue_directory(&queue()).join(sweep::PARTIAL).join(name),
            "x",
        )
        .unwrap();
    }
    let members = [(MemberName::new("alive").unwrap(), None)].into();
    let roster = Arc::new(Roster {
        as_of: Zxid::new(8),
        members,
        ..Roster::default()
    });
    assert_eq!(sink.sweep(roster).await.unwrap(), 2);
    assert_eq!(partials(&sink), names[2..]);
}
