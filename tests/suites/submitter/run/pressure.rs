//! What holds the intakes back, and lets them go on.

use std::net::SocketAddr;

use anyhow::ensure;
use harness::http::{Response, request};
use harness::{AppendOnly, Process, World, eventually};
use redis::AsyncCommands as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::network::{listens, metric};
use super::serve;
use crate::SOON;

/// All three intakes, and these limits.
fn tables(world: &World, limits: &str) -> String {
    format!(
        "[run.http]\nlisten = \"127.0.0.1:0\"\n[run.socket]\nlisten = \"tcp:127.0.0.1:0\"\n\
         [run.redis]\nlist = {:?}\n[queue]\nmax_wait = \"20ms\"\n[run.pressure]\nlook_every = \"20ms\"\n{limits}\n",
        list(world)
    )
}

fn list(world: &World) -> String {
    format!("{}in", world.prefix())
}

async fn http(process: &Process) -> SocketAddr {
    let place = listens(process, "http intake on tcp:").await;
    place.parse().unwrap()
}

async fn post(addr: SocketAddr) -> Response {
    request(addr, "POST", "/submit/primes", &[], b"1\n")
        .await
        .unwrap()
}

/// A refusal with this status, that says when to come back.
fn assert_busy(answer: &Response, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.text().contains(why), "{}", answer.text());
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
}

async fn shut(service: &Process, reason: &str) {
    metric(
        service,
        &format!("distjob_submitter_shut{{reason=\"{reason}\"}} 1"),
    )
    .await;
}

async fn open_again(service: &Process, reason: &str) {
    metric(
        service,
        &format!("distjob_submitter_shut{{reason=\"{reason}\"}} 0"),
    )
    .await;
}

async fn set_max_memory(world: &World, bytes: u64) {
    let mut redis = world.redis().await.unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(bytes);
    set.query_async::<()>(&mut redis).await.unwrap();
}

async fn used_memory(world: &World) -> u64 {
    let mut redis = world.redis().await.unwrap();
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut redis)
        .await
        .unwrap();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.unwrap().trim().parse().unwrap()
}

/// A line that is sent while the gate is shut; the first answer that comes.
struct Waiting(BufReader<TcpStream>);

impl Waiting {
    async fn send(service: &Process) -> Self {
        let addr = listens(service, "line intake on tcp:").await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"2\n").await.unwrap();
        Self(BufReader::new(stream))
    }

    async fn answer(mut self) -> String {
        let mut answer = String::new();
        self.0.read_line(&mut answer).await.unwrap();
        answer
    }
}

/// With the gate shut for `reason`: refuses by HTTP, and neither reads lines nor takes from the list, until `relieve`.
async fn holds_back(
    world: &World,
    service: &Process,
    reason: &str,
    status: u16,
    why: &str,
    relieve: impl AsyncFnOnce(),
) {
    shut(service, reason).await;
    let addr = http(service).await;
    assert_busy(&post(addr).await, status, why);
    let line = Waiting::send(service).await;
    relieve().await;
    open_again(service, reason).await;
    assert_eq!(post(addr).await.status, 200);
    let answer = line.answer().await;
    assert!(answer.starts_with("+ "), "{answer}");
    world
        .redis()
        .await
        .unwrap()
        .rpush::<_, _, ()>(list(world), "3")
        .await
        .unwrap();
    eventually("the list is empty", SOON, async || {
        let left: u64 = world.redis().await?.llen(list(world)).await?;
        ensure!(left == 0, "{left}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn near_the_limit_of_redis_nothing_is_taken_in() {
    // Without a file to append to, whose buffers would count.
    let world = World::private_with(AppendOnly::No).await.unwrap();
    let service = serve(&world, &tables(&world, "redis_memory_max = \"90%\"")).await;
    assert_eq!(post(http(&service).await).await.status, 200);
    let mut redis = world.redis().await.unwrap();
    for _ in 0..64 {
        redis
            .append::<_, _, ()>("ballast", vec![b'x'; 1 << 20])
            .await
            .unwrap();
    }
    // 95%: connections and their buffers change that by little.
    set_max_memory(&world, used_memory(&world).await / 95 * 100).await;
    // What waits in the list stays there, although redis has room.
    redis.rpush::<_, _, ()>(list(&world), "waits").await.unwrap();
    holds_back(
        &world,
        &service,
        "memory",
        429,
        "bytes, and the limit is 90%",
        async || {
            let mut redis = world.redis().await.unwrap();
            redis.del::<_, ()>("ballast").await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_refuses_for_want_of_memory_is_busy_and_loses_nothing() {
    let world = World::private().await.unwrap();
    let service = serve(&world, &tables(&world, "redis_memory_max = \"100%\"")).await;
    let addr = http(&service).await;
    // Full at once: whoever is faster than the next look is refused by redis itself.
    set_max_memory(&world, 1 << 20).await;
    assert_busy(&post(addr).await, 429, "");
    let line = Waiting::send(&service).await;
    shut(&service, "memory").await;
    set_max_memory(&world, 0).await;
    open_again(&service, "memory").await;
    assert_eq!(post(addr).await.status, 200);
    let answer = line.answer().await;
    assert!(answer.starts_with("+ "), "{answer}");
}

#[tokio::test]
async fn too_many_jobs_hold_back_more() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables(&world, "jobs_max = 3")).await;
    for id in ["a", "b", "c"] {
        world.create_job(id, "cncl=0").await.unwrap();
    }
    let zk = world.zk().await.unwrap();
    holds_back(&world, &service, "jobs", 429, "3 jobs wait", async || {
        for id in ["a", "b", "c"] {
            zk.delete(&world.path(&format!("jobs/{id}")), None).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_limit_may_be_changed_while_it_holds_back() {
    let world = World::shared().await.unwrap();
    let service = serve(&world, &tables(&world, "jobs_max = 1")).await;
    world.create_job("a", "cncl=0").await.unwrap();
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n\n";
    let raised = world.config() + admin + &tables(&world, "jobs_max = 1000");
    holds_back(&world, &service, "jobs", 429, "1 jobs wait", async || {
        service.reload(&raised).unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_zookeeper_nothing_is_taken_in_until_it_is_back() {
    let world = World::private().await.unwrap();
    let service = serve(&world, &tables(&world, "")).await;
    world.zookeeper().unwrap().stop().await.unwrap();
    holds_back(&world, &service, "away", 503, "does not answer", async || {
        world.zookeeper().unwrap().start().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_redis_nothing_is_taken_in_until_it_is_back() {
    let world = World::private().await.unwrap();
    let service = serve(&world, &tables(&world, "")).await;
    world.redis_server().unwrap().stop().await.unwrap();
    holds_back(
        &world,
        &service,
        "away",
        503,
        "redis does not answer",
        async || {
            world.redis_server().unwrap().start().await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_line_that_was_read_before_a_store_went_away_is_safe_when_it_is_back() {
    let world = World::private().await.unwrap();
    let more = "[submitter]\ntimeout = \"1s\"\n";
    let table = tables(&world, more).replace("20ms\"\n[run.pressure]", "1h\"\nmax_tasks = 2\n[run.pressure]");
    let service = serve(&world, &table).await;
    let addr = listens(&service, "line intake on tcp:").await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // Whether redis goes away before they are read, or while they are submitted: they wait.
    let stop = world.redis_server().unwrap().stop();
    let (written, stopped) = tokio::join!(stream.write_all(b"1\n2\n"), stop);
    written.and(Ok(())).unwrap();
    stopped.unwrap();
    shut(&service, "away").await;
    world.redis_server().unwrap().start().await.unwrap();
    let mut answers = BufReader::new(stream).lines();
    for index in 0..2 {
        let answer = answers.next_line().await.unwrap().unwrap();
        assert!(
            answer.starts_with("+ ") && answer.ends_with(&format!(" {index}")),
            "{answer}"
        );
    }
}
