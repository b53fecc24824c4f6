//! The faults of a run, each from its begin to its end.

use std::collections::BTreeMap;

use crate::{
    history::{Event, History},
    plan::Kind,
};

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault<'a> {
    pub(super) kind: &'a str,
    pub(super) targets: &'a [String],
    pub(super) detail: &'a str,
    /// Since the run began.
    pub(super) from_ms: u64,
    /// The end of the run for one that never ended.
    pub(super) to_ms: u64,
}

impl Fault<'_> {
    pub(super) const fn took_ms(&self) -> u64 {
        self.to_ms - self.from_ms
    }
}

/// All of them, in the order in which they began.
pub(super) fn faults(history: &History) -> Vec<Fault<'_>> {
    let mut numbers = BTreeMap::new();
    let mut faults = Vec::<Fault<'_>>::new();
    for (at_ms, event) in history.events() {
        match event {
            Event::FaultBegan {
                number,
                kind,
                targets,
                detail,
            } => {
                numbers.insert(number, faults.len());
                faults.push(Fault {
                    kind,
                    targets,
                    detail,
                    from_ms: at_ms,
                    to_ms: history.end_ms(),
                });
            }
            Event::FaultEnded { number } => {
                let fault = numbers.get(number).and_then(|&place| faults.get_mut(place));
                if let Some(fault) = fault {
                    fault.to_ms = at_ms;
                }
            }
            _ => {}
        }
    }
    faults
}

/// The faults of each kind, in the order of [`Kind::ALL`]: those that take hold of the same stand together.
pub(super) fn by_kind<'a>(faults: &[Fault<'a>]) -> Vec<(&'a str, Vec<Fault<'a>>)> {
    let mut kinds = Vec::<(&str, Vec<Fault<'_>>)>::new();
    for fault in faults {
        match kinds.iter_mut().find(|(kind, _)| *kind == fault.kind) {
            Some((_, of_kind)) => of_kind.push(*fault),
            None => kinds.push((fault.kind, vec![*fault])),
        }
    }
    // A kept run may have kinds that are no more.
    let place = |kind: &str| Kind::ALL.iter().position(|known| known.name() == kind);
    kinds.sort_by_key(|(kind, _)| place(kind).unwrap_or(usize::MAX));
    kinds
}
