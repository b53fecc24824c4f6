//! The tables that every program has.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use distjob_core::{KeyScheme, Layout};
use redis::IntoConnectionInfo as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tracing_subscriber::EnvFilter;

use super::error::Problems;
use super::{duration, mask_secrets};

/// `[zookeeper]`: the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZooKeeperConfig {
    /// `host:port,host:port`; a path behind the last is prepended to every path by the client.
    pub connect: String,
    /// The znode below which everything of distjob stands.
    pub root: String,
    /// After so long a silence the servers declare the session dead; the servers may bound it.
    #[serde(with = "duration")]
    pub session_timeout: Duration,
    /// After so long the outcome of a single request counts as unclear.
    #[serde(with = "duration")]
    pub operation_timeout: Duration,
}

impl ZooKeeperConfig {
    /// Reports values that make no sense.
    pub fn check(&self, problems: &mut Problems<'_>) {
        if let Err(what) = check_connect(&self.connect) {
            problems.report("zookeeper.connect", what);
        }
        if let Err(error) = Layout::new(&self.root) {
            problems.report("zookeeper.root", format_args!("is not usable: {error}"));
        }
        let second = Duration::from_secs(1);
        problems.require(
            "zookeeper.session_timeout",
            self.session_timeout >= second,
            "must be at least 1s: shorter pauses are normal",
        );
        // The protocol sends it as a signed 32-bit number of milliseconds.
        problems.require(
            "zookeeper.session_timeout",
            i32::try_from(self.session_timeout.as_millis()).is_ok(),
            "must be at most 24 days",
        );
        problems.require(
            "zookeeper.operation_timeout",
            self.operation_timeout >= Duration::from_millis(100),
            "must be at least 100ms",
        );
    }
}

fn check_connect(connect: &str) -> Result<(), String> {
    let hosts = match connect.find('/').filter(|at| !connect[..*at].ends_with(':')) {
        Some(at) => &connect[..at],
        None => connect,
    };
    for host in hosts.split(',') {
        let host = host.rsplit("://").next().unwrap_or(host);
        let (name, port) = host.rsplit_once(':').unwrap_or((host, "2181"));
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!(
                "must be like host:2181,host:2181, but has no host in \"{host}\""
            ));
        }
        // An IPv6 address has its colons in brackets.
        if !port.ends_with(']') && port.parse::<u16>().is_err() {
            return Err(format!(
                "must be like host:2181,host:2181, but has a bad port in \"{host}\""
            ));
        }
    }
    Ok(())
}

/// `[redis]`: the bulk store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedisConfig {
    /// `redis://[user:password@]host:port/db` or `redis+unix:///socket`. Secret: it may hold a password.
    pub url: String,
    /// What every key of distjob begins with.
    pub prefix: String,
    /// After so long without a reply the outcome of a command counts as unclear.
    #[serde(with = "duration")]
    pub response_timeout: Duration,
    /// After so long an attempt to connect has failed.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &mask_secrets(&self.url))
            .field("prefix", &self.prefix)
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}

impl RedisConfig {
    /// Reports values that make no sense.
    pub fn check(&self, problems: &mut Problems<'_>) {
        if let Err(error) = self.url.as_str().into_connection_info() {
            problems.report("redis.url", format_args!("is not usable: {error}"));
        }
        if let Err(error) = KeyScheme::new(self.prefix.as_str()) {
            problems.report("redis.prefix", format_args!("is not usable: {error}"));
        }
        let least = Duration::from_millis(10);
        for (key, value) in [
            ("redis.response_timeout", self.response_timeout),
            ("redis.connect_timeout", self.connect_timeout),
        ] {
            problems.require(key, value >= least, "must be at least 10ms");
        }
    }
}

/// `[log]`: what goes to stderr.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// A level, or directives such as `info,distjob_executor=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogConfig {
    /// Reports values that make no sense.
    pub fn check(&self, problems: &mut Problems<'_>) {
        if let Err(error) = EnvFilter::try_new(&self.level) {
            problems.report(
                "log.level",
                format_args!("must be a level or directives such as info,distjob_executor=debug: {error}"),
            );
        }
    }
}

/// `[admin]`: metrics and health over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminConfig {
    /// Where to listen, if at all.
    pub listen: Listen,
}

/// An address to listen on, or `off`. Port 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// There.
    On(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::On)
            .map_err(|_| format!("\"{text}\" is no address such as \"127.0.0.1:9464\", nor \"off\""))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::On(address) => address.fmt(f),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
