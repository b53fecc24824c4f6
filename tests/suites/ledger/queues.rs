//! The live view of what an operator has switched off.

use std::sync::Arc;

use anyhow::Context as _;
use distjob_core::{QueueName, Switchboard};
use distjob_runtime::zk::QueuesView;
use harness::eventually;
use tokio::time::timeout;
use zookeeper_client::Error;

use crate::fixture::{NEVER, PERSISTENT, SOON, Site, disconnect};

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// Sets a queue's data past distjob's code, as soon as the server lets it.
async fn put(site: &Site, name: &str, data: &str) {
    let path = format!("{}/{name}", site.layout.queues());
    eventually("the data is set", SOON, async || {
        match site.raw.create(&path, data.as_bytes(), &PERSISTENT).await {
            Err(Error::NodeExists) => site.raw.set_data(&path, data.as_bytes(), None).await.map(|_| ()),
            created => created.map(|_| ()),
        }
        .context("put")
    })
    .await;
}

async fn remove(site: &Site, name: &str) {
    let path = format!("{}/{name}", site.layout.queues());
    site.raw.delete(&path, None).await.unwrap();
}

async fn follow(site: &Site) -> QueuesView {
    QueuesView::follow(site.session().await, NEVER)
}

/// The first switches that are as wanted.
async fn sees(view: &QueuesView, what: &str, wanted: impl Fn(&Switchboard) -> bool) -> Arc<Switchboard> {
    let mut boards = view.subscribe();
    let seen = timeout(SOON, boards.wait_for(|board| wanted(board))).await;
    let Ok(Ok(board)) = seen else {
        panic!("{what} is not seen, only {:?}", view.switchboard())
    };
    Arc::clone(&board)
}

async fn sees_paused(view: &QueuesView, names: &[&str]) {
    sees(view, &format!("{names:?}"), |board| {
        let paused: Vec<_> = board
            .iter()
            .filter(|(_, switches)| switches.paused)
            .map(|(name, _)| name.as_str())
            .collect();
        board.is_known() && paused == names
    })
    .await;
}

#[tokio::test]
async fn switches_are_seen_when_they_come_change_and_go() {
    let site = Site::shared().await;
    put(&site, "before", r#"{"paused":true}"#).await;
    let view = follow(&site).await;
    assert!(
        view.switchboard().is_paused(&queue("any")),
        "nothing is known yet"
    );
    sees_paused(&view, &["before"]).await;
    assert!(!view.switchboard().is_paused(&queue("any")));
    put(&site, "later", r#"{"paused":true,"more":1}"#).await;
    sees_paused(&view, &["before", "later"]).await;
    put(&site, "before", r#"{"paused":false}"#).await;
    sees_paused(&view, &["later"]).await;
    remove(&site, "later").await;
    sees_paused(&view, &[]).await;
}

#[tokio::test]
async fn switches_that_make_no_sense_switch_nothing() {
    let site = Site::shared().await;
    let view = follow(&site).await;
    for (name, data) in [
        ("a", "{"),
        ("b", "\u{0}"),
        ("c", r#"{"paused":"yes"}"#),
        ("käse", "{}"),
    ] {
        put(&site, name, data).await;
    }
    put(&site, "d", r#"{"paused":true}"#).await;
    sees_paused(&view, &["d"]).await;
    put(&site, "d", "nonsense").await;
    sees_paused(&view, &[]).await;
    put(&site, "a", r#"{"paused":true}"#).await;
    sees_paused(&view, &["a"]).await;
}

#[tokio::test]
async fn a_directory_that_is_removed_switches_nothing_and_may_come_back() {
    let site = Site::shared().await;
    put(&site, "a", r#"{"paused":true}"#).await;
    let view = follow(&site).await;
    sees_paused(&view, &["a"]).await;
    remove(&site, "a").await;
    site.raw.delete(&site.layout.queues(), None).await.unwrap();
    sees_paused(&view, &[]).await;
    site.raw
        .create(&site.layout.queues(), b"", &PERSISTENT)
        .await
        .unwrap();
    put(&site, "b", r#"{"paused":true}"#).await;
    sees_paused(&view, &["b"]).await;
}

#[tokio::test]
async fn a_root_without_the_directory_has_no_switches_until_there_is_one() {
    let site = Site::shared().await;
    site.raw.delete(&site.layout.queues(), None).await.unwrap();
    let view = follow(&site).await;
    sees_paused(&view, &[]).await;
    site.raw
        .create(&site.layout.queues(), b"", &PERSISTENT)
        .await
        .unwrap();
    put(&site, "a", r#"{"paused":true}"#).await;
    sees_paused(&view, &["a"]).await;
}

#[tokio::test]
async fn after_a_restart_of_an_idle_server_a_pause_is_still_seen() {
    let site = Site::private().await;
    let session = site.session().await;
    let view = QueuesView::follow(session.clone(), NEVER);
    put(&site, "a", r#"{"paused":true}"#).await;
    sees_paused(&view, &["a"]).await;
    site.server().restart().await.unwrap();
    timeout(SOON, session.connected()).await.unwrap().unwrap();
    // The view is idle again when it has read everything, of which nothing tells: at least the last ones come after.
    for round in 0..10 {
        let (data, paused) = match round % 2 {
            0 => (r#"{"paused":false}"#, &[][..]),
            _ => (r#"{"paused":true}"#, &["a"][..]),
        };
        put(&site, "a", data).await;
        sees_paused(&view, paused).await;
    }
}

#[tokio::test]
async fn what_is_switched_while_the_view_is_cut_off_is_seen_afterwards() {
    let site = Site::shared().await;
    let (proxy, session) = site.proxied().await;
    let view = QueuesView::follow(session.clone(), NEVER);
    put(&site, "a", r#"{"paused":true}"#).await;
    sees_paused(&view, &["a"]).await;
    for name in ["b", "c", "d"] {
        disconnect(&proxy, &session).await;
        assert!(view.switchboard().is_known(), "the last ones stand");
        put(&site, name, r#"{"paused":true}"#).await;
        proxy.accept().await.unwrap();
        sees(&view, name, |board| board.is_paused(&queue(name))).await;
    }
    sees_paused(&view, &["a", "b", "c", "d"]).await;
}
