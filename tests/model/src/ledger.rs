//! ZooKeeper as it is: the truth that every view lags behind.
//!
//! One place and one order of writes: what the leader does. That servers lag behind it is modelled where their answers
//! are kept, in the views of the members. Zxids are drawn only for what the protocol compares: the creation of jobs, and
//! the coming and going of executors.

use std::collections::{BTreeMap, BTreeSet};

use distjob_core::{Holder, JobEntry, JobId, JobState, MemberName, Roster, Zxid};

use crate::{
    mutant::Mutant,
    request::{Reply, Session, Who, Write},
};

/// Jobs, locks, members and sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    zxid: u64,
    pub(crate) jobs: BTreeMap<JobId, JobEntry>,
    pub(crate) locks: BTreeMap<JobId, Session>,
    /// The sessions that live. A process may not know that its own does not.
    pub(crate) sessions: BTreeSet<Session>,
    pub(crate) executors: Members,
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
fn name(session: Session, mutant: Option<Mutant>) -> MemberName {
    let (Who::Executor(number) | Who::Watcher(number) | Who::Submitter(number)) = session.who else {
        unreachable!("an operator registers nothing")
    };
    let text = match mutant {
        Some(Mutant::NameReused) => format!("m{number}"),
        _ => format!("m{number}-{}", session.term),
    };
    MemberName::new(text).expect("letters and digits make a name")
}

impl Ledger {
    /// Executes a request, as the leader does: whole or not at all.
    pub(crate) fn execute(&mut self, session: Session, write: &Write, mutant: Option<Mutant>) -> Reply {
        if matches!(write, Write::Register) {
            return self.register(session, mutant);
        }
        if !self.sessions.contains(&session) {
            return Reply::SessionOver;
        }
        let done = match write {
            Write::Register => None,
            Write::Read(id) => return Reply::Job(self.jobs.get(id).cloned()),
            Write::Owner(id) => return Reply::Owner(self.locks.get(id).copied()),
            Write::Leave => {
                self.expire(session, mutant);
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
                self.jobs.insert(id.clone(), entry.clone());
                return Reply::Job(Some(entry));
            }
            Write::Set(id, before, data) => self.matching(id, before, data.state).map(|job| {
                job.data = data.clone();
                job.version += 1;
            }),
            Write::Lock(id, before) => {
                let matches = self.jobs.get(id).is_some_and(|job| job.version == before.version);
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
                let job = may.then(|| self.matching(id, before, data.state)).flatten();
                job.map(|job| {
                    job.data = data.clone();
                    job.version += 1;
                })
                .map(|()| {
                    if let Some((id, data)) = follow_up {
                        self.execute(session, &Write::Create(id.clone(), data.clone()), mutant);
                    }
                })
            }
            Write::Delete(id, before) => {
                let matches = self.jobs.get(id).is_some_and(|job| {
                    mutant == Some(Mutant::DeleteAnyVersion) || is_same(job, before, before.data.state)
                });
                (matches && self.locks.remove(id).is_some()).then(|| {
                    self.jobs.remove(id);
                })
            }
            Write::Unlock(id) => {
                if self.locks.get(id) == Some(&session) {
                    self.locks.remove(id);
                }
                Some(())
            }
        };
        done.map_or(Reply::Refused, |()| Reply::Done)
    }

    fn matching(&mut self, id: &JobId, before: &JobEntry, to: JobState) -> Option<&mut JobEntry> {
        self.jobs.get_mut(id).filter(|job| is_same(job, before, to))
    }

    fn register(&mut self, session: Session, mutant: Option<Mutant>) -> Reply {
        let name = name(session, mutant);
        let mut born = Zxid::default();
        if matches!(session.who, Who::Executor(_)) {
            if self.executors.names.contains(&name) {
                return Reply::Refused;
            }
            born = self.next_zxid();
            self.executors.as_of = born;
            self.executors.names.insert(name.clone());
        }
        if mutant == Some(Mutant::NameReused) {
            born = Zxid::default();
        }
        self.sessions.insert(session);
        Reply::Registered(Holder { born, name })
    }

    /// The end of a session takes its ephemerals along.
    pub(crate) fn expire(&mut self, session: Session, mutant: Option<Mutant>) {
        if !self.sessions.remove(&session) {
            return;
        }
        self.locks.retain(|_, owner| *owner != session);
        if matches!(session.who, Who::Executor(_)) {
            self.executors.as_of = self.next_zxid();
            self.executors.names.remove(&name(session, mutant));
        }
    }

    fn next_zxid(&mut self) -> Zxid {
        self.zxid += 1;
        Zxid::new(self.zxid)
    }
}

/// Whether the version of `before` is that of `job`.
///
/// ZooKeeper compares no more than that. A life that ends, and a next one that reaches the same version between the look
/// and the write, cannot be told apart by anybody: a known gap, see `distjob_runtime::zk::Ledger`, which only a request
/// that is as late as that, on an id that is used again, can fall into. It is left out here, except where it does no
/// harm: `prcd` means "look at this".
fn is_same(job: &JobEntry, before: &JobEntry, to: JobState) -> bool {
    job.version == before.version && (job.life == before.life || to == JobState::Processed)
}
