//! Sessions that end, connections that are lost, servers that come and go.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use distjob_core::{MemberInfo, MemberName, Role};
use distjob_runtime::zk::{
    Session, Term, TermSettings, ZkError,
    client::{Mode, NodeEvent, SessionState},
};
use tokio::time::{Instant, sleep, timeout};

use super::{LONG, Lag, SESSION_TIMEOUT, Site, children, process, put, reaches};
use crate::{
    network::{Link, Process, Server},
    zookeeper::{Cause, wire_name},
};

const PAUSE: Duration = Duration::from_millis(500);

impl Site {
    /// Lets nothing through between a process and all servers.
    fn isolate(&self, process: Process) {
        for server in 0..self.ensemble.servers() {
            self.network
                .set_link(process.node, wire_name(server), Link::Silent);
        }
    }

    /// Cuts a process's connections to all servers.
    fn cut(&self, process: Process) {
        for server in 0..self.ensemble.servers() {
            self.network.cut(process.node, wire_name(server));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_lives_on() {
    let site = Site::new(1);
    let client = site.client(1).await;
    client.create("/a", b"", Mode::Ephemeral).await.unwrap();
    sleep(LONG).await;
    assert!(client.check_stat("/a").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_hears_of_ends_with_all_that_is_its_own_and_its_client_learns_it_late() {
    let site = Site::new(2);
    let (client, other) = (site.client(1).await, site.client(2).await);
    put(&other, "/d").await;
    client.sync("/d").await.unwrap();
    for index in 0..5 {
        let path = format!("/d/{index}");
        client.create(&path, b"", Mode::Ephemeral).await.unwrap();
    }
    let cut_at = Instant::now();
    site.isolate(process(1));
    let (_, _, watch) = other.get_and_watch_children("/d").await.unwrap();
    watch.fired().await;
    let took = cut_at.elapsed();
    assert!(took > SESSION_TIMEOUT / 2, "{took:?}");
    assert!(took < SESSION_TIMEOUT + Duration::from_millis(250), "{took:?}");
    assert!(children(&other, "/d").await.is_empty());
    let history = site.ensemble.history();
    let expired = history.last().unwrap();
    assert_eq!((expired.cause, expired.changes.len()), (Cause::Expired, 5));
    assert!(
        expired
            .changes
            .iter()
            .all(|change| change.what == NodeEvent::Deleted)
    );
    assert_eq!(client.state(), SessionState::Disconnected, "a zombie");
    site.network.heal();
    reaches(&client, SessionState::Over).await;
    assert_eq!(client.get_data("/d").await.unwrap_err(), ZkError::SessionOver);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reaches_nobody_gives_its_session_up_by_itself() {
    let site = Site::new(3);
    let client = site.client(1).await;
    site.isolate(process(1));
    reaches(&client, SessionState::Over).await;
}

#[tokio::test(start_paused = true)]
async fn letting_go_of_a_client_ends_its_session_at_once() {
    let site = Site::new(4);
    let (client, other) = (site.client(1).await, site.client(2).await);
    client.create("/a", b"", Mode::Ephemeral).await.unwrap();
    let mut states = client.states();
    let let_go_at = Instant::now();
    drop(client);
    while states.changed().await != SessionState::Over {}
    assert!(let_go_at.elapsed() < Duration::from_millis(50));
    other.sync("/").await.unwrap();
    assert!(children(&other, "/").await.is_empty());
    assert!(site.ensemble.sessions(Some(process(1))).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_says_nothing_and_its_session_runs_out() {
    let site = Site::new(5);
    let client = site.client(1).await;
    client.create("/a", b"", Mode::Ephemeral).await.unwrap();
    site.network.kill(process(1));
    drop(client);
    sleep(SESSION_TIMEOUT / 2).await;
    assert_eq!(site.ensemble.sessions(Some(process(1))).len(), 1);
    sleep(SESSION_TIMEOUT).await;
    assert!(site.ensemble.sessions(None).is_empty());
    assert_eq!(site.ensemble.history().last().unwrap().cause, Cause::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_request_on_a_lost_connection_is_unclear_and_may_have_had_its_effect() {
    let (mut done, mut not_done) = (0, 0);
    for seed in 0..50 {
        let site = Site::new(seed);
        let client = site.client(1).await;
        let create = client.create("/a", b"", Mode::Persistent);
        sleep(Duration::from_millis(seed % 7)).await;
        site.cut(process(1));
        let answer = timeout(LONG, create).await.unwrap();
        reaches(&client, SessionState::Disconnected).await;
        reaches(&client, SessionState::Connected).await;
        client.sync("/a").await.unwrap();
        let is_there = client.check_stat("/a").await.unwrap().is_some();
        match answer {
            Ok(_) => assert!(is_there),
            Err(ZkError::Unclear(_)) if is_there => done += 1,
            Err(ZkError::Unclear(_)) => not_done += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(done > 2 && not_done > 2, "{done} {not_done}");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_without_a_connection_is_sent_on_the_next_one_whoever_waits() {
    let site = Site::new(6);
    let client = site.client(1).await;
    site.isolate(process(1));
    reaches(&client, SessionState::Disconnected).await;
    let create = client.create("/a", b"", Mode::Persistent);
    assert!(
        timeout(Duration::from_millis(10), create).await.is_err(),
        "given up"
    );
    site.network.heal();
    reaches(&client, SessionState::Connected).await;
    assert!(client.check_stat("/a").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_client_never_sees_less_than_it_has_seen() {
    for seed in 0..30 {
        let site = Site::new(seed);
        let (client, writer) = (site.client(1).await, site.client_at("zookeeper0", 2).await);
        site.ensemble.freeze(1);
        site.ensemble.set_lag(
            2,
            Lag {
                min_ms: 0,
                max_ms: 700,
            },
        );
        let mut seen = 0;
        for round in 0..20_u32 {
            put(&writer, &format!("/{round}")).await;
            let count = children(&client, "/").await.len();
            assert!(count >= seen, "{count} after {seen}, seed {seed}");
            seen = count;
            if round % 3 == 0 {
                site.cut(process(1));
                reaches(&client, SessionState::Disconnected).await;
                reaches(&client, SessionState::Connected).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_election_costs_a_pause_and_no_session() {
    for seed in 0..20 {
        let site = Site::new(seed);
        let clients = [site.client(1).await, site.client(2).await, site.client(3).await];
        put(&clients[0], "/a").await;
        site.ensemble.elect(SESSION_TIMEOUT / 2).await;
        for client in &clients {
            reaches(client, SessionState::Connected).await;
            assert!(client.check_stat("/a").await.unwrap().is_some());
        }
        put(&clients[1], "/b").await;
        assert_eq!(site.ensemble.sessions(None).len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_is_followed_by_another_one_that_knows_all_that_was_answered() {
    let site = Site::new(7);
    let client = site.client(1).await;
    put(&client, "/a").await;
    let leader = site.ensemble.leader().unwrap();
    site.ensemble.stop_server(leader, PAUSE).await;
    assert!(site.ensemble.leader().is_some_and(|now| now != leader));
    reaches(&client, SessionState::Connected).await;
    put(&client, "/b").await;
    site.ensemble.start_server(leader, PAUSE).await;
    let back = site.client_at(&Server::ZooKeeper(0).to_string(), 2).await;
    assert_eq!(children(&back, "/").await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_deposed_leader_answers_from_the_past_and_writes_nothing_until_it_knows() {
    let site = Site::new(10);
    let (blind, other) = (
        site.client_at("zookeeper0", 1).await,
        site.client_at("zookeeper1", 2).await,
    );
    put(&other, "/a").await;
    blind.sync("/").await.unwrap();
    let ensemble = site.ensemble.clone();
    let deposed = tokio::spawn(async move { ensemble.depose_leader(PAUSE / 5, PAUSE).await });
    reaches(&other, SessionState::Disconnected).await;
    reaches(&other, SessionState::Connected).await;
    put(&other, "/b").await;
    blind.sync("/").await.unwrap();
    assert_eq!(children(&blind, "/").await, ["a"]);
    let write = blind.create("/c", b"", Mode::Persistent);
    deposed.await.unwrap();
    assert!(matches!(write.await, Err(ZkError::Unclear(_))));
    reaches(&blind, SessionState::Disconnected).await;
    reaches(&blind, SessionState::Connected).await;
    assert_eq!(children(&blind, "/").await, ["a", "b"]);
    assert_eq!(site.ensemble.sessions(None).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_quorum_nothing_is_answered_and_no_session_ends() {
    let site = Site::new(8);
    let client = site.client(1).await;
    put(&client, "/a").await;
    site.ensemble.stop_server(1, PAUSE).await;
    site.ensemble.stop_server(2, PAUSE).await;
    assert_eq!(site.ensemble.leader(), None);
    reaches(&client, SessionState::Disconnected).await;
    sleep(SESSION_TIMEOUT / 2).await;
    assert_eq!(site.ensemble.sessions(None).len(), 1);
    site.ensemble.start_server(2, PAUSE).await;
    assert!(site.ensemble.leader().is_some());
    reaches(&client, SessionState::Connected).await;
    assert_eq!(children(&client, "/").await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_joins_is_seen_and_is_proven_dead_when_its_session_has_ended() {
    let site = Site::new(9);
    let settings = |node| TermSettings {
        session: site.session_settings("", node),
        role: Role::Executor,
        scrub_every: LONG * 60,
    };
    let mut terms = Vec::new();
    for node in [1, 2] {
        let settings = settings(node);
        let session = Session::open_persistently(&settings.session, |error| panic!("{error}")).await;
        let name = MemberName::new(format!("executor-{node}")).unwrap();
        let info = MemberInfo {
            host: "host".to_owned(),
            pid: 1,
            version: "1".to_owned(),
            queues: Vec::new(),
            slots: 1,
            limits: BTreeMap::new(),
            since: 0,
        };
        terms.push(Term::begin(session, &settings, name, &info).await.unwrap());
    }
    let dies = terms.pop().unwrap();
    let mut rosters = terms[0].executors.subscribe();
    let holder = dies.holder().clone();
    let both = rosters
        .wait_for(|roster| roster.members.len() == 2)
        .await
        .unwrap();
    assert!(!both.proves_dead(&holder));
    drop(both);
    site.isolate(process(2));
    let dead = timeout(LONG, rosters.wait_for(|roster| roster.proves_dead(&holder))).await;
    assert_eq!(dead.unwrap().unwrap().members.len(), 1);
    assert_eq!(dies.over().await, "the zookeeper session is over");
    assert_eq!(Arc::strong_count(&terms[0].executors.roster()), 2);
}
