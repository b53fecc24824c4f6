//! Members that stay the same while many jobs are looked at.

use super::{Distinct, hash};

/// Some members, one of whom asks which jobs would be its own.
///
/// ```
/// use distjob_core::share::{Circle, preferred};
///
/// let members = ["a", "b", "c"];
/// let circle = Circle::new("b", &members);
/// assert_eq!(circle.prefers_me("job"), preferred("job", &members) == Some(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// Of the distinct names, in their order.
    hashes: Vec<u64>,
    /// Where the one who asks is among them.
    me: Option<usize>,
}

impl Circle {
    /// The circle of `members`, in any order, of whom `me` asks.
    #[must_use]
    pub fn new(me: &str, members: &[impl AsRef<str>]) -> Self {
        let places = Distinct::new(members);
        let is_me = |place: &usize| members[*place].as_ref() == me;
        Self {
            hashes: places.hashes(members),
            me: places.first.iter().position(is_me),
        }
    }

    /// Whether [`preferred`](super::preferred) names the one who asks: in O(N), and without a look at names.
    #[must_use]
    pub fn prefers_me(&self, job: &str) -> bool {
        let job = hash::of_name(job);
        let score = |member: &u64| hash::of_pair(job, *member);
        let Some(mine) = self.me.and_then(|me| self.hashes.get(me)).map(score) else {
            return false;
        };
        // Of members that tie the first one wins.
        let beats_me = |(place, member): (usize, &u64)| {
            let theirs = score(member);
            theirs > mine || theirs == mine && Some(place) < self.me
        };
        !self.hashes.iter().enumerate().any(beats_me)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::preferred;

    #[test]
    fn each_job_is_preferred_by_the_one_member_that_all_agree_on() {
        let members = ["d", "a", "c", "b", "a"];
        let circles: Vec<(&str, Circle)> = members
            .iter()
            .map(|me| (*me, Circle::new(me, &members)))
            .collect();
        for job in (0..500).map(|job| format!("job-{job}")) {
            let winner = preferred(&job, &members).map(|winner| members[winner]);
            for (me, circle) in &circles {
                assert_eq!(
                    circle.prefers_me(&job),
                    winner == Some(me),
                    "{job}, asked by {me}"
                );
            }
        }
        assert!(!Circle::new("z", &members).prefers_me("job"));
        assert!(!Circle::new("z", &[""; 0]).prefers_me("job"));
    }
}
