//! The protocol as the checker sees it: the choices in a state, and what follows from each.

mod choices;

use std::fmt;

use distjob_core::{JobId, Source};
use stateright::{Model, Property};

use crate::{
    bounds::{Bounds, Submission},
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
    /// An executor notices that its connection to the store was cut, and has a new one.
    Reconnect(Who),
    /// A member looks again at what it had put aside.
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
            Action::Reconnect(who) => world.reconnect(*who, rules),
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
                world.cut_connections();
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
