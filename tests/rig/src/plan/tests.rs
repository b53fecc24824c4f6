use std::collections::{BTreeMap, BTreeSet};

use super::*;

const CAST: Cast = Cast {
    executors: 3,
    watchers: 2,
    submitters: 2,
    servers: 3,
    has_replica: true,
    session_timeout: Duration::from_secs(3),
};

fn plan(seed: u64, minutes: u64, kinds: &[Kind]) -> Plan {
    Plan::draw(seed, Duration::from_secs(60 * minutes), kinds, &CAST)
}

fn counts(plan: &Plan) -> BTreeMap<Kind, usize> {
    let mut counts = BTreeMap::new();
    for step in plan.steps() {
        *counts.entry(step.nemesis.kind()).or_default() += 1;
    }
    counts
}

#[test]
fn the_same_seed_makes_the_same_plan_and_another_one_another() {
    assert_eq!(plan(7, 10, &[]), plan(7, 10, &[]));
    assert_ne!(plan(7, 10, &[]), plan(8, 10, &[]));
}

#[test]
fn an_hour_has_every_kind_several_times() {
    for seed in 0..50 {
        let counts = counts(&plan(seed, 60, &[]));
        for kind in Kind::ALL {
            assert!(
                counts.get(kind).is_some_and(|count| *count >= 5),
                "seed {seed}: {kind}: {counts:?}"
            );
        }
    }
}

#[test]
fn two_minutes_have_the_kinds_of_most_value_before_all_others() {
    let essential = Kind::ALL.iter().filter(|kind| kind.is_essential()).count();
    for seed in 0..50 {
        let counts = counts(&plan(seed, 2, &[]));
        let met = counts.keys().filter(|kind| kind.is_essential()).count();
        // These come beside others.
        let further = counts
            .keys()
            .filter(|kind| !kind.is_essential() && kind.seizes() != Thing::Outlets);
        assert!(met * 5 >= essential * 4, "seed {seed}: {counts:?}");
        assert!(
            met == essential || further.count() <= 4,
            "seed {seed}: {counts:?}"
        );
    }
}

#[test]
fn a_restricted_plan_has_nothing_else() {
    let kinds = [Kind::KillLeader, Kind::CutTail];
    let counts = counts(&plan(3, 10, &kinds));
    assert_eq!(
        counts.keys().copied().collect::<BTreeSet<_>>(),
        BTreeSet::from(kinds)
    );
}

#[test]
fn without_a_replica_nothing_is_promoted() {
    let cast = Cast {
        has_replica: false,
        ..CAST
    };
    let plan = Plan::draw(1, Duration::from_secs(3600), &[], &cast);
    assert!(!counts(&plan).contains_key(&Kind::PromoteReplica));
    let plan = Plan::draw(1, Duration::from_secs(3600), &[Kind::PromoteReplica], &cast);
    assert_eq!(plan.scenes, []);
}

#[test]
fn faults_at_the_same_time_never_seize_the_same_thing_and_never_are_three() {
    for seed in 0..50 {
        for scene in plan(seed, 60, &[]).scenes {
            assert!((1..=2).contains(&scene.steps.len()), "seed {seed}: {scene:?}");
            if let [first, second] = &scene.steps[..] {
                let seized = [first, second].map(|step| step.nemesis.kind().seizes());
                assert_ne!(seized[0], seized[1], "seed {seed}: {first} beside {second}");
            }
        }
    }
}

#[test]
fn faults_come_alone_and_in_pairs_with_quiet_before_each() {
    let scenes = plan(5, 60, &[]).scenes;
    let pairs = scenes.iter().filter(|scene| scene.steps.len() == 2).count();
    assert!(
        pairs * 5 > scenes.len() && pairs * 2 < scenes.len(),
        "{pairs} of {}",
        scenes.len()
    );
    assert!(scenes.iter().all(|scene| scene.quiet >= Duration::from_secs(2)));
}

#[test]
fn every_fault_ends_within_the_run_and_none_is_missing_at_its_end() {
    for seed in 0..50 {
        let lasts = plan(seed, 2, &[]).lasts();
        assert!(
            lasts <= Duration::from_secs(120) && lasts > Duration::from_secs(90),
            "{lasts:?}"
        );
    }
}

#[test]
fn a_kind_is_read_back_from_its_name() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
    }
    let error = "kill".parse::<Kind>().unwrap_err().to_string();
    assert!(
        error.contains("no nemesis is called \"kill\"") && error.contains("kill-executor"),
        "{error}"
    );
}

#[test]
fn a_plan_reads_as_lines() {
    let nemesis = Nemesis::CutOff {
        victim: Victim::Executor(2),
        from: From::Servers,
        way: Way::Out,
    };
    let (lag, lasts) = (Duration::from_millis(340), Duration::from_secs(4));
    let step = Step {
        number: 1,
        lag,
        lasts,
        nemesis,
    };
    let plan = Plan {
        scenes: vec![Scene {
            quiet: Duration::from_secs(12),
            steps: vec![step],
        }],
    };
    let line = "   12.3 s #1      4.0 s  partition-zookeeper executor-2 from all ZooKeeper servers, one-way: it is not heard\n";
    assert_eq!(plan.to_string(), line);
}
