//! What every program did to the ledger, held against the table of transitions.
//!
//! The servers' own logs of transactions tell all that happened, in order and with the session that did it: nothing that
//! a program did between two looks of a test can be missed.

mod merge;
pub mod transactions;

use std::collections::{BTreeMap, HashMap};

pub use self::merge::merge;
use self::transactions::{Change, Transaction};

/// The states through which one life of a job went, the first being that of its creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The words that its data began with, in order.
    pub states: Vec<String>,
    /// Whether its znode is gone.
    pub is_over: bool,
    /// How many executors' znodes went away while it lived.
    pub departures: u64,
    /// The transaction that created it.
    pub created: i64,
    /// What its znode said then.
    pub born: String,
    /// The transaction that said `uploaded`, if one did.
    pub uploaded: Option<i64>,
}

/// Every life of every job, by id.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The lives of an id, oldest first.
    pub jobs: BTreeMap<String, Vec<Life>>,
    /// The transactions that said of a group that it is joined, by its name.
    pub joins: BTreeMap<String, Vec<i64>>,
    /// Each write that the table does not allow, or that was made without the lock that it needs, for people.
    pub violations: Vec<String>,
    locks: HashMap<String, i64>,
    executors: HashMap<String, i64>,
    departures: u64,
}

/// Whether a job may go from one state to another, and whether that takes its lock.
fn rule(from: &str, to: &str) -> Option<NeedsLock> {
    match (from, to) {
        ("subm", "prcd") | ("lost", "subm") | ("subm" | "prcd" | "zpd" | "lost", "cncl") => {
            Some(NeedsLock::No)
        }
        ("prcd" | "zpd", "subm" | "lost" | "uploaded") | ("prcd", "zpd") => Some(NeedsLock::Yes),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NeedsLock {
    Yes,
    No,
}

impl Ledger {
    /// Replays all transactions, in their order, as far as they are about the znodes below `root`.
    #[must_use]
    pub fn replay(root: &str, transactions: &[Transaction]) -> Self {
        let mut ledger = Self::default();
        for transaction in transactions {
            ledger.apply(root, transaction);
        }
        ledger.close_lives();
        ledger
    }

    fn apply(&mut self, root: &str, transaction: &Transaction) {
        let session = transaction.session;
        for change in &transaction.changes {
            let Some(path) = change.path() else {
                self.close(session);
                continue;
            };
            let Some((directory, id)) = path
                .strip_prefix(root.trim_end_matches('/'))
                .and_then(|rest| rest.strip_prefix('/')?.split_once('/'))
            else {
                continue;
            };
            let wrong = match (directory, change) {
                ("jobs", Change::Create { data, .. }) => self.create(id, data, transaction.zxid),
                ("jobs", Change::Set { data, .. }) => self.set(id, &state(data), transaction),
                ("groups", Change::Set { data, .. }) if said(data, "joined") => {
                    self.joins
                        .entry(id.to_owned())
                        .or_default()
                        .push(transaction.zxid);
                    None
                }
                ("jobs", _) => self.delete(id, session),
                ("watchlocks", Change::Create { .. }) => {
                    self.locks.insert(id.to_owned(), session);
                    None
                }
                ("watchlocks", Change::Delete { .. }) => (self.locks.remove(id) != Some(session))
                    .then(|| "deleted another session's lock".to_owned()),
                ("executors", Change::Create { .. }) => {
                    self.executors.insert(id.to_owned(), session);
                    None
                }
                ("executors", Change::Delete { .. }) => {
                    self.departures += u64::from(self.executors.remove(id).is_some());
                    None
                }
                _ => None,
            };
            let told = wrong.map(|wrong| format!("{:#x}: job {id}: {wrong}", transaction.zxid));
            self.violations.extend(told);
        }
    }

    /// Takes away what a session owned.
    fn close(&mut self, session: i64) {
        self.locks.retain(|_, owner| *owner != session);
        let before = self.executors.len();
        self.executors.retain(|_, owner| *owner != session);
        self.departures += (before - self.executors.len()) as u64;
    }

    fn create(&mut self, id: &str, data: &[u8], zxid: i64) -> Option<String> {
        let state = state(data);
        let life = Life {
            states: vec![state.clone()],
            is_over: false,
            // Until it is over: how many there were before it.
            departures: self.departures,
            created: zxid,
            born: String::from_utf8_lossy(data).into_owned(),
            uploaded: None,
        };
        self.jobs.entry(id.to_owned()).or_default().push(life);
        (state != "subm").then(|| format!("created as {state}"))
    }

    fn set(&mut self, id: &str, to: &str, transaction: &Transaction) -> Option<String> {
        let is_locked = self.locks.get(id) == Some(&transaction.session);
        let Some(life) = self.living(id) else {
            return Some(format!("set to {to} although it is not there"));
        };
        let from = life.states.last().cloned().unwrap_or_default();
        life.states.push(to.to_owned());
        if to == "uploaded" {
            life.uploaded = Some(transaction.zxid);
        }
        match rule(&from, to) {
            None => Some(format!("from {from} to {to}")),
            Some(NeedsLock::Yes) if !is_locked => Some(format!("from {from} to {to} without the lock")),
            Some(_) => None,
        }
    }

    fn delete(&mut self, id: &str, session: i64) -> Option<String> {
        let is_locked = self.locks.get(id) == Some(&session);
        let departures = self.departures;
        let Some(life) = self.living(id) else {
            return Some("deleted although it is not there".to_owned());
        };
        life.end(departures);
        let state = life.states.last().cloned().unwrap_or_default();
        if !is_locked {
            Some(format!("deleted as {state} without the lock"))
        } else if !["uploaded", "cncl"].contains(&state.as_str()) {
            Some(format!("deleted as {state}"))
        } else {
            None
        }
    }

    fn living(&mut self, id: &str) -> Option<&mut Life> {
        self.jobs.get_mut(id)?.last_mut().filter(|life| !life.is_over)
    }

    /// Counts for the lives that go on as if they ended now.
    fn close_lives(&mut self) {
        let departures = self.departures;
        let going_on = self.jobs.values_mut().flatten().filter(|life| !life.is_over);
        for life in going_on {
            life.departures = departures - life.departures;
        }
    }
}

impl Life {
    /// Whether the job was ever in that state.
    #[must_use]
    pub fn was(&self, state: &str) -> bool {
        self.states.iter().any(|had| had == state)
    }

    /// What its znode said of `key` when it was created.
    #[must_use]
    pub fn said(&self, key: &str) -> Option<&str> {
        let parts = self.born.split(';').skip(1);
        parts
            .filter_map(|part| part.split_once('='))
            .find_map(|(had, value)| (had == key).then_some(value))
    }

    fn end(&mut self, departures: u64) {
        self.is_over = true;
        self.departures = departures - self.departures;
    }
}

/// Whether the data of a group begins with that state.
fn said(data: &[u8], state: &str) -> bool {
    String::from_utf8_lossy(data).split(';').next() == Some(state)
}

/// The state that a job's data begins with.
fn state(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    text.split('=').next().unwrap_or_default().to_owned()
}
