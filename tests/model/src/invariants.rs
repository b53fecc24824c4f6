//! The promises, one file each. Seven are checked at every transition; the eighth, that every job ends, in every state.

mod acknowledged;
mod deletion;
mod ends;
mod fence;
mod follow_up;
mod ledger_table;
mod once;
mod tombstone;

use std::fmt;

use stateright::Property;

use crate::{
    protocol::Protocol,
    request::{Reply, Request},
    rules::Rules,
    world::World,
};

/// What a transition did, as far as invariants are concerned.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A request was executed, whether anybody hears the answer or not.
    Executed(Request, Reply),
    /// The store went back.
    RolledBack,
    /// Nothing that touches a store.
    Other,
}

/// An invariant that did not hold, and in what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// Which one.
    pub invariant: Invariant,
    /// In what.
    pub why: String,
}

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// What was acknowledged stays whole, and only what the store lost is lost.
    AcknowledgedIsSafe,
    /// For each task one outcome takes effect, and what is delivered has each once.
    ExactlyOnce,
    /// A lease leaves its holder by its own doing, or by proof of its death; only a holder commits.
    Fenced,
    /// The ledger changes as its table says, and under the lock where that says so.
    LedgerTable,
    /// A job is deleted only when it was delivered or cancelled, and dropped.
    DeletedWhenDone,
    /// A follow-up is created exactly once for each parent that was delivered.
    OneFollowUp,
    /// What was dropped stays dropped.
    DroppedStaysDropped,
    /// When nothing goes wrong any more, every job ends and nothing is left behind.
    EveryJobEnds,
}

/// Looks at one transition: before, what happened, after. `Err` says in what the promise is broken.
type Check = fn(&World, &Event, &World, &Rules) -> Result<(), String>;

/// The promises that are checked at each transition.
const CHECKS: [(Invariant, Check); 7] = [
    (Invariant::AcknowledgedIsSafe, acknowledged::check),
    (Invariant::ExactlyOnce, once::check),
    (Invariant::Fenced, fence::check),
    (Invariant::LedgerTable, ledger_table::check),
    (Invariant::DeletedWhenDone, deletion::check),
    (Invariant::OneFollowUp, follow_up::check),
    (Invariant::DroppedStaysDropped, tombstone::check),
];

impl Invariant {
    /// As reports have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcknowledgedIsSafe => "acknowledged is safe",
            Self::ExactlyOnce => "exactly once",
            Self::Fenced => "fenced",
            Self::LedgerTable => "ledger table",
            Self::DeletedWhenDone => "deleted when done",
            Self::OneFollowUp => "one follow-up",
            Self::DroppedStaysDropped => "dropped stays dropped",
            Self::EveryJobEnds => "every job ends",
        }
    }

    /// All of them, as properties of a state: a state remembers the promise that its last transition broke.
    pub(crate) fn properties() -> Vec<Property<Protocol>> {
        fn holds(world: &World, invariant: Invariant) -> bool {
            world
                .broken
                .as_ref()
                .is_none_or(|broken| broken.invariant != invariant)
        }
        vec![
            Property::always(Self::AcknowledgedIsSafe.name(), |_, world| {
                holds(world, Self::AcknowledgedIsSafe)
            }),
            Property::always(Self::ExactlyOnce.name(), |_, world| {
                holds(world, Self::ExactlyOnce)
            }),
            Property::always(Self::Fenced.name(), |_, world| holds(world, Self::Fenced)),
            Property::always(Self::LedgerTable.name(), |_, world| {
                holds(world, Self::LedgerTable)
            }),
            Property::always(Self::DeletedWhenDone.name(), |_, world| {
                holds(world, Self::DeletedWhenDone)
            }),
            Property::always(Self::OneFollowUp.name(), |_, world| {
                holds(world, Self::OneFollowUp)
            }),
            Property::always(Self::DroppedStaysDropped.name(), |_, world| {
                holds(world, Self::DroppedStaysDropped)
            }),
            Property::always(Self::EveryJobEnds.name(), ends::holds),
        ]
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The first promise that this transition breaks.
pub(crate) fn check(before: &World, event: &Event, after: &World, rules: &Rules) -> Option<Broken> {
    CHECKS.iter().find_map(|(invariant, check)| {
        let why = check(before, event, after, rules).err()?;
        Some(Broken {
            invariant: *invariant,
            why,
        })
    })
}
