//! The cluster delivers, and what is done to its servers and daemons has the effect that its name says.

#![expect(
    clippy::unwrap_used,
    reason = "a test says where it failed by panicking there"
)]

#[path = "shared/inside.rs"]
mod inside;

use std::fs;
use std::time::Duration;

use anyhow::{bail, ensure};
use distjob_rig::cluster::{Cluster, Daemon, Settings};
use distjob_rig::history::RedisKind;
use distjob_rig::net::Rule;
use harness::eventually;
use redis::AsyncCommands as _;
use tempfile::TempDir;
use zookeeper_client::SessionId;

use self::inside::inside;

const SOON: Duration = Duration::from_secs(30);

struct Rig {
    // Daemons before servers, servers before the directory.
    executor: Daemon,
    watcher: Daemon,
    cluster: Cluster,
    _dir: TempDir,
}

impl Rig {
    async fn start(redis: RedisKind) -> Rig {
        Rig::with(redis, |_| ()).await
    }

    async fn with(redis: RedisKind, change: impl FnOnce(&mut Settings)) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path().join("run"), 1, redis);
        settings.clocks = true;
        settings.sink_bytes = 1 << 20;
        change(&mut settings);
        let cluster = Cluster::start(settings).await.unwrap();
        let executor = cluster.executor("executor-1").await.unwrap();
        let watcher = cluster.watcher("watcher-1").await.unwrap();
        Rig {
            executor,
            watcher,
            cluster,
            _dir: dir,
        }
    }

    /// Submits a job with one task, whose value is the task.
    async fn submit(&self, id: &str) {
        let input = self.cluster.settings().logs().join(format!("{id}.tasks"));
        fs::write(&input, format!("{id}\n")).unwrap();
        let submitter = self.cluster.submitter("submitter-1").await.unwrap();
        let submitter = submitter
            .args(["once", "--id", id, "-"])
            .stdin_file(input)
            .start(&format!("submit-{id}"), &self.cluster.settings().logs())
            .unwrap();
        assert_eq!(submitter.succeeded(SOON).await.unwrap(), [id]);
    }

    async fn delivered(&self, id: &str) {
        let file = self.cluster.sink().path().join(format!("default/{id}.jsonl"));
        let line = eventually("the job is delivered", SOON, async || {
            Ok(fs::read_to_string(&file)?)
        })
        .await;
        assert!(line.contains(&format!("\"value\":\"{id}\"")), "{line}");
    }

    async fn works(&self, id: &str) {
        self.submit(id).await;
        self.delivered(id).await;
    }
}

async fn a_cluster_delivers_a_job() {
    let rig = Rig::start(RedisKind::Aof).await;
    rig.works("job").await;
    let executions = fs::read_to_string(rig.executor.executions().unwrap()).unwrap();
    assert_eq!(executions, "job\n");
    assert!(rig.executor.descriptors().unwrap() > 5);
    rig.executor.stop(SOON).await.unwrap();
    rig.watcher.stop(SOON).await.unwrap();
}

async fn a_promoted_replica_has_the_data_and_the_name() {
    let rig = Rig::start(RedisKind::Replica).await;
    let (store, fabric) = (rig.cluster.store(), rig.cluster.fabric());
    rig.works("first").await;
    for (id, host) in [("second", "redis-2"), ("third", "redis-1")] {
        store.promote(fabric).await.unwrap();
        assert_eq!(store.host().name(), host);
        // The mark that tells whose store it is came along: else nobody would work.
        rig.works(id).await;
        store.rejoin().await.unwrap();
        rig.works(&format!("after-{id}")).await;
    }
}

/// What the primary answers in its last moments never reaches the replica.
async fn a_promoted_replica_lacks_what_was_answered_last() {
    let rig = Rig::start(RedisKind::Replica).await;
    let (store, fabric) = (rig.cluster.store(), rig.cluster.fabric());
    let mut primary = store.primary().connect().await.unwrap();
    let answered = async {
        let mut last = 0_u64;
        while primary.set::<_, _, ()>("last", last + 1).await.is_ok() {
            last += 1;
        }
        last
    };
    let (promoted, answered) = tokio::join!(store.promote(fabric), answered);
    promoted.unwrap();
    let mut promoted = store.primary().connect().await.unwrap();
    let known = promoted.get::<_, Option<u64>>("last").await.unwrap();
    assert!(known.unwrap_or(0) < answered, "{known:?} of {answered}");
}

/// The tail is gone, what is before it is there.
async fn redis_comes_back_without_the_tail_of_its_file() {
    let rig = Rig::start(RedisKind::AofAlways).await;
    let store = rig.cluster.store();
    let set = async |name: &str| {
        let mut redis = store.primary().connect().await.unwrap();
        redis.set::<_, _, ()>(name, "1").await.unwrap();
    };
    set("early").await;
    let kept = store.end_of_file().unwrap();
    set("middle").await;
    set("late").await;

    store.primary().kill().await.unwrap();
    assert_eq!(store.cut_tail(1, Some(&kept)).unwrap(), 1);
    store.primary().start().await.unwrap();
    let mut redis = store.primary().connect().await.unwrap();
    let exist = |name| redis::Cmd::exists(name);
    let there: (bool, bool, bool) = redis::pipe()
        .add_command(exist("early"))
        .add_command(exist("middle"))
        .add_command(exist("late"))
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(there, (true, true, false));

    store.primary().kill().await.unwrap();
    assert!(store.cut_tail(1 << 30, Some(&kept)).unwrap() > 1);
    store.primary().start().await.unwrap();
    let mut redis = store.primary().connect().await.unwrap();
    assert!(redis.exists::<_, bool>("early").await.unwrap());
    assert!(!redis.exists::<_, bool>("middle").await.unwrap());
}

/// No memory, no scripts, no connections: each is got over.
async fn redis_can_be_short_of_memory_scripts_and_connections() {
    let rig = Rig::start(RedisKind::Aof).await;
    let store = rig.cluster.store();
    store.limit_memory().await.unwrap();
    let mut redis = store.primary().connect().await.unwrap();
    let refused = redis.set::<_, _, ()>("name", "value").await.unwrap_err();
    assert!(refused.to_string().contains("OOM"), "{refused}");
    store.free_memory().await.unwrap();
    store.flush_scripts().await.unwrap();
    rig.works("without-scripts").await;
    store.kill_clients().await.unwrap();
    rig.works("without-connections").await;
}

async fn an_ensemble_without_a_majority_comes_back() {
    let rig = Rig::start(RedisKind::Aof).await;
    let ledger = rig.cluster.ledger();
    rig.works("before").await;
    let leader = ledger.leader_number().await.unwrap();
    let follower = (leader + 1) % 3;
    ledger.members()[leader].kill().await.unwrap();
    ledger.members()[follower].kill().await.unwrap();
    eventually("nobody leads", SOON, async || {
        ensure!(ledger.leader_number().await.is_err(), "somebody leads");
        Ok(())
    })
    .await;
    ledger.start_missing().await.unwrap();
    rig.works("after").await;
}

/// A leader that hears nobody, and is heard by nobody, does not hold the others up.
async fn a_leader_that_is_cut_off_is_replaced() {
    let rig = Rig::start(RedisKind::Aof).await;
    let (ledger, fabric) = (rig.cluster.ledger(), rig.cluster.fabric());
    rig.works("before").await;
    let leader = ledger.leader_number().await.unwrap();
    let others = (0..3).filter(|number| *number != leader);
    for other in others.clone() {
        fabric.rule_both(&ledger.hosts()[leader], &ledger.hosts()[other], Rule::DOWN);
    }
    eventually("another leads", SOON, async || {
        for other in others.clone() {
            let answer = ledger.members()[other].four_letters("srvr").await?;
            if answer.contains("Mode: leader") {
                return Ok(());
            }
        }
        bail!("none of the others leads")
    })
    .await;
    rig.works("without").await;
    fabric.heal_all();
    eventually("it follows", SOON, async || {
        let answer = ledger.members()[leader].four_letters("srvr").await?;
        ensure!(answer.contains("Mode: follower"), "{answer}");
        Ok(())
    })
    .await;
    rig.works("with-it").await;
}

async fn an_expired_session_makes_an_executor_register_anew() {
    let rig = Rig::start(RedisKind::Aof).await;
    let registered = "registered member=";
    rig.executor.wait_log(registered, SOON).await.unwrap();
    let line = rig
        .executor
        .wait_log("session established: 0x", SOON)
        .await
        .unwrap();
    let (_, id) = line.split_once("established: 0x").unwrap();
    let id = id.split(' ').next().unwrap();
    let session = SessionId(u64::from_str_radix(id, 16).unwrap().cast_signed());

    let mark = rig.executor.stderr().mark();
    rig.cluster.ledger().expire(session).await.unwrap();
    let again = rig.executor.stderr().wait_after(mark, registered, SOON);
    again.await.unwrap();
    rig.works("after").await;
}

async fn an_executor_may_have_only_so_much_memory() {
    let rig = Rig::with(RedisKind::Aof, |settings| {
        settings.executor_bytes = Some(256 << 20);
    })
    .await;
    rig.works("before").await;
    let input = rig.cluster.settings().logs().join("bloat.tasks");
    fs::write(&input, format!("bloat {}\n", 1_u64 << 30)).unwrap();
    let submitter = rig.cluster.submitter("submitter-1").await.unwrap();
    let submitter = submitter
        .args(["once", "-"])
        .stdin_file(input)
        .start("bloat", &rig.cluster.settings().logs())
        .unwrap();
    submitter.succeeded(SOON).await.unwrap();
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
async fn in_namespaces_a_promoted_replica_has_the_data_and_the_name() {
    if inside() {
        a_promoted_replica_has_the_data_and_the_name().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_a_promoted_replica_has_the_data_and_the_name() {
    a_promoted_replica_has_the_data_and_the_name().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_redis_comes_back_without_the_tail_of_its_file() {
    redis_comes_back_without_the_tail_of_its_file().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_redis_can_be_short_of_memory_scripts_and_connections() {
    redis_can_be_short_of_memory_scripts_and_connections().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_an_ensemble_without_a_majority_comes_back() {
    if inside() {
        an_ensemble_without_a_majority_comes_back().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_a_leader_that_is_cut_off_is_replaced() {
    if inside() {
        a_leader_that_is_cut_off_is_replaced().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_an_expired_session_makes_an_executor_register_anew() {
    an_expired_session_makes_an_executor_register_anew().await;
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
async fn in_namespaces_a_promoted_replica_lacks_what_was_answered_last() {
    if inside() {
        a_promoted_replica_lacks_what_was_answered_last().await;
    }
}
