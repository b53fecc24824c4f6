//! What every program did to the ledger, held against the table of transitions.
//!
//! The server's own log of transactions tells all that happened, in order and with the session that did it: nothing that
//! a program did between two looks of a test can be missed.

use std::collections::{BTreeMap, HashMap};

use harness::World;

use crate::transactions::{self, Change, Transaction};

/// The states through which one life of a job went, the first being that of its creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) states: Vec<String>,
    pub(crate) is_over: bool,
}

/// Every life of every job, by id.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) jobs: BTreeMap<String, Vec<Life>>,
    locks: HashMap<String, i64>,
    violations: Vec<String>,
}

/// Replays the ledger of a world with its own ZooKeeper.
///
/// # Panics
/// When a transition is not in the table, or was made without the lock that it needs. So a job of this ledger went to
/// `uploaded` once at most in each life: nothing but its end comes after.
pub(crate) fn audit(world: &World) -> Ledger {
    let data = world.zookeeper().unwrap().dir().join("data");
    let mut ledger = Ledger::default();
    for transaction in transactions::read(&data).unwrap() {
        ledger.apply(&world.root(), &transaction);
    }
    assert!(
        ledger.violations.is_empty(),
        "the ledger was written against its rules:\n{}",
        ledger.violations.join("\n")
    );
    ledger
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
    fn apply(&mut self, root: &str, transaction: &Transaction) {
        let session = transaction.session;
        for change in &transaction.changes {
            let path = match change {
                Change::CloseSession => {
                    self.locks.retain(|_, owner| *owner != session);
                    continue;
                }
                Change::Create { path, .. } | Change::Set { path, .. } | Change::Delete { path } => path,
            };
            let Some((directory, id)) = path
                .strip_prefix(root)
                .and_then(|rest| rest.strip_prefix('/')?.split_once('/'))
            else {
                continue;
            };
            let wrong = match (directory, change) {
                ("jobs", Change::Create { data, .. }) => self.create(id, &state(data)),
                ("jobs", Change::Set { data, .. }) => self.set(id, &state(data), session),
                ("jobs", _) => self.delete(id, session),
                ("watchlocks", Change::Create { .. }) => {
                    self.locks.insert(id.to_owned(), session);
                    None
                }
                ("watchlocks", Change::Delete { .. }) => (self.locks.remove(id) != Some(session))
                    .then(|| "deleted another session's lock".to_owned()),
                _ => None,
            };
            let told = wrong.map(|wrong| format!("{:#x}: job {id}: {wrong}", transaction.zxid));
            self.violations.extend(told);
        }
    }

    fn create(&mut self, id: &str, state: &str) -> Option<String> {
        let life = Life {
            states: vec![state.to_owned()],
            is_over: false,
        };
        self.jobs.entry(id.to_owned()).or_default().push(life);
        (state != "subm").then(|| format!("created as {state}"))
    }

    fn set(&mut self, id: &str, to: &str, session: i64) -> Option<String> {
        let is_locked = self.locks.get(id) == Some(&session);
        let states = &mut self.jobs.get_mut(id)?.last_mut()?.states;
        let from = states.last().cloned().unwrap_or_default();
        states.push(to.to_owned());
        match rule(&from, to) {
            None => Some(format!("from {from} to {to}")),
            Some(NeedsLock::Yes) if !is_locked => Some(format!("from {from} to {to} without the lock")),
            Some(_) => None,
        }
    }

    fn delete(&mut self, id: &str, session: i64) -> Option<String> {
        let is_locked = self.locks.get(id) == Some(&session);
        let life = self.jobs.get_mut(id)?.last_mut()?;
        life.is_over = true;
        let state = life.states.last().cloned().unwrap_or_default();
        if !is_locked {
            Some(format!("deleted as {state} without the lock"))
        } else if !["uploaded", "cncl"].contains(&state.as_str()) {
            Some(format!("deleted as {state}"))
        } else {
            None
        }
    }
}

/// The state that a job's data begins with.
fn state(data: &[u8]) -> String {
    let text = String::from_utf8_lossy(data);
    text.split('=').next().unwrap_or_default().to_owned()
}

/// A job in a ledger of its own, without any daemon.
async fn job(world: &World) -> String {
    let id = world.job_id("audited");
    world.create_job(&id, "subm=1").await.unwrap();
    world.path(&format!("jobs/{id}"))
}

#[tokio::test]
#[should_panic(expected = "from subm to uploaded")]
async fn a_transition_that_is_not_in_the_table_is_seen() {
    let world = World::private().await.unwrap();
    let path = job(&world).await;
    let zk = world.zk().await.unwrap();
    zk.set_data(&path, b"uploaded=1", None).await.unwrap();
    audit(&world);
}

#[tokio::test]
#[should_panic(expected = "from prcd to uploaded without the lock")]
async fn a_transition_without_the_lock_that_it_needs_is_seen() {
    let world = World::private().await.unwrap();
    let path = job(&world).await;
    let zk = world.zk().await.unwrap();
    zk.set_data(&path, b"prcd=1", None).await.unwrap();
    zk.set_data(&path, b"uploaded=1", None).await.unwrap();
    audit(&world);
}

#[tokio::test]
#[should_panic(expected = "deleted as subm without the lock")]
async fn a_job_that_was_deleted_before_its_end_is_seen() {
    let world = World::private().await.unwrap();
    let path = job(&world).await;
    world.zk().await.unwrap().delete(&path, None).await.unwrap();
    audit(&world);
}
