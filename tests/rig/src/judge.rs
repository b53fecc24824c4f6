//! Judging a run by what is in its directory.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{BufRead as _, BufReader, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, ensure};
use harness::Delivered;
use harness::audit::{self, Ledger, transactions};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::check::{self, Delivery, Evidence, Verdict};
use crate::history::History;
use crate::report;
use crate::run::Settings;

/// What is wrong with a run, and where it is.
#[derive(Debug)]
pub struct Judgement {
    dir: PathBuf,
    command: String,
    verdict: Verdict,
}

impl Judgement {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.verdict.is_clean()
    }
}

impl Display for Judgement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for violation in &self.verdict.violations {
            writeln!(f, "  {violation}")?;
        }
        let verdict = if self.is_clean() { "clean" } else { "NOT CLEAN" };
        let page = self.dir.join(report::PAGE);
        writeln!(
            f,
            "{verdict}: {} violations; {}",
            self.verdict.violations.len(),
            page.display()
        )?;
        write!(f, "repeat with: {}", self.command)
    }
}

/// Judges the run in a directory, and writes the report about it there.
///
/// # Errors
/// When something that belongs there cannot be read, or the report cannot be written.
pub fn judge(dir: &Path) -> Result<Judgement> {
    let history = History::read(&dir.join(Settings::HISTORY))?;
    let parameters = history.parameters();
    let root = parameters.map_or("/", |parameters| parameters.root.as_str());
    let mut logs = Vec::new();
    for server in entries(&dir.join("zookeeper"))? {
        let data = server.join("data");
        if data.is_dir() {
            logs.push(transactions::read(&data)?);
        }
    }
    ensure!(!logs.is_empty(), "the logs of the ZooKeeper servers are gone");
    let ledger = Ledger::replay(root, &audit::merge(&logs));
    let executions = executions(&dir.join("executions"))?;
    let evidence = Evidence {
        history: &history,
        ledger: &ledger,
        executions: &executions,
    };
    let mut files = Vec::new();
    for queue in entries(&dir.join("delivered"))? {
        files.extend(
            entries(&queue)?
                .into_iter()
                .filter(|path| path.is_file() && !is_manifest(path)),
        );
    }
    let verdict = check::judge(&evidence, files.iter().filter_map(|file| delivery(file)));
    report::write(dir, &history, &verdict)?;
    let command = parameters
        .map(|parameters| parameters.command.clone())
        .unwrap_or_default();
    Ok(Judgement {
        dir: dir.to_owned(),
        command,
        verdict,
    })
}

/// Removes what a run leaves that its judgement does not need.
///
/// # Errors
/// When it cannot be removed.
pub fn tidy(dir: &Path) -> Result<()> {
    for name in ["redis", "sink"] {
        let path = dir.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn executions(dir: &Path) -> Result<HashMap<String, u64>> {
    let mut counts = HashMap::new();
    for path in entries(dir)? {
        let told = || format!("read {}", path.display());
        for line in BufReader::new(fs::File::open(&path).with_context(told)?).lines() {
            *counts.entry(line.with_context(told)?).or_default() += 1;
        }
    }
    Ok(counts)
}

/// What a watcher says beside each result of what the job came to.
fn is_manifest(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".manifest.json"))
}

/// What a watcher delivered as this file.
fn delivery(file: &Path) -> Option<Delivery> {
    let name = file.file_name()?.to_str()?;
    let (id, ending) = name.split_once('.').unwrap_or((name, ""));
    let bytes = fs::read(file).map_err(|error| error.to_string());
    let lines = bytes.as_ref().map_err(String::clone).and_then(|bytes| {
        let read = if ending == "zip" {
            archived(bytes)
        } else {
            plain(bytes)
        };
        read.map_err(|error| format!("{error:#}"))
    });
    let written = fs::metadata(file).and_then(|about| about.modified()).ok();
    let unix_ms = written
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default()
        .as_millis();
    Some(Delivery {
        queue: file.parent()?.file_name()?.to_str()?.to_owned(),
        id: id.to_owned(),
        unix_ms: u64::try_from(unix_ms).unwrap_or(u64::MAX),
        lines,
        sha256: digest(bytes.as_deref().unwrap_or_default()),
        told: told(&file.with_file_name(format!("{id}.manifest.json"))).map_err(|error| format!("{error:#}")),
    })
}

fn plain(bytes: &[u8]) -> Result<Vec<Delivered>> {
    Delivered::parse(str::from_utf8(bytes).context("it is no text")?)
}

/// The lines in a zip file, whose manifest must tell of them.
fn archived(bytes: &[u8]) -> Result<Vec<Delivered>> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).context("open the archive")?;
    ensure!(zip.len() == 2, "{} files are in it", zip.len());
    let mut unpack = |at| -> Result<Vec<u8>> {
        let mut file = zip.by_index(at)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let (rows, manifest) = (unpack(0)?, unpack(1)?);
    let told = digest_in(&manifest).context("the manifest inside")?;
    ensure!(
        told == digest(&rows),
        "the manifest inside tells of {told}, the rows are others"
    );
    plain(&rows)
}

/// The digest that a manifest tells of.
fn told(manifest: &Path) -> Result<String> {
    digest_in(&fs::read(manifest).with_context(|| format!("read {}", manifest.display()))?)
}

fn digest_in(manifest: &[u8]) -> Result<String> {
    let manifest: Value = serde_json::from_slice(manifest)?;
    Ok(manifest["sha256"]
        .as_str()
        .context("it tells of no digest")?
        .to_owned())
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
