//! One state of everything.

mod perceive;
mod rest;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use distjob_core::{Holder, JobId, Source, Token, Zxid};

use crate::{
    bounds::{Faults, Lag},
    executor,
    invariants::Broken,
    ledger::Ledger,
    moves::Move,
    mutant::Mutant,
    request::{Reply, Request, Session, Who, Write},
    rules::Rules,
    store::{self, Stores},
    submitter::Submitter,
    watcher,
};

/// Both stores, every process, what is under way between them, and what the invariants remember.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) ledger: Ledger,
    pub(crate) stores: Stores,
    /// What the store may go back to.
    pub(crate) saved: Option<Stores>,
    /// Requests that may yet be executed; nobody waits for their answers. In an order that is theirs alone.
    pub(crate) wire: BTreeMap<u64, Request>,
    pub(crate) executors: Vec<Arc<Member<executor::Term>>>,
    pub(crate) watchers: Vec<Arc<Member<watcher::Term>>>,
    /// Submitters, then the operator if there is one.
    pub(crate) submitters: Vec<Submitter>,
    /// What may still go wrong.
    pub(crate) left: Faults,
    pub(crate) facts: Facts,
    /// The first invariant that did not hold.
    pub(crate) broken: Option<Broken>,
}

/// A process that lives in terms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member<T> {
    /// How many there were.
    pub(crate) terms: u8,
    pub(crate) term: Option<T>,
    /// What a seeded bug carries over from the last term.
    relic: Option<T>,
}

/// So many processes that have not begun their first term.
fn outside<T>(count: u8) -> Vec<Arc<Member<T>>> {
    let member = |_| {
        Arc::new(Member {
            terms: 0,
            term: None,
            relic: None,
        })
    };
    (0..count).map(member).collect()
}

/// What happened, as far as an invariant needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    /// Submissions that were reported as successful.
    pub(crate) acknowledged: BTreeSet<Token>,
    /// Jobs of which a whole result was published.
    pub(crate) published: BTreeSet<(JobId, Zxid)>,
    /// Submissions whose job was dropped from the store.
    pub(crate) spent: BTreeSet<Source>,
    /// Jobs that were dropped from the store.
    pub(crate) dropped: BTreeSet<(JobId, Zxid)>,
    /// How often each follow-up was created.
    pub(crate) follow_ups: BTreeMap<JobId, u8>,
    /// Whether the store went back.
    pub(crate) rolled_back: bool,
    /// Whether a list lapsed that somebody needed.
    pub(crate) lapsed: bool,
}

impl World {
    pub(crate) fn new(rules: &Rules) -> Self {
        let bounds = &rules.bounds;
        let mut submitters: Vec<Submitter> =
            (0..bounds.submissions.len() as u8).map(Submitter::new).collect();
        submitters.extend(bounds.cancel.then(Submitter::operator));
        let mut ledger = Ledger::default();
        ledger.sessions = submitters.iter().map(Submitter::session).collect();
        let mut world = Self {
            ledger,
            stores: Stores::new(),
            saved: None,
            wire: BTreeMap::new(),
            executors: outside(bounds.executors),
            watchers: outside(bounds.watchers),
            submitters,
            left: bounds.faults,
            facts: Facts::default(),
            broken: None,
        };
        if bounds.lag == Lag::Nobody {
            world.assemble(rules);
        }
        world
    }

    /// Registers all members: where nobody lags behind, it makes no difference who came first.
    fn assemble(&mut self, rules: &Rules) {
        for who in self.members() {
            if let Some(request) = self.begin(who, &Move::Register, rules) {
                let reply = self.execute(&request, rules);
                self.hand_over(who, &Move::Register, reply, rules);
            }
        }
        self.see_everything(rules);
    }

    /// The session that a process believes to have.
    pub(crate) fn session_of(&self, who: Who) -> Option<Session> {
        match who {
            Who::Executor(n) => self.executors[usize::from(n)]
                .term
                .as_ref()
                .map(|term| term.session),
            Who::Watcher(n) => self.watchers[usize::from(n)]
                .term
                .as_ref()
                .map(|term| term.session),
            Who::Submitter(_) | Who::Operator => Some(Session { who, term: 1 }),
        }
    }

    /// Executors and watchers.
    pub(crate) fn members(&self) -> impl Iterator<Item = Who> + use<> {
        let executors = (0..self.executors.len() as u8).map(Who::Executor);
        executors.chain((0..self.watchers.len() as u8).map(Who::Watcher))
    }

    /// Executes a request, whoever sent it, and whenever.
    pub(crate) fn execute(&mut self, request: &Request, rules: &Rules) -> Reply {
        match request {
            Request::Store(id, script) => store::execute(&mut self.stores, id, script, rules.mutant),
            Request::Ledger(session, write) => {
                let reply = self.ledger.execute(*session, write, rules);
                if let (Write::Lock(id, _), Reply::Done, false) = (write, &reply, rules.bounds.gaps) {
                    self.forget_unlocks(id);
                }
                reply
            }
            Request::Publish(..) => Reply::Done,
        }
    }

    /// Executes a request that nobody waits for any more.
    pub(crate) fn execute_late(&mut self, request: &Request, rules: &Rules) -> Reply {
        if let (Request::Ledger(_, Write::Unlock(id)), true) = (request, rules.bounds.gaps) {
            self.ledger.locks.remove(id);
        }
        self.execute(request, rules)
    }

    /// A late request to give a lock back would take the next one away, whose ever that is: ZooKeeper compares versions.
    /// A known gap, which is left out.
    fn forget_unlocks(&mut self, id: &JobId) {
        let is_of_id = |late: &Request| matches!(late, Request::Ledger(_, Write::Unlock(of)) if of == id);
        self.wire.retain(|_, late| !is_of_id(late));
    }

    /// The choices of a process.
    pub(crate) fn moves(&self, who: Who, rules: &Rules) -> Vec<Move> {
        match who {
            Who::Executor(n) => match &self.executors[usize::from(n)].term {
                Some(term) => {
                    let mut moves = term.moves(rules);
                    moves.retain(|chosen| self.left.releases > 0 || !term.begins_release(chosen));
                    moves
                }
                None => vec![Move::Register],
            },
            Who::Watcher(n) => match &self.watchers[usize::from(n)].term {
                Some(term) => term.moves(),
                None => vec![Move::Register],
            },
            Who::Submitter(_) | Who::Operator => {
                let may = self
                    .submitter(who)
                    .is_some_and(|submitter| self.may_submit(submitter, rules));
                if may { vec![Move::Go] } else { Vec::new() }
            }
        }
    }

    pub(crate) fn submitter(&self, who: Who) -> Option<&Submitter> {
        self.submitters.iter().find(|submitter| submitter.who == who)
    }

    /// A plain submission of an id that is in use waits until that job has ended: nothing protects it otherwise.
    fn may_submit(&self, submitter: &Submitter, rules: &Rules) -> bool {
        let is_free = || {
            let mut earlier = self.submitters.iter().filter(|other| other.who < submitter.who);
            earlier.all(Submitter::is_over) && !self.ledger.jobs.contains_key(&rules.job)
        };
        !submitter.is_over() && (!submitter.waits_for_the_id(rules) || is_free())
    }

    /// Begins the move and says what is asked, if anything.
    pub(crate) fn begin(&mut self, who: Who, chosen: &Move, rules: &Rules) -> Option<Request> {
        match who {
            Who::Executor(n) => {
                let member = Arc::make_mut(&mut self.executors[usize::from(n)]);
                let Some(term) = &mut member.term else {
                    return Some(member.registers(who));
                };
                self.left.releases -= u8::from(term.begins_release(chosen));
                term.begin(chosen, rules);
                term.request(chosen, rules)
            }
            Who::Watcher(n) => {
                let member = Arc::make_mut(&mut self.watchers[usize::from(n)]);
                let Some(term) = &mut member.term else {
                    return Some(member.registers(who));
                };
                term.begin(chosen);
                term.request(rules)
            }
            Who::Submitter(_) | Who::Operator => {
                self.submitter(who).map(|submitter| submitter.request(rules))
            }
        }
    }

    /// Hands the answer to the process that waits for it.
    pub(crate) fn hand_over(&mut self, who: Who, chosen: &Move, reply: Reply, rules: &Rules) {
        if reply == Reply::SessionOver || *chosen == Move::Leave {
            self.hear(who, rules);
            return;
        }
        match (who, reply) {
            (Who::Executor(_) | Who::Watcher(_), Reply::Registered(holder)) => self.registered(who, holder),
            (Who::Executor(n), reply) => {
                if let Some(term) = &mut Arc::make_mut(&mut self.executors[usize::from(n)]).term {
                    term.take(chosen, reply, rules);
                }
            }
            (Who::Watcher(n), reply) => {
                if let Some(term) = &mut Arc::make_mut(&mut self.watchers[usize::from(n)]).term {
                    term.take(reply, rules);
                }
            }
            (Who::Submitter(_) | Who::Operator, reply) => {
                if let Some(submitter) = self.submitters.iter_mut().find(|submitter| submitter.who == who) {
                    submitter.take(reply, rules);
                }
            }
        }
    }

    fn registered(&mut self, who: Who, holder: Holder) {
        match who {
            Who::Executor(n) => {
                let member = Arc::make_mut(&mut self.executors[usize::from(n)]);
                member.terms += 1;
                let session = Session {
                    who,
                    term: member.terms,
                };
                let mut term = executor::Term::new(session, holder);
                term.ghosts = member.relic.take().map_or(Vec::new(), |relic| relic.hands);
                member.term = Some(term);
            }
            Who::Watcher(n) => {
                let member = Arc::make_mut(&mut self.watchers[usize::from(n)]);
                member.terms += 1;
                let session = Session {
                    who,
                    term: member.terms,
                };
                let mut term = watcher::Term::new(session);
                term.pipeline = member.relic.take().and_then(|relic| relic.pipeline);
                member.term = Some(term);
            }
            Who::Submitter(_) | Who::Operator => {}
        }
    }

    /// A process hears that its session is over, and forgets its term. What a seeded bug keeps is kept.
    pub(crate) fn hear(&mut self, who: Who, rules: &Rules) {
        match who {
            Who::Executor(n) if rules.has(Mutant::LeasesOutliveSession) => {
                let member = Arc::make_mut(&mut self.executors[usize::from(n)]);
                member.relic = member.term.take();
            }
            Who::Watcher(n) if rules.has(Mutant::LockOutlivesSession) => {
                let member = Arc::make_mut(&mut self.watchers[usize::from(n)]);
                member.relic = member.term.take();
            }
            _ => self.forget(who),
        }
    }

    /// A process forgets its term: it was killed, or it heard that its session is over.
    pub(crate) fn forget(&mut self, who: Who) {
        match who {
            Who::Executor(n) => Arc::make_mut(&mut self.executors[usize::from(n)]).term = None,
            Who::Watcher(n) => Arc::make_mut(&mut self.watchers[usize::from(n)]).term = None,
            Who::Submitter(_) | Who::Operator => {
                if let Some(submitter) = self.submitters.iter_mut().find(|submitter| submitter.who == who) {
                    submitter.step = crate::submitter::Step::Over;
                }
            }
        }
    }
}

impl<T> Member<T> {
    const fn registers(&self, who: Who) -> Request {
        let session = Session {
            who,
            term: self.terms + 1,
        };
        Request::Ledger(session, Write::Register)
    }
}
