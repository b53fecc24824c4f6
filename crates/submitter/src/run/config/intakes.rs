//! What the intakes over the network are told, and what holds them all back.

use std::time::Duration;

use distjob_core::Percent;
use distjob_runtime::config::{Listen, Problems, duration, size};
use serde::{Deserialize, Serialize};

/// `[run.http]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to listen, if at all.
    pub listen: Listen,
    /// Most bytes in a body.
    #[serde(with = "size")]
    pub max_body: u64,
}

impl HttpConfig {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        problems.require("run.http.max_body", self.max_body > 0, "must be at least 1B");
    }
}

/// `[run.socket]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketConfig {
    /// `unix:/path`, `tcp:host:port` or `off`.
    pub listen: String,
}

impl SocketConfig {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let known = self.listen == "off"
            || ["unix:", "tcp:"].iter().any(|kind| {
                self.listen
                    .strip_prefix(kind)
                    .is_some_and(|place| !place.is_empty())
            });
        problems.require(
            "run.socket.listen",
            known,
            "must be \"unix:/path\", \"tcp:127.0.0.1:port\" or \"off\"",
        );
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
        if !self.queue.is_empty()
            && let Err(error) = distjob_core::QueueName::new(self.queue.as_str())
        {
            problems.report("run.redis.queue", format_args!("must be a queue name: {error}"));
        }
    }
}

/// `[run.pressure]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PressureConfig {
    /// From which share of its maxmemory on Redis counts as full.
    pub redis_memory_max: Percent,
    /// From how many jobs on there are too many.
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
        problems.require("run.pressure.jobs_max", self.jobs_max > 0, "must be at least 1");
        problems.require(
            "run.pressure.look_every",
            self.look_every >= Duration::from_millis(10),
            "must be at least 10ms",
        );
    }
}
