//! What is done to daemons, and to what they deliver to.

use std::fs;

use anyhow::ensure;
use distjob_rig::history::RedisKind;
use harness::eventually;

use crate::inside::inside;
use crate::{Rig, SOON};

async fn a_cluster_delivers_a_job() {
    let rig = Rig::start(RedisKind::Aof).await;
    rig.works("job").await;
    let executions = fs::read_to_string(rig.executor.executions().unwrap()).unwrap();
    assert_eq!(executions, "job\n");
    assert!(rig.executor.descriptors().unwrap() > 5);
    rig.executor.stop(SOON).await.unwrap();
    rig.watcher.stop(SOON).await.unwrap();
}

async fn an_executor_may_have_only_so_much_memory() {
    let rig = Rig::with(RedisKind::Aof, |settings| {
        settings.executor_bytes = Some(256 << 20);
    })
    .await;
    rig.works("before").await;
    rig.submit_task("bloat", &format!("bloat {}", 1_u64 << 30)).await;
    let status = rig.executor.wait(SOON).await.unwrap();
    assert!(!status.success(), "{status}");
}

async fn the_processes_of_a_host_are_known() {
    let rig = Rig::start(RedisKind::Aof).await;
    let fabric = rig.cluster.fabric();
    let host = rig.executor.host();
    assert_eq!(fabric.processes(host).unwrap(), [rig.executor.pid()]);
    rig.executor.kill().await.unwrap();
    assert_eq!(fabric.processes(host).unwrap(), [0; 0]);
}

async fn a_full_disk_holds_deliveries_up() {
    let rig = Rig::start(RedisKind::Aof).await;
    let sink = rig.cluster.sink();
    assert!(sink.can_be_filled());
    sink.fill().unwrap();
    rig.submit("held").await;
    rig.watcher.wait_log("No space left", SOON).await.unwrap();
    assert!(!sink.path().join("default/held.jsonl").exists());
    sink.empty().unwrap();
    rig.delivered("held").await;
    let kept = rig.cluster.settings().dir.join("kept");
    sink.keep(&kept).unwrap();
    assert!(kept.join("default/held.jsonl").exists());
}

async fn the_clock_of_a_daemon_moves_while_it_runs() {
    let rig = Rig::start(RedisKind::Aof).await;
    rig.works("before").await;
    rig.watcher.clock().unwrap().shift(-86_400).unwrap();
    let mut number = 0;
    eventually("a line of yesterday", SOON, async || {
        number += 1;
        rig.works(&format!("job-{number}")).await;
        let lines = rig.watcher.stderr().lines();
        // Lines begin with their time, which sorts as text.
        ensure!(lines.last() < lines.first(), "{:?}", lines.last());
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_a_cluster_delivers_a_job() {
    if inside() {
        a_cluster_delivers_a_job().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_a_cluster_delivers_a_job() {
    a_cluster_delivers_a_job().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_an_executor_may_have_only_so_much_memory() {
    an_executor_may_have_only_so_much_memory().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_the_processes_of_a_host_are_known() {
    if inside() {
        the_processes_of_a_host_are_known().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_a_full_disk_holds_deliveries_up() {
    if inside() {
        a_full_disk_holds_deliveries_up().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_the_clock_of_a_daemon_moves_while_it_runs() {
    the_clock_of_a_daemon_moves_while_it_runs().await;
}
