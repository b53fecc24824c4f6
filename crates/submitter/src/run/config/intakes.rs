//! What the intakes over the network are told, and what holds them all back.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use distjob_core::{Percent, QueueName};
use distjob_runtime::config::{Listen, Problems, duration, size};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The most connections that may be configured.
const CONNECTIONS_MAX: usize = 65_536;

/// `[run.http]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to listen, if at all.
    pub listen: Listen,
    /// Most bytes in a body.
    #[serde(with = "size")]
    pub max_body: u64,
    /// How many connections are served at once.
    pub connections: usize,
    /// How long the other side may be silent: in a request, and between two.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl HttpConfig {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.require("run.http.max_body", self.max_body > 0, "must be at least 1B");
        check_connections("run.http", self.connections, self.timeout, problems);
    }
}

fn check_connections(table: &str, connections: usize, timeout: Duration, problems: &mut Problems<'_>) {
    problems.require(
        &format!("{table}.connections"),
        (1..=CONNECTIONS_MAX).contains(&connections),
        "must be from 1 to 65536",
    );
    problems.require(
        &format!("{table}.timeout"),
        (Duration::from_millis(10)..=Duration::from_secs(86_400)).contains(&timeout),
        "must be from 10ms to 1 day",
    );
}

/// `[run.socket]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketConfig {
    /// Where to listen, if at all.
    pub listen: SocketListen,
    /// The queue of connections that name none; empty: that of `[submitter]`.
    pub queue: String,
    /// How many connections are served at once.
    pub connections: usize,
    /// How long a line may take from its first byte to its newline.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl SocketConfig {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        check_queue("run.socket.queue", &self.queue, problems);
        check_connections("run.socket", self.connections, self.timeout, problems);
    }
}

/// Where the intake of lines listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketListen {
    /// Nowhere.
    Off,
    /// At an address.
    Tcp(SocketAddr),
    /// At a Unix socket.
    Unix(PathBuf),
}

impl FromStr for SocketListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Some(Self::Unix(path.into())),
            Some(("tcp", address)) => address.parse().ok().map(Self::Tcp),
            None if text == "off" => Some(Self::Off),
            _ => None,
        };
        known.ok_or_else(|| {
            format!("\"{text}\" is none of \"unix:/path\", \"tcp:127.0.0.1:9481\" and \"off\"")
        })
    }
}

impl fmt::Display for SocketListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for SocketListen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SocketListen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Reports a name of a queue that is none; an empty one is no name.
fn check_queue(key: &str, queue: &str, problems: &mut Problems<'_>) {
    if !queue.is_empty()
        && let Err(error) = QueueName::new(queue)
    {
        problems.report(key, format_args!("must be a queue name: {error}"));
    }
}

/// `[run.redis]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisIntakeConfig {
    /// The key of a list; empty: none.
    pub list: String,
    /// The key of a stream; empty: none.
    pub stream: String,
    /// The queue of what is taken from them; empty: that of `[submitter]`.
    pub queue: String,
}

impl RedisIntakeConfig {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        check_queue("run.redis.queue", &self.queue, problems);
        problems.require(
            "run.redis.stream",
            self.stream.is_empty() || self.stream != self.list,
            "must be another key than run.redis.list",
        );
    }
}

/// `[run.pressure]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PressureConfig {
    /// From which share of its maxmemory on Redis counts as full.
    pub redis_memory_max: Percent,
    /// From how many jobs on there are too many; 0: never.
    pub jobs_max: u64,
    /// How often both are looked at.
    #[serde(with = "duration")]
    pub look_every: Duration,
}

impl PressureConfig {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.require(
            "run.pressure.redis_memory_max",
            !self.redis_memory_max.is_zero(),
            "must be above 0%",
        );
        problems.require(
            "run.pressure.look_every",
            self.look_every >= Duration::from_millis(10),
            "must be at least 10ms",
        );
    }
}
