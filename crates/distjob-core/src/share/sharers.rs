//! Members that share jobs, as somebody remembers them who is asked about many jobs, again and again.

use std::collections::{BTreeMap, BTreeSet};

use super::{Sharing, assign, hash, rendezvous};
use crate::{JobId, MemberName};

/// What a job wants, worked out once: comparing it with a newcomer is one step then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    hash: u64,
    /// Position of the member that it likes best.
    favourite: u32,
}

impl Wish {
    fn favourite(self) -> usize {
        self.favourite as usize
    }
}

/// Members that share jobs, one of whom asks for its own share.
#[derive(Clone, Debug)]
pub(crate) struct Sharers {
    /// Sorted, each once.
    names: Vec<MemberName>,
    hashes: Vec<u64>,
    me: usize,
}

impl Sharers {
    /// These members, sorted by name and each once, and `me`, whether they include it or not.
    pub(crate) fn new<'a>(members: impl Iterator<Item = &'a MemberName>, me: &MemberName) -> Self {
        let mut names: Vec<MemberName> = members.cloned().collect();
        let me = names.binary_search(me).unwrap_or_else(|position| {
            names.insert(position, me.clone());
            position
        });
        let hashes = names.iter().map(|name| hash::of_name(name.as_str())).collect();
        Self { names, hashes, me }
    }

    /// What a job wants of these members. O(N).
    pub(crate) fn wish(&self, job: &JobId) -> Wish {
        self.wish_of(hash::of_name(job.as_str()))
    }

    fn wish_of(&self, hash: u64) -> Wish {
        let favourite = rendezvous::favourite(hash, &self.hashes, |_| true);
        Wish {
            hash,
            favourite: favourite.map_or(0, |(_, member)| u32::try_from(member).unwrap_or(u32::MAX)),
        }
    }

    /// Whether I am the member that a job likes best: a guess at whose it is.
    pub(crate) fn likes_me(&self, wish: Wish) -> bool {
        wish.favourite() == self.me
    }

    /// How many members a job likes better than me: what its score makes likely, without a look at the others.
    pub(crate) fn rank(&self, wish: Wish) -> usize {
        let mine = self.hashes.get(self.me).copied().unwrap_or_default();
        let better = u128::from(u64::MAX - hash::of_pair(wish.hash, mine));
        // Less than their number, as the share of scores that are better is less than 1.
        usize::try_from((better * self.names.len() as u128) >> 64).unwrap_or(usize::MAX)
    }

    /// How to bring wishes up to date that were asked of `former` members.
    pub(crate) fn since(&self, former: &Self) -> Since<'_> {
        let places: BTreeMap<u64, u32> = self.hashes.iter().copied().zip(0..).collect();
        let stayed = former.hashes.iter().map(|hash| places.get(hash).copied());
        let known: BTreeSet<u64> = former.hashes.iter().copied().collect();
        let came = self
            .hashes
            .iter()
            .copied()
            .zip(0..)
            .filter(|(hash, _)| !known.contains(hash));
        Since {
            now: self,
            stayed: stayed.collect(),
            came: came.collect(),
        }
    }

    /// Which of these jobs, each with its wish, are mine by the rule; in whatever order they come.
    pub(crate) fn mine<'a>(
        &self,
        sharing: Sharing,
        jobs: impl Iterator<Item = (&'a JobId, Wish)>,
    ) -> Vec<bool> {
        let owners = match sharing {
            Sharing::RoundRobin => {
                let ids: Vec<&JobId> = jobs.map(|(id, _)| id).collect();
                assign(sharing, &ids, &self.names)
            }
            Sharing::Rendezvous => {
                let (hashes, favourites): (Vec<u64>, Vec<usize>) =
                    jobs.map(|(_, wish)| (wish.hash, wish.favourite())).unzip();
                rendezvous::assign(&hashes, &favourites, &self.hashes)
            }
        };
        owners.into_iter().map(|owner| owner == self.me).collect()
    }
}

/// What changed between two lists of members.
pub(crate) struct Since<'a> {
    now: &'a Sharers,
    /// For each former position, the position now of those who stayed.
    stayed: Vec<Option<u32>>,
    /// Those who came: their hashes and positions.
    came: Vec<(u64, u32)>,
}

impl Since<'_> {
    /// Whether all wishes are as they were.
    pub(crate) fn is_nothing(&self) -> bool {
        self.came.is_empty() && self.stayed.len() == self.now.hashes.len()
    }

    /// The wish now. A step for each member that came; O(N) only for a job whose favourite went.
    pub(crate) fn renew(&self, wish: Wish) -> Wish {
        let Some(&Some(favourite)) = self.stayed.get(wish.favourite()) else {
            return self.now.wish_of(wish.hash);
        };
        let score = |member: u64| hash::of_pair(wish.hash, member);
        let mut best = (score(self.now.hashes[favourite as usize]), favourite);
        for &(member, place) in &self.came {
            let theirs = score(member);
            // Of members that tie the first one wins.
            if theirs > best.0 || (theirs == best.0 && place < best.1) {
                best = (theirs, place);
            }
        }
        Wish {
            favourite: best.1,
            ..wish
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn names(numbers: &BTreeSet<u8>) -> Vec<MemberName> {
        let names: BTreeSet<_> = numbers
            .iter()
            .map(|number| MemberName::new(format!("m{number}")).unwrap())
            .collect();
        names.into_iter().collect()
    }

    proptest! {
        #[test]
        fn wishes_brought_up_to_date_are_those_that_would_be_worked_out_anew(
            before in prop::collection::btree_set(any::<u8>(), 0..30),
            after in prop::collection::btree_set(any::<u8>(), 0..30),
            jobs in 0_u32..200,
        ) {
            let me = MemberName::new("me").unwrap();
            let before = Sharers::new(names(&before).iter(), &me);
            let after = Sharers::new(names(&after).iter(), &me);
            let since = after.since(&before);
            prop_assert_eq!(since.is_nothing(), before.names == after.names);
            for job in 0..jobs {
                let id = JobId::new(format!("job-{job}")).unwrap();
                prop_assert_eq!(since.renew(before.wish(&id)).favourite, after.wish(&id).favourite);
            }
        }

        #[test]
        fn a_share_is_the_one_that_the_lists_of_names_give(
            members in prop::collection::btree_set(any::<u8>(), 0..30),
            jobs in 0_u32..200,
            rule in prop::sample::select(Sharing::ALL.to_vec()),
        ) {
            let me = MemberName::new("me").unwrap();
            let sharers = Sharers::new(names(&members).iter(), &me);
            let ids: Vec<JobId> = (0..jobs).map(|job| JobId::new(format!("job-{job}")).unwrap()).collect();
            let jobs: Vec<_> = ids.iter().map(|id| (id, sharers.wish(id))).collect();
            let mine = sharers.mine(rule, jobs.into_iter());
            let share: Vec<usize> = (0..ids.len()).filter(|job| mine[*job]).collect();
            prop_assert_eq!(share, super::super::share_of("me", rule, &ids, &sharers.names));
        }
    }
}
