//! The true protocol keeps every promise within the small configurations, and each seeded bug breaks one.

use distjob_model::{
    Bounds, Invariant, Mutant, check,
    configurations::{GAPS, SMALL},
};

/// How many threads explore where the order makes no difference. Where a violation is looked for one thread does, so that it is
/// the same in each run.
const THREADS: usize = 2;

#[test]
fn within_each_small_configuration_every_promise_holds() {
    for bounds in SMALL {
        let verdict = check(bounds, None, THREADS);
        println!("{verdict}");
        if let Some(found) = &verdict.counterexample {
            panic!("{verdict}\n{found}");
        }
    }
}

#[test]
fn each_seeded_bug_breaks_the_promise_that_it_is_known_to_break() {
    for mutant in Mutant::ALL {
        let (name, invariant) = mutant.shown_by();
        let bounds = Bounds::named(name).expect("a configuration of that name");
        let verdict = check(bounds, Some(*mutant), 1);
        println!("{mutant:<24} {verdict}");
        let broken = verdict.counterexample.as_ref().map(|found| found.invariant);
        assert_eq!(broken, Some(invariant.name()), "{mutant} in {name}: {verdict}");
    }
}

#[test]
fn a_late_request_to_unlock_is_the_known_gap_of_the_ledger() {
    let verdict = check(&GAPS, None, 1);
    println!("{verdict}");
    let broken = verdict.counterexample.as_ref().map(|found| found.invariant);
    assert_eq!(broken, Some(Invariant::LedgerTable.name()), "{verdict}");
}
