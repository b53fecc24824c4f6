//! One id, submitted more than once.

use distjob_core::{JobId, KeyScheme, Zxid};
use distjob_runtime::store::{JobStore, StoreSettings, scripts};
use futures::future::join_all;
use harness::{World, eventually};

use crate::{SOON, file, keys, once, start, submit, task_texts};

#[tokio::test]
async fn two_cron_runs_with_one_id_make_one_job() {
    let world = World::shared().await.unwrap();
    let first = submit(&world, "1\n2\n", &["--id", "nightly"]).await;
    assert_eq!(first, (Some(0), vec!["nightly".to_owned()]));
    let before = world.jobs().await.unwrap();

    let input = file(&world, "1\n2\n");
    let process = start(&world, once(&world, "", &["--id", "nightly"]).arg(input));
    assert_eq!(process.succeeded(SOON).await.unwrap(), [""; 0]);
    assert!(process.stderr().contains("already submitted, nothing changed"));
    assert_eq!(world.jobs().await.unwrap(), before);
    assert_eq!(task_texts(&world, "nightly").await, ["1", "2"]);
}

#[tokio::test]
async fn a_resubmission_pushes_nothing_and_still_counts() {
    let world = World::shared().await.unwrap();
    submit(&world, "1\n2\n", &["--id", "nightly"]).await;
    let proxy = world.redis_proxy().await.unwrap();
    let (_, push) = scripts().find(|(name, _)| *name == "push").unwrap();
    let fault = proxy.lose_request(push.get_hash());
    let program = once(&world, "", &["--id", "nightly"])
        .arg(file(&world, "1\n2\n3\n"))
        .redis_at(proxy.addr());
    let process = start(&world, program);
    process.succeeded(SOON).await.unwrap();
    assert!(process.stderr().contains("it has 2 tasks, not 3"));
    assert_eq!(fault.fires(), 0);
}

#[tokio::test]
async fn a_resubmission_that_differs_says_so_and_still_changes_nothing() {
    let world = World::shared().await.unwrap();
    submit(&world, "1\n2\n", &["--id", "nightly"]).await;
    let input = file(&world, "1\n");
    let process = start(
        &world,
        once(&world, "", &["--id", "nightly", "--queue", "primes"]).arg(input),
    );
    process.succeeded(SOON).await.unwrap();
    let said = process.stderr().tail(5);
    assert!(
        said.contains("it has 2 tasks, not 1, and is in queue default, not primes"),
        "{said}"
    );
    assert_eq!(task_texts(&world, "nightly").await, ["1", "2"]);
}

#[tokio::test]
async fn a_job_that_is_done_is_not_submitted_again_while_it_is_remembered() {
    let world = World::shared().await.unwrap();
    submit(&world, "1\n", &["--id", "nightly"]).await;
    // As a watcher does it in the end.
    let store = store(&world);
    let (id, source) = (JobId::new("nightly").unwrap(), distjob_core::Source::Plain);
    let meta = store.inspect(&id, &source).await.unwrap().meta.unwrap();
    store
        .drop_job(&id, meta.life, &meta.source, 3600, None)
        .await
        .unwrap();
    let zk = world.zk().await.unwrap();
    zk.delete(&world.path("jobs/nightly"), None).await.unwrap();

    let again = submit(&world, "1\n", &["--id", "nightly"]).await;
    assert_eq!(again, (Some(0), vec![]));
    assert!(world.jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn numbered_batches_go_on_where_an_earlier_run_ended() {
    let world = World::shared().await.unwrap();
    let (_, ids) = submit(&world, "1\n2\n3\n4\n", &["--id", "b", "--batch", "2"]).await;
    assert_eq!(ids, ["b-0001", "b-0002"]);
    let (status, ids) = submit(&world, "1\n2\n3\n4\n5\n", &["--id", "b", "--batch", "2"]).await;
    assert_eq!((status, ids), (Some(0), vec!["b-0003".to_owned()]));
    assert_eq!(world.jobs().await.unwrap().len(), 3);
}

#[tokio::test]
async fn of_racing_submitters_with_different_tasks_one_wins_whole() {
    let world = World::shared().await.unwrap();
    let racers: Vec<_> = (0..6)
        .map(|racer| {
            let lines: String = (0..200).map(|line| format!("{racer}-{line}\n")).collect();
            let program = once(&world, "push_max_tasks = 50", &["--id", "race"]).arg(file(&world, lines));
            start(&world, program)
        })
        .collect();
    let printed = join_all(racers.iter().map(|racer| racer.succeeded(SOON))).await;
    let winners: Vec<_> = printed
        .iter()
        .enumerate()
        .filter(|(_, ids)| !ids.as_ref().unwrap().is_empty())
        .map(|(racer, _)| racer)
        .collect();
    let [winner] = winners[..] else {
        panic!("the winners are {winners:?}");
    };
    let expected: Vec<_> = (0..200).map(|line| format!("{winner}-{line}")).collect();
    assert_eq!(task_texts(&world, "race").await, expected);
    eventually("what the others staged is gone", SOON, async || {
        let keys = keys(&world).await;
        anyhow::ensure!(keys == ["{race}:meta", "{race}:tasks"], "{keys:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_znode_of_another_program_is_not_taken_for_an_earlier_submission() {
    let world = World::shared().await.unwrap();
    world.create_job("taken", "hello").await.unwrap();
    let store = store(&world);
    let zk = world.zk().await.unwrap();
    let stat = zk.check_stat(&world.path("jobs")).await.unwrap().unwrap();
    store.mark_ledger(Zxid::from(stat.czxid)).await.unwrap();
    let process = start(
        &world,
        once(&world, "", &["--id", "taken"]).arg(file(&world, "1\n")),
    );
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(1));
    assert!(
        process
            .stderr()
            .contains("a znode of another program has this name")
    );
    assert_eq!(world.jobs().await.unwrap()["taken"], "hello");
}

fn store(world: &World) -> JobStore {
    let keys = KeyScheme::new(world.prefix()).unwrap();
    JobStore::new(&StoreSettings::new(world.redis_url(), keys)).unwrap()
}
