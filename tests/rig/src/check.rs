//! Judges a run: which promise was broken, and how.
//!
//! Pure: a [`Case`] is made of what is known, [`judge`] says what is wrong with it. One file a [`Promise`].

mod case;
mod delivered;
mod ended;
mod executed;
mod exits;
mod figures;
mod flows;
mod left;
mod lost;
mod once;
mod outlets;
mod refused;
mod unexpected;
mod whole;

#[cfg(test)]
mod tests;

use std::fmt;

pub use self::case::{Case, Evidence, FollowUp, Job, Submission};
pub use self::figures::Figures;

use harness::Delivered;

use crate::expect::STEPS;

/// A file that a watcher delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The queue in whose directory it stands.
    pub queue: String,
    /// The job that it is named after.
    pub id: String,
    /// When it was written, in milliseconds since 1970 by the machine's clock.
    pub unix_ms: u64,
    /// Its lines, or why it cannot be read.
    pub lines: Result<Vec<Delivered>, String>,
    /// Its digest, SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// The digest that the manifest beside it tells of, or why it tells nothing.
    pub told: Result<String, String>,
}

/// What came out of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is wrong; none: the run is clean.
    pub violations: Vec<Violation>,
    /// What was counted on the way.
    pub figures: Figures,
}

/// One way in which a promise was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub promise: Promise,
    /// About which job, process, key or file.
    pub subject: String,
    /// What was seen.
    pub why: String,
}

/// What the checker holds a run to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// A job that was acknowledged, or that came to be, is delivered, unless it was cancelled or is `lost`.
    Delivered,
    /// A delivered file has each index of its job once, in order, with the right outcomes, and all of it whenever somebody
    /// looks.
    Whole,
    /// A job is delivered once: one file, one `uploaded`; what changed the ledger was allowed to.
    Once,
    /// What follows a job, or a group of them, is created once, in the transaction that says so, with the right tasks.
    Follows,
    /// A job is `lost` only when Redis lost writes after it was submitted, or when its submitter did not come to its end.
    Lost,
    /// Of a refused submission nothing comes.
    Refused,
    /// What is delivered, run or created was submitted.
    Unexpected,
    /// Each task is executed at least once, and exactly once in a run without faults.
    Executed,
    /// Everything ends within a bound after the last fault.
    Ended,
    /// Every process ends as it was asked to.
    Exits,
    /// Nothing is left behind.
    Left,
}

impl Verdict {
    /// Whether no promise was broken.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "delivered or accounted for",
            Self::Whole => "whole and right",
            Self::Once => "once, and by the ledger's rules",
            Self::Follows => "followed once, and by the right jobs",
            Self::Lost => "lost only by the store",
            Self::Refused => "nothing of what was refused",
            Self::Unexpected => "nothing unexpected",
            Self::Executed => "executed",
            Self::Ended => "ended in time",
            Self::Exits => "processes end as asked",
            Self::Left => "nothing left",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.promise, self.subject, self.why)
    }
}

/// Judges a run by what is known of it and by the files that it delivered, of which one at a time is held.
#[must_use]
pub fn judge(evidence: &Evidence<'_>, deliveries: impl IntoIterator<Item = Delivery>) -> Verdict {
    let mut case = Case::new(evidence);
    let mut found = Findings::default();
    // Small ones, and each belongs to another one.
    let mut files = flows::Files::new();
    for delivery in deliveries {
        let seen = whole::check(&case, &delivery, &mut found);
        unexpected::check_file(&case, &delivery, &mut found);
        case.saw(&delivery, seen);
        if STEPS
            .iter()
            .any(|step| [step.from, step.to].contains(&&*delivery.queue))
        {
            files.insert(delivery.id.clone(), delivery);
        }
    }
    whole::check_first_sights(&case, &mut found);
    delivered::check(&case, &mut found);
    once::check(&case, &mut found);
    lost::check(&case, &mut found);
    refused::check(&case, &mut found);
    flows::check(&case, &files, &mut found);
    outlets::check(&case, &files, &mut found);
    unexpected::check(&case, &flows::payloads(&files, &case), &mut found);
    executed::check(&case, &mut found);
    ended::check(&case, &mut found);
    exits::check(&case, &mut found);
    left::check(&case, &mut found);
    Verdict {
        figures: Figures::of(&case),
        violations: found.0,
    }
}

/// Collects what is wrong.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, promise: Promise, subject: impl Into<String>, why: impl Into<String>) {
        self.0.push(Violation {
            promise,
            subject: subject.into(),
            why: why.into(),
        });
    }
}
