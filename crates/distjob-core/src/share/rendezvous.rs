//! Rendezvous hashing with loads that differ by one at most.
//!
//! The pairs of a job and a member are served from the highest score down, and a member that has its share takes no more.
//! Nobody needs to sort the pairs for that: each job asks the member that it likes best, a member that is asked by too many
//! sends those away that score lowest, and who is sent away asks the best member that still takes it. (Both sides rank by one
//! score, so there is one stable matching, whoever asks first.) Only the excess of a plain random choice over even loads is
//! ever sent away, about 0.4·√(J·N) jobs; for all others a look at their favourite is enough.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use super::hash;

/// How good a pair is: its score, then (scores tie once in 2⁶⁴) the job that comes first.
type Rank = (u64, Reverse<usize>);

/// Shares out `jobs` among `members`, both given as hashes of distinct names; in whatever order, which decides ties.
/// `favourites` has the position of the [favourite] of each job.
///
/// Answers, for each job, the position of its owner in `members`. Without members there is no owner: the
/// answer is empty. Takes O(J) steps, and O(N) for each job that is not its favourite's.
pub(super) fn assign(jobs: &[u64], favourites: &[usize], members: &[u64]) -> Vec<usize> {
    if members.is_empty() {
        return Vec::new();
    }
    let mut shares = Shares::asked(jobs, favourites, members);
    let mut owners = favourites.to_vec();
    while let Some(job) = shares.sent_away.pop() {
        let taken = best_of(jobs[job], members, |member, score| {
            shares.takes(member, (score, Reverse(job)))
        });
        // While a job is without an owner some member has room: the shares add up to the number of jobs.
        if let Some((score, member)) = taken {
            owners[job] = member;
            shares.take(member, (score, Reverse(job)));
        }
    }
    owners
}

/// The member with the highest score for `job` among those that are `open`, and the score. Of members that
/// tie the first one wins.
pub(super) fn favourite(job: u64, members: &[u64], open: impl Fn(usize) -> bool) -> Option<(u64, usize)> {
    best_of(job, members, |member, _| open(member))
}

/// As [`favourite`], among those that `take` the job with the score that it has there.
fn best_of(job: u64, members: &[u64], takes: impl Fn(usize, u64) -> bool) -> Option<(u64, usize)> {
    let mut best: Option<(u64, usize)> = None;
    for (member, &hash) in members.iter().enumerate() {
        let score = hash::of_pair(job, hash);
        if best.is_none_or(|(highest, _)| score > highest) && takes(member, score) {
            best = Some((score, member));
        }
    }
    best
}

/// Who has which jobs so far: ⌊J/N⌋ each, and one more for as many members as the remainder needs.
///
/// Who gets one more is not fixed beforehand: those do that have the best jobs for it. Otherwise the same member
/// would be handed the only job of every small queue.
struct Shares {
    floor: usize,
    /// How many members may go one above the floor.
    extras: usize,
    /// The jobs of each member, the worst on top.
    held: Vec<BinaryHeap<Reverse<Rank>>>,
    /// The members that are one above the floor, by their worst jobs.
    above: BTreeSet<(Rank, usize)>,
    /// Jobs that have no owner.
    sent_away: Vec<usize>,
}

impl Shares {
    /// Each job has asked its favourite.
    fn asked(jobs: &[u64], favourites: &[usize], members: &[u64]) -> Self {
        let (floor, extras) = (jobs.len() / members.len(), jobs.len() % members.len());
        let mut asking: Vec<Vec<Reverse<Rank>>> = vec![Vec::with_capacity(floor + 1); members.len()];
        for (job, (&hash, &favourite)) in jobs.iter().zip(favourites).enumerate() {
            let score = hash::of_pair(hash, members[favourite]);
            asking[favourite].push(Reverse((score, Reverse(job))));
        }
        let mut shares = Self {
            floor,
            extras,
            held: asking.into_iter().map(BinaryHeap::from).collect(),
            above: BTreeSet::new(),
            sent_away: Vec::new(),
        };
        for member in 0..members.len() {
            while shares.held[member].len() > floor + 1 {
                shares.send_worst_away(member);
            }
            if shares.held[member].len() > floor {
                shares
                    .above
                    .extend(shares.worst(member).map(|worst| (worst, member)));
            }
        }
        shares.even_out();
        shares
    }

    fn worst(&self, member: usize) -> Option<Rank> {
        self.held[member].peek().map(|worst| worst.0)
    }

    /// Whether the member would keep this job now. It never will when it does not now: what is kept only gets better.
    fn takes(&self, member: usize, rank: Rank) -> bool {
        let load = self.held[member].len();
        let is_better = |worst: Option<Rank>| worst.is_some_and(|worst| rank > worst);
        match load.cmp(&self.floor) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => {
                self.above.len() < self.extras
                    || is_better(self.worst(member))
                    || is_better(self.above.first().map(|(worst, _)| *worst))
            }
            std::cmp::Ordering::Greater => is_better(self.worst(member)),
        }
    }

    /// Gives the member a job that it [takes](Shares::takes). The worst of those is sent away that there is no room for now.
    fn take(&mut self, member: usize, rank: Rank) {
        if let Some(worst) = self.worst(member) {
            self.above.remove(&(worst, member));
        }
        self.held[member].push(Reverse(rank));
        if self.held[member].len() > self.floor + 1 {
            self.send_worst_away(member);
        }
        if self.held[member].len() > self.floor {
            self.above.extend(self.worst(member).map(|worst| (worst, member)));
        }
        self.even_out();
    }

    /// Only so many may be one above the floor.
    fn even_out(&mut self) {
        while self.above.len() > self.extras {
            let Some((_, member)) = self.above.pop_first() else {
                return;
            };
            self.send_worst_away(member);
        }
    }

    fn send_worst_away(&mut self, member: usize) {
        let worst = self.held[member].pop();
        self.sent_away.extend(worst.map(|Reverse((_, Reverse(job)))| job));
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use proptest::{collection::btree_set, prelude::*};

    use super::{assign, favourite};
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
        let floor = jobs.len() / members.len();
        let mut extras = jobs.len() % members.len();
        let (mut owners, mut loads) = (vec![None; jobs.len()], vec![0; members.len()]);
        for (_, Reverse(job), Reverse(member)) in pairs {
            let is_above = loads[member] == floor;
            if owners[job].is_some() || loads[member] > floor || (is_above && extras == 0) {
                continue;
            }
            extras -= usize::from(is_above);
            loads[member] += 1;
            owners[job] = Some(member);
        }
        owners.into_iter().map(Option::unwrap).collect()
    }

    proptest! {
        #[test]
        fn asking_favourites_is_as_good_as_sorting_all_pairs(
            jobs in btree_set(any::<u64>(), 0..300),
            members in btree_set(any::<u64>(), 1..40),
        ) {
            let (jobs, members) = (Vec::from_iter(jobs), Vec::from_iter(members));
            let favourites: Vec<usize> = jobs
                .iter()
                .map(|job| favourite(*job, &members, |_| true).unwrap().1)
                .collect();
            prop_assert_eq!(assign(&jobs, &favourites, &members), assign_by_the_definition(&jobs, &members));
        }
    }
}
