//! Reading the transactions that ZooKeeper servers have applied, from the files to which they write them.
//!
//! The formats are those of `FileTxnLog` and of `zookeeper.jute`, 3.6 to 3.9: big-endian numbers, texts and byte strings
//! headed by their length.

use std::collections::BTreeMap;
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

/// What one server wrote down.
#[derive(Debug, Clone, Default)]
pub struct Log {
    transactions: Vec<Transaction>,
    /// The last zxid of each snapshot.
    snapshots: Vec<i64>,
}

impl Deref for Log {
    type Target = [Transaction];

    fn deref(&self) -> &[Transaction] {
        &self.transactions
    }
}

impl Log {
    /// Whether the server went on beyond `zxid` without it. One that had been away for long may have been sent a snapshot
    /// that has it.
    fn denies(&self, zxid: i64) -> bool {
        let next = self.partition_point(|transaction| transaction.zxid < zxid);
        self.get(next).is_some_and(|next| {
            let is_covered = |last: &i64| (zxid..next.zxid).contains(last);
            next.zxid != zxid && !self.snapshots.iter().any(is_covered)
        })
    }
}

/// All transactions in the log files below a server's directory `data`, in order. What the server writes at this moment
/// may be missing.
///
/// # Errors
/// When a file cannot be read or is no log.
pub fn read(data: &Path) -> Result<Log> {
    let directory = data.join("version-2");
    let (mut files, mut log) = (Vec::new(), Log::default());
    for entry in fs::read_dir(&directory).with_context(|| format!("list {}", directory.display()))? {
        let path = entry?.path();
        let zxid = |kind| {
            let name = path.file_name()?.to_str()?;
            i64::from_str_radix(name.strip_prefix(kind)?, 16).ok()
        };
        log.snapshots.extend(zxid("snapshot."));
        files.extend(zxid("log.").map(|zxid| (zxid, path.clone())));
    }
    files.sort();
    for (_, path) in files {
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        read_file(&bytes, &mut log.transactions).with_context(|| format!("parse {}", path.display()))?;
    }
    Ok(log)
}

/// The transactions of an ensemble, from those that each of its servers logged, in order.
///
/// No server need have logged all: one that was away for long is sent a snapshot. What a majority logged took effect. What
/// fewer logged may never have, for a leader can be cut off with proposals that nobody else has, or die with them; such a
/// transaction is left out when another server went on without it, or when what happened to the same znode or session
/// next could not have come after it.
#[must_use]
pub fn merge(servers: &[Log]) -> Vec<Transaction> {
    let mut all = BTreeMap::<i64, (usize, &Transaction)>::new();
    // A server logs some transactions twice when it comes back to the others.
    let once = |log: &'_ Log| -> BTreeMap<i64, usize> {
        (log.iter().enumerate())
            .map(|(place, transaction)| (transaction.zxid, place))
            .collect()
    };
    for log in servers {
        for (zxid, place) in once(log) {
            all.entry(zxid).or_insert((0, &log[place])).0 += 1;
        }
    }
    let is_sure = |count: usize| count * 2 > servers.len();
    let sure: Vec<&Transaction> = all
        .values()
        .filter(|(count, _)| is_sure(*count))
        .map(|(_, transaction)| *transaction)
        .collect();
    let may_be = |transaction: &Transaction| {
        !servers.iter().any(|log| log.denies(transaction.zxid)) && may_precede(transaction, &sure)
    };
    all.values()
        .filter(|(count, transaction)| is_sure(*count) || may_be(transaction))
        .map(|(_, transaction)| (*transaction).clone())
        .collect()
}

/// Whether `doubtful` can have taken effect, given what surely did.
fn may_precede(doubtful: &Transaction, sure: &[&Transaction]) -> bool {
    let later = &sure[sure.partition_point(|transaction| transaction.zxid < doubtful.zxid)..];
    doubtful.changes.iter().all(|change| match change {
        Change::CloseSession => later
            .iter()
            .all(|transaction| transaction.session != doubtful.session),
        Change::Create { path, .. } => match next_change(later, path) {
            Some(Change::Create { .. }) => false,
            Some(Change::Set { version, .. }) => *version == 1,
            _ => true,
        },
        Change::Set { path, version, .. } => match next_change(later, path) {
            Some(Change::Create { .. }) => false,
            Some(Change::Set { version: next, .. }) => *next == version + 1,
            _ => true,
        },
        Change::Delete { path } => {
            matches!(next_change(later, path), None | Some(Change::Create { .. }))
        }
    })
}

/// The first of the changes that names this znode.
fn next_change<'a>(later: &[&'a Transaction], path: &str) -> Option<&'a Change> {
    later
        .iter()
        .flat_map(|transaction| &transaction.changes)
        .find(|change| change.path() == Some(path))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(zxid: i64, changes: impl IntoIterator<Item = Change>) -> Transaction {
        Transaction {
            session: 1,
            zxid,
            changes: changes.into_iter().collect(),
        }
    }

    fn set(zxid: i64, version: i32) -> Transaction {
        let change = Change::Set {
            path: "/a".to_owned(),
            data: Vec::new(),
            version,
        };
        transaction(zxid, [change])
    }

    fn zxids(merged: &[Transaction]) -> Vec<i64> {
        merged.iter().map(|transaction| transaction.zxid).collect()
    }

    fn logs(servers: [&[Transaction]; 3]) -> [Log; 3] {
        servers.map(|transactions| Log {
            transactions: transactions.to_vec(),
            snapshots: vec![0],
        })
    }

    #[test]
    fn what_a_server_missed_is_taken_from_the_others() {
        let whole = [set(1, 1), set(2, 2), set(3, 3)];
        let late = [set(1, 1), set(3, 3)];
        assert_eq!(merge(&logs([&late, &whole, &whole])), whole);
        // Even what only one has, when the others were sent it in a snapshot.
        let mut logs = logs([&late, &whole, &late]);
        logs[0].snapshots.push(2);
        logs[2].snapshots.push(2);
        assert_eq!(merge(&logs), whole);
    }

    #[test]
    fn what_the_others_went_on_without_is_left_out() {
        let create = Change::Create {
            path: "/b".to_owned(),
            data: Vec::new(),
        };
        let cut_off = [set(1, 1), transaction(2, [create]), set(0x1_0000_0002, 3)];
        let others = [set(1, 1), set(0x1_0000_0001, 2), set(0x1_0000_0002, 3)];
        let mut logs = logs([&cut_off, &others, &others]);
        // It came back by a snapshot.
        logs[0].snapshots.push(0x1_0000_0001);
        assert_eq!(merge(&logs), others);
    }

    #[test]
    fn what_a_server_logged_twice_counts_once() {
        let twice = [set(1, 1), set(2, 2), set(2, 2)];
        let others = [set(1, 1), set(3, 2)];
        assert_eq!(merge(&logs([&twice, &others, &others])), others);
    }

    #[test]
    fn a_proposal_that_died_with_its_leader_is_left_out() {
        let orphan = [set(1, 1), set(2, 2)];
        // The next leader had been sent a snapshot of another line.
        let others = [set(1, 1), set(0x1_0000_0001, 2)];
        let mut logs = logs([&orphan, &others, &others]);
        logs[1].snapshots.push(0x1_0000_0000);
        logs[2].snapshots.push(0x1_0000_0000);
        assert_eq!(zxids(&merge(&logs)), [1, 0x1_0000_0001]);
    }

    #[test]
    fn an_end_of_a_session_that_went_on_is_left_out() {
        let orphan = [set(1, 1), transaction(2, [Change::CloseSession])];
        let others = [set(1, 1), set(0x1_0000_0001, 2)];
        let mut logs = logs([&orphan, &others, &others]);
        logs[1].snapshots.push(0x1_0000_0000);
        logs[2].snapshots.push(0x1_0000_0000);
        assert_eq!(zxids(&merge(&logs)), [1, 0x1_0000_0001]);
    }

    #[test]
    fn one_server_tells_all_there_is() {
        let alone = Log {
            transactions: vec![set(1, 1), set(2, 2)],
            snapshots: Vec::new(),
        };
        assert_eq!(merge(std::slice::from_ref(&alone)), *alone);
    }
}
