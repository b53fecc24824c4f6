//! The leader: the order of all transactions, and the sessions.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use distjob_runtime::chance;
use tokio::time::Instant;

use super::{
    Cause, Flaw, Txn,
    message::{Refusal, Reply},
    tree::{Change, Stamp, Tree, Write},
};
use crate::network::Process;

/// Sessions end at multiples of this.
const TICK_MS: u128 = 100;

/// A zxid is the leader's epoch and a count within it.
const EPOCH_SHIFT: u32 = 32;

#[derive(Debug)]
struct SessionRecord {
    process: Process,
    timeout: Duration,
    /// The server through which its requests are taken.
    server: usize,
    heard_at: Instant,
}

#[derive(Debug)]
pub(super) struct Leader {
    pub(super) tree: Tree,
    /// All that took effect, in order.
    pub(super) log: Vec<Arc<Txn>>,
    pub(super) zxid: i64,
    flaw: Option<Flaw>,
    began: Instant,
    sessions: BTreeMap<i64, SessionRecord>,
    /// Those that are over.
    over: BTreeMap<i64, SessionRecord>,
    next_session: i64,
}

impl Leader {
    pub(super) fn new(flaw: Option<Flaw>) -> Self {
        Self {
            tree: Tree::new(flaw),
            flaw,
            log: Vec::new(),
            zxid: 1 << EPOCH_SHIFT,
            began: Instant::now(),
            sessions: BTreeMap::new(),
            over: BTreeMap::new(),
            next_session: 0x1_0000,
        }
    }

    /// Another leader goes on where this one was. It grants all sessions their whole time again.
    pub(super) fn succeed(&mut self) {
        self.zxid = ((self.zxid >> EPOCH_SHIFT) + 1) << EPOCH_SHIFT;
        for session in self.sessions.values_mut() {
            session.heard_at = Instant::now();
        }
    }

    pub(super) fn open(&mut self, process: Process, server: usize, timeout: Duration) -> Arc<Txn> {
        let id = self.next_session;
        self.next_session += 1;
        self.sessions.insert(
            id,
            SessionRecord {
                process,
                timeout,
                server,
                heard_at: Instant::now(),
            },
        );
        self.record(id, process, Cause::Opened, Vec::new(), Reply::Granted(id))
    }

    /// Takes a session's requests through another server from now on.
    pub(super) fn move_to(&mut self, session: i64, server: usize) -> Result<Reply, Refusal> {
        let record = self.sessions.get_mut(&session).ok_or(Refusal::NotYours)?;
        record.server = server;
        record.heard_at = Instant::now();
        Ok(Reply::Granted(session))
    }

    /// A sign of life, or none any more.
    pub(super) fn touch(&mut self, session: i64) {
        if let Some(record) = self.sessions.get_mut(&session) {
            record.heard_at = Instant::now();
        }
    }

    /// Writes as a session, if it is one and its requests come through this server.
    pub(super) fn write(
        &mut self,
        session: i64,
        server: usize,
        writes: &[Write],
    ) -> Result<Arc<Txn>, Refusal> {
        let is_its = |record: &&SessionRecord| record.server == server;
        let record = match self.flaw {
            Some(Flaw::NoFence) => self.sessions.get(&session).or_else(|| self.over.get(&session)),
            _ => self.sessions.get(&session).filter(is_its),
        };
        let process = record.ok_or(Refusal::NotYours)?.process;
        let stamp = Stamp {
            zxid: self.zxid + 1,
            date_ms: date_ms(),
            session,
        };
        let changes = self.tree.transact(writes, stamp).map_err(Refusal::Error)?;
        let stat = changes
            .last()
            .and_then(|change| self.tree.get(&change.path))
            .map(|znode| znode.stat);
        Ok(self.record(session, process, Cause::Write, changes, Reply::Stat(stat)))
    }

    /// Ends a session and deletes its ephemerals, in one transaction. Nothing when it is over.
    pub(super) fn close(&mut self, session: i64, cause: Cause) -> Option<Arc<Txn>> {
        let record = self.sessions.remove(&session)?;
        let process = record.process;
        self.over.insert(session, record);
        let stamp = Stamp {
            zxid: self.zxid + 1,
            date_ms: date_ms(),
            session,
        };
        let ephemerals = match self.flaw {
            Some(Flaw::EphemeralsStay) => Vec::new(),
            _ => self.tree.ephemerals(session),
        };
        let deletes: Vec<Write> = ephemerals
            .into_iter()
            .map(|path| Write::Delete { path, version: None })
            .collect();
        // An ephemeral has no children, so that nothing stands in the way.
        let changes = self.tree.transact(&deletes, stamp).unwrap_or_default();
        Some(self.record(session, process, cause, changes, Reply::Done))
    }

    /// The sessions of a process, or of all.
    pub(super) fn sessions_of(&self, process: Option<Process>) -> Vec<i64> {
        let is_its = |record: &SessionRecord| process.is_none_or(|process| record.process == process);
        let its = self.sessions.iter().filter(|(_, record)| is_its(record));
        its.map(|(id, _)| *id).collect()
    }

    /// The sessions that have not been heard of for too long.
    pub(super) fn overdue(&self, now: Instant) -> Vec<i64> {
        let is_overdue = |record: &SessionRecord| self.ends_at(record) <= now;
        let overdue = self.sessions.iter().filter(|(_, record)| is_overdue(record));
        overdue.map(|(id, _)| *id).collect()
    }

    /// When the first session ends unless it is heard of.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.sessions.values().map(|record| self.ends_at(record)).min()
    }

    fn ends_at(&self, record: &SessionRecord) -> Instant {
        let ends_ms = (record.heard_at - self.began + record.timeout).as_millis();
        let tick_ms = ends_ms.div_ceil(TICK_MS) * TICK_MS;
        self.began + Duration::from_millis(u64::try_from(tick_ms).unwrap_or(u64::MAX))
    }

    fn record(
        &mut self,
        session: i64,
        process: Process,
        cause: Cause,
        changes: Vec<Change>,
        reply: Reply,
    ) -> Arc<Txn> {
        self.zxid += 1;
        let txn = Arc::new(Txn {
            zxid: self.zxid,
            date_ms: date_ms(),
            session,
            process,
            cause,
            changes,
            result: Ok(reply),
        });
        self.log.push(Arc::clone(&txn));
        txn
    }
}

fn date_ms() -> i64 {
    i64::try_from(chance::since_1970().as_millis()).unwrap_or(i64::MAX)
}
