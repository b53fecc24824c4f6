//! Servers come back with their data, and sessions end when told.

use std::time::Duration;

use harness::servers::zookeeper::sessions;
use harness::{AppendOnly, Ensemble, Redis, ZooKeeper, eventually};
use redis::AsyncCommands as _;
use tempfile::tempdir;
use tokio::time::timeout;
use zookeeper_client::{Acls, Client, CreateMode, Error, SessionState};

use crate::SOON;

/// About as short as that of a daemon under test; long enough to outlive two starts of a server in a row.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

async fn create(client: &Client, path: &str, mode: CreateMode) {
    client
        .create(path, b"data", &mode.with_acls(Acls::anyone_all()))
        .await
        .expect("create a znode");
}

/// A client that notices soon when a server has forgotten its connection.
async fn short_lived(servers: &str) -> Client {
    let connector = Client::connector()
        .with_session_timeout(SESSION_TIMEOUT)
        .with_detached();
    connector.connect(servers).await.expect("connect to ZooKeeper")
}

async fn end_of(client: &Client) -> SessionState {
    let mut states = client.state_watcher();
    let end = async {
        let mut state = states.state();
        while !state.is_terminated() {
            state = states.changed().await;
        }
        state
    };
    timeout(SOON, end).await.expect("the session should end")
}

#[tokio::test]
async fn zookeeper_keeps_data_and_sessions_when_restarted_or_killed() {
    let dir = tempdir().unwrap();
    let server = ZooKeeper::start_in(dir.path()).await.unwrap();
    let client = short_lived(&server.connect_string()).await;
    create(&client, "/stays", CreateMode::Persistent).await;
    create(&client, "/mine", CreateMode::Ephemeral).await;

    server.restart().await.unwrap();
    server.kill().await.unwrap();
    assert!(!server.is_running());
    server.start().await.unwrap();

    let other = server.connect().await.unwrap();
    assert_eq!(other.get_data("/stays").await.unwrap().0, b"data");
    eventually("the client is back", SOON, async || Ok(client.sync("/").await?)).await;
    assert_eq!(
        other.get_data("/mine").await.unwrap().1.ephemeral_owner,
        client.session_id().0
    );
}

#[tokio::test]
async fn all_sessions_expire_when_told() {
    let dir = tempdir().unwrap();
    let server = ZooKeeper::start_in(dir.path()).await.unwrap();
    let clients = [
        short_lived(&server.connect_string()).await,
        short_lived(&server.connect_string()).await,
    ];
    create(&clients[0], "/first", CreateMode::Ephemeral).await;
    create(&clients[1], "/second", CreateMode::Ephemeral).await;

    assert_eq!(server.expire_all_sessions().await.unwrap(), 2);

    for client in &clients {
        assert_eq!(end_of(client).await, SessionState::Expired);
    }
    let later = server.connect().await.unwrap();
    assert_eq!(later.list_children("/").await.unwrap(), ["zookeeper"]);
    assert_eq!(sessions::list(server.addr()).await.unwrap(), [later.session_id()]);
}

#[tokio::test]
async fn one_session_expires_and_the_others_live_on() {
    let dir = tempdir().unwrap();
    let server = ZooKeeper::start_in(dir.path()).await.unwrap();
    let (victim, other) = (
        short_lived(&server.connect_string()).await,
        short_lived(&server.connect_string()).await,
    );
    server.expire_session(victim.session_id()).await.unwrap();
    assert_eq!(end_of(&victim).await, SessionState::Expired);
    other.sync("/").await.unwrap();
    assert_eq!(other.state(), SessionState::SyncConnected);
}

#[tokio::test]
async fn a_session_ends_by_itself_soon_after_its_client_is_gone() {
    let dir = tempdir().unwrap();
    let server = ZooKeeper::start_in(dir.path()).await.unwrap();
    let connector = Client::connector()
        .with_session_timeout(Duration::from_secs(1))
        .with_detached();
    let client = connector.connect(&server.connect_string()).await.unwrap();
    assert_eq!(client.session_timeout(), Duration::from_secs(1));
    create(&client, "/mine", CreateMode::Ephemeral).await;
    drop(client);
    let other = server.connect().await.unwrap();
    eventually("the ephemeral is gone", SOON, async || {
        anyhow::ensure!(other.check_stat("/mine").await?.is_none(), "still there");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn redis_keeps_its_data_when_killed_and_loses_it_without_a_file() {
    let dir = tempdir().unwrap();
    for (append_only, kept) in [(AppendOnly::Always, true), (AppendOnly::No, false)] {
        let server = Redis::start_in(&dir.path().join(format!("{append_only:?}")), append_only)
            .await
            .unwrap();
        server
            .connect()
            .await
            .unwrap()
            .set::<_, _, ()>("key", 7)
            .await
            .unwrap();
        server.kill().await.unwrap();
        server.start().await.unwrap();
        let value: Option<u32> = server.connect().await.unwrap().get("key").await.unwrap();
        assert_eq!(value, kept.then_some(7));
    }
}

#[tokio::test]
async fn redis_keeps_its_data_when_stopped_and_loses_it_when_flushed() {
    let dir = tempdir().unwrap();
    let server = Redis::start_in(dir.path(), AppendOnly::EverySecond)
        .await
        .unwrap();
    server
        .connect()
        .await
        .unwrap()
        .set::<_, _, ()>("key", 7)
        .await
        .unwrap();
    server.restart().await.unwrap();
    assert_eq!(server.key_count().await.unwrap(), 1);
    server.flush().await.unwrap();
    assert_eq!(server.key_count().await.unwrap(), 0);
    assert_eq!(server.clients().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_paused_server_answers_when_it_is_resumed() {
    let dir = tempdir().unwrap();
    let server = Redis::start_in(dir.path(), AppendOnly::No).await.unwrap();
    let mut connection = server.connect().await.unwrap();
    server.pause().unwrap();
    let answer = connection.incr::<_, _, u32>("counter", 1);
    tokio::pin!(answer);
    timeout(Duration::from_millis(100), &mut answer)
        .await
        .expect_err("a paused server answered");
    server.resume().unwrap();
    assert_eq!(answer.await.unwrap(), 1);
}

#[tokio::test]
async fn an_ensemble_outlives_its_leader_and_expires_sessions() {
    let dir = tempdir().unwrap();
    let ensemble = Ensemble::start_in(dir.path()).await.unwrap();
    let client = harness::servers::zookeeper::connect(&ensemble.connect_string())
        .await
        .unwrap();
    create(&client, "/stays", CreateMode::Persistent).await;

    let old = ensemble.leader().await.unwrap();
    old.kill().await.unwrap();
    let new = eventually("a new leader", SOON, async || ensemble.leader().await).await;
    assert_ne!(new.addr(), old.addr());
    eventually("the client is back", SOON, async || Ok(client.sync("/").await?)).await;
    assert_eq!(client.get_data("/stays").await.unwrap().0, b"data");

    old.start().await.unwrap();
    new.expire_all_sessions().await.unwrap();
    assert_eq!(end_of(&client).await, SessionState::Expired);
    assert!(matches!(
        client.get_data("/stays").await,
        Err(Error::SessionExpired)
    ));
}
