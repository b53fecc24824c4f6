//! A group is joined once, whatever happens, and each seeded bug breaks a promise.

use distjob_model::groups::{GroupMutant, Groups};

#[test]
fn a_group_of_two_is_joined_once_and_ends_whatever_happens() {
    let (states, broken) = Groups::check(None);
    println!("{states} states");
    assert_eq!(broken, [""; 0]);
}

#[test]
fn each_seeded_bug_of_groups_breaks_the_promise_that_it_is_known_to_break() {
    for (mutant, promise) in GroupMutant::ALL {
        let (states, broken) = Groups::check(Some(mutant));
        println!("{mutant:?}: {states} states, {broken:?}");
        assert!(broken.contains(&promise), "{mutant:?}: {broken:?}");
    }
}
