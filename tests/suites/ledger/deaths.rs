//! The proof of death, on an ensemble of which one server lags behind.

use std::time::Duration;

use distjob_core::{Holder, Layout, Role, Zxid};
use distjob_runtime::zk::{RosterView, Session, SessionSettings, client::over_network};
use harness::servers::zookeeper;
use harness::{Ensemble, ZooKeeper};
use tokio::time::timeout;
use zookeeper_client::Client;

use crate::fixture::{EPHEMERAL, NEVER, SOON, member};

const ROUNDS: usize = 30;

async fn follower(ensemble: &Ensemble) -> &ZooKeeper {
    let leader = ensemble.leader().await.unwrap().addr();
    let mut others = ensemble.members().iter().filter(|member| member.addr() != leader);
    others.next().unwrap()
}

async fn born(client: &Client, layout: &Layout, name: &str) -> Holder {
    let path = layout.member(Role::Executor, &member(name));
    let (stat, _) = client.create(&path, b"", &EPHEMERAL).await.unwrap();
    Holder {
        born: Zxid::from(stat.czxid),
        name: member(name),
    }
}

/// A stopped follower has questions and news before it when it goes on, and may answer the questions first.
#[tokio::test]
async fn a_follower_that_lags_behind_proves_no_newborn_dead() {
    let dir = tempfile::tempdir().unwrap();
    let ensemble = Ensemble::start_in(dir.path()).await.unwrap();
    let layout = Layout::new("/deaths").unwrap();
    let lagging = follower(&ensemble).await;
    let leader = zookeeper::connect(&ensemble.leader().await.unwrap().connect_string())
        .await
        .unwrap();
    let session = Session::open(&SessionSettings {
        connect: lagging.connect_string(),
        connector: over_network(),
        layout: layout.clone(),
        session_timeout: Duration::from_secs(30),
        operation_timeout: Duration::from_secs(10),
    })
    .await
    .unwrap();
    session.ensure_directories().await.unwrap();

    let mut naive_deaths = 0;
    let mut buried = born(&leader, &layout, "first").await;
    for round in 0..ROUNDS {
        lagging.pause().unwrap();
        // Asks at once, and is answered when the follower goes on.
        let view = RosterView::follow(session.clone(), Role::Executor, NEVER);
        let mut lists = view.subscribe();
        tokio::task::yield_now().await;
        leader
            .delete(&layout.member(Role::Executor, &buried.name), None)
            .await
            .unwrap();
        let newborn = born(&leader, &layout, &format!("newborn-{round}")).await;
        lagging.resume().unwrap();
        let known = async {
            loop {
                lists.changed().await.unwrap();
                let roster = lists.borrow_and_update().clone();
                assert!(!roster.proves_dead(&newborn), "round {round}: {newborn} lives");
                if roster.members.contains_key(&newborn.name) {
                    return roster;
                }
                naive_deaths += 1;
            }
        };
        let roster = timeout(SOON, known).await.unwrap();
        assert!(roster.proves_dead(&buried), "round {round}: {buried} is dead");
        buried = newborn;
    }
    // Otherwise this test would show nothing.
    assert!(naive_deaths > 0, "the follower never lagged behind");
}
