//! How the result of one job is made.

use distjob_core::{Conclusion, JobEntry, JobId, SinkName, conclusion::Policy};
use distjob_runtime::chance;

use super::Tally;
use crate::{
    archive::Archive,
    config::QueueConfig,
    format::Format,
    name::NameTemplate,
    sink::{Manifest, Versions},
};

/// How the result of one job is made, and what is concluded from it.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The job.
    pub id: JobId,
    /// What it looked like when it was locked.
    pub entry: JobEntry,
    /// How rows are written.
    pub format: Format,
    /// What they are packed in.
    pub archive: Archive,
    /// How hard to pack; 0: as the archive's format does by itself.
    pub level: u32,
    /// How the result is called.
    pub name: NameTemplate,
    /// What its failures mean.
    pub policy: Policy,
}

impl Recipe {
    /// That of job `id`, looking like `entry`, of a queue with this configuration.
    #[must_use]
    pub fn new(id: &JobId, entry: &JobEntry, queue: &QueueConfig) -> Self {
        Self {
            id: id.clone(),
            entry: entry.clone(),
            format: queue.format,
            archive: queue.archive,
            level: queue.level,
            name: queue.name.clone(),
            policy: queue.policy(),
        }
    }

    /// What the job came to.
    #[must_use]
    pub fn conclude(&self, tally: &Tally) -> Conclusion {
        self.policy.conclude(self.entry.data.count, tally.err)
    }

    /// The name of a result that came to this, without endings.
    #[must_use]
    pub fn name(&self, conclusion: Conclusion) -> String {
        self.name.fill(&self.id, &self.entry, conclusion)
    }

    /// What the name of the result ends with, without the dot before it: `jsonl.zst`.
    #[must_use]
    pub const fn ending(&self) -> &'static str {
        self.archive.ending(self.format)
    }

    /// What a result is with this tally and digest, with the date of today.
    #[must_use]
    pub fn manifest(&self, tally: &Tally, sha256: &str, skipped: Vec<SinkName>) -> Manifest {
        let conclusion = self.conclude(tally);
        let data = &self.entry.data;
        Manifest {
            id: self.id.clone(),
            life: self.entry.life.to_string(),
            queue: data.queue.clone(),
            conclusion,
            tasks: tally.ok + tally.err,
            ok: tally.ok,
            failed: tally.err,
            attempts: tally.attempts,
            bytes: tally.bytes,
            sha256: sha256.to_owned(),
            format: self.format,
            archive: self.archive,
            name: format!("{}.{}", self.name(conclusion), self.ending()),
            created_ms: self.entry.created_ms,
            deadline_ms: data.deadline_ms,
            delivered_ms: u64::try_from(chance::since_1970().as_millis()).ok(),
            skipped,
            versions: Versions::THIS,
        }
    }
    /// What the rows are called inside of an archive that has names.
    #[must_use]
    pub fn inner_name(&self) -> String {
        format!("{}.{}", self.id, Archive::None.ending(self.format))
    }

    /// What the rows are that came to this, inside of an archive.
    #[must_use]
    pub fn inner_manifest(&self, tally: &Tally, sha256: &str) -> Manifest {
        Manifest {
            name: self.inner_name(),
            archive: Archive::None,
            delivered_ms: None,
            ..self.manifest(tally, sha256, Vec::new())
        }
    }
}
