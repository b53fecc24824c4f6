//! An executor: `executor-d`'s `server.rs`, `visit.rs` and `lease.rs` with what is below them, as steps of one request each.
//!
//! What follows from each answer is decided by [`distjob_core::executor`]; what an executor remembers is what
//! `hands.rs` and the board remember: leases in hand, doubts, which jobs are put aside. Shares and widths are left out:
//! they are hints, and any job that is not put aside may be visited at any time.

mod perceive;
mod visit;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use distjob_core::{
    Holder, JobEntry, JobId, JobState, TaskRange, Zxid,
    executor::Treatment,
    ledger::{Settled, settle},
    store::{Commit, Isolated},
};

pub(crate) use self::work::Work;
use self::work::{Goes, joined};
use crate::{
    ledger::{Jobs, Members},
    moves::Move,
    request::{Reply, Request, Script, Session, Write},
    rules::Rules,
};

/// One term: all that ends with the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Term {
    pub(crate) session: Session,
    pub(crate) holder: Holder,
    /// The jobs as they were last seen.
    pub(crate) jobs: Arc<Jobs>,
    /// The members as they were last seen.
    pub(crate) members: Arc<Members>,
    /// Members that were seen to vanish. Only a seeded bug goes by that.
    pub(crate) witnessed: BTreeSet<distjob_core::MemberName>,
    /// Jobs with nothing to do until they, or the members, change.
    pub(crate) parked: BTreeSet<JobId>,
    /// Jobs that changed, or with them the members, while something was under way for them: these are not put aside.
    stirred: BTreeSet<JobId>,
    /// Jobs on which a reply was unclear: the store may lease us what we do not know of.
    pub(crate) doubts: BTreeSet<(JobId, Zxid)>,
    pub(crate) hands: Vec<Work>,
    /// Leases that a seeded bug still believes to be in hand, and that nobody works on.
    pub(crate) ghosts: Vec<Work>,
    visit: Option<Visit>,
    finishing: BTreeMap<JobId, Finish>,
    /// Whether a range that must be run alone is in hand, or on its way.
    alone: bool,
    /// A job of which only such ranges are left.
    isolated: Option<JobId>,
    /// Whether it was asked to stop: begins nothing, gives back, goes.
    pub(crate) leaving: bool,
    /// Whether its connection to the store was cut, and it has not noticed yet.
    pub(crate) cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Visit {
    id: JobId,
    entry: JobEntry,
    want: u64,
    isolated: Isolated,
    step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Claim,
    Open,
    /// Free the ranges of the dead; then claim, unless the visit has brought something already.
    Free(Vec<Holder>, bool),
}

/// Marking a job as processed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Finish {
    entry: JobEntry,
    unclear: bool,
    /// Whether it is to be read what became of the write.
    look: bool,
    refused: bool,
}

impl Term {
    pub(crate) fn new(session: Session, holder: Holder) -> Self {
        Self {
            session,
            holder,
            jobs: Arc::default(),
            members: Arc::default(),
            witnessed: BTreeSet::new(),
            parked: BTreeSet::new(),
            stirred: BTreeSet::new(),
            doubts: BTreeSet::new(),
            hands: Vec::new(),
            ghosts: Vec::new(),
            visit: None,
            finishing: BTreeMap::new(),
            alone: false,
            isolated: None,
            leaving: false,
            cut: false,
        }
    }

    /// All that it may do now.
    pub(crate) fn moves(&self, rules: &Rules) -> Vec<Move> {
        if self.leaving {
            return vec![self.parting()];
        }
        let mut moves = self.work_moves(rules);
        moves.extend(self.finishing.keys().cloned().map(Move::Finish));
        if self.visit.is_some() {
            moves.push(Move::Go);
            return moves;
        }
        let empty = self.hands.is_empty();
        if self.alone && !empty {
            // A suspect is in hand: whatever else was held would share its fate.
        } else if let Some(id) = &self.isolated {
            moves.extend(empty.then(|| Move::Pick(id.clone())));
        } else if self.hands.len() < rules.bounds.slots {
            let ripe = self.jobs.iter().filter(|(id, entry)| {
                entry.data.state == JobState::Submitted
                    && !self.parked.contains(*id)
                    && !self.finishing.contains_key(*id)
            });
            moves.extend(ripe.map(|(id, _)| Move::Pick(id.clone())));
        }
        moves
    }

    /// What it may do with what it has in hand.
    fn work_moves(&self, rules: &Rules) -> Vec<Move> {
        let runs = self.hands.iter().flat_map(|work| {
            let next = work.next(rules).iter();
            next.map(|index| Move::Run(work.id.clone(), *index))
        });
        let releases = self.hands.iter().flat_map(|work| {
            let from = work.releases().into_iter();
            from.map(|index| Move::Release(work.id.clone(), index))
        });
        let gives_back = rules.bounds.faults.releases > 0;
        runs.chain(releases.filter(|_| gives_back)).collect()
    }

    /// Whether the store leases it something that it does not know of, asked now and then.
    pub(crate) fn audits(&self) -> Vec<Move> {
        if self.visit.is_some() || self.leaving {
            return Vec::new();
        }
        let doubtful = self
            .doubts
            .iter()
            .filter(|(id, life)| self.wants(id, *life) && !self.finishing.contains_key(id));
        doubtful.map(|(id, _)| Move::Audit(id.clone())).collect()
    }

    fn wants(&self, id: &JobId, life: Zxid) -> bool {
        self.jobs
            .get(id)
            .is_some_and(|entry| entry.life == life && entry.data.state == JobState::Submitted)
    }

    /// Begins what needs a beginning.
    pub(crate) fn begin(&mut self, chosen: &Move, rules: &Rules) {
        match chosen {
            Move::Pick(id) if self.jobs[id].data.count == 0 => self.finish(id),
            Move::Pick(id) => {
                let isolated = if self.isolated.take().is_some() {
                    self.alone = true;
                    Isolated::Take
                } else {
                    self.alone = false;
                    Isolated::Leave
                };
                let want = if self.alone { 1 } else { rules.bounds.want };
                self.visit(id, want, isolated);
            }
            Move::Audit(id) => self.visit(id, 0, Isolated::Leave),
            Move::Release(id, index) if !self.is_releasing(id, *index) => {
                let position = self.position(id, *index).expect("it is in hand");
                self.hands[position].let_go(*index);
            }
            _ => {}
        }
    }

    fn visit(&mut self, id: &JobId, want: u64, isolated: Isolated) {
        self.stirred.remove(id);
        self.visit = Some(Visit {
            id: id.clone(),
            entry: self.jobs[id].clone(),
            want,
            isolated,
            step: Step::Claim,
        });
    }

    /// What it asks for in this move; `None` when the beginning of it was all.
    pub(crate) fn request(&self, chosen: &Move, rules: &Rules) -> Option<Request> {
        match chosen {
            Move::Run(id, index) => {
                let work = &self.hands[self.position(id, *index).expect("it is in hand")];
                Some(work.commit(&self.holder, *index, rules))
            }
            Move::Release(id, index) => {
                let work = &self.hands[self.position(id, *index).expect("it is in hand")];
                work.release(&self.holder)
            }
            Move::Finish(id) => {
                let finish = &self.finishing[id];
                let write = if finish.look {
                    Write::Read(id.clone())
                } else {
                    let data = finish.entry.data.in_state(JobState::Processed);
                    Write::Set(id.clone(), finish.entry.clone(), data)
                };
                Some(Request::Ledger(self.session, write))
            }
            Move::Free(id, life) => Some(self.free(id, *life, &self.holder, 0)),
            Move::Leave => Some(Request::Ledger(self.session, Write::Leave)),
            Move::Pick(_) | Move::Audit(_) | Move::Go => {
                self.visit.as_ref().map(|visit| self.asks(visit, rules))
            }
            _ => None,
        }
    }

    fn asks(&self, visit: &Visit, rules: &Rules) -> Request {
        let (id, life) = (visit.id.clone(), visit.entry.life);
        match &visit.step {
            Step::Claim => {
                let held = self.held(&id, life);
                Request::Store(
                    id,
                    Script::Claim {
                        life,
                        holder: self.holder.clone(),
                        want: visit.want,
                        isolate: rules.isolate_after(),
                        isolated: visit.isolated,
                        held,
                    },
                )
            }
            Step::Open => {
                let (count, source) = (visit.entry.data.count, visit.entry.data.source.clone());
                Request::Store(id, Script::Open { life, count, source })
            }
            Step::Free(dead, _) => self.free(&id, life, &dead[0], 1),
        }
    }

    fn held(&self, id: &JobId, life: Zxid) -> Vec<TaskRange> {
        let held = self
            .hands
            .iter()
            .chain(&self.ghosts)
            .filter(|work| work.id == *id && work.life == life);
        joined(held.filter_map(Work::kept))
    }

    fn free(&self, id: &JobId, life: Zxid, holder: &Holder, deaths: u32) -> Request {
        let holder = holder.clone();
        Request::Store(id.clone(), Script::Free { life, holder, deaths })
    }

    /// Whether running this task kills whoever does it.
    pub(crate) fn is_deadly(&self, id: &JobId, index: u64, rules: &Rules) -> bool {
        *id == rules.job
            && rules.bounds.poison == Some(index)
            && self
                .position(id, index)
                .is_some_and(|position| self.hands[position].treatment(rules) == Treatment::Run)
    }

    /// Whether this gives back something that was not being given back already.
    pub(crate) fn begins_release(&self, chosen: &Move) -> bool {
        let Move::Release(id, index) = chosen else {
            return false;
        };
        !self.is_releasing(id, *index)
    }

    fn is_releasing(&self, id: &JobId, index: u64) -> bool {
        let mut works = self.hands.iter().filter(|work| work.id == *id);
        works.any(|work| work.is_releasing(index))
    }

    /// The lease in hand with this task, which has yet to be run or is being given back.
    fn position(&self, id: &JobId, index: u64) -> Option<usize> {
        let has = |work: &Work| work.has_todo(index) || work.is_releasing(index);
        self.hands.iter().position(|work| work.id == *id && has(work))
    }

    /// Takes the answer.
    pub(crate) fn take(&mut self, chosen: &Move, reply: Reply, rules: &Rules) {
        match (chosen, reply) {
            (Move::Run(id, index), Reply::Commit(commit)) => {
                self.after_run(id, *index, Some(*index), &commit);
            }
            (Move::Release(id, index), Reply::Commit(commit)) => self.after_run(id, *index, None, &commit),
            // Repeated until the answer is clear: `Call::make`.
            (Move::Run(..) | Move::Release(..), _) => {}
            (Move::Finish(id), reply) => self.after_finish(id, reply),
            // Repeated likewise: `Server::free`.
            (Move::Free(..), Reply::Unclear) => {}
            (Move::Free(id, life), _) => {
                self.hands.retain(|work| work.id != *id || work.life != *life);
                self.doubts.remove(&(id.clone(), *life));
            }
            (_, reply) => {
                if let Some(visit) = self.visit.take() {
                    self.after_visit(visit, reply, rules);
                }
            }
        }
    }

    fn after_run(&mut self, id: &JobId, index: u64, ran: Option<u64>, answer: &Commit) {
        let Some(position) = self.position(id, index) else {
            return;
        };
        let life = self.hands[position].life;
        match self.hands[position].hear(ran, answer) {
            Goes::On => return,
            // The next claim brings it back.
            Goes::Astray => {
                self.doubts.insert((id.clone(), life));
                self.parked.remove(id);
            }
            Goes::Complete if self.wants(id, life) => self.finish(id),
            Goes::Complete | Goes::Over => {}
        }
        self.hands.remove(position);
    }

    /// Asks a watcher to look at a job. An emptied or foreign store is not modelled, so the store is the right one.
    fn finish(&mut self, id: &JobId) {
        let is_open = |entry: &&JobEntry| entry.data.state == JobState::Submitted;
        let Some(entry) = self.jobs.get(id).filter(is_open) else {
            return;
        };
        if self.finishing.contains_key(id) {
            return;
        }
        let finish = Finish {
            entry: entry.clone(),
            unclear: false,
            look: false,
            refused: false,
        };
        self.stirred.remove(id);
        self.finishing.insert(id.clone(), finish);
    }

    /// `distjob_runtime::zk::Ledger::write`: what is read after an unclear or refused write decides.
    fn after_finish(&mut self, id: &JobId, reply: Reply) {
        let Some(mut finish) = self.finishing.remove(id) else {
            return;
        };
        let settled = match reply {
            Reply::Done => Settled::Done,
            Reply::Unclear | Reply::Refused if !finish.look => {
                finish.look = true;
                finish.refused = reply == Reply::Refused;
                finish.unclear |= reply == Reply::Unclear;
                self.finishing.insert(id.clone(), finish);
                return;
            }
            Reply::Job(now) => settle(&finish.entry, Some(JobState::Processed), now.as_ref()),
            _ => Settled::Overtaken,
        };
        if settled == Settled::NotDone && !finish.refused {
            finish.look = false;
            self.finishing.insert(id.clone(), finish);
        } else {
            self.put_aside(id.clone());
        }
    }

    /// `Board::park`.
    fn put_aside(&mut self, id: JobId) {
        if !self.stirred.remove(&id) {
            self.parked.insert(id);
        }
    }

    fn is_busy_with(&self, id: &JobId) -> bool {
        self.finishing.contains_key(id) || self.visit.as_ref().is_some_and(|visit| visit.id == *id)
    }
}
