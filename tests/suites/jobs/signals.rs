//! SIGTERM, once and twice, and SIGHUP.

use harness::{Process, World, eventually};
use rustix::process::Signal;

use crate::SOON;
use crate::crew::{Executor, calm_world, drill, metric_becomes, start_watcher};

/// An executor in the middle of a task that takes ten minutes, which it may finish.
async fn busy_executor(world: &World, name: &str) -> Executor {
    let executor = drill(world, "[executor]\ngrace_period = \"1h\"\n");
    let executor = Executor::start_as(world, name, executor).await;
    let id = world.job_id("long");
    world.plain_submit(&id, &["sleep 600000"]).await.unwrap();
    eventually("the task runs", SOON, async || {
        anyhow::ensure!(executor.executions() == 1, "it does not");
        Ok(())
    })
    .await;
    executor
}

#[tokio::test]
async fn a_first_sigterm_lets_a_task_finish_and_a_second_one_ends_the_daemon_at_once() {
    let world = calm_world().await;
    for (name, signal) in [("terminated", Signal::TERM), ("interrupted", Signal::INT)] {
        let executor = busy_executor(&world, name).await;
        executor.signal(signal).unwrap();
        executor.wait_log("asked to stop", SOON).await.unwrap();
        eventually("it says that it leaves", SOON, async || {
            let ready = executor.admin_get("/readyz").await?;
            anyhow::ensure!(ready.status == 503 && ready.body == "stopping\n", "{ready:?}");
            Ok(())
        })
        .await;
        assert_eq!(executor.exit_status(), None, "its task still runs");
        metric_becomes(&executor, "distjob_slots_busy", 1).await;

        executor.signal(Signal::TERM).unwrap();
        let status = executor.wait(SOON).await.unwrap();
        assert_eq!(status.code(), Some(1), "{status}");
    }
}

#[tokio::test]
async fn idle_daemons_leave_at_the_first_sigterm_and_say_goodbye() {
    let world = calm_world().await;
    let executor = Executor::start(&world, "e").await;
    let watcher = start_watcher(&world, "w").await;
    let (sent, both): (_, [&Process; 2]) = (std::time::Instant::now(), [&executor, &watcher]);
    for daemon in both {
        daemon.terminate().unwrap();
    }
    for daemon in both {
        daemon.succeeded(SOON).await.unwrap();
    }
    // Well within the session timeout: their znodes went because they said so.
    assert!(world.executors().await.unwrap().is_empty() && world.watchers().await.unwrap().is_empty());
    assert!(sent.elapsed().as_secs() < 10, "{:?}", sent.elapsed());
}

#[tokio::test]
async fn sighup_takes_over_what_can_change_and_names_what_needs_a_restart() {
    let world = calm_world().await;
    let executor = Executor::start(&world, "e").await;
    let watcher = start_watcher(&world, "w").await;
    let sink = format!("[sink]\ndirectory = {:?}\n\n", world.sink());
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n\n";
    let daemons: [(&Process, &str, &str, &str); 2] = [
        (
            &executor,
            "[executor]\ngrace_period = \"77s\"\nqueues = [\"other\"]\n",
            "configuration reloaded: executor.grace_period*-> \"1m 17s\"",
            "only after a restart: executor.queues*other",
        ),
        (
            &watcher,
            "[watcher]\npipelines = 3\nscrub_every = \"77s\"\n",
            "configuration reloaded: watcher.pipelines: 8 -> 3",
            "only after a restart: watcher.scrub_every",
        ),
    ];
    for (daemon, changes, applied, pending) in daemons {
        let config = world.config() + admin + &sink_of(daemon, &sink) + changes;
        let mark = daemon.stderr().mark();
        daemon.reload(&config).unwrap();
        daemon.stderr().wait_after(mark, applied, SOON).await.unwrap();
        daemon.stderr().wait_after(mark, pending, SOON).await.unwrap();

        let mark = daemon.stderr().mark();
        daemon
            .reload(&config.replace("[log]\n", "[log]\nlevl = 1\n"))
            .unwrap();
        let nearest = "nearest known key is `log.level`";
        daemon.stderr().wait_after(mark, nearest, SOON).await.unwrap();
        let stays = "the new configuration is bad; the old one stays";
        daemon.stderr().wait_after(mark, stays, SOON).await.unwrap();
    }

    let mark = executor.stderr().mark();
    let louder = world.config().replace("level = \"info\"", "level = \"debug\"");
    executor.reload(&(louder + admin)).unwrap();
    let level = "configuration reloaded: log.level*debug";
    executor.stderr().wait_after(mark, level, SOON).await.unwrap();
    let id = world.job_id("after");
    world.plain_submit(&id, &["17"]).await.unwrap();
    executor.stderr().wait_after(mark, "DEBUG", SOON).await.unwrap();
    world.drained(SOON).await.unwrap();
    world.delivered_whole("default", &id, &["17"]).unwrap();
}

#[tokio::test]
async fn a_sink_that_moves_at_sighup_gets_the_jobs_from_then_on() {
    let world = calm_world().await;
    let _executor = Executor::start(&world, "e").await;
    let watcher = start_watcher(&world, "w").await;
    let elsewhere = world.dir().join("elsewhere");
    let config = format!("{}[sink]\ndirectory = {elsewhere:?}\n", world.config());
    watcher.reload(&config).unwrap();
    (watcher
        .wait_log("configuration reloaded: sink.directory", SOON)
        .await)
        .unwrap();
    let id = world.job_id("moved");
    world.plain_submit(&id, &["17"]).await.unwrap();
    world.drained(SOON).await.unwrap();
    assert!(elsewhere.join(format!("default/{id}.jsonl")).is_file());
    assert_eq!(world.delivered("default", &id).unwrap(), None);
}

/// Only watchers have a sink.
fn sink_of(daemon: &Process, sink: &str) -> String {
    if daemon.name() == "w" {
        sink.to_owned()
    } else {
        String::new()
    }
}
