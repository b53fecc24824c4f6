//! Daemons as a service manager and a monitoring system see them.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use harness::{Process, Program, World, eventually};
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::SOON;
use crate::crew::{Executor, calm_world, drill, metric, metric_becomes, start_watcher};

/// What systemd is, as far as a daemon sees it.
struct ServiceManager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl ServiceManager {
    fn listen(at: &Path) -> ServiceManager {
        ServiceManager {
            socket: UnixDatagram::bind(at).unwrap(),
            heard: Vec::new(),
        }
    }

    /// Listens until it is told something that begins with `expected`.
    async fn hears(&mut self, expected: &str) {
        let mut message = [0; 4096];
        loop {
            let receive = timeout(SOON, self.socket.recv(&mut message)).await;
            let Ok(length) = receive else {
                panic!("not told {expected:?}, only {:?}", self.heard);
            };
            let message = String::from_utf8_lossy(&message[..length.unwrap()]).into_owned();
            self.heard.extend(message.lines().map(str::to_owned));
            if message.lines().any(|line| line.starts_with(expected)) {
                return;
            }
        }
    }

    fn heard(&self, line: &str) -> bool {
        self.heard.iter().any(|heard| heard == line)
    }
}

fn both(world: &World) -> [(&'static str, Program); 2] {
    [
        ("e", world.executor("").unwrap()),
        ("w", world.watcher("").unwrap()),
    ]
}

#[tokio::test]
async fn the_service_manager_hears_ready_only_of_a_daemon_that_is_registered() {
    let world = calm_world().await;
    for (name, program) in both(&world) {
        let socket = world.dir().join(format!("{name}.notify"));
        let mut manager = ServiceManager::listen(&socket);
        let redis = world.redis_proxy().await.unwrap();
        redis.refuse().await;
        let program = program
            .redis_at(redis.addr())
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "3000000");
        let daemon = world.start(program, name).unwrap();

        // ZooKeeper answers, Redis does not: no member, not ready, and it says why.
        manager.hears("STATUS=redis: ").await;
        let ready = daemon.admin_get("/readyz").await.unwrap();
        assert!(
            ready.status == 503 && ready.body.contains("redis: ") && ready.body.contains("registered: "),
            "{ready:?}"
        );
        assert_eq!(daemon.admin_get("/healthz").await.unwrap().status, 200);
        manager.hears("WATCHDOG=1").await;
        assert!(!manager.heard("READY=1"), "{:?}", manager.heard);
        assert!(world.member_of(&daemon).await.unwrap().is_none());

        redis.accept().await.unwrap();
        manager.hears("READY=1").await;
        assert!(world.member_of(&daemon).await.unwrap().is_some());
        assert_eq!(daemon.admin_get("/readyz").await.unwrap().status, 200);

        daemon.terminate().unwrap();
        manager.hears("STOPPING=1").await;
        daemon.succeeded(SOON).await.unwrap();
        let readies = manager.heard.iter().filter(|line| *line == "READY=1");
        assert_eq!(readies.count(), 1, "{:?}", manager.heard);
    }
}

#[tokio::test]
async fn the_service_manager_hears_of_a_reload_and_of_its_end() {
    let world = calm_world().await;
    for (name, program) in both(&world) {
        let socket = world.dir().join(format!("{name}.notify"));
        let mut manager = ServiceManager::listen(&socket);
        let daemon = world.start(program.env("NOTIFY_SOCKET", &socket), name).unwrap();
        manager.hears("READY=1").await;
        daemon.reload(&world.config()).unwrap();
        manager.hears("RELOADING=1").await;
        assert!(
            manager
                .heard
                .iter()
                .any(|line| line.starts_with("MONOTONIC_USEC=")),
            "{:?}",
            manager.heard
        );
        manager.hears("READY=1").await;
    }
}

async fn is(daemon: &Process, status: u16, text: &str) {
    eventually("the daemon answers so", SOON, async || {
        let ready = daemon.admin_get("/readyz").await?;
        ensure!(
            ready.status == status && ready.body.contains(text),
            "{} answers {ready:?}",
            daemon.name()
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_loses_a_store_is_not_ready_and_says_which_until_it_is_back() {
    let world = calm_world().await;
    let (zookeeper, redis) = (
        world.zookeeper_proxy().await.unwrap(),
        world.redis_proxy().await.unwrap(),
    );
    let mut daemons = Vec::new();
    for (name, program) in both(&world) {
        let program = program.zookeeper_at(zookeeper.addr()).redis_at(redis.addr());
        daemons.push(world.start_member(program, name).await.unwrap());
    }
    for daemon in &daemons {
        is(daemon, 200, "ready").await;
        metric_becomes(daemon, "distjob_zookeeper_connected", 1).await;
    }
    zookeeper.refuse().await;
    zookeeper.cut();
    for daemon in &daemons {
        is(daemon, 503, "zookeeper: ").await;
        metric_becomes(daemon, "distjob_zookeeper_connected", 0).await;
        assert_eq!(daemon.admin_get("/healthz").await.unwrap().status, 200);
    }
    zookeeper.accept().await.unwrap();
    for daemon in &daemons {
        is(daemon, 200, "ready").await;
        metric_becomes(daemon, "distjob_zookeeper_connected", 1).await;
        assert_eq!(metric(daemon, "distjob_terms_total").await, 1, "the same session");
    }
    redis.refuse().await;
    redis.cut();
    for daemon in &daemons {
        is(daemon, 503, "redis: ").await;
    }
    redis.accept().await.unwrap();
    for daemon in &daemons {
        is(daemon, 200, "ready").await;
    }
}

#[tokio::test]
async fn metrics_count_jobs_by_state_and_tasks_by_outcome_and_name_no_job() {
    let world = calm_world().await;
    let watcher = start_watcher(&world, "w").await;
    let executor = Executor::start_as(&world, "e", drill(&world, "")).await;
    let id = world.job_id("counted");
    let tasks = ["a", "fail first", "b", "fail second", "c"];
    world.plain_submit(&id, &tasks).await.unwrap();
    world.drained(SOON).await.unwrap();
    let lines = world.delivered_whole("default", &id, &tasks).unwrap();
    assert_eq!(lines[1].outcome, Err("first".to_owned()));

    world
        .create_job(&world.job_id("incomplete"), "subm=1")
        .await
        .unwrap();
    let other_queue = world.job_id("waiting");
    world
        .create_job(&other_queue, "subm=3;queue=other")
        .await
        .unwrap();
    let expected: [(&Process, &str, u64); 12] = [
        (&executor, r#"distjob_tasks_total{outcome="ok"}"#, 3),
        (&executor, r#"distjob_tasks_total{outcome="err"}"#, 2),
        (&executor, "distjob_commits_refused_total", 0),
        (&executor, "distjob_executors", 1),
        (&executor, "distjob_watchers", 1),
        (&watcher, r#"distjob_tasks_delivered_total{outcome="ok"}"#, 3),
        (&watcher, r#"distjob_tasks_delivered_total{outcome="err"}"#, 2),
        (&watcher, "distjob_jobs_delivered_total", 1),
        (&watcher, r#"distjob_jobs{state="lost"}"#, 1),
        (&watcher, r#"distjob_jobs{state="subm"}"#, 1),
        (&watcher, r#"distjob_jobs{state="prcd"}"#, 0),
        (&watcher, "distjob_locks", 0),
    ];
    for (daemon, series, value) in expected {
        metric_becomes(daemon, series, value).await;
    }
    assert!(metric(&executor, r#"distjob_claims_total{answer="lease"}"#).await > 0);
    for daemon in [&*executor, &watcher] {
        let metrics = daemon.admin_get("/metrics").await.unwrap().body;
        assert!(
            !metrics.contains(&id) && metrics.ends_with("# EOF\n"),
            "{metrics}"
        );
    }
}

#[tokio::test]
async fn an_admin_listener_can_be_off_and_a_taken_port_ends_the_daemon_with_a_reason() {
    let world = calm_world().await;
    let off = world
        .program("executor-d", "[admin]\nlisten = \"off\"\n")
        .unwrap();
    let off = world.start_member(off, "off").await.unwrap();
    assert!(!off.stderr().contains("admin listener on"));

    let first = Executor::start(&world, "first").await;
    let taken = first.admin_addr().await.unwrap();
    let second = format!("[admin]\nlisten = \"{taken}\"\n");
    let second = world.start(world.program("executor-d", &second).unwrap(), "second");
    let second = second.unwrap();
    let status = second.wait(Duration::from_secs(10)).await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(second.stderr().contains(&format!("{taken}*in use")));
}
