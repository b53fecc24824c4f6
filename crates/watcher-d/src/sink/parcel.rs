//! What is handed to sinks.

use std::{
    fmt,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use distjob_core::{JobId, QueueName, Zxid};

use super::{Manifest, SinkError};

/// What keeps a file there; dropping the last one removes it.
pub type Hold = Arc<dyn fmt::Debug + Send + Sync>;

/// A whole and durable result with its manifest, on this machine.
#[derive(Debug)]
pub struct Parcel {
    /// The job.
    pub job: JobId,
    /// Which job of that id.
    pub life: Zxid,
    /// The kind of its work.
    pub queue: QueueName,
    /// The name of the result in every sink, without endings: parts that are safe as file names, with `/` between them.
    pub name: String,
    /// What the name of the result ends with, without the dot before it: `jsonl.zst`.
    pub ending: &'static str,
    /// The result. Its file name is that of no other parcel on this machine.
    pub path: PathBuf,
    /// What it is.
    pub manifest: Arc<Manifest>,
    /// Whether the file at `path` may be moved away: no other sink and no retry needs it.
    pub may_be_moved: bool,
    /// Whether it was, see [`moved`](Self::moved).
    pub moved: AtomicBool,
    /// Keeps the file.
    pub hold: Hold,
}

impl Parcel {
    /// `<name>.<ending>`.
    #[must_use]
    pub fn result_name(&self) -> String {
        format!("{}.{}", self.name, self.ending)
    }

    /// `<name>.manifest.json`.
    #[must_use]
    pub fn manifest_name(&self) -> String {
        format!("{}.manifest.json", self.name)
    }

    /// The same for each delivery of the result of this job: `<id>.<life>`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        format!("{}.{}", self.job, self.life)
    }

    /// Takes notice that the file was moved away, which it [must be allowed](Self::may_be_moved) to be.
    pub fn moved(&self) {
        self.moved.store(true, Ordering::Release);
    }

    /// Whether the file was moved away.
    #[must_use]
    pub fn is_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire)
    }

    /// Writes the manifest to a file beside [`path`](Self::path), for whoever wants to be given one. Not synced; it goes
    /// with the returned value.
    ///
    /// # Errors
    /// When it cannot be written. Blocks for as long as that takes.
    pub fn write_manifest(&self) -> Result<ManifestFile, SinkError> {
        // Each has its own: several may ask at the same time, and end at different ones.
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.manifest", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let file = ManifestFile(self.path.with_file_name(name));
        File::create(&file.0)
            .and_then(|mut opened| opened.write_all(&self.manifest.to_json()))
            .map_err(|error| SinkError::at("write", &file.0, error))?;
        Ok(file)
    }
}

/// A manifest in a file of its own, which goes with this.
#[derive(Debug)]
pub struct ManifestFile(PathBuf);

impl ManifestFile {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ManifestFile {
    fn drop(&mut self) {
        crate::files::remove(&self.0);
    }
}

/// Where a sink has a result: a path, a URL, or what else names it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    /// The place that this text names. It is shown, and told to follow-ups: no secrets.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
