//! What watches tell, when, and when not.

use distjob_runtime::zk::client::{Mode, NodeEvent, SessionState, WatchEvent};
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::{sleep, timeout};

use super::{LONG, Lag, Site, children, process, put, reaches};
use crate::{
    network::{Link, Server},
    zookeeper::wire_name,
};

#[tokio::test(start_paused = true)]
async fn a_watch_on_children_tells_once_and_before_the_reply_that_shows_the_child() {
    for seed in 0..20 {
        let site = Site::new(seed);
        let (watcher, writer) = (site.client(1).await, site.client(2).await);
        site.ensemble.set_lag(
            2,
            Lag {
                min_ms: 0,
                max_ms: 50,
            },
        );
        put(&writer, "/d").await;
        watcher.sync("/d").await.unwrap();
        let (names, _, watch) = watcher.get_and_watch_children("/d").await.unwrap();
        assert!(names.is_empty());
        let mut watch = watch.fired().boxed();
        put(&writer, "/d/a").await;
        while children(&watcher, "/d").await.is_empty() {
            assert!((&mut watch).now_or_never().is_none(), "nothing has come yet");
        }
        assert!(watch.now_or_never().is_some(), "the news comes first");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_on_data_tells_of_a_change_and_of_a_deletion() {
    let site = Site::new(1);
    let client = site.client(1).await;
    put(&client, "/a").await;
    let (_, _, watch) = client.get_and_watch_data("/a").await.unwrap();
    client.set_data("/a", b"x", None).await.unwrap();
    watch.fired().await;
    let (_, _, watch) = client.get_and_watch_data("/a").await.unwrap();
    client.delete("/a", None).await.unwrap();
    watch.fired().await;
}

#[tokio::test(start_paused = true)]
async fn a_recursive_watch_tells_of_everything_below_until_the_connection_goes_and_nothing_after() {
    let site = Site::new(2);
    let (watcher, writer) = (site.client(1).await, site.client(2).await);
    put(&writer, "/d").await;
    watcher.sync("/d").await.unwrap();
    let mut events = watcher.watch_recursively("/d").await.unwrap();
    put(&writer, "/d/a").await;
    put(&writer, "/e").await;
    writer.set_data("/d/a", b"x", None).await.unwrap();
    writer.delete("/d/a", None).await.unwrap();
    for what in [NodeEvent::Created, NodeEvent::Changed, NodeEvent::Deleted] {
        let event = timeout(LONG, events.next()).await.unwrap();
        assert_eq!(event, Some(WatchEvent::Node(what, "/d/a".to_owned())));
    }
    for server in 0..3 {
        site.network.cut(process(1).node, wire_name(server));
    }
    assert_eq!(events.next().await, Some(WatchEvent::Disconnected));
    assert_eq!(events.next().await, Some(WatchEvent::Connected));
    put(&writer, "/d/b").await;
    let silence = timeout(LONG, events.next()).await;
    assert!(silence.is_err(), "the server has forgotten it: {silence:?}");
    let mut again = watcher.watch_recursively("/d").await.unwrap();
    writer.delete("/d/b", None).await.unwrap();
    let deleted = WatchEvent::Node(NodeEvent::Deleted, "/d/b".to_owned());
    assert_eq!(again.next().await, Some(deleted));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_tells_once_tells_what_happened_while_the_client_was_away() {
    let site = Site::new(3);
    let (watcher, writer) = (site.client(1).await, site.client(2).await);
    put(&writer, "/d").await;
    put(&writer, "/d/a").await;
    watcher.sync("/d").await.unwrap();
    let (_, _, child) = watcher.get_and_watch_children("/d").await.unwrap();
    let (_, _, data) = watcher.get_and_watch_data("/d/a").await.unwrap();
    let (_, _, other) = watcher.get_and_watch_children("/").await.unwrap();
    for server in 0..3 {
        site.network
            .set_link(process(1).node, wire_name(server), Link::Silent);
    }
    reaches(&watcher, SessionState::Disconnected).await;
    writer.delete("/d/a", None).await.unwrap();
    site.network.heal();
    timeout(LONG, child.fired()).await.unwrap();
    timeout(LONG, data.fired()).await.unwrap();
    let mut other = other.fired().boxed();
    sleep(LONG).await;
    assert!((&mut other).now_or_never().is_none(), "nothing happened there");
    put(&writer, "/f").await;
    timeout(LONG, other).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_tells_all_who_watch() {
    let site = Site::new(4);
    let client = site.client(1).await;
    client.create("/d", b"", Mode::Persistent).await.unwrap();
    let (_, _, watch) = client.get_and_watch_children("/d").await.unwrap();
    let mut events = client.watch_recursively("/d").await.unwrap();
    assert_eq!(site.ensemble.expire(process(1)), 1);
    watch.fired().await;
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert_eq!(last, Some(WatchEvent::Over));
    assert_eq!(client.state(), SessionState::Over);
}

#[test]
fn servers_have_the_names_of_the_network() {
    assert_eq!(wire_name(2), Server::ZooKeeper(2));
}
