//! What the tasks of a follow-up are made of.

use std::collections::BTreeMap;

use distjob_core::{Conclusion, JobEntry, JobId, QueueName, SinkName, Zxid, watcher::Row};
use serde::{Serialize, Serializer};

use crate::{
    archive::Archive,
    config::{Payload, Results, StepConfig},
    format::{Format, jsonl},
    sink::{Location, Manifest},
};

/// The task that comes of a row by this step, if one does.
pub(crate) fn task_of(step: &StepConfig, row: &Row<'_>) -> Option<Vec<u8>> {
    let has_part = match step.results {
        Results::Ok => !row.outcome.is_err(),
        Results::Err => row.outcome.is_err(),
        Results::All => true,
    };
    let payload = || match step.payload {
        Payload::Value => Some(row.outcome.bytes().to_vec()),
        Payload::Line => {
            let mut line = Vec::new();
            jsonl::push_line(&mut line, row);
            // The line break is for files.
            line.pop();
            Some(line)
        }
        Payload::Task => Some(row.task.to_vec()),
        Payload::Archive => None,
    };
    has_part.then(payload).flatten()
}

/// What a job came to and where its result is: as the one task of a follow-up, and as what a group knows of a member. One
/// line of JSON; fields may be added, none is renamed or removed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    job: JobId,
    /// Which job of that id, as 16 hexadecimal digits.
    life: String,
    queue: QueueName,
    #[serde(serialize_with = "word")]
    conclusion: Conclusion,
    tasks: u64,
    /// How many of them failed; 0 of a cancelled job.
    failed: u64,
    /// Where each sink has the result. Left out where there is not enough room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    locations: Option<BTreeMap<SinkName, String>>,
    /// What the result is; nothing of a cancelled job, which has none.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    file: Option<ResultFile>,
}

#[derive(Clone, Debug, Serialize)]
struct ResultFile {
    format: Format,
    archive: Archive,
    sha256: String,
    bytes: u64,
}

impl Outcome {
    /// Of a delivered job: what its manifest says, and where the result is.
    pub(crate) fn delivered<'a>(
        manifest: &Manifest,
        locations: impl Iterator<Item = (&'a SinkName, &'a Location)>,
    ) -> Self {
        let locations = locations.map(|(sink, place)| (sink.clone(), place.as_str().to_owned()));
        Self {
            job: manifest.id.clone(),
            life: manifest.life.clone(),
            queue: manifest.queue.clone(),
            conclusion: manifest.conclusion,
            tasks: manifest.tasks,
            failed: manifest.failed,
            locations: Some(locations.collect()),
            file: Some(ResultFile {
                format: manifest.format,
                archive: manifest.archive,
                sha256: manifest.sha256.clone(),
                bytes: manifest.bytes,
            }),
        }
    }

    /// Of a job of which no more is known than its znode says.
    pub(crate) fn of_entry(id: &JobId, entry: &JobEntry, conclusion: Conclusion) -> Self {
        Self {
            job: id.clone(),
            life: Zxid::to_string(&entry.life),
            queue: entry.data.queue.clone(),
            conclusion,
            tasks: entry.data.count,
            failed: entry.data.failed.unwrap_or(0),
            locations: None,
            file: None,
        }
    }

    /// As a line of JSON without its end, of at most `bytes_max` bytes if that can be done by leaving out locations.
    pub(crate) fn to_json(&self, bytes_max: usize) -> Vec<u8> {
        // Names, numbers and texts: that cannot fail.
        let json = |outcome: &Self| serde_json::to_vec(outcome).unwrap_or_default();
        let whole = json(self);
        if whole.len() <= bytes_max {
            return whole;
        }
        json(&Self {
            locations: None,
            ..self.clone()
        })
    }
}

fn word<S: Serializer>(conclusion: &Conclusion, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(conclusion.as_str())
}
