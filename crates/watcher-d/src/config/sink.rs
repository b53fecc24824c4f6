//! `[sink]` and `[sinks.<name>]`: where results go.

use std::{path::PathBuf, time::Duration};

use distjob_runtime::config::{Problems, duration};
use serde::{Deserialize, Serialize};

use super::{CommandConfig, Entries, ListConfig, ObjectsConfig, QueueConfig, WebhookConfig};
use crate::{archive::Archive, format::Format};

/// One place where results go: every key of `[sink]`, with what `[sinks.<name>]` says instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// What it is.
    pub kind: SinkKind,
    /// For [`SinkKind::Directory`]: the directory of result files.
    pub directory: PathBuf,
    /// How long a delivery may make no progress.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// For [`SinkKind::Objects`].
    pub objects: ObjectsConfig,
    /// For [`SinkKind::Webhook`].
    pub webhook: WebhookConfig,
    /// For [`SinkKind::Command`].
    pub command: CommandConfig,
    /// For [`SinkKind::Redis`].
    pub redis: ListConfig,
}

/// What a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkKind {
    /// Files on this machine.
    Directory,
    /// Objects in a store, or files on a server.
    Objects,
    /// A URL that is told.
    Webhook,
    /// A program that is run.
    Command,
    /// A list or a stream in the store's Redis.
    Redis,
}

impl SinkConfig {
    pub(super) fn check(&self, table: &str, problems: &mut Problems<'_>) {
        let (word, key, is_missing) = match self.kind {
            SinkKind::Directory => ("directory", "directory", self.directory.as_os_str().is_empty()),
            SinkKind::Objects => ("objects", "objects.url", self.objects.url.is_empty()),
            SinkKind::Webhook => ("webhook", "webhook.url", self.webhook.url.is_empty()),
            SinkKind::Command => ("command", "command.argv", self.command.argv.is_empty()),
            SinkKind::Redis => ("redis", "redis.key", self.redis.key.is_empty()),
        };
        let needed = format!("{table}.{key}");
        match self.kind {
            _ if is_missing && problems.is_set(&needed) => problems.report(&needed, "must not be empty"),
            _ if is_missing => problems.report(
                &format!("{table}.kind"),
                format_args!("is \"{word}\", which needs {needed}"),
            ),
            SinkKind::Directory => {}
            SinkKind::Objects => self.objects.check(&format!("{table}.objects"), problems),
            SinkKind::Webhook => self.webhook.check(&format!("{table}.webhook"), problems),
            SinkKind::Command => self.command.check(&format!("{table}.command"), problems),
            SinkKind::Redis => self.redis.check(&format!("{table}.redis"), problems),
        }
        problems.require(
            &format!("{table}.timeout"),
            self.timeout >= Duration::from_secs(1),
            "must be at least 1s",
        );
    }

    /// Why it cannot take the results of such a queue, if so; fits after its name.
    pub(super) fn refuses(&self, queue: &QueueConfig) -> Option<&'static str> {
        let takes_lines = self.kind == SinkKind::Redis && self.redis.what == Entries::Line;
        let has_lines = queue.format == Format::Jsonl && queue.archive != Archive::Zip;
        (takes_lines && !has_lines)
            .then_some("which takes lines: the queue's format must be \"jsonl\", and its archive no zip")
    }
}
