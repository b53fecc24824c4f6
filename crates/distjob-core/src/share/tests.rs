//! What both rules promise, held against many lists.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Sharing, assign, preferred, share_of};

/// One job's coming or going moved 10 others at worst in 200,000 random cases of up to 3,000 jobs and 60
/// members, each one more being five times as rare as the one before.
const MOVES_MAX_OF_ONE_JOB: usize = 20;

/// How many jobs may move when `members` become one more, or one more than `members` become one less.
///
/// The share of the one that came or went has to move; evening out the others costs about 0.6·√J on average
/// and 1.9·√J at worst in 40,000 random cases (the module says why a root).
fn moves_max_of_one_member(jobs: usize, members: usize) -> f64 {
    jobs as f64 / members as f64 + 3.0 * (jobs as f64).sqrt()
}

fn names(what: &str, world: u32, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{what}-{world}-{number}"))
        .collect()
}

fn any_rule() -> impl Strategy<Value = Sharing> {
    select(Sharing::ALL.as_slice())
}

/// Few enough different names for a list of them to hold some twice.
fn any_names() -> impl Strategy<Value = Vec<String>> {
    vec("[a-c_-]{1,4}", 0..60)
}

fn loads(owners: &[usize], members: usize) -> Vec<usize> {
    let mut loads = vec![0; members];
    for &owner in owners {
        loads[owner] += 1;
    }
    loads
}

/// How many of the jobs that both answers know changed hands.
fn moved(before: &[usize], after: &[usize]) -> usize {
    before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after)
        .count()
}

proptest! {
    #[test]
    fn every_member_has_the_floor_or_the_ceiling_of_the_fair_share(
        rule in any_rule(), world: u32, jobs in 0_usize..2000, members in 1_usize..60,
    ) {
        let owners = assign(rule, &names("job", world, jobs), &names("member", world, members));
        prop_assert_eq!(owners.len(), jobs);
        for load in loads(&owners, members) {
            prop_assert!(load == jobs / members || load == jobs.div_ceil(members), "{} of {}", load, jobs);
        }
    }

    #[test]
    fn the_order_of_the_lists_changes_nothing(
        rule in any_rule(),
        (jobs, shuffled_jobs) in any_names().prop_flat_map(|names| (Just(names.clone()), Just(names).prop_shuffle())),
        (members, shuffled_members) in any_names().prop_flat_map(|names| (Just(names.clone()), Just(names).prop_shuffle())),
    ) {
        prop_assume!(!members.is_empty());
        let owners = assign(rule, &jobs, &members);
        let shuffled_owners = assign(rule, &shuffled_jobs, &shuffled_members);
        for (job, owner) in shuffled_jobs.iter().zip(shuffled_owners) {
            let place = jobs.iter().position(|other| other == job).unwrap();
            prop_assert_eq!(&members[owners[place]], &shuffled_members[owner]);
        }
    }

    #[test]
    fn a_name_given_twice_counts_once(rule in any_rule(), jobs in any_names(), members in any_names()) {
        let once = |names: &[String]| -> Vec<String> {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names
        };
        let (jobs_once, members_once) = (once(&jobs), once(&members));
        let owners_once = assign(rule, &jobs_once, &members_once);
        for (job, owner) in jobs.iter().zip(assign(rule, &jobs, &members)) {
            let owner_once = owners_once[jobs_once.binary_search(job).unwrap()];
            prop_assert_eq!(&members[owner], &members_once[owner_once]);
            prop_assert!(!members[..owner].contains(&members[owner]), "only the first of equals is named");
        }
    }

    #[test]
    fn round_robin_is_the_position_in_the_sorted_list_modulo_the_members(
        world: u32, jobs in 0_usize..500, members in 1_usize..20,
    ) {
        let (mut jobs, mut members) = (names("job", world, jobs), names("member", world, members));
        jobs.sort();
        members.sort();
        let owners = assign(Sharing::RoundRobin, &jobs, &members);
        for (position, owner) in owners.into_iter().enumerate() {
            prop_assert_eq!(owner, position % members.len());
        }
    }

    #[test]
    fn a_join_or_a_death_moves_little_more_than_one_share(
        world: u32, jobs in 0_usize..3000, members in 1_usize..60,
    ) {
        let jobs = names("job", world, jobs);
        let mut members = names("member", world, members);
        let fewer = assign(Sharing::Rendezvous, &jobs, &members);
        members.push("one-more".to_owned());
        let more = assign(Sharing::Rendezvous, &jobs, &members);
        let moves = moved(&fewer, &more);
        prop_assert!(moves as f64 <= moves_max_of_one_member(jobs.len(), members.len()), "{} moved", moves);
    }

    #[test]
    fn the_coming_or_going_of_a_job_moves_almost_none_of_the_others(
        world: u32, jobs in 0_usize..3000, members in 1_usize..60,
    ) {
        let mut jobs = names("job", world, jobs);
        let members = names("member", world, members);
        let fewer = assign(Sharing::Rendezvous, &jobs, &members);
        jobs.push("one-more".to_owned());
        let more = assign(Sharing::Rendezvous, &jobs, &members);
        let moves = moved(&fewer, &more);
        prop_assert!(moves <= MOVES_MAX_OF_ONE_JOB, "{} moved", moves);
    }

    #[test]
    fn the_shares_of_all_members_are_all_the_jobs(
        rule in any_rule(), world: u32, jobs in 0_usize..200, members in 1_usize..20,
    ) {
        let (jobs, members) = (names("job", world, jobs), names("member", world, members));
        let mut shared: Vec<usize> = members.iter().flat_map(|me| share_of(me, rule, &jobs, &members)).collect();
        shared.sort_unstable();
        prop_assert_eq!(shared, Vec::from_iter(0..jobs.len()));
        prop_assert!(share_of("a stranger", rule, &jobs, &members).is_empty());
    }

    #[test]
    fn the_only_job_of_a_queue_goes_to_the_member_that_is_preferred(world: u32, members in 1_usize..20) {
        let (job, members) = (format!("job-{world}"), names("member", world, members));
        let owners = assign(Sharing::Rendezvous, &[&job], &members);
        prop_assert_eq!(Some(owners[0]), preferred(&job, &members));
    }
}

#[test]
fn most_jobs_belong_to_the_member_that_is_preferred() {
    let (jobs, members) = (names("job", 1, 10_000), names("member", 1, 10));
    let owners = assign(Sharing::Rendezvous, &jobs, &members);
    let kept = jobs
        .iter()
        .zip(owners)
        .filter(|(job, owner)| preferred(job, &members) == Some(*owner))
        .count();
    assert!(kept >= 9_700, "{kept} of 10,000");
}

#[test]
fn queues_of_one_job_each_do_not_all_fall_to_the_same_member() {
    let (jobs, members) = (names("job", 1, 1000), names("member", 1, 10));
    let owners: Vec<usize> = jobs
        .iter()
        .map(|job| assign(Sharing::Rendezvous, &[job], &members)[0])
        .collect();
    // A hundred on average, ten the standard deviation.
    assert!(
        loads(&owners, members.len())
            .into_iter()
            .all(|load| (50..150).contains(&load))
    );
}

#[test]
fn without_members_nobody_owns_anything() {
    for rule in Sharing::ALL {
        assert!(assign(rule, &["job"], &[""; 0]).is_empty());
        assert!(share_of("me", rule, &["job"], &[""; 0]).is_empty());
        assert!(assign(rule, &[""; 0], &["member"]).is_empty());
    }
    assert_eq!(preferred("job", &[""; 0]), None);
}

/// Members of two releases share out by the same rule only as long as this answer stays what it is.
#[test]
fn shares_are_the_same_in_every_release() {
    let owners = assign(Sharing::Rendezvous, &names("job", 7, 20), &names("member", 7, 4));
    assert_eq!(
        owners,
        [3, 0, 2, 1, 3, 0, 3, 2, 1, 0, 2, 3, 1, 1, 2, 2, 0, 3, 1, 0]
    );
}

#[test]
fn rules_are_written_as_they_are_read() {
    for rule in Sharing::ALL {
        assert_eq!(rule.to_string().parse(), Ok(rule));
        assert_eq!(serde_json::to_string(&rule).unwrap(), format!("\"{rule}\""));
    }
    assert_eq!(Sharing::default(), Sharing::Rendezvous);
    let error = "roundrobin".parse::<Sharing>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown sharing rule \"roundrobin\": expected \"round-robin\" or \"rendezvous\""
    );
}
