//! ZooKeeper as it is: the truth that every view lags behind.
//!
//! One place and one order of writes: what the leader does. That servers lag behind it is modelled where their answers
//! are kept, in the views of the members. Zxids are drawn only for what the protocol compares: the creation of jobs, and
//! the coming and going of executors.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use distjob_core::{Holder, JobEntry, JobId, MemberName, Roster, Zxid};

use crate::{
    mutant::Mutant,
    request::{Reply, Session, Who, Write},
    rules::Rules,
};

/// The znodes of all jobs.
pub(crate) type Jobs = BTreeMap<JobId, JobEntry>;

/// Jobs, locks, members and sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    zxid: u64,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) locks: BTreeMap<JobId, Session>,
    /// The sessions that live. A process may not know that its own does not.
    pub(crate) sessions: BTreeSet<Session>,
    pub(crate) executors: Arc<Members>,
}

/// What one reply to "get children" of `/executors` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Members {
    pub(crate) as_of: Zxid,
    pub(crate) names: BTreeSet<MemberName>,
}

impl Members {
    pub(crate) fn roster(&self) -> Roster {
        Roster {
            as_of: self.as_of,
            members: self.names.iter().map(|name| (name.clone(), None)).collect(),
            ..Roster::default()
        }
    }
}

/// The name under which a session registers: fresh for each, unless that rule is broken.
fn name(session: Session, rules: &Rules) -> MemberName {
    let (Who::Executor(number) | Who::Watcher(number) | Who::Submitter(number)) = session.who else {
        unreachable!("an operator registers nothing")
    };
    let text = match rules.mutant {
        Some(Mutant::NameReused) => format!("m{number}"),
        _ => format!("m{number}-{}", session.term),
    };
    MemberName::new(text).expect("letters and digits make a name")
}

impl Ledger {
    /// Executes a request, as the leader does: whole or not at all.
    pub(crate) fn execute(&mut self, session: Session, write: &Write, rules: &Rules) -> Reply {
        if matches!(write, Write::Register) {
            return self.register(session, rules);
        }
        if !self.sessions.contains(&session) {
            return Reply::SessionOver;
        }
        let done = match write {
            Write::Register => None,
            Write::Read(id) => return Reply::Job(self.jobs.get(id).cloned()),
            Write::Owner(id) => return Reply::Owner(self.locks.get(id).copied()),
            Write::Leave => {
                self.expire(session, rules);
                Some(())
            }
            Write::Create(id, data) => {
                if self.jobs.contains_key(id) {
                    return Reply::Refused;
                }
                let entry = JobEntry {
                    data: data.clone(),
                    life: self.next_zxid(),
                    version: 0,
                    created_ms: 0,
                };
                Arc::make_mut(&mut self.jobs).insert(id.clone(), entry.clone());
                return Reply::Job(Some(entry));
            }
            Write::Set(id, before, data) => self.matching(id, before, rules).map(|job| {
                job.data = data.clone();
                job.version += 1;
            }),
            Write::Lock(id, before) => {
                let matches = self.jobs.get(id).is_some_and(|job| is_same(job, before, rules));
                (matches && !self.locks.contains_key(id)).then(|| {
                    self.locks.insert(id.clone(), session);
                })
            }
            Write::SetLocked(id, before, data, follow_up) => {
                // The check compares a version, not an owner: that it is its own lock is the session's business.
                let may = self.locks.contains_key(id)
                    && follow_up
                        .as_ref()
                        .is_none_or(|(id, _)| !self.jobs.contains_key(id));
                let job = may.then(|| self.matching(id, before, rules)).flatten();
                job.map(|job| {
                    job.data = data.clone();
                    job.version += 1;
                })
                .map(|()| {
                    if let Some((id, data)) = follow_up {
                        self.execute(session, &Write::Create(id.clone(), data.clone()), rules);
                    }
                })
            }
            Write::Delete(id, before) => {
                let matches = self
                    .jobs
                    .get(id)
                    .is_some_and(|job| rules.has(Mutant::DeleteAnyVersion) || is_same(job, before, rules));
                (matches && self.locks.remove(id).is_some()).then(|| {
                    Arc::make_mut(&mut self.jobs).remove(id);
                })
            }
            Write::Unlock(id) => {
                // It was looked at before whose it is.
                if self.locks.get(id) == Some(&session) {
                    self.locks.remove(id);
                }
                Some(())
            }
        };
        done.map_or(Reply::Refused, |()| Reply::Done)
    }

    fn matching(&mut self, id: &JobId, before: &JobEntry, rules: &Rules) -> Option<&mut JobEntry> {
        Arc::make_mut(&mut self.jobs)
            .get_mut(id)
            .filter(|job| is_same(job, before, rules))
    }

    fn register(&mut self, session: Session, rules: &Rules) -> Reply {
        let name = name(session, rules);
        let mut born = Zxid::default();
        if matches!(session.who, Who::Executor(_)) {
            if self.executors.names.contains(&name) {
                return Reply::Refused;
            }
            born = self.next_zxid();
            let members = Arc::make_mut(&mut self.executors);
            members.as_of = born;
            members.names.insert(name.clone());
        }
        if rules.has(Mutant::NameReused) {
            born = Zxid::default();
        }
        self.sessions.insert(session);
        Reply::Registered(Holder { born, name })
    }

    /// The end of a session takes its ephemerals along.
    pub(crate) fn expire(&mut self, session: Session, rules: &Rules) {
        if !self.sessions.remove(&session) {
            return;
        }
        self.locks.retain(|_, owner| *owner != session);
        if matches!(session.who, Who::Executor(_)) {
            let as_of = self.next_zxid();
            let members = Arc::make_mut(&mut self.executors);
            members.as_of = as_of;
            members.names.remove(&name(session, rules));
        }
    }

    fn next_zxid(&mut self) -> Zxid {
        self.zxid += 1;
        Zxid::new(self.zxid)
    }
}

/// Whether `before` is what a versioned write finds.
///
/// ZooKeeper compares the version alone. A life that ends, and a next one that reaches the same version between a look
/// and the write that builds on it, cannot be told apart by anybody: a known gap, see `distjob_runtime::zk::Ledger`, into
/// which only a request falls that is as late as that, on an id that is used again. It is left out unless the bounds ask for it.
fn is_same(job: &JobEntry, before: &JobEntry, rules: &Rules) -> bool {
    job.version == before.version && (job.life == before.life || rules.bounds.gaps)
}
