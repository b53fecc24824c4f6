//! Rendezvous hashing with loads that differ by one at most.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::hash;

/// A job asks for the member that scores highest for it. The greatest wish is the one to serve first: the
/// highest score, then (scores tie once in 2⁶⁴) the job whose name sorts first.
type Wish = (u64, Reverse<usize>, usize);

/// Shares out `jobs` among `members`, both given as hashes of distinct names in the order of the names.
///
/// Answers, for each job, the position of its owner in `members`. Without members there is no owner: the
/// answer is empty.
///
/// The pairs of a job and a member are served from the highest score down, and a member that has its share
/// takes no more. Only the best open pair of each job waits in the heap, so memory is O(J) and not O(J·N):
/// the next one is looked up when a wish turns out to be for a member that has closed meanwhile, which
/// happens to about 0.4·√(J·N) jobs, the excess of a plain random choice over even loads.
pub(super) fn assign(jobs: &[u64], members: &[u64]) -> Vec<usize> {
    if members.is_empty() {
        return Vec::new();
    }
    let mut shares = Shares::even(jobs.len(), members.len());
    let mut owners = vec![0; jobs.len()];
    let wish = |job: usize, shares: &Shares| -> Option<Wish> {
        let (score, member) = favourite(jobs[job], members, |member| shares.has_room(member))?;
        Some((score, Reverse(job), member))
    };
    let mut wishes: BinaryHeap<Wish> = (0..jobs.len()).filter_map(|job| wish(job, &shares)).collect();
    while let Some((_, Reverse(job), member)) = wishes.pop() {
        if shares.has_room(member) {
            shares.add(member);
            owners[job] = member;
        } else {
            wishes.extend(wish(job, &shares));
        }
    }
    debug_assert_eq!(
        shares.loads.iter().sum::<usize>(),
        jobs.len(),
        "every job found an owner"
    );
    owners
}

/// The member with the highest score for `job` among those that are `open`, and the score. Of members that
/// tie the first one wins.
pub(super) fn favourite(job: u64, members: &[u64], open: impl Fn(usize) -> bool) -> Option<(u64, usize)> {
    let mut best: Option<(u64, usize)> = None;
    for (member, &hash) in members.iter().enumerate() {
        let score = hash::of_pair(job, hash);
        if best.is_none_or(|(highest, _)| score > highest) && open(member) {
            best = Some((score, member));
        }
    }
    best
}

/// How many jobs each member has so far, and how many it may have: ⌊J/N⌋, and one more for as many members as
/// the remainder needs.
///
/// Who gets one more is not fixed beforehand: the members that fill up first do. Otherwise the same member
/// would be handed the only job of every small queue.
struct Shares {
    loads: Vec<usize>,
    floor: usize,
    /// Members that may still go one above the floor.
    extras: usize,
}

impl Shares {
    fn even(jobs: usize, members: usize) -> Self {
        Self {
            loads: vec![0; members],
            floor: jobs / members,
            extras: jobs % members,
        }
    }

    /// While a job is without an owner some member has room: the shares add up to the number of jobs.
    fn has_room(&self, member: usize) -> bool {
        self.loads[member] < self.floor || (self.loads[member] == self.floor && self.extras > 0)
    }

    fn add(&mut self, member: usize) {
        if self.loads[member] == self.floor {
            self.extras -= 1;
        }
        self.loads[member] += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use proptest::{collection::btree_set, prelude::*};

    use super::{Shares, assign};
    use crate::share::hash;

    /// The definition, taken at its word: all pairs, from the highest score down.
    fn assign_by_the_definition(jobs: &[u64], members: &[u64]) -> Vec<usize> {
        let mut pairs: Vec<_> = (0..jobs.len())
            .flat_map(|job| (0..members.len()).map(move |member| (job, member)))
            .map(|(job, member)| {
                (
                    hash::of_pair(jobs[job], members[member]),
                    Reverse(job),
                    Reverse(member),
                )
            })
            .collect();
        pairs.sort_unstable_by_key(|&pair| Reverse(pair));
        let mut shares = Shares::even(jobs.len(), members.len());
        let mut owners = vec![None; jobs.len()];
        for (_, Reverse(job), Reverse(member)) in pairs {
            if owners[job].is_none() && shares.has_room(member) {
                shares.add(member);
                owners[job] = Some(member);
            }
        }
        owners.into_iter().map(Option::unwrap).collect()
    }

    proptest! {
        #[test]
        fn looking_up_wishes_when_needed_is_as_good_as_sorting_all_pairs(
            jobs in btree_set(any::<u64>(), 0..300),
            members in btree_set(any::<u64>(), 1..40),
        ) {
            let (jobs, members) = (Vec::from_iter(jobs), Vec::from_iter(members));
            prop_assert_eq!(assign(&jobs, &members), assign_by_the_definition(&jobs, &members));
        }
    }
}
