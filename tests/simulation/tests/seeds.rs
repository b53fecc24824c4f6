//! Simulations by seed, and mistakes that they must find.

use distjob_simulation::{
    campaign::{Campaign, Totals},
    plan::Faults,
    redis,
    run::{Bug, Order, Report, run},
    zookeeper::Flaw,
};

/// Runs so many seeds on two threads.
fn campaign(seeds: u64, faults: Faults, bug: Option<Bug>) -> Totals {
    let campaign = Campaign {
        seeds: 0..seeds,
        faults,
        bug,
        threads: 2,
        failures_max: 1,
    };
    campaign.run(|order, report| {
        // A mistake that was made on purpose is no news.
        if order.bug.is_none() {
            for violation in &report.violations {
                println!("seed {}: {violation}", report.seed);
            }
            println!("{}\nrepeat it: {}", report.trace.join("\n"), order.command());
        }
    })
}

fn order(seed: u64) -> Order {
    Order {
        seed,
        faults: Faults::all(),
        is_recording: false,
        bug: None,
    }
}

#[test]
fn three_thousand_seeds_with_all_faults_break_nothing() {
    let totals = campaign(3000, Faults::all(), None);
    assert_eq!(
        totals.failed, [0_u64; 0],
        "see above for the commands that repeat them"
    );
    assert!(totals.delivered > 3000 && totals.duplicates > 100, "{totals:?}");
    assert_eq!(
        totals.faults.len(),
        17,
        "some kind of fault never struck: {totals:?}"
    );
}

#[test]
fn where_nothing_fails_every_task_runs_once() {
    let totals = campaign(500, Faults::none(), None);
    assert_eq!(
        totals.failed, [0_u64; 0],
        "see above for the commands that repeat them"
    );
    assert_eq!((totals.duplicates, totals.lost), (0, 0));
}

#[test]
fn no_pause_of_a_queue_makes_a_task_run_twice_or_a_job_wait_for_ever() {
    let totals = campaign(500, "switch".parse().unwrap(), None);
    assert_eq!(
        totals.failed, [0_u64; 0],
        "see above for the commands that repeat them"
    );
    assert!(totals.delivered > 500, "{totals:?}");
}

#[test]
fn a_seed_gives_the_same_run_each_time_whether_or_not_it_is_recorded() {
    let facts = |report: Report| (report.hash, report.marks, report.elapsed_ms, report.executions);
    for seed in 0..40 {
        let first = facts(run(&order(seed)));
        let recorded = Order {
            is_recording: true,
            ..order(seed)
        };
        assert_eq!(facts(run(&recorded)), first, "seed {seed}");
    }
    let hashes: Vec<u64> = (0..40).map(|seed| run(&order(seed)).hash).collect();
    assert!(hashes.windows(2).all(|two| two[0] != two[1]), "{hashes:x?}");
}

/// The mistake is found within so many seeds.
fn is_found(bug: Bug, seeds: u64) {
    let totals = campaign(seeds, Faults::all(), Some(bug));
    assert!(
        !totals.failed.is_empty(),
        "{bug:?} was not found in {seeds} seeds"
    );
}

#[test]
fn a_store_that_does_not_look_who_holds_a_lease_is_found() {
    is_found(Bug::Store(redis::Bug::NoLeaseCheck), 100);
}

#[test]
fn a_store_that_does_not_give_unknown_leases_back_is_found() {
    is_found(Bug::Store(redis::Bug::NoReissue), 100);
}

#[test]
fn a_store_that_never_says_complete_is_found() {
    is_found(Bug::Store(redis::Bug::NeverComplete), 300);
}

#[test]
fn a_store_whose_claims_overlap_is_found() {
    is_found(Bug::Store(redis::Bug::CursorStays), 20);
}

#[test]
fn a_ledger_whose_lists_hide_the_living_is_found() {
    is_found(Bug::Ledger(Flaw::NewestList), 1000);
}

#[test]
fn a_ledger_that_executes_what_a_session_wrote_that_is_over_is_found() {
    is_found(Bug::Ledger(Flaw::NoFence), 1000);
}

#[test]
fn a_ledger_that_keeps_what_the_dead_held_is_found() {
    is_found(Bug::Ledger(Flaw::EphemeralsStay), 50);
}

#[test]
fn a_ledger_that_compares_no_versions_is_found() {
    is_found(Bug::Ledger(Flaw::BlindWrites), 100);
}

/// The mistake makes this invariant speak within so many seeds.
fn is_found_by(invariant: &str, bug: Bug, seeds: u64) {
    let speaks = |seed: u64| {
        let broken = Order {
            bug: Some(bug),
            ..order(seed)
        };
        let violations = run(&broken).violations;
        violations
            .iter()
            .any(|violation| violation.invariant == invariant)
    };
    assert!((0..seeds).any(speaks), "{invariant:?} never noticed {bug:?}");
}

#[test]
fn a_ledger_that_tears_transactions_is_found_by_what_should_have_followed_a_job() {
    is_found_by(
        "what follows a job is created once, with its results",
        Bug::Ledger(Flaw::TornWrites),
        50,
    );
}

#[test]
fn a_ledger_that_tears_transactions_is_found_by_what_should_have_joined_a_group() {
    is_found_by(
        "a group is joined once, when all of it is done",
        Bug::Ledger(Flaw::TornWrites),
        200,
    );
}
