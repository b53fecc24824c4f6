//! The proxy does to a connection what it says, and nothing else.

use std::time::{Duration, Instant};

use anyhow::ensure;
use harness::{AppendOnly, Direction, Effect, Proxy, Redis, Trigger, Wire, ZooKeeper, eventually};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, RedisResult, Script};
use tempfile::{TempDir, tempdir};
use tokio::time::timeout;
use zookeeper_client::{Acls, CreateMode, CreateOptions, SessionState};

use crate::SOON;

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
/// Long enough for a wrong answer to arrive, short enough to wait for in vain.
const A_MOMENT: Duration = Duration::from_millis(100);

/// A Redis behind a proxy.
struct Bench {
    server: Redis,
    proxy: Proxy,
    _dir: TempDir,
}

impl Bench {
    async fn new() -> Bench {
        let dir = tempdir().expect("a directory");
        let server = Redis::start_in(dir.path(), AppendOnly::No)
            .await
            .expect("a Redis");
        let proxy = Proxy::for_redis(&server).await.expect("a proxy");
        Bench {
            server,
            proxy,
            _dir: dir,
        }
    }

    async fn connect(&self) -> MultiplexedConnection {
        harness::servers::redis::connect(&self.proxy.redis_url())
            .await
            .expect("a connection through the proxy")
    }

    /// The value of a counter, asked past the proxy.
    async fn counter(&self, key: &str) -> Option<u32> {
        self.server
            .connect()
            .await
            .expect("a connection")
            .get(key)
            .await
            .expect("a counter")
    }
}

async fn incr(mut connection: MultiplexedConnection, key: &str) -> RedisResult<u32> {
    connection.incr(key, 1).await
}

#[tokio::test]
async fn a_lost_reply_leaves_the_work_done_once_and_the_client_with_an_error() {
    let bench = Bench::new().await;
    let connection = bench.connect().await;
    let fault = bench.proxy.lose_reply("counter");
    assert_eq!(incr(connection.clone(), "other").await.unwrap(), 1);
    assert_eq!(fault.fires(), 0);

    assert!(incr(connection, "counter").await.unwrap_err().is_io_error());
    fault.fired(SOON).await.unwrap();
    assert_eq!(bench.counter("counter").await, Some(1));

    assert_eq!(incr(bench.connect().await, "counter").await.unwrap(), 2);
    assert_eq!(fault.fires(), 1);
}

#[tokio::test]
async fn replies_to_requests_before_the_chosen_one_pass() {
    let bench = Bench::new().await;
    let connection = bench.connect().await;
    let fault = bench.proxy.lose_reply("third");
    bench.server.pause().unwrap();
    let all = async {
        tokio::join!(
            incr(connection.clone(), "first"),
            incr(connection.clone(), "second"),
            incr(connection.clone(), "third"),
            async { bench.server.resume().unwrap() }
        )
    };
    let (first, second, third, ()) = all.await;
    assert_eq!((first.unwrap(), second.unwrap()), (1, 1));
    third.unwrap_err();
    fault.fired(SOON).await.unwrap();
    assert_eq!(bench.counter("third").await, Some(1));
}

#[tokio::test]
async fn the_lost_reply_of_a_script_is_not_that_it_must_be_loaded_first() {
    let bench = Bench::new().await;
    let mut connection = bench.connect().await;
    let fault = bench.proxy.lose_reply("counter");
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    script
        .key("counter")
        .invoke_async::<u32>(&mut connection)
        .await
        .unwrap_err();
    fault.fired(SOON).await.unwrap();
    assert_eq!(bench.counter("counter").await, Some(1));
}

#[tokio::test]
async fn a_lost_request_does_nothing() {
    let bench = Bench::new().await;
    let fault = bench.proxy.lose_request("counter");
    incr(bench.connect().await, "counter").await.unwrap_err();
    assert_eq!(fault.fires(), 1);
    assert_eq!(bench.counter("counter").await, None);
}

#[tokio::test]
async fn triggers_skip_and_repeat_and_end_with_their_handle() {
    let bench = Bench::new().await;
    let fault = bench.proxy.arm(
        Effect::LoseRequest,
        Trigger::containing("counter").skip(1).times(2),
    );
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(incr(bench.connect().await, "counter").await.is_ok());
    }
    assert_eq!(answers, [true, false, false, true]);
    assert_eq!(fault.fires(), 2);

    drop(bench.proxy.lose_request("counter"));
    incr(bench.connect().await, "counter").await.unwrap();
}

#[tokio::test]
async fn a_held_reply_arrives_when_released() {
    let bench = Bench::new().await;
    let fault = bench.proxy.arm(Effect::HoldReply, Trigger::containing("counter"));
    let answer = tokio::spawn(incr(bench.connect().await, "counter"));
    fault.fired(SOON).await.unwrap();
    assert_eq!(bench.counter("counter").await, Some(1));
    assert!(!answer.is_finished());
    fault.release();
    assert_eq!(answer.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_held_request_reaches_the_server_after_its_client_has_gone() {
    let bench = Bench::new().await;
    let fault = bench
        .proxy
        .arm(Effect::HoldRequest, Trigger::containing("counter"));
    let asking = tokio::spawn(incr(bench.connect().await, "counter"));
    fault.fired(SOON).await.unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(bench.counter("counter").await, None);
    fault.release();
    eventually("the late request is done", SOON, async || {
        ensure!(bench.counter("counter").await == Some(1), "not yet");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_request_is_recognized_in_pieces_and_large_values_pass_whole() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let bench = Bench::new().await;
    let value: Vec<u8> = (0..3_000_000_u32)
        .map(|i| i.to_le_bytes()[i as usize % 3])
        .collect();
    let mut connection = bench.connect().await;
    connection.set::<_, _, ()>("large", &value).await.unwrap();
    assert_eq!(connection.get::<_, Vec<u8>>("large").await.unwrap(), value);

    let fault = bench.proxy.lose_reply("counter");
    let mut stream = tokio::net::TcpStream::connect(bench.proxy.addr()).await.unwrap();
    for byte in b"*2\r\n$4\r\nINCR\r\n$7\r\ncounter\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    assert_eq!((fault.fires(), bench.counter("counter").await), (1, Some(1)));
}

#[tokio::test]
async fn a_black_hole_takes_connections_and_gives_everything_back_when_it_ends() {
    let bench = Bench::new().await;
    let open = bench.connect().await;
    bench.proxy.hold_all();
    let mut held = tokio::spawn(incr(open, "counter"));
    timeout(A_MOMENT, &mut held)
        .await
        .expect_err("an answer came out of a black hole");
    timeout(A_MOMENT, bench.connect())
        .await
        .expect_err("so did a greeting");
    assert_eq!(bench.counter("counter").await, None);
    bench.proxy.pass();
    assert_eq!(held.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn replies_alone_can_be_held() {
    let bench = Bench::new().await;
    let connection = bench.connect().await;
    bench.proxy.hold(Direction::Replies);
    let held = tokio::spawn(incr(connection, "counter"));
    eventually("the work is done", SOON, async || {
        ensure!(bench.counter("counter").await == Some(1), "not yet");
        Ok(())
    })
    .await;
    assert!(!held.is_finished());
    bench.proxy.pass();
    assert_eq!(held.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn delay_is_added_to_each_way_once_however_much_is_under_way() {
    let bench = Bench::new().await;
    let connection = bench.connect().await;
    bench.proxy.delay(A_MOMENT);
    let start = Instant::now();
    let mut asking = Vec::new();
    for _ in 0..50 {
        asking.push(tokio::spawn(incr(connection.clone(), "counter")));
        // Apart, so that they are read apart.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for answer in asking {
        answer.await.unwrap().unwrap();
    }
    let took = start.elapsed();
    assert!(took >= 2 * A_MOMENT, "{took:?}");
    assert!(
        took < 50 * A_MOMENT,
        "{took:?}: one after another it would be 50 round trips of {:?}",
        2 * A_MOMENT
    );
}

#[tokio::test]
async fn cut_breaks_what_is_open_and_refuse_keeps_new_ones_out() {
    let bench = Bench::new().await;
    let connection = bench.connect().await;
    assert_eq!(bench.proxy.connection_count(), 1);
    bench.proxy.refuse().await;
    incr(connection.clone(), "counter").await.unwrap();
    bench.proxy.cut();
    incr(connection, "counter").await.unwrap_err();
    let refused = tokio::net::TcpStream::connect(bench.proxy.addr())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    bench.proxy.accept().await.unwrap();
    assert_eq!(incr(bench.connect().await, "counter").await.unwrap(), 2);
}

#[tokio::test]
async fn the_reply_to_a_create_is_lost_and_the_session_lives_on() {
    let dir = tempdir().unwrap();
    let server = ZooKeeper::start_in(dir.path()).await.unwrap();
    let proxy = Proxy::for_zookeeper(&server).await.unwrap();
    let client = harness::servers::zookeeper::connect(&proxy.addr().to_string())
        .await
        .unwrap();
    let fault = proxy.arm(Effect::LoseReply, Trigger::creating("/job"));

    client.create("/job-not", b"", &PERSISTENT).await.unwrap();
    assert!(client.check_stat("/job").await.unwrap().is_none());
    client.create("/job", b"", &PERSISTENT).await.unwrap_err();
    fault.fired(SOON).await.unwrap();

    let stat = eventually("the client is back", SOON, async || {
        Ok(client.check_stat("/job").await?)
    })
    .await;
    assert!(stat.is_some());
    assert_eq!((client.state(), fault.fires()), (SessionState::SyncConnected, 1));
}

#[tokio::test]
async fn a_multi_that_creates_is_recognized() {
    let dir = tempdir().unwrap();
    let server = ZooKeeper::start_in(dir.path()).await.unwrap();
    let proxy = Proxy::for_zookeeper(&server).await.unwrap();
    let client = harness::servers::zookeeper::connect(&proxy.addr().to_string())
        .await
        .unwrap();
    let fault = proxy.arm(Effect::LoseReply, Trigger::creating("/lock"));
    let mut multi = client.new_multi_writer();
    multi.add_create("/lock", b"", &PERSISTENT).unwrap();
    multi.commit().await.unwrap_err();
    fault.fired(SOON).await.unwrap();
    let direct = server.connect().await.unwrap();
    assert!(direct.check_stat("/lock").await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_that_ends_behind_a_closed_door_is_seen_to_be_expired_on_return() {
    let dir = tempdir().unwrap();
    let server = ZooKeeper::start_in(dir.path()).await.unwrap();
    let proxy = Proxy::for_zookeeper(&server).await.unwrap();
    let client = harness::servers::zookeeper::connect(&proxy.addr().to_string())
        .await
        .unwrap();
    let mut states = client.state_watcher();

    proxy.refuse().await;
    proxy.cut();
    assert_eq!(
        timeout(SOON, states.changed()).await.unwrap(),
        SessionState::Disconnected
    );
    server.expire_session(client.session_id()).await.unwrap();
    proxy.accept().await.unwrap();
    assert_eq!(
        timeout(SOON, states.changed()).await.unwrap(),
        SessionState::Expired
    );
}

#[tokio::test]
async fn the_end_of_a_connection_follows_its_last_bytes_however_close_it_comes() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(server.local_addr().unwrap(), Wire::Redis)
        .await
        .unwrap();
    for _ in 0..20 {
        let mut client = tokio::net::TcpStream::connect(proxy.addr()).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        served.write_all(b"+last\r\n").await.unwrap();
        drop(served);
        let mut received = Vec::new();
        timeout(SOON, client.read_to_end(&mut received))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(received, b"+last\r\n");
    }
}
