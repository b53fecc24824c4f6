//! Reading the transactions that a ZooKeeper server has applied, from the files to which it writes them.
//!
//! The formats are those of `FileTxnLog` and of `zookeeper.jute`, 3.6 to 3.9: big-endian numbers, texts and byte strings
//! headed by their length.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// What a transaction does to one znode, or to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Create { path: String, data: Vec<u8> },
    Delete { path: String },
    Set { path: String, data: Vec<u8> },
    CloseSession,
}

/// A transaction, as it took effect.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) session: i64,
    pub(crate) zxid: i64,
    /// More than one in a multi.
    pub(crate) changes: Vec<Change>,
}

/// All transactions in the log files below `data`, in order. What the server writes at this moment may be missing.
pub(crate) fn read(data: &Path) -> Result<Vec<Transaction>> {
    let directory = data.join("version-2");
    let mut files = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))? {
        let path = entry?.path();
        let zxid = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix("log."))
            .and_then(|zxid| i64::from_str_radix(zxid, 16).ok());
        files.extend(zxid.map(|zxid| (zxid, path)));
    }
    files.sort();
    let mut transactions = Vec::new();
    for (_, path) in files {
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        read_file(&bytes, &mut transactions).with_context(|| format!("parse {}", path.display()))?;
    }
    Ok(transactions)
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
            }),
            CLOSE_SESSION => Some(Change::CloseSession),
            _ => None,
        }
    }
}
