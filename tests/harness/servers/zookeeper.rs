//! ZooKeeper, as Debian packages it.

pub mod sessions;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zookeeper_client::{Client, Error as ZkError, SessionId, Stat};

use crate::child::mortal;
use crate::servers::{Kind, Server};

/// Debian's jar names all that it needs in its manifest, except a place for log messages.
const CLASS_PATH: [&str; 2] = [
    "/usr/share/java/zookeeper.jar",
    "/usr/share/java/slf4j-simple.jar",
];

/// Smaller and quicker to start than a production server, and as correct. Not synced to disk: data survives SIGKILL, not
/// a power failure.
const JAVA_OPTIONS: [&str; 7] = [
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dzookeeper.forceSync=no",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Djava.net.preferIPv4Stack=true",
];

/// As Debian starts it, but for the names of its log and its files: compiled as well as the machine can, and synced to disk.
const MEASURED_JAVA_OPTIONS: [&str; 3] = [
    "-Xmx1g",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Djava.net.preferIPv4Stack=true",
];

/// Of the sessions that tests open for themselves. Long, so that only daemons under test expire.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// A server that is asked while it starts may never answer this question, but does answer the next.
const PROBE_WITHIN: Duration = Duration::from_millis(200);

/// A single ZooKeeper server, with sessions of 400 ms to 60 s.
pub type ZooKeeper = Server<ZooKeeperKind>;

/// How a [`ZooKeeper`] is run.
#[derive(Debug, Clone, Default)]
pub struct ZooKeeperKind {
    pub(super) purpose: Purpose,
    /// Lines for the configuration file that make it a member of an ensemble; none otherwise.
    pub(super) ensemble: String,
}

/// What a server is started for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be there soon, and many at a time.
    #[default]
    Tests,
    /// To be as fast, and as safe, as one in production.
    Measuring,
}

impl Kind for ZooKeeperKind {
    const NAME: &'static str = "zookeeper";

    fn command(&self, dir: &Path, listen: SocketAddr) -> Result<Command> {
        ensure!(
            Path::new(CLASS_PATH[0]).exists(),
            "{} is missing: install Debian's package zookeeper",
            CLASS_PATH[0]
        );
        let data = dir.join("data");
        fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
        let file = dir.join("zoo.cfg");
        fs::write(&file, configuration(&data, listen, &self.ensemble))
            .with_context(|| format!("write {}", file.display()))?;
        let mut command = mortal("java");
        match self.purpose {
            Purpose::Tests => command.args(JAVA_OPTIONS),
            Purpose::Measuring => command.args(MEASURED_JAVA_OPTIONS),
        };
        command.arg("-cp").arg(CLASS_PATH.join(":"));
        command
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(file);
        Ok(command)
    }

    async fn answers(&self, addr: SocketAddr) -> bool {
        // `ruok` answers before sessions are served; a member of an ensemble has a mode once there is a leader.
        let answer = timeout(PROBE_WITHIN, four_letters(addr, "srvr")).await;
        matches!(answer, Ok(Ok(answer)) if answer.contains("Mode: "))
    }
}

fn configuration(data: &Path, listen: SocketAddr, ensemble: &str) -> String {
    let (data, address, port) = (data.display(), listen.ip(), listen.port());
    // The tick bounds how late a session expires. All clients are on one address, hence no limit of connections.
    format!(
        "tickTime=200\nminSessionTimeout=400\nmaxSessionTimeout=60000\ninitLimit=50\nsyncLimit=25\n\
         dataDir={data}\nclientPort={port}\nclientPortAddress={address}\nmaxClientCnxns=0\n\
         admin.enableServer=false\n4lw.commands.whitelist=ruok,mntr,srvr,cons,dump,wchp\n{ensemble}"
    )
}

impl ZooKeeper {
    /// Starts a server with its files in `dir`, which is created, and returns when it serves. Needs Debian's package
    /// `zookeeper`.
    pub async fn start_in(dir: &Path) -> Result<ZooKeeper> {
        Server::start_kind(dir, ZooKeeperKind::default)
            .await
            .context("start ZooKeeper")
    }

    /// As [`ZooKeeper::start_in`], but as one is run in production: each write is on the disk before its answer.
    pub async fn start_durable_in(dir: &Path) -> Result<ZooKeeper> {
        let kind = || ZooKeeperKind {
            purpose: Purpose::Measuring,
            ..ZooKeeperKind::default()
        };
        Server::start_kind(dir, kind).await.context("start ZooKeeper")
    }

    /// `<address>:<port>`.
    pub fn connect_string(&self) -> String {
        self.addr().to_string()
    }

    /// A client with a session of its own.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.connect_string()).await
    }

    /// Ends every session that the server has, see [`sessions::expire`]. Returns how many there were.
    pub async fn expire_all_sessions(&self) -> Result<usize> {
        let sessions = sessions::list(self.addr()).await?;
        for session in &sessions {
            sessions::expire(self.addr(), *session).await?;
        }
        Ok(sessions.len())
    }

    /// Ends one session, see [`sessions::expire`].
    pub async fn expire_session(&self, session: SessionId) -> Result<()> {
        sessions::expire(self.addr(), session).await
    }

    /// The answer to a command such as `srvr`, `mntr`, `cons` or `dump`.
    pub async fn four_letters(&self, command: &str) -> Result<String> {
        four_letters(self.addr(), command).await
    }
}

/// A client of the servers `host:port[,host:port]...` with a session of its own.
pub async fn connect(servers: &str) -> Result<Client> {
    let connector = Client::connector().with_session_timeout(SESSION_TIMEOUT);
    connector
        .connect(servers)
        .await
        .with_context(|| format!("connect to ZooKeeper at {servers}"))
}

/// Asks the server at `addr` one of its four-letter commands.
pub async fn four_letters(addr: SocketAddr, command: &str) -> Result<String> {
    let ask = async {
        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(command.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    timeout(Duration::from_secs(5), ask)
        .await
        .with_context(|| format!("no answer to {command}"))?
}

/// A child of a znode.
#[derive(Debug, Clone)]
pub struct Znode {
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: Vec<u8>,
    /// What ZooKeeper knows of it.
    pub stat: Stat,
}

/// The children of a znode that may be missing; those that go while they are read are left out.
pub async fn children(zk: &Client, path: &str) -> Result<Vec<Znode>, ZkError> {
    let names = match zk.list_children(path).await {
        Err(ZkError::NoNode) => return Ok(Vec::new()),
        names => names?,
    };
    // All requests are on their way before the first answer is awaited.
    let asked: Vec<_> = names
        .into_iter()
        .map(|name| (zk.get_data(&format!("{path}/{name}")), name))
        .collect();
    let mut children = Vec::with_capacity(asked.len());
    for (answer, name) in asked {
        match answer.await {
            Ok((data, stat)) => children.push(Znode { name, data, stat }),
            Err(ZkError::NoNode) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}
