//! Everything ends within a bound after the last fault.

use super::{Case, Findings, Promise};
use crate::history::Event;

pub(super) fn check(case: &Case<'_>, found: &mut Findings) {
    let bound_ms = case.parameters.map_or(0, |parameters| parameters.settle_bound_ms);
    let (mut has_settled, mut has_ended) = (false, false);
    let mut open = std::collections::BTreeMap::new();
    for (_, event) in case.history.events() {
        match event {
            Event::Settled { after_ms } => {
                has_settled = true;
                if *after_ms > bound_ms {
                    let why = format!(
                        "the last job ended {after_ms} ms after the last fault, the bound is {bound_ms} ms"
                    );
                    found.add(Promise::Ended, "run", why);
                }
            }
            Event::Unsettled { left } => {
                has_settled = true;
                for job in left {
                    let why = format!("it had not ended {bound_ms} ms after the last fault");
                    found.add(Promise::Ended, job, why);
                }
            }
            Event::FaultBegan { number, kind, .. } => {
                open.insert(*number, kind);
            }
            Event::FaultEnded { number } => {
                open.remove(number);
            }
            Event::Ended => has_ended = true,
            _ => {}
        }
    }
    for (number, kind) in open {
        found.add(
            Promise::Ended,
            format!("fault {number}"),
            format!("{kind} was never undone"),
        );
    }
    if !has_settled {
        found.add(Promise::Ended, "run", "nobody saw whether every job ended");
    }
    if !has_ended {
        found.add(Promise::Ended, "run", "it did not come to its end");
    }
}
