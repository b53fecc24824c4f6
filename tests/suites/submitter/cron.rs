//! What cron needs: no overlap, ids that follow from the content, one line for the log.

use harness::World;

use crate::{SOON, file, keys, once, start, stopped, task_texts};

#[tokio::test]
async fn a_run_that_finds_the_lock_taken_ends_at_once_with_a_status_of_its_own() {
    let world = World::shared().await.unwrap();
    let lock = world.dir().join("lock");
    let locked = |id: &str| {
        once(&world, "", &["--id", id, "--lock"])
            .arg(&lock)
            .arg(file(&world, "1\n"))
    };
    let first = start(&world, locked("first").env("DISTJOB_TEST_POINTS", "pushed=stop"));
    stopped(&first).await;
    let second = start(&world, locked("second"));
    assert_eq!(second.wait(SOON).await.unwrap().code(), Some(75));
    assert!(second.stderr().contains("another run holds the lock"));
    first.resume().unwrap();
    assert_eq!(first.succeeded(SOON).await.unwrap(), ["first"]);
    // The file stays, the lock does not; nor does that of a run that was killed.
    let third = start(&world, locked("third").env("DISTJOB_TEST_POINTS", "opened=kill"));
    assert_eq!(third.wait(SOON).await.unwrap().code(), None);
    assert_eq!(
        start(&world, locked("fourth")).succeeded(SOON).await.unwrap(),
        ["fourth"]
    );
    assert_eq!(world.jobs().await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_id_from_the_content_is_the_same_from_a_file_and_from_a_pipe() {
    let world = World::shared().await.unwrap();
    let args = ["--queue", "primes", "--id-from", "content"];
    let input = file(&world, "1\n2\n");
    let from_file = start(&world, once(&world, "", &args).arg(&input));
    // printf 'primes\0001\n2\n' | sha256sum
    let id = "95be1b8f7da56be96235e832281e7dcd";
    assert_eq!(from_file.succeeded(SOON).await.unwrap(), [id]);
    assert_eq!(task_texts(&world, id).await, ["1", "2"]);

    let piped = start(&world, once(&world, "", &args).stdin_pipe());
    let mut pipe = piped.take_stdin().unwrap();
    std::io::Write::write_all(&mut pipe, b"1\n2\n").unwrap();
    drop(pipe);
    assert_eq!(piped.succeeded(SOON).await.unwrap(), [""; 0]);
    assert!(piped.stderr().contains("already submitted"));

    let other_queue = once(&world, "", &["--id-from", "content"]).stdin_file(&input);
    assert_eq!(start(&world, other_queue).succeeded(SOON).await.unwrap().len(), 1);
    assert_eq!(world.jobs().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_changes_between_its_id_and_its_end_is_not_submitted() {
    let world = World::shared().await.unwrap();
    let input = file(&world, "1\n2\n3\n");
    let program = once(&world, "", &["--id-from", "content"]).arg(&input);
    // It stands still when it has read some lines ahead, and begins to read the others when it goes on.
    let long: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    std::fs::write(&input, &long).unwrap();
    let process = start(&world, program.env("DISTJOB_TEST_POINTS", "first-push=stop"));
    stopped(&process).await;
    std::fs::write(&input, long.replace('1', "2")).unwrap();
    process.resume().unwrap();
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    assert!(process.stderr().contains("it changed while it was submitted"));
    assert!(world.jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn one_line_of_json_tells_what_became_of_the_input() {
    let world = World::shared().await.unwrap();
    let run = async |args: &[&str], content: &str| {
        let program = once(&world, "max_task_bytes = \"8B\"", args)
            .arg("--json")
            .arg(file(&world, content));
        let process = start(&world, program);
        let status = process.wait(SOON).await.unwrap().code();
        let lines = process.stdout().lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["status"], status.unwrap());
        assert!(line["duration_ms"].is_u64());
        line
    };
    let first = run(&["--id", "a"], "1\n2\n").await;
    assert_eq!(
        (&first["outcome"], &first["jobs"], &first["tasks"]),
        (&"submitted".into(), &serde_json::json!(["a"]), &2.into())
    );
    let again = run(&["--id", "a"], "1\n2\n").await;
    assert_eq!(
        (&again["outcome"], &again["jobs"], &again["before"]),
        (
            &"before".into(),
            &serde_json::json!([]),
            &serde_json::json!(["a"])
        )
    );
    let bad = run(&["--id", "b", "--batch", "1"], "1\nlonger than that\n").await;
    assert_eq!(
        (&bad["outcome"], &bad["jobs"]),
        (&"failed".into(), &serde_json::json!(["b-0001"]))
    );
    assert!(
        bad["error"]
            .as_str()
            .unwrap()
            .contains("line 2 has more than 8 bytes"),
        "{bad}"
    );
    let nothing = run(&["--batch", "1"], "").await;
    assert_eq!(nothing["outcome"], "nothing");
}

#[tokio::test]
async fn a_job_whose_submitter_died_before_it_was_opened_is_opened_by_the_next_run() {
    let world = World::shared().await.unwrap();
    let nightly = || once(&world, "", &["--id", "nightly"]).arg(file(&world, "1\n2\n"));
    let first = start(&world, nightly().env("DISTJOB_TEST_POINTS", "created=kill"));
    assert_eq!(first.wait(SOON).await.unwrap().code(), None);
    assert_eq!(world.jobs().await.unwrap().len(), 1);
    assert!(
        !keys(&world).await.contains(&"{nightly}:tasks".to_owned()),
        "it is not open"
    );

    let second = start(&world, nightly());
    second.succeeded(SOON).await.unwrap();
    assert!(second.stderr().contains("already submitted"));
    // It does not expire any more.
    assert_eq!(keys(&world).await, ["{nightly}:meta", "{nightly}:tasks"]);
    assert_eq!(task_texts(&world, "nightly").await, ["1", "2"]);
}

#[tokio::test]
async fn a_job_that_was_created_and_whose_tasks_have_expired_is_not_taken_for_submitted() {
    let world = World::shared().await.unwrap();
    world
        .submit(&["--id", "other", "--random-numbers", "1"], SOON)
        .await
        .unwrap();
    world.create_job("nightly", "subm=2;from=gone").await.unwrap();
    let process = start(
        &world,
        once(&world, "", &["--id", "nightly"]).arg(file(&world, "1\n2\n")),
    );
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    let said = process.stderr().tail(5);
    assert!(
        said.contains("was created before, but its tasks have expired"),
        "{said}"
    );
}
