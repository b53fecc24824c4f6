//! What becomes of an input.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use harness::{World, eventually};

use crate::{SOON, file, keys, once, start, submit, task_texts, tasks};

#[tokio::test]
async fn each_line_is_a_task_and_the_id_is_all_that_stands_on_stdout() {
    let world = World::shared().await.unwrap();
    let (status, ids) = submit(&world, "17\n\n 18 \r\n19", &["--queue", "primes"]).await;
    assert_eq!((status, ids.len()), (Some(0), 1));
    let id = &ids[0];
    assert_eq!(id.len(), 32);
    assert_eq!(task_texts(&world, id).await, ["17", "", " 18 \r", "19"]);
    let data = &world.jobs().await.unwrap()[id];
    assert!(data.starts_with("subm=4;queue=primes;from="), "{data}");
    // The list of the attempt has become the job's own.
    assert_eq!(
        keys(&world).await,
        [format!("{{{id}}}:meta"), format!("{{{id}}}:tasks")]
    );
}

#[tokio::test]
async fn payloads_of_every_byte_value_arrive_as_they_are() {
    let world = World::shared().await.unwrap();
    let all: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    let input = file(&world, [&all[..], &all[..]].join(&b'\n'));
    let process = start(
        &world,
        once(&world, "", &["--id", "bytes", "-"]).stdin_file(input),
    );
    process.succeeded(SOON).await.unwrap();
    assert_eq!(tasks(&world, "bytes").await, [all.clone(), all]);
}

#[tokio::test]
async fn a_batch_size_makes_jobs_of_an_input_in_its_order() {
    let world = World::shared().await.unwrap();
    let (status, ids) = submit(&world, "1\n2\n3\n4\n5\n", &["--batch", "2", "--id", "b"]).await;
    assert_eq!(status, Some(0));
    assert_eq!(ids, ["b-0001", "b-0002", "b-0003"]);
    assert_eq!(task_texts(&world, "b-0002").await, ["3", "4"]);
    assert_eq!(task_texts(&world, "b-0003").await, ["5"]);
}

#[tokio::test]
async fn a_deadline_stands_in_the_ledger_as_a_moment_and_is_the_same_for_all_jobs_of_an_input() {
    let world = World::shared().await.unwrap();
    let now_ms = || UNIX_EPOCH.elapsed().unwrap().as_millis();
    let before = now_ms();
    submit(&world, "1\n2\n", &["--batch", "1", "--deadline", "10m"]).await;
    let after = now_ms();
    let jobs = world.jobs().await.unwrap();
    let deadlines: Vec<u128> = jobs
        .values()
        .map(|data| data.split_once(";deadline=").unwrap().1.parse().unwrap())
        .collect();
    assert_eq!(deadlines[0], deadlines[1]);
    assert!(
        (before + 600_000..=after + 600_000).contains(&deadlines[0]),
        "{jobs:?}"
    );
}

#[tokio::test]
async fn an_empty_input_is_an_empty_job_but_no_batch() {
    let world = World::shared().await.unwrap();
    let (status, ids) = submit(&world, "", &["--id", "empty"]).await;
    assert_eq!((status, ids), (Some(0), vec!["empty".to_owned()]));
    assert!(world.jobs().await.unwrap()["empty"].starts_with("subm=0"));
    assert_eq!(keys(&world).await, [""; 0]);

    let (status, ids) = submit(&world, "", &["--batch", "2"]).await;
    assert_eq!((status, ids.len()), (Some(0), 0));
    assert_eq!(world.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn random_numbers_are_distinct_and_in_the_range_of_the_article() {
    let world = World::shared().await.unwrap();
    let args = ["--random-numbers", "5000", "--queue", "primes"];
    let ids = start(&world, once(&world, "", &args))
        .succeeded(SOON)
        .await
        .unwrap();
    let mut numbers: Vec<u64> = task_texts(&world, &ids[0])
        .await
        .iter()
        .map(|task| task.parse().unwrap())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 5000);
    assert!(numbers[0] >= 5_000 && numbers[4999] <= 90_000_000);
}

#[tokio::test]
async fn a_task_that_is_too_long_is_named_and_nothing_of_its_job_is_submitted() {
    let world = World::shared().await.unwrap();
    let input = file(&world, "1\n2\n3\n4\nlonger than the others\n6\n");
    let table = "max_task_bytes = \"8B\"\npush_max_tasks = 1\nstaging_ttl = \"1h\"";
    let program = once(&world, table, &["--batch", "3", "--id", "long"]).arg(input);
    let process = start(&world, program);
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    let said = process.stderr().tail(10);
    assert!(
        said.contains("line 5 has more than 8 bytes") && said.contains("max_task_bytes"),
        "{said}"
    );
    assert!(said.contains("one job was submitted, the rest was not"), "{said}");
    assert_eq!(process.stdout().lines(), ["long-0001"]);
    assert_eq!(world.jobs().await.unwrap().len(), 1);
    // What was staged of the second job is not left to its hour.
    eventually("the staged tasks are gone", SOON, async || {
        let keys = keys(&world).await;
        anyhow::ensure!(keys == ["{long-0001}:meta", "{long-0001}:tasks"], "{keys:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_million_lines_pass_through_64_mib() {
    let world = World::shared().await.unwrap();
    let lines: String = (0..1_000_000).map(|n| format!("{n}\n")).collect();
    let program = once(&world, "", &["--id", "million"])
        .arg(file(&world, lines))
        .watch_memory();
    let process = start(&world, program);
    process.succeeded(Duration::from_secs(120)).await.unwrap();
    let peak = process.peak_memory().unwrap();
    assert!(peak > 0 && peak < 64 << 20, "{peak} bytes");
    assert!(world.jobs().await.unwrap()["million"].starts_with("subm=1000000"));
}

#[tokio::test]
async fn staged_tasks_live_while_the_input_is_idle() {
    let world = World::shared().await.unwrap();
    let table = "staging_ttl = \"1s\"\npush_max_tasks = 1";
    let process = start(&world, once(&world, table, &["--id", "idle"]).stdin_pipe());
    let mut input = process.take_stdin().unwrap();
    input.write_all(b"1\n").unwrap();
    eventually("the first task is staged", SOON, async || {
        anyhow::ensure!(!keys(&world).await.is_empty(), "no keys");
        Ok(())
    })
    .await;
    // What is shown is that nothing happens: three lives of the list long.
    tokio::time::sleep(Duration::from_secs(3)).await;
    input.write_all(b"2\n").unwrap();
    drop(input);
    assert_eq!(process.succeeded(SOON).await.unwrap(), ["idle"]);
    assert_eq!(task_texts(&world, "idle").await, ["1", "2"]);
}

#[tokio::test]
async fn who_asks_it_to_stop_leaves_nothing_behind() {
    let world = World::shared().await.unwrap();
    let process = start(&world, once(&world, "push_max_tasks = 1", &[]).stdin_pipe());
    let mut input = process.take_stdin().unwrap();
    input.write_all(b"1\n2\n").unwrap();
    eventually("tasks are staged", SOON, async || {
        anyhow::ensure!(!keys(&world).await.is_empty(), "no keys");
        Ok(())
    })
    .await;
    process.terminate().unwrap();
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    assert!(process.stderr().contains("interrupted"));
    world.drained(SOON).await.unwrap();
}

#[tokio::test]
async fn bad_orders_are_refused_before_anything_is_asked() {
    let world = World::shared().await.unwrap();
    for (args, status, reason) in [
        (&["--id", "a/b"][..], 2, "a job id consists of"),
        (&["--queue", ""], 2, "a queue name must not be empty"),
        (&["--random-numbers", "89995002"], 2, "89995001"),
        (&["--deadline", "2020-01-01T00:00:00Z"], 1, "lies in the past"),
        (&["/nonexistent/file"], 1, "failed to open /nonexistent/file"),
        (&["--set", "submitter.nonsense=1"], 78, "unknown key"),
        (&["--set", "submitter.staging_ttl=0s"], 78, "must be from 1s"),
    ] {
        let process = start(&world, once(&world, "", args));
        let code = process.wait(SOON).await.unwrap().code();
        let said = process.stderr().tail(10);
        assert_eq!(code, Some(status), "{args:?}: {said}");
        assert!(said.contains(reason), "{args:?}: {said}");
    }
    assert!(world.jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_job_whose_id_cannot_be_printed_is_submitted_all_the_same() {
    let world = World::shared().await.unwrap();
    let config = world.dir().join("full.toml");
    std::fs::write(&config, world.config()).unwrap();
    let target = std::env::current_exe().unwrap();
    let submitter = target.parent().unwrap().parent().unwrap().join("submitter");
    let script = format!(
        "printf '1\\n2\\n3\\n' | {} --config {} once --batch 2 --id unheard >/dev/full",
        submitter.display(),
        config.display()
    );
    let process = start(&world, harness::Program::at("/bin/sh").args(["-c", &script]));
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    assert!(process.stderr().contains("failed to print the id"));
    assert_eq!(world.jobs().await.unwrap().len(), 2);
}
