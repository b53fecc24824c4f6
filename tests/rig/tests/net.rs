//! Hosts and links: what a rule does to processes that talk to each other, in namespaces and on loopback.

#![expect(
    clippy::unwrap_used,
    reason = "a test says where it failed by panicking there"
)]

#[path = "shared/inside.rs"]
mod inside;

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use distjob_rig::net::{Fabric, Host, Rule, Service, private};
use harness::child::{mortal, within};
use harness::{AppendOnly, Child, Redis, Wire};
use tempfile::TempDir;

use self::inside::inside;

const REDIS: Service = Service {
    port: 6379,
    wire: Wire::Redis,
};
/// Long against a round trip, short against a test.
const NO_ANSWER_WITHIN: Duration = Duration::from_millis(500);
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A Redis on a host, a client on another one.
struct Pair {
    // What runs on hosts before the hosts.
    redis: Redis,
    fabric: Fabric,
    client: Host,
    server: Host,
    dir: TempDir,
}

async fn pair() -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let fabric = Fabric::open(dir.path(), 1).unwrap();
    let (client, server) = (
        fabric.host("client").await.unwrap(),
        fabric.host("server").await.unwrap(),
    );
    let redis = start_redis(&fabric, &server, &dir.path().join("redis")).await;
    Pair {
        redis,
        fabric,
        client,
        server,
        dir,
    }
}

async fn start_redis(fabric: &Fabric, host: &Host, dir: &Path) -> Redis {
    let place = fabric.place(host, REDIS.port).unwrap();
    Redis::start_at(dir, AppendOnly::No, place, None).await.unwrap()
}

impl Pair {
    /// What `redis-cli` on the client's host says to `command`.
    async fn ask_at(&self, to: &Host, command: &str) -> Result<String, String> {
        let service = Service {
            port: self.redis.addr().port(),
            ..REDIS
        };
        let addr = self.fabric.address(&self.client, to, service).await.unwrap();
        let mut cli = mortal("redis-cli");
        cli.args(["-h", &addr.ip().to_string(), "-p", &addr.port().to_string()]);
        cli.args(command.split(' '));
        let cli = within(&self.fabric.prefix(&self.client).unwrap(), cli);
        let cli = Child::spawn("redis-cli", cli, self.dir.path()).unwrap();
        match cli.wait(NO_ANSWER_WITHIN).await {
            Ok(_) => Ok(cli.stdout().lines().join(" ")),
            Err(silence) => Err(silence.to_string()),
        }
    }

    async fn ask(&self, command: &str) -> Result<String, String> {
        self.ask_at(&self.server, command).await
    }
}

async fn links_behave_by_their_rules() {
    let pair = pair().await;
    let (client, server) = (&pair.client, &pair.server);
    assert_eq!(pair.ask("SET count 0").await.unwrap(), "OK");

    pair.fabric.rule(server, client, Rule::DOWN);
    pair.ask("INCR count")
        .await
        .expect_err("the answer has no way back");
    pair.fabric.heal_all();
    assert_eq!(pair.ask("EXISTS count").await.unwrap(), "1");

    pair.fabric.rule_both(client, server, Rule::DOWN);
    pair.ask("PING").await.expect_err("no way at all");
    // The rig sees past all rules.
    assert_eq!(pair.redis.key_count().await.unwrap(), 1);
    pair.fabric.heal_all();
    assert_eq!(pair.ask("PING").await.unwrap(), "PONG");

    pair.fabric.rule_both(
        client,
        server,
        Rule::slow(Duration::from_millis(60), Duration::ZERO),
    );
    let start = Instant::now();
    assert_eq!(pair.ask("PING").await.unwrap(), "PONG");
    assert!(
        start.elapsed() >= Duration::from_millis(120),
        "{:?}",
        start.elapsed()
    );
}

async fn a_name_moves_from_host_to_host() {
    let pair = pair().await;
    let other = pair.fabric.host("other").await.unwrap();
    let second = start_redis(&pair.fabric, &other, &pair.dir.path().join("second")).await;
    let name = pair.fabric.name("redis").unwrap();
    pair.fabric
        .point(&name, &pair.server, pair.redis.addr().port())
        .unwrap();
    assert_eq!(pair.ask_at(&name, "SET first 1").await.unwrap(), "OK");

    pair.fabric.point(&name, &other, second.addr().port()).unwrap();
    assert_eq!(pair.ask_at(&name, "SET second 1").await.unwrap(), "OK");
    assert_eq!(pair.ask_at(&name, "EXISTS first").await.unwrap(), "0");
    assert_eq!(pair.ask("EXISTS first second").await.unwrap(), "1");

    pair.fabric
        .point(&name, &pair.server, pair.redis.addr().port())
        .unwrap();
    assert_eq!(pair.ask_at(&name, "EXISTS first").await.unwrap(), "1");
}

/// A host's connections break, and its client notices at once.
async fn a_reset_breaks_the_connections_of_a_host() {
    let pair = pair().await;
    let service = Service {
        port: pair.redis.addr().port(),
        ..REDIS
    };
    let addr = pair
        .fabric
        .address(&pair.client, &pair.server, service)
        .await
        .unwrap();
    let mut cli = mortal("redis-cli");
    cli.args(["-h", &addr.ip().to_string(), "-p", &addr.port().to_string()]);
    cli.arg("MONITOR");
    let cli = within(&pair.fabric.prefix(&pair.client).unwrap(), cli);
    let cli = Child::spawn("monitor", cli, pair.dir.path()).unwrap();
    cli.stdout().wait("OK", ENDS_WITHIN).await.unwrap();

    pair.fabric.reset(&pair.client).unwrap();
    cli.wait(ENDS_WITHIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_links_behave_by_their_rules() {
    if inside() {
        links_behave_by_their_rules().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_links_behave_by_their_rules() {
    links_behave_by_their_rules().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_a_name_moves_from_host_to_host() {
    if inside() {
        a_name_moves_from_host_to_host().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_a_name_moves_from_host_to_host() {
    a_name_moves_from_host_to_host().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_a_reset_breaks_the_connections_of_a_host() {
    if inside() {
        a_reset_breaks_the_connections_of_a_host().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_a_reset_breaks_the_connections_of_a_host() {
    a_reset_breaks_the_connections_of_a_host().await;
}

/// Killing the rig ends everything: nothing of it is found by its process id afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_nothing_is_left_of_a_rig_that_was_killed() {
    if private::inside() {
        let pair = pair().await;
        println!("pid {}", pair.redis.child().unwrap().pid());
        std::future::pending::<()>().await;
    }
    if let Err(why) = private::possible() {
        eprintln!("left out: {why:#}");
        return;
    }
    let name = thread::current().name().unwrap().to_owned();
    let again = private::again(["--exact", &name, "--nocapture"]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let rig = Child::spawn("rig", again, dir.path()).unwrap();
    let line = rig.stdout().wait("pid ", ENDS_WITHIN).await.unwrap();
    let pid: u32 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(Path::new(&format!("/proc/{pid}")).exists());

    rig.kill().await.unwrap();
    harness::eventually("the server ends with the rig", ENDS_WITHIN, async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        anyhow::ensure!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        Ok(())
    })
    .await;
}

/// Without this a failing rig would be taken for one that was left out.
#[test]
fn root_with_tun_can_have_namespaces() {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if root && Path::new("/dev/net/tun").exists() {
        private::possible().unwrap();
    }
}
