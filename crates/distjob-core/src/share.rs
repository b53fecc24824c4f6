#![doc = include_str!("share/share.md")]

mod circle;
mod hash;
mod rendezvous;
mod sharers;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::circle::Circle;

pub(crate) use self::sharers::{Sharers, Wish};

/// The rule by which jobs are shared among members. All members of a deployment should use the same: two
/// rules at work are wasteful, though not wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Both lists sorted; the job at position i belongs to the member at position i modulo N.
    RoundRobin,
    /// Rendezvous hashing with loads that differ by one at most: comings and goings move few jobs.
    #[default]
    Rendezvous,
}

impl Sharing {
    /// Every rule there is.
    pub const ALL: [Self; 2] = [Self::RoundRobin, Self::Rendezvous];

    /// The rule's name, as it is written in a configuration: `round-robin` or `rendezvous`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Rendezvous => "rendezvous",
        }
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no [`Sharing`] rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown sharing rule {0:?}: expected \"round-robin\" or \"rendezvous\"")]
pub struct UnknownSharing(String);

impl FromStr for Sharing {
    type Err = UnknownSharing;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.name() == text)
            .ok_or_else(|| UnknownSharing(text.to_owned()))
    }
}

/// Shares out `jobs` among `members`: for each job, in the order given, the index in `members` of its owner.
///
/// Neither list needs to be sorted and their order changes nothing (sorted lists are a little faster). A name
/// that is there twice counts once: equal jobs get the same owner, of equal members only the first is ever
/// named. Without members nobody owns anything and the answer is empty.
///
/// Members have ⌊J/N⌋ or ⌈J/N⌉ distinct jobs each, by either rule. Takes O(J·N) cheap steps for
/// [`Sharing::Rendezvous`] and O(J log J) for unsorted lists; memory is O(J + N).
///
/// ```
/// use distjob_core::share::{Sharing, assign};
///
/// let owners = assign(Sharing::RoundRobin, &["c", "a", "b"], &["member-2", "member-1"]);
/// assert_eq!(owners, [1, 1, 0]);
/// ```
pub fn assign(sharing: Sharing, jobs: &[impl AsRef<str>], members: &[impl AsRef<str>]) -> Vec<usize> {
    let places = Distinct::new(members);
    if places.first.is_empty() {
        return Vec::new();
    }
    let distinct = Distinct::new(jobs);
    let owners: Vec<usize> = match sharing {
        Sharing::RoundRobin => (0..distinct.first.len())
            .map(|job| job % places.first.len())
            .collect(),
        Sharing::Rendezvous => {
            let (jobs, members) = (distinct.hashes(jobs), places.hashes(members));
            let favourite = |job: &u64| rendezvous::favourite(*job, &members, |_| true);
            let favourites: Vec<usize> = jobs
                .iter()
                .filter_map(favourite)
                .map(|(_, member)| member)
                .collect();
            rendezvous::assign(&jobs, &favourites, &members)
        }
    };
    distinct
        .position
        .iter()
        .map(|&job| places.first[owners[job]])
        .collect()
}

/// The share of one member: the indexes in `jobs`, ascending, of the jobs that `me` owns by [`assign`].
///
/// Empty when `me` is not among `members`: who is not registered has no share.
pub fn share_of(
    me: &str,
    sharing: Sharing,
    jobs: &[impl AsRef<str>],
    members: &[impl AsRef<str>],
) -> Vec<usize> {
    let Some(me) = members.iter().position(|member| member.as_ref() == me) else {
        return Vec::new();
    };
    let owners = assign(sharing, jobs, members);
    owners
        .iter()
        .enumerate()
        .filter(|&(_, &owner)| owner == me)
        .map(|(job, _)| job)
        .collect()
}

/// The member that a job would belong to if loads did not matter: the plain winner of rendezvous hashing, as
/// an index in `members`; `None` without members.
///
/// Looks at nothing but the one job, in O(N). It is what to use for a job that turned up after the last
/// [`assign`], by whichever rule: all members agree on the answer without sharing out everything again, and
/// under [`Sharing::Rendezvous`] the next full assignment leaves most such jobs where they are (of J jobs all
/// but about 0.4·√(J·N) belong to their plain winner).
///
/// ```
/// use distjob_core::share::preferred;
///
/// assert_eq!(preferred("job", &["the-only-one"]), Some(0));
/// assert_eq!(preferred("job", &[""; 0]), None);
/// ```
pub fn preferred(job: &str, members: &[impl AsRef<str>]) -> Option<usize> {
    let places = Distinct::new(members);
    let (_, winner) = rendezvous::favourite(hash::of_name(job), &places.hashes(members), |_| true)?;
    Some(places.first[winner])
}

/// A list of names as every member sees it, whatever order it came in: sorted, each name once.
struct Distinct {
    /// In the order of the names: where each is found first in the list.
    first: Vec<usize>,
    /// For every entry of the list, its name's position among the distinct ones.
    position: Vec<usize>,
}

impl Distinct {
    fn new(names: &[impl AsRef<str>]) -> Self {
        let mut order: Vec<usize> = (0..names.len()).collect();
        // Stable, hence equal names keep their order and the first stays the first.
        order.sort_by(|&a, &b| names[a].as_ref().cmp(names[b].as_ref()));
        let mut first: Vec<usize> = Vec::with_capacity(names.len());
        let mut position = vec![0; names.len()];
        for index in order {
            if first
                .last()
                .is_none_or(|&last| names[last].as_ref() != names[index].as_ref())
            {
                first.push(index);
            }
            position[index] = first.len() - 1;
        }
        Self { first, position }
    }

    /// The hashes of the distinct names, in their order.
    fn hashes(&self, names: &[impl AsRef<str>]) -> Vec<u64> {
        self.first
            .iter()
            .map(|&index| hash::of_name(names[index].as_ref()))
            .collect()
    }
}
