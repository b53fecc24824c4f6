//! What a result is, in short.

use distjob_core::{Conclusion, JobId, QueueName, SinkName};
use serde::{Serialize, Serializer};

use crate::{archive::Archive, format::Format};

/// What a result is, in short: one JSON object beside it. Fields may be added, none is renamed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The job.
    pub id: JobId,
    /// Which job of that id, as 16 hexadecimal digits: the creation zxid of its znode.
    pub life: String,
    /// The kind of its work.
    pub queue: QueueName,
    /// What it came to: `succeeded`, `partly-failed` or `failed`.
    #[serde(serialize_with = "word")]
    pub conclusion: Conclusion,
    /// How many tasks it had.
    pub tasks: u64,
    /// How many of them have a value.
    pub ok: u64,
    /// How many of them have an error.
    pub failed: u64,
    /// How often tasks were run, for as much as handlers kept count: `tasks`, and each further attempt.
    pub attempts: u64,
    /// How many bytes the result has.
    pub bytes: u64,
    /// The digest of those bytes, SHA-256 as 64 hexadecimal digits.
    pub sha256: String,
    /// How tasks and outcomes are written: `jsonl`, `csv` or `raw`.
    pub format: Format,
    /// What that is packed in: `none`, `gzip`, `zstd` or `zip`.
    pub archive: Archive,
    /// The name of the result, with its endings, in every sink.
    pub name: String,
    /// When the job was created, in milliseconds since 1970 by ZooKeeper's clock.
    pub created_ms: i64,
    /// Until when its tasks were allowed to run, in milliseconds since 1970.
    pub deadline_ms: Option<u64>,
    /// When this was written, in milliseconds since 1970 by the watcher's clock.
    /// Not inside of an archive, whose bytes are the same however often, and by whomever, it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_ms: Option<u64>,
    /// The sinks of its queue that do not have it, because an operator said so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SinkName>,
    /// Who wrote it.
    pub versions: Versions,
}

/// Who wrote a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// The version of the watcher.
    pub distjob: &'static str,
    /// The version of the manifest's fields. Grows only when a reader of the former ones would go wrong.
    pub manifest: u32,
}

impl Versions {
    /// Those of this program.
    pub const THIS: Self = Self {
        distjob: env!("CARGO_PKG_VERSION"),
        manifest: 1,
    };
}

impl Manifest {
    /// As it is delivered: indented, with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain fields and text keys can be written");
        text.push(b'\n');
        text
    }
}

fn word<S: Serializer>(conclusion: &Conclusion, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(conclusion.as_str())
}
