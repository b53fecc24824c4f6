//! The true protocol keeps every promise, whatever may go wrong within the bounds.

use distjob_model::{Bounds, check};

#[test]
fn with_one_of_each_and_one_death_every_promise_holds() {
    let mut bounds = Bounds::plain_sailing();
    bounds.faults.crashes = 1;
    let verdict = check(&bounds, None, 2);
    assert!(verdict.counterexample.is_none(), "{verdict}");
    assert!(verdict.unique_states > 1000, "{verdict}");
}
