//! The protocol as the checker sees it: the choices in a state, and what follows from each.

use std::fmt;

use distjob_core::{JobId, Source};
use stateright::{Model, Property};

use crate::{
    bounds::{Bounds, Faults, Submission},
    executor,
    fair::{Ends, fingerprint},
    invariants::{self, Event, Invariant},
    moves::Move,
    mutant::Mutant,
    request::{Request, Session, Who, Write},
    rules::Rules,
    submitter::Step,
    world::World,
};

/// A configuration, with a seeded bug or without.
#[derive(Debug)]
pub struct Protocol {
    pub(crate) rules: Rules,
    /// What is known of how things end.
    pub(crate) ends: Ends,
}

impl Protocol {
    /// The protocol within `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds, mutant: Option<Mutant>) -> Self {
        Self {
            rules: Rules::new(bounds, mutant),
            ends: Ends::default(),
        }
    }
}

/// What becomes of a request and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Executed and answered.
    Answered,
    /// Not answered: executed later, or never.
    Unclear,
    /// Executed and answered, and perhaps executed again later.
    Repeated,
}

/// One step of the whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A process takes its next step.
    Step(Who, Move, Fate),
    /// A late request is executed.
    Late(u64, Request),
    /// A member's view of the jobs catches up.
    SeeJobs(Who),
    /// An executor's view of the executors catches up.
    SeeMembers(Who),
    /// The session of a process that is gone expires.
    Expire(Session),
    /// A process hears that its session is over.
    Hear(Who),
    /// A watcher looks again at what it had put aside.
    Unpark(Who),
    /// What was late is lost.
    Dissolve,
    /// A list that nobody looks after reaches the end of its time to live.
    Wither(JobId, Source),
    /// Fault: the process is killed.
    Crash(Who),
    /// Fault: the session of a living process expires.
    Lose(Who),
    /// An executor is asked to stop.
    Stop(Who),
    /// The state of the store to which it may go back.
    Save,
    /// Fault: the store goes back.
    RollBack,
    /// Fault: a list that is still needed reaches the end of its time to live.
    Lapse(JobId, Source),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(who, chosen, Fate::Answered) => write!(f, "{who:?}: {chosen:?}"),
            Self::Step(who, chosen, Fate::Unclear) => write!(f, "{who:?}: {chosen:?}, without a reply"),
            Self::Step(who, chosen, Fate::Repeated) => write!(f, "{who:?}: {chosen:?}, sent twice"),
            Self::Late(_, request) => write!(f, "late: {request:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Protocol {
    /// What may happen without anything going wrong, in the order in which a calm run does it.
    pub(crate) fn calm(&self, world: &World) -> Vec<Action> {
        let mut actions = Vec::new();
        let believed = |session: &Session| world.session_of(session.who) == Some(*session);
        let orphans = world.ledger.sessions.iter().filter(|session| !believed(session));
        actions.extend(orphans.map(|session| Action::Expire(*session)));
        for who in world.members() {
            self.perceive(world, who, &mut actions);
        }
        let makers = world.submitters.iter().map(|submitter| submitter.who);
        for who in makers.chain(world.members()) {
            let moves = world.moves(who, &self.rules).into_iter();
            actions.extend(moves.map(|chosen| Action::Step(who, chosen, Fate::Answered)));
        }
        actions
    }

    /// What happens by and by, when nothing else does: second looks, and the end of what nobody looks after.
    pub(crate) fn slow(&self, world: &World) -> Vec<Action> {
        let mut actions = Vec::new();
        for (number, member) in world.executors.iter().enumerate() {
            let audits = member.term.iter().flat_map(executor::Term::audits);
            let who = Who::Executor(number as u8);
            actions.extend(audits.map(|chosen| Action::Step(who, chosen, Fate::Answered)));
        }
        for (number, member) in world.watchers.iter().enumerate() {
            let has_parked = member.term.as_ref().is_some_and(|term| !term.parked.is_empty());
            actions.extend(has_parked.then_some(Action::Unpark(Who::Watcher(number as u8))));
        }
        actions.extend((!world.wire.is_empty()).then_some(Action::Dissolve));
        let lists = world.unattended_lists(&self.rules);
        actions.extend(lists.into_iter().map(|(id, source)| Action::Wither(id, source)));
        actions
    }

    /// What a member may learn.
    fn perceive(&self, world: &World, who: Who, actions: &mut Vec<Action>) {
        let Some(session) = world.session_of(who) else {
            return;
        };
        if !world.ledger.sessions.contains(&session) {
            actions.push(Action::Hear(who));
        } else if self.rules.lags(who) {
            actions.extend((!world.knows_jobs(who)).then_some(Action::SeeJobs(who)));
            actions.extend((!world.knows_members(who)).then_some(Action::SeeMembers(who)));
        }
    }

    /// What may go wrong, as far as it still may.
    fn faults(&self, world: &World, calm: &[Action]) -> Vec<Action> {
        let mut actions: Vec<Action> = world
            .wire
            .iter()
            .map(|(key, late)| Action::Late(*key, late.clone()))
            .collect();
        let Faults {
            crashes,
            expiries,
            unclear,
            repeats,
            rollbacks,
            lapses,
            leaves,
        } = world.left;
        let living = || world.members().filter(|who| world.session_of(*who).is_some());
        if crashes > 0 {
            actions.extend(living().map(Action::Crash));
            let busy = world.submitters.iter().filter(|submitter| {
                // What a plain submission leaves behind nobody can know.
                !submitter.is_over() && submitter.kind(&self.rules) == Submission::Staged
            });
            actions.extend(busy.map(|submitter| Action::Crash(submitter.who)));
        }
        if expiries > 0 {
            let connected = living().filter(|who| {
                let session = world.session_of(*who);
                session.is_some_and(|session| world.ledger.sessions.contains(&session))
            });
            actions.extend(connected.map(Action::Lose));
        }
        if leaves > 0 {
            let staying = world
                .executors
                .iter()
                .enumerate()
                .filter(|(_, member)| member.term.as_ref().is_some_and(|term| !term.leaving));
            actions.extend(staying.map(|(number, _)| Action::Stop(Who::Executor(number as u8))));
        }
        for action in calm {
            let Action::Step(who, chosen, _) = action else {
                continue;
            };
            actions.extend((unclear > 0).then(|| Action::Step(*who, chosen.clone(), Fate::Unclear)));
            actions.extend((repeats > 0).then(|| Action::Step(*who, chosen.clone(), Fate::Repeated)));
        }
        if rollbacks > 0 {
            actions.push(if world.saved.is_none() {
                Action::Save
            } else {
                Action::RollBack
            });
        }
        if lapses > 0 {
            for (id, keys) in &world.stores {
                let lists = keys.sources.keys().cloned();
                actions.extend(lists.map(|source| Action::Lapse(id.clone(), source)));
            }
        }
        actions
    }

    /// The state after an action, with all invariants checked on the way; `None` when nothing changed.
    pub(crate) fn after(&self, before: &World, action: &Action) -> Option<World> {
        let mut world = before.clone();
        let event = self.apply(&mut world, action)?;
        world.see_everything(&self.rules);
        if world == *before {
            return None;
        }
        world.broken = invariants::check(before, &event, &world, &self.rules);
        Some(world)
    }

    fn apply(&self, world: &mut World, action: &Action) -> Option<Event> {
        let rules = &self.rules;
        match action {
            Action::Step(who, chosen, fate) => return self.step(world, *who, chosen, *fate),
            Action::Late(key, request) => {
                world.wire.remove(key);
                let reply = world.execute_late(request, rules);
                let event = Event::Executed(request.clone(), reply);
                world.note(&event);
                return Some(event);
            }
            Action::SeeJobs(who) => world.see_jobs(*who),
            Action::SeeMembers(who) => world.see_members(*who, rules),
            Action::Expire(session) => world.ledger.expire(*session, rules),
            Action::Hear(who) => world.hear(*who, rules),
            Action::Unpark(who) => world.unpark(*who),
            Action::Crash(who) => {
                world.left.crashes -= 1;
                world.forget(*who);
            }
            Action::Lose(who) => {
                world.left.expiries -= 1;
                let session = world.session_of(*who)?;
                world.ledger.expire(session, rules);
            }
            Action::Stop(who) => {
                world.left.leaves -= 1;
                world.stop(*who);
            }
            Action::Save => world.saved = Some(world.stores.clone()),
            Action::RollBack => {
                world.left.rollbacks -= 1;
                world.stores = world.saved.take()?;
                world.facts.rolled_back = true;
                return Some(Event::RolledBack);
            }
            Action::Lapse(id, source) => {
                world.left.lapses -= 1;
                world.facts.lapsed = true;
                world.expire_list(id, source);
            }
            Action::Dissolve => world.wire.clear(),
            Action::Wither(id, source) => world.expire_list(id, source),
        }
        Some(Event::Other)
    }

    fn step(&self, world: &mut World, who: Who, chosen: &Move, fate: Fate) -> Option<Event> {
        let rules = &self.rules;
        if world.is_deadly(who, chosen, rules) {
            world.forget(who);
            return Some(Event::Other);
        }
        let Some(request) = world.begin(who, chosen, rules) else {
            return Some(Event::Other);
        };
        if fate != Fate::Answered {
            // A program without a submitter is protected against nothing of the kind.
            let is_plain = world
                .submitter(who)
                .is_some_and(|submitter| submitter.kind(rules) == Submission::Plain);
            let leaves = matches!(request, Request::Ledger(_, Write::Leave));
            let matters = request.has_effect() && !is_plain && !leaves;
            // ZooKeeper's client sends nothing twice by itself.
            if !matters || (fate == Fate::Repeated && matches!(request, Request::Ledger(..))) {
                return None;
            }
            world.wire.insert(fingerprint(&request), request.clone());
        }
        let event = match fate {
            Fate::Unclear => {
                world.left.unclear -= 1;
                world.hand_over(who, chosen, crate::request::Reply::Unclear, rules);
                Event::Other
            }
            Fate::Answered | Fate::Repeated => {
                world.left.repeats -= u8::from(fate == Fate::Repeated);
                let reply = world.execute(&request, rules);
                world.hand_over(who, chosen, reply.clone(), rules);
                Event::Executed(request, reply)
            }
        };
        world.note(&event);
        if let Some(submitter) = world.submitter(who)
            && submitter.step == Step::Acknowledged
            && let Source::Staged(token) = submitter.data(rules).source
        {
            world.facts.acknowledged.insert(token);
        }
        Some(event)
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.rules)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        actions.extend(self.calm(world));
        actions.extend(self.slow(world));
        let faults = self.faults(world, actions);
        actions.extend(faults);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.after(world, &action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Invariant::properties()
    }
}
