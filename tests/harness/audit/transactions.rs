//! Reading the transactions that ZooKeeper servers have applied, from the files to which they write them.
//!
//! The formats are those of `FileTxnLog` and of `zookeeper.jute`, 3.6 to 3.9: big-endian numbers, texts and byte strings
//! headed by their length.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// What a transaction does to one znode, or to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A znode came to be.
    Create {
        /// Which one.
        path: String,
        /// What it holds.
        data: Vec<u8>,
    },
    /// A znode was deleted.
    Delete {
        /// Which one.
        path: String,
    },
    /// A znode's data were written.
    Set {
        /// Which one.
        path: String,
        /// What it holds now.
        data: Vec<u8>,
        /// The version that this write made: 1 for the first after the creation.
        version: i32,
    },
    /// The session is over, and its ephemerals are gone.
    CloseSession,
}

/// A transaction, as it took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The session that asked for it, or that ended.
    pub session: i64,
    /// Its place in the order of all: the epoch of the leader in the upper half.
    pub zxid: i64,
    /// More than one in a multi.
    pub changes: Vec<Change>,
}

/// What one server wrote down: its transactions, by their zxids, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    transactions: Vec<Transaction>,
    /// The last zxid of each snapshot.
    pub(super) snapshots: Vec<i64>,
}

impl Log {
    /// Takes transactions as they were written: a server that comes back to the others writes some of them again.
    pub(super) fn new(mut transactions: Vec<Transaction>, snapshots: Vec<i64>) -> Self {
        transactions.sort_by_key(|transaction| transaction.zxid);
        transactions.dedup_by_key(|transaction| transaction.zxid);
        Self {
            transactions,
            snapshots,
        }
    }
}

impl Deref for Log {
    type Target = [Transaction];

    fn deref(&self) -> &[Transaction] {
        &self.transactions
    }
}

/// All transactions in the log files below a server's directory `data`, in order. What the server writes at this moment
/// may be missing.
///
/// # Errors
/// When a file cannot be read or is no log.
pub fn read(data: &Path) -> Result<Log> {
    let directory = data.join("version-2");
    let (mut files, mut snapshots, mut transactions) = (Vec::new(), Vec::new(), Vec::new());
    for entry in fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))? {
        let path = entry?.path();
        let zxid = |kind| {
            let name = path.file_name()?.to_str()?;
            i64::from_str_radix(name.strip_prefix(kind)?, 16).ok()
        };
        snapshots.extend(zxid("snapshot."));
        files.extend(zxid("log.").map(|zxid| (zxid, path.clone())));
    }
    files.sort();
    for (_, path) in files {
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        read_file(&bytes, &mut transactions).with_context(|| format!("parse {}", path.display()))?;
    }
    Ok(Log::new(transactions, snapshots))
}

impl Change {
    /// The znode that was changed, if it was one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Create { path, .. } | Self::Delete { path } | Self::Set { path, .. } => Some(path),
            Self::CloseSession => None,
        }
    }
}

fn read_file(bytes: &[u8], transactions: &mut Vec<Transaction>) -> Result<()> {
    let mut file = Cursor(bytes);
    let Some(header) = file.take(16) else {
        return Ok(());
    };
    ensure!(header.starts_with(b"ZKLG"), "not a transaction log");
    // An entry that is not whole was being written. The rest is zeros: the server allocates ahead.
    while let Some(entry) = file.entry() {
        transactions.extend(Cursor(entry).transaction()?);
    }
    Ok(())
}

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const SET: i32 = 5;
const MULTI: i32 = 14;
const CREATE_2: i32 = 15;
const CLOSE_SESSION: i32 = -11;
const FAILED: i32 = -1;

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int(&mut self) -> Option<i32> {
        self.take(4)?
            .first_chunk()
            .map(|bytes| i32::from_be_bytes(*bytes))
    }

    fn long(&mut self) -> Option<i64> {
        self.take(8)?
            .first_chunk()
            .map(|bytes| i64::from_be_bytes(*bytes))
    }

    /// None is a byte string, too: its length is -1.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.int()?;
        self.take(usize::try_from(length).unwrap_or(0))
    }

    fn text(&mut self) -> Option<String> {
        self.bytes()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Checksum, length, transaction, end mark.
    fn entry(&mut self) -> Option<&'a [u8]> {
        self.long()?;
        let entry = self.bytes().filter(|entry| !entry.is_empty())?;
        (self.take(1)? == b"B").then_some(entry)
    }

    /// None for one that failed.
    fn transaction(&mut self) -> Result<Option<Transaction>> {
        let mut header = || Some((self.long()?, self.int()?, self.long()?, self.long()?, self.int()?));
        let (session, _, zxid, _, kind) = header().context("a transaction without its header")?;
        let changes = self
            .changes(kind)
            .with_context(|| format!("transaction {zxid:#x} of kind {kind}"))?;
        Ok(changes.map(|changes| Transaction {
            session,
            zxid,
            changes,
        }))
    }

    fn changes(&mut self, kind: i32) -> Result<Option<Vec<Change>>> {
        if kind != MULTI {
            return Ok((kind != FAILED).then(|| Vec::from_iter(self.change(kind))));
        }
        let parts = self.int().context("no number of parts")?;
        let mut changes = Vec::new();
        for _ in 0..parts {
            let mut part = || Some((self.int()?, self.bytes()?));
            let (kind, part) = part().context("a part is missing")?;
            if kind == FAILED {
                return Ok(None);
            }
            changes.extend(Cursor(part).change(kind));
        }
        Ok(Some(changes))
    }

    /// None for what changes no znode, such as a check.
    fn change(&mut self, kind: i32) -> Option<Change> {
        match kind {
            CREATE | CREATE_2 => Some(Change::Create {
                path: self.text()?,
                data: self.bytes()?.to_owned(),
            }),
            DELETE => Some(Change::Delete { path: self.text()? }),
            SET => Some(Change::Set {
                path: self.text()?,
                data: self.bytes()?.to_owned(),
                version: self.int()?,
            }),
            CLOSE_SESSION => Some(Change::CloseSession),
            _ => None,
        }
    }
}
