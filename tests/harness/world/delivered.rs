//! What watchers deliver to files.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::World;

/// Whether a file below a sink is a result or the manifest of one, by its name.
pub fn is_delivered(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let endings = [".manifest.json", ".jsonl", ".csv", ".txt", ".gz", ".zst", ".zip"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// One line of a delivered file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The task's position in its job.
    pub index: u64,
    /// The task's payload.
    pub task: Vec<u8>,
    /// What the handler answered, or the error it gave.
    pub outcome: Result<Vec<u8>, String>,
    /// How often it was run, where the handler kept count.
    pub attempts: Option<u64>,
}

impl Delivered {
    /// The lines of a delivered file, in its order; none when the file is not there.
    pub fn read(path: &Path) -> Result<Option<Vec<Self>>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("read {}", path.display()))?,
        };
        let lines = Self::parse(&text).with_context(|| format!("in {}", path.display()))?;
        Ok(Some(lines))
    }

    /// The lines of a result in JSON Lines.
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        ensure!(text.is_empty() || text.ends_with('\n'), "it ends within a line");
        let lines = text.lines().enumerate();
        let parsed = lines.map(|(at, line)| parse(line).with_context(|| format!("line {}", at + 1)));
        parsed.collect()
    }
}

impl World {
    /// The lines that were delivered for a job, in the file's order; none when the file is not there (yet).
    pub fn delivered(&self, queue: &str, id: &str) -> Result<Option<Vec<Delivered>>> {
        Delivered::read(&self.sink().join(queue).join(format!("{id}.jsonl")))
    }

    /// The manifest of a job's result; none when it is not there (yet).
    pub fn manifest(&self, queue: &str, id: &str) -> Result<Option<Value>> {
        let path = self.sink().join(queue).join(format!("{id}.manifest.json"));
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            text => {
                let text = text.with_context(|| format!("read {}", path.display()))?;
                let manifest = serde_json::from_slice(&text);
                manifest.with_context(|| format!("parse {}", path.display()))
            }
        }
    }

    /// As [`World::delivered`], and checks that it is whole: every index of a job of `tasks` once, in order, with its own
    /// task.
    pub fn delivered_whole<T: AsRef<[u8]>>(
        &self,
        queue: &str,
        id: &str,
        tasks: &[T],
    ) -> Result<Vec<Delivered>> {
        let lines = self
            .delivered(queue, id)?
            .with_context(|| format!("job {id} was not delivered"))?;
        for (at, (line, task)) in lines.iter().zip(tasks).enumerate() {
            ensure!(
                line.index == at as u64,
                "job {id}: index {} where {at} belongs",
                line.index
            );
            ensure!(line.task == task.as_ref(), "job {id}: another task at index {at}");
        }
        ensure!(
            lines.len() == tasks.len(),
            "job {id}: {} lines for {} tasks",
            lines.len(),
            tasks.len()
        );
        Ok(lines)
    }
}

fn parse(line: &str) -> Result<Delivered> {
    let line: Value = serde_json::from_str(line)?;
    let outcome = match line["outcome"].as_str() {
        Some("ok") => Ok(bytes(&line, "value")?),
        Some("err") => Err(line["error"].as_str().context("no error")?.to_owned()),
        other => bail!("outcome {other:?}"),
    };
    Ok(Delivered {
        index: line["index"].as_u64().context("no index")?,
        task: bytes(&line, "task")?,
        outcome,
        attempts: line["attempts"].as_u64(),
    })
}

/// A field that is text, or bytes in base64 under another name; exactly one of both.
fn bytes(line: &Value, field: &str) -> Result<Vec<u8>> {
    match (line[field].as_str(), line[format!("{field}_base64")].as_str()) {
        (Some(text), None) => Ok(text.as_bytes().to_owned()),
        (None, Some(text)) => STANDARD
            .decode(text)
            .with_context(|| format!("{field} in base64")),
        _ => bail!("neither or both of {field} and {field}_base64"),
    }
}
