//! Which news of a job a member reads at once, and which it leaves for later.
//!
//! Every member hears of every change of every job, in few bytes that do not say what the job looks like now. A read costs
//! more than that, and most of them would be for nothing: of a small job that was created an instant ago, one executor and
//! one watcher make something, and it is gone before the others have looked. So each new job is read at once by the one
//! who would have it among those that serve a queue, and by the others only if it is still there a little later.
//!
//! ```text
//!               executor                             watcher
//! created       owner: at once, others: soon         late: there is nothing for it yet
//! changed       as created; late, if it was          owner: at once, others: soon
//!               beyond execution already
//! by itself     late                                 late
//! gone          never: that is all there is to know
//! ```
//!
//! Nothing rests on it: whatever is left for later is read later, and says then how the job stands. Two members that
//! know different lists may both, or neither of them, take a job for their own; it is read soon all the same. Which queue a
//! new job is of is not known before it is read, so a member reads those that would be its own in *any* of its queues:
//! among members that serve the same queues that is one of them.

use std::{collections::BTreeSet, time::Duration};

use crate::{JobId, MemberName, Roster, board::Interest, share::Circle};

/// What somebody else's share can wait for: longer than a small job lives, shorter than the help that is given to
/// a large one is worth.
const SOON: Duration = Duration::from_millis(50);

/// What hardly concerns the member can wait for so long: it is good for being counted, and for being seen when the job
/// comes back.
const LATE: Duration = Duration::from_millis(500);

/// What was heard of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// There is one of that id.
    Created,
    /// Its data was set.
    Changed,
}

/// What is known of a job of which something is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// How it looked when it was last read: whether it [concerned](Interest::covers) the member.
    Read(bool),
    /// This member is changing it, or just has.
    Own,
}

/// How one member looks at what it hears of jobs.
#[derive(Clone, Debug)]
pub struct Attention {
    me: MemberName,
    interest: Interest,
    /// The members that a job may be shared among, this one among them, for each queue that it serves; each set once.
    circles: Vec<Circle>,
}

impl Attention {
    /// How `me` looks at jobs, of which those of `interest` concern it. Before it [meets](Self::meet) others, all are its
    /// own.
    #[must_use]
    pub fn new(me: MemberName, interest: Interest) -> Self {
        let alone = Circle::new(me.as_str(), &[&me]);
        Self {
            me,
            interest,
            circles: vec![alone],
        }
    }

    /// Which jobs concern the member.
    #[must_use]
    pub fn interest(&self) -> &Interest {
        &self.interest
    }

    /// Takes notice of the members.
    pub fn meet(&mut self, roster: &Roster) {
        let circle = |members: BTreeSet<&MemberName>| {
            let members: Vec<_> = members.into_iter().chain([&self.me]).collect();
            Circle::new(self.me.as_str(), &members)
        };
        let circles: BTreeSet<BTreeSet<&MemberName>> = match &self.interest {
            Interest::Execution(queues) => {
                let serving = |queue| roster.serving(queue).collect();
                queues.iter().map(serving).collect()
            }
            Interest::Delivery => BTreeSet::from([roster.members.keys().collect()]),
        };
        self.circles = circles.into_iter().map(circle).collect();
    }

    /// How long the data of a job may wait to be read after this was heard of it.
    #[must_use]
    pub fn patience(&self, id: &JobId, news: News, known: Known) -> Duration {
        let is_for_later = match (&self.interest, known) {
            (_, Known::Own) | (Interest::Execution(_), Known::Read(false)) => true,
            (Interest::Execution(_), _) => false,
            (Interest::Delivery, _) => news == News::Created,
        };
        match is_for_later {
            true => LATE,
            false if self.circles.iter().any(|circle| circle.prefers_me(id.as_str())) => Duration::ZERO,
            false => SOON,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{MemberInfo, QueueName, Zxid};

    fn name(name: &str) -> MemberName {
        MemberName::new(name).unwrap()
    }

    fn queues(names: &[&str]) -> BTreeSet<QueueName> {
        names.iter().map(|name| QueueName::new(*name).unwrap()).collect()
    }

    fn info(queues: &[&str]) -> Option<MemberInfo> {
        let text = serde_json::json!({"host": "h", "pid": 1, "version": "1", "queues": queues});
        Some(serde_json::from_value(text).unwrap())
    }

    fn roster(members: &[(&str, &[&str])]) -> Roster {
        Roster {
            as_of: Zxid::new(1),
            members: members
                .iter()
                .map(|(who, queues)| (name(who), info(queues)))
                .collect(),
            born: BTreeMap::new(),
        }
    }

    fn ids() -> impl Iterator<Item = JobId> {
        (0..1000).map(|number| JobId::new(format!("job-{number}")).unwrap())
    }

    /// How many of the members read each of many new jobs at once: the fewest, and the most.
    fn readers(members: &[(&str, &[&str])]) -> (usize, usize) {
        let roster = roster(members);
        let attentions: Vec<Attention> = members
            .iter()
            .map(|(me, served)| {
                let mut attention = Attention::new(name(me), Interest::Execution(queues(served)));
                attention.meet(&roster);
                attention
            })
            .collect();
        let at_once = |id: &JobId| {
            let is_at_once =
                |attention: &&Attention| attention.patience(id, News::Created, Known::Nothing).is_zero();
            attentions.iter().filter(is_at_once).count()
        };
        let counts: Vec<usize> = ids().map(|id| at_once(&id)).collect();
        (*counts.iter().min().unwrap(), *counts.iter().max().unwrap())
    }

    #[test]
    fn a_new_job_is_read_at_once_by_one_of_those_that_serve_the_same_queues() {
        let both: &[&str] = &["x", "y"];
        assert_eq!(readers(&[("a", both), ("b", both), ("c", both)]), (1, 1));
        assert_eq!(readers(&[("a", both)]), (1, 1));
    }

    #[test]
    fn a_new_job_is_read_at_once_by_one_of_each_queue_at_least() {
        // Whichever of the two queues it is of, its owner is among the readers.
        let (fewest, most) = readers(&[("a", &["x"]), ("b", &["x", "y"]), ("c", &["y"]), ("d", &["y"])]);
        assert_eq!((fewest, most), (1, 2), "one of a, b and one of b, c, d");
    }

    #[test]
    fn one_watcher_reads_a_changed_job_at_once_and_none_a_new_one() {
        let members: [(&str, &[&str]); 3] = [("a", &[]), ("b", &[]), ("c", &[])];
        let roster = roster(&members);
        let attention = |me| {
            let mut attention = Attention::new(name(me), Interest::Delivery);
            attention.meet(&roster);
            attention
        };
        let attentions = ["a", "b", "c"].map(attention);
        for id in ids() {
            let at_once = |news, known| {
                let is_at_once = |attention: &&Attention| attention.patience(&id, news, known).is_zero();
                attentions.iter().filter(is_at_once).count()
            };
            assert_eq!(at_once(News::Created, Known::Nothing), 0);
            assert_eq!(at_once(News::Changed, Known::Nothing), 1);
            assert_eq!(at_once(News::Changed, Known::Read(false)), 1);
            assert_eq!(at_once(News::Changed, Known::Read(true)), 1);
            assert_eq!(at_once(News::Changed, Known::Own), 0);
        }
    }

    #[test]
    fn an_executor_is_in_no_haste_about_jobs_beyond_execution() {
        let attention = Attention::new(name("a"), Interest::Execution(queues(&["x"])));
        for id in ids() {
            let patience = |known| attention.patience(&id, News::Changed, known);
            assert_eq!(patience(Known::Nothing), Duration::ZERO);
            assert_eq!(patience(Known::Read(true)), Duration::ZERO, "it may be cancelled");
            assert_eq!(patience(Known::Read(false)), LATE);
            assert_eq!(patience(Known::Own), LATE);
        }
    }
}
