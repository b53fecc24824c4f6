//! Spool and directory on a real file system.

use std::time::Duration;

use distjob_core::{
    Holder, JobData, JobEntry, JobId, MemberName, Packed, TaskRange, Zxid,
    outcome::Outcome,
    store::{Chunk, Slice},
    watcher::Loss,
};
use tempfile::TempDir;

use super::*;
use crate::{
    archive::Archive,
    config::QueueConfig,
    spool::{CollectError, Collected, Collecting, DiskSpool, Recipe, Spool as _, Tally},
};

fn holder(born: u64, name: &str) -> Holder {
    Holder {
        born: Zxid::new(born),
        name: MemberName::new(name).unwrap(),
    }
}

/// A directory with a spool in it, as a watcher has it by default.
struct Place {
    root: TempDir,
    spool: DiskSpool,
    sink: DirectorySink,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let directory = root.path().join("a/b");
        Self {
            spool: DiskSpool::new(&directory.join(PARTIAL), holder(7, "me")),
            sink: DirectorySink::new(SinkName::default_sink(), &directory),
            root,
        }
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("a/b")
    }

    fn collect(&self, id: &str) -> Box<dyn Collecting> {
        self.spool.collect(recipe(id))
    }

    /// What was collected, delivered.
    async fn delivered(&self, collecting: Box<dyn Collecting>, id: &str) -> Tally {
        let collected = collecting.finish().await.unwrap();
        self.deliver(&collected, id, true).await.unwrap();
        collected.tally
    }

    async fn deliver(&self, collected: &Collected, id: &str, move_it: bool) -> Result<Location, SinkError> {
        self.sink.deliver(parcel(collected, id, move_it)).await
    }

    fn result(&self, id: &str) -> PathBuf {
        self.directory().join(format!("default/{id}.jsonl"))
    }

    fn manifest(&self, id: &str) -> PathBuf {
        self.directory().join(format!("default/{id}.manifest.json"))
    }

    fn partials(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory().join(PARTIAL)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn recipe(id: &str) -> Recipe {
    let config: crate::Config = toml_edit::de::from_str(crate::EMBEDDED_CONFIG).unwrap();
    let queue: QueueConfig = config.queue;
    let entry = JobEntry {
        data: JobData::parse(b"prcd=5;deadline=17").unwrap(),
        life: Zxid::new(0x1f),
        version: 1,
        created_ms: 3,
    };
    Recipe::new(&JobId::new(id).unwrap(), &entry, &queue)
}

fn parcel(collected: &Collected, id: &str, may_be_moved: bool) -> Arc<Parcel> {
    let recipe = recipe(id);
    let manifest = recipe.manifest(&collected.tally, &collected.sha256, Vec::new());
    Arc::new(Parcel {
        job: recipe.id.clone(),
        life: recipe.entry.life,
        queue: recipe.entry.data.queue.clone(),
        name: recipe.name(manifest.conclusion),
        ending: recipe.ending(),
        path: collected.path.clone(),
        manifest: Arc::new(manifest),
        may_be_moved,
        moved: false.into(),
        hold: Arc::clone(&collected.hold),
    })
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
        tasks: tasks.iter().collect(),
    }
}

#[tokio::test]
async fn a_file_appears_whole_under_its_name_and_not_before() {
    let place = Place::new();
    let collecting = place.collect("job");
    assert!(collecting.push(slice(0, 2)).await);
    assert!(collecting.push(slice(2, 5)).await);
    let collected = collecting.finish().await.unwrap();
    let target = place.result("job");
    assert!(!target.exists());
    let [partial] = &place.partials()[..] else {
        panic!("one file is in the spool")
    };
    assert!(partial.starts_with("job.0000000000000007.me."), "{partial}");

    let location = place.deliver(&collected, "job", true).await.unwrap();
    assert_eq!(location.as_str(), target.display().to_string());
    let text = fs::read_to_string(target).unwrap();
    assert_eq!(
        collected.tally,
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
    assert!(place.partials().is_empty());
}

#[tokio::test]
async fn a_job_without_tasks_is_an_empty_file() {
    let place = Place::new();
    let tally = place.delivered(place.collect("none"), "none").await;
    assert_eq!(tally, Tally::default());
    assert_eq!(fs::read(place.result("none")).unwrap(), Vec::<u8>::new());
}

#[tokio::test]
async fn a_second_delivery_replaces_the_first() {
    let place = Place::new();
    for count in [5, 3] {
        let collecting = place.collect("job");
        assert!(collecting.push(slice(0, count)).await);
        place.delivered(collecting, "job").await;
        let text = fs::read_to_string(place.result("job")).unwrap();
        assert_eq!(text.lines().count() as u64, count);
    }
}

#[tokio::test]
async fn a_manifest_says_beside_the_result_what_it_is() {
    let place = Place::new();
    let collecting = place.collect("job");
    assert!(collecting.push(slice(0, 5)).await);
    let tally = place.delivered(collecting, "job").await;
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(place.manifest("job")).unwrap()).unwrap();
    let delivered_ms = manifest["delivered_ms"].take();
    assert!(
        delivered_ms.as_u64().unwrap() > 1_700_000_000_000,
        "{delivered_ms}"
    );
    assert_eq!(
        manifest,
        serde_json::json!({
            "id": "job", "life": "000000000000001f", "queue": "default", "conclusion": "partly-failed",
            "tasks": 5, "ok": 3, "failed": 2, "attempts": 5, "bytes": tally.bytes,
            "sha256": "7ffddbec4e010660b24f4783a111400e44500108b7bbe1eea3e4dd43fbbe7feb",
            "format": "jsonl", "archive": "none", "name": "default/job.jsonl",
            "created_ms": 3, "deadline_ms": 17, "delivered_ms": null,
            "versions": {"distjob": "0.1.0", "manifest": 1},
        })
    );
}

#[tokio::test]
async fn a_result_whose_manifest_cannot_be_written_is_not_seen() {
    let place = Place::new();
    let collected = place.collect("job").finish().await.unwrap();
    fs::create_dir_all(place.manifest("job")).unwrap();
    let error = place.deliver(&collected, "job", true).await.unwrap_err();
    assert!(error.to_string().contains("rename a partial file to"), "{error}");
    assert!(!place.result("job").exists());
    // For the next attempt.
    assert_eq!(place.partials().len(), 1);
}

#[tokio::test]
async fn a_result_that_others_need_too_is_linked_or_copied_and_stays() {
    let place = Place::new();
    let collecting = place.collect("job");
    assert!(collecting.push(slice(0, 5)).await);
    let collected = collecting.finish().await.unwrap();
    // Again, as after a failure: the name is then another one of the same file already.
    for _ in 0..2 {
        place.deliver(&collected, "job", false).await.unwrap();
        assert_eq!(place.partials().len(), 1);
        assert_eq!(
            fs::read(&collected.path).unwrap(),
            fs::read(place.result("job")).unwrap()
        );
    }
    // What an attempt that was cut off has left behind is no other name of the result afterwards.
    let left = format!("{}.default.result", collected.path.display());
    fs::hard_link(&collected.path, &left).unwrap();
    place.deliver(&collected, "job", false).await.unwrap();
    let text = fs::read_to_string(place.result("job")).unwrap();
    assert_eq!(text.lines().count(), 5);
    assert_eq!(fs::read_to_string(&collected.path).unwrap(), text);
    drop(collected);
    assert!(place.partials().is_empty());
    assert!(place.result("job").exists());
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing() {
    let place = Place::new();
    for slices in [1, 2] {
        let collecting = place.collect("job");
        for at in 0..slices {
            collecting.push(slice(at, at + 1)).await;
        }
        collecting.discard().await;
        // Nothing was begun of a single slice, not even the directory.
        assert_eq!(place.directory().join(PARTIAL).exists(), slices > 1);
    }
    assert!(place.partials().is_empty());

    drop(place.collect("job").finish().await.unwrap());
    assert!(place.partials().is_empty());
    assert!(!place.result("job").exists());
}

#[tokio::test]
async fn outcomes_that_do_not_fit_their_tasks_end_the_file_with_the_place() {
    let place = Place::new();
    let collecting = place.collect("job");
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
    assert!(place.partials().is_empty());
}

#[tokio::test]
async fn an_error_names_what_failed_and_where() {
    let root = TempDir::new().unwrap();
    let blocker = root.path().join("file");
    fs::write(&blocker, "not a directory").unwrap();
    let spool = DiskSpool::new(&blocker.join("results"), holder(7, "me"));
    let error = spool.collect(recipe("job")).finish().await.unwrap_err();
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(
        text.starts_with("create the directory ") && text.contains("/file: File exists"),
        "{text}"
    );
}

#[tokio::test]
async fn directories_that_were_removed_are_made_again() {
    let place = Place::new();
    for _ in 0..2 {
        place.delivered(place.collect("job"), "job").await;
        assert!(place.result("job").exists());
        fs::remove_dir_all(place.directory()).unwrap();
    }
}

#[tokio::test]
async fn only_leftovers_of_members_proven_dead_are_swept() {
    let place = Place::new();
    assert_eq!(place.sink.sweep(Arc::default()).await.unwrap(), 0);
    let partial = place.directory().join(PARTIAL);
    make_directories(&partial).unwrap();
    let names = [
        "job.0000000000000003.dead.1",
        "job.0000000000000003.dead.1.default.manifest",
        "job.0000000000000003.dead.1.manifest",
        "job.0000000000000004.alive.1",
        "job.0000000000000004.alive.1.default.result",
        "job.0000000000000009.younger-than-the-list.1",
        "something.else",
    ];
    for name in names {
        fs::write(partial.join(name), "x").unwrap();
    }
    let members = [(MemberName::new("alive").unwrap(), None)].into();
    let roster = Arc::new(Roster {
        as_of: Zxid::new(8),
        members,
        ..Roster::default()
    });
    assert_eq!(place.spool.sweep(Arc::clone(&roster)).await.unwrap(), 3);
    assert_eq!(place.partials(), names[3..]);
    assert_eq!(place.sink.sweep(roster).await.unwrap(), 0);
}

#[tokio::test]
async fn a_zip_has_the_same_bytes_whenever_it_is_made() {
    let place = Place::new();
    let mut digests = Vec::new();
    for _ in 0..2 {
        let recipe = Recipe {
            archive: Archive::Zip,
            ..recipe("job")
        };
        // Times have milliseconds.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let collecting = place.spool.collect(recipe);
        assert!(collecting.push(slice(0, 5)).await);
        digests.push(collecting.finish().await.unwrap().sha256);
    }
    assert_eq!(digests[0], digests[1]);
}
