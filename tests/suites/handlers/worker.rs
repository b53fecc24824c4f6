//! The `worker` handler: programs that stay, and the examples of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use harness::eventually;
use serde_json::Value;
use tempfile::TempDir;

use crate::SOON;
use crate::crew::Crew;

const QUEUE: &str = "default";

/// Tasks of a queue that a program is asked for, with more keys of the queue in front.
fn worker(argv: &[&str], in_flight: u32, more: &str) -> String {
    format!(
        "queues = [{QUEUE:?}]\nslots = 2\ncommit_every = \"50ms\"\n\n[queue]\nhandler = \"worker\"\n\
         retry_initial = \"20ms\"\nretry_max = \"200ms\"\n{more}\n\
         [queue.worker]\nargv = {argv:?}\nin_flight = {in_flight}\n"
    )
}

fn example(name: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/workers");
    examples.join(name).to_str().unwrap().to_owned()
}

/// A worker in shell that does `work`, which finds the task in `$payload`, the number of its run in `$attempt` and its
/// request's in `$id`, and may use `$notes`.
fn script(dir: &Path, work: &str) -> (PathBuf, PathBuf) {
    let (path, notes) = (dir.join("worker.sh"), dir.join("notes"));
    let text = format!(
        "notes={notes:?}\nwhile IFS= read -r line; do\n\
         id=${{line#'{{\"id\":'}} id=${{id%%,*}}\n\
         attempt=${{line##*'\"attempt\":'}} attempt=${{attempt%%,*}}\n\
         payload=${{line##*'\"payload\":\"'}} payload=${{payload%'\"}}'}}\n\
         {work}\n\
         printf '{{\"id\":%s,\"value\":\"%s\"}}\\n' \"$id\" \"$payload\"\ndone\necho finished >>$notes\n"
    );
    fs::write(&path, text).unwrap();
    (path, notes)
}

/// A crew whose executor has such a worker.
struct Staff {
    crew: Crew,
    notes: PathBuf,
    _dir: TempDir,
}

impl Staff {
    async fn start(in_flight: u32, more: &str, work: &str) -> Staff {
        let dir = tempfile::tempdir().unwrap();
        let (path, notes) = script(dir.path(), work);
        let crew = Crew::start(&worker(&["/bin/sh", path.to_str().unwrap()], in_flight, more)).await;
        Staff {
            crew,
            notes,
            _dir: dir,
        }
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

async fn noted(notes: &Path, count: usize) -> Vec<String> {
    eventually("the workers note something", SOON, async || {
        let lines = lines(notes);
        ensure!(lines.len() == count, "{lines:?}");
        Ok(lines)
    })
    .await
}

async fn gone(pid: &str) {
    let stat = format!("/proc/{pid}/stat");
    eventually("the process is gone", SOON, async || {
        ensure!(
            !fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")),
            "{pid}"
        );
        Ok(())
    })
    .await;
}

/// How often each task of a delivered job was run.
fn attempts(crew: &Crew, id: &str) -> Vec<u64> {
    let text = fs::read_to_string(crew.world.sink().join(QUEUE).join(format!("{id}.jsonl"))).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["attempts"].as_u64().unwrap_or(1)).collect()
}

/// Tasks of all sorts, and what the examples make of them.
async fn hashes(argv: &[&str], in_flight: u32) -> Vec<Result<Vec<u8>, String>> {
    let crew = Crew::start(&worker(argv, in_flight, "")).await;
    let id = crew.world.job_id("hashes");
    let tasks: [&[u8]; 4] = [b"hello", b"\xff\x00", "h\u{e9}\n\0x\u{2028}".as_bytes(), b""];
    crew.world.plain_submit(&id, &tasks).await.unwrap();
    let outcomes = crew
        .delivered(QUEUE, &id)
        .await
        .into_iter()
        .map(|line| line.outcome);
    let outcomes: Vec<_> = outcomes.collect();
    let hash = |index: usize| String::from_utf8(outcomes[index].clone().unwrap()).unwrap();
    assert_eq!(
        hash(0),
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    );
    assert_eq!(
        hash(1),
        "ea5dbf9596d187e9500f23e9a680109475341cf4e81f7e043f7d97152c10772f"
    );
    assert_eq!(
        hash(2),
        "edbd99499b3bb82267a313a6491328e5861c82fba85b572dd385cd1946052e80"
    );
    crew.executor.stop(SOON).await.unwrap();
    outcomes
}

#[tokio::test]
async fn the_example_in_python_hashes_tasks() {
    let outcomes = hashes(&["/usr/bin/python3", &example("worker.py")], 16).await;
    assert_eq!(outcomes[3], Err("an empty task".to_owned()));
}

#[tokio::test]
async fn the_example_in_shell_hashes_tasks() {
    let outcomes = hashes(&["/bin/sh", &example("worker.sh")], 1).await;
    assert!(outcomes[3].as_ref().unwrap().starts_with(b"e3b0c44298fc1c14"));
}

#[tokio::test]
async fn the_example_for_node_hashes_tasks() {
    if std::process::Command::new("node")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("not tried: there is no node on this machine");
        return;
    }
    let outcomes = hashes(&["node", &example("worker.mjs")], 16).await;
    assert_eq!(outcomes[3], Err("an empty task".to_owned()));
}

#[tokio::test]
async fn tasks_whose_processes_die_are_run_again_until_they_have_a_value() {
    for in_flight in [1, 8] {
        let work = r#"case $payload in bad*) [ "$attempt" -ge 3 ] || kill -9 $$ ;; esac"#;
        let Staff { crew, .. } = &Staff::start(in_flight, "attempts = 3", work).await;
        let tasks: Vec<String> = (0..60)
            .map(|index| format!("{}-{index}", if index % 20 == 7 { "bad" } else { "good" }))
            .collect();
        let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
        let id = crew.submit(QUEUE, &tasks).await;
        for line in crew.delivered(QUEUE, &id).await {
            assert_eq!(line.outcome, Ok(line.task));
        }
        let run_often = attempts(crew, &id).into_iter().map(|attempts| attempts > 1);
        let bad = tasks.iter().map(|task| task.starts_with("bad"));
        // In company nobody knows which task it was, and that does not count.
        assert!(run_often.eq(bad), "{:?}", attempts(crew, &id));
    }
}

#[tokio::test]
async fn garbage_and_errors_use_up_the_attempts_of_their_tasks_only() {
    let work = r#"case $payload in
        garbage) echo Loading; continue ;;
        error) echo "why it failed" >&2; printf '{"id":%s,"error":"no"}\n' "$id"; continue ;;
        final) printf '{"id":%s,"error":"never","final":true}\n' "$id"; continue ;;
        esac"#;
    let Staff { crew, .. } = &Staff::start(1, "attempts = 2", work).await;
    let id = crew.submit(QUEUE, &["a", "garbage", "error", "final", "b"]).await;
    let lines = crew.delivered(QUEUE, &id).await;
    let outcomes: Vec<_> = lines.into_iter().map(|line| line.outcome).collect();
    let err = |text: &str| Err(text.to_owned());
    assert_eq!(
        outcomes,
        [
            Ok(b"a".to_vec()),
            err("the worker wrote garbage: not one JSON object: Loading"),
            err("no"),
            err("never"),
            Ok(b"b".to_vec()),
        ]
    );
    assert_eq!(attempts(crew, &id), [1, 2, 2, 1, 1]);
}

#[tokio::test]
async fn a_cancelled_job_ends_the_process_that_works_on_it() {
    let Staff { crew, notes, .. } = &Staff::start(1, "", "echo $$ >>$notes; sleep 1000").await;
    let id = crew.submit(QUEUE, &["a"]).await;
    let pid = noted(notes, 1).await.remove(0);
    let begun = Instant::now();
    let cancel = crew
        .world
        .program("distjobctl", "")
        .unwrap()
        .args(["cancel", &id]);
    crew.world
        .start(cancel, "cancel")
        .unwrap()
        .succeeded(SOON)
        .await
        .unwrap();
    gone(&pid).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn idle_workers_end_with_their_executor_however_that_ends() {
    let staff = Staff::start(1, "", "").await;
    let _ = staff.crew.outcomes(QUEUE, &["a"]).await;
    staff.crew.executor.stop(SOON).await.unwrap();
    assert_eq!(lines(&staff.notes), ["finished"]);

    let staff = Staff::start(1, "", "").await;
    let _ = staff.crew.outcomes(QUEUE, &["a"]).await;
    staff.crew.executor.kill().await.unwrap();
    // The end of its input and the executor's keeper reach it at the same time.
    let script = staff.notes.parent().unwrap().display().to_string();
    eventually("the worker is gone", SOON, async || {
        let listed = std::process::Command::new("pgrep")
            .args(["-f", &script])
            .output()?;
        ensure!(
            !listed.status.success(),
            "{}",
            String::from_utf8_lossy(&listed.stdout)
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_program_that_cannot_run_yet_spoils_no_task() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("flag");
    let (path, _) = script(dir.path(), "");
    let when_ready = format!("[ -e {flag:?} ] || exit 1; exec /bin/sh {path:?}");
    let crew = Crew::start(&worker(&["/bin/sh", "-c", &when_ready], 4, "attempts = 1")).await;
    let id = crew.submit(QUEUE, &["a", "b", "c"]).await;
    crew.executor
        .wait_log("failed to get an answer from a worker*failures=3", SOON)
        .await
        .unwrap();
    fs::write(&flag, "").unwrap();
    let lines = crew.delivered(QUEUE, &id).await;
    assert!(lines.iter().all(|line| line.outcome.as_deref() == Ok(&line.task)));
    assert_eq!(attempts(&crew, &id), [1, 1, 1]);
    let metrics = crew.executor.admin_get("/metrics").await.unwrap();
    assert!(
        metrics
            .body
            .contains("distjob_queue_failed_starts{queue=\"default\"} 0")
    );
}
