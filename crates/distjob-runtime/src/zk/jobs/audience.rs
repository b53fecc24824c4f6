//! For whom jobs are followed.

use std::{sync::Arc, time::Duration};

use distjob_core::{
    JobEntry, JobId, Roster,
    attention::{Attention, Known, News},
};
use tokio::sync::watch;

/// Who looks at a view, which decides how soon what is read.
#[derive(Debug)]
pub struct Audience(Option<Member>);

#[derive(Debug)]
struct Member {
    attention: Attention,
    roster: watch::Receiver<Arc<Roster>>,
}

impl Audience {
    /// Somebody who wants to know of everything at once.
    #[must_use]
    pub const fn anybody() -> Self {
        Self(None)
    }

    /// A member, who leaves to others what is most likely theirs, for a moment. `roster` tells of the members of its role.
    #[must_use]
    pub fn member(attention: Attention, roster: watch::Receiver<Arc<Roster>>) -> Self {
        Self(Some(Member { attention, roster }))
    }

    /// How long a read can wait after this was heard of a job.
    pub(super) fn patience(&mut self, id: &JobId, news: News, known: Known) -> Duration {
        let Some(Member { attention, roster }) = &mut self.0 else {
            return Duration::ZERO;
        };
        // Also when the view of members has ended: the last list counts then.
        if roster.has_changed().unwrap_or_default() {
            attention.meet(&roster.borrow_and_update());
        }
        attention.patience(id, news, known)
    }

    /// Whether a job is one of those that somebody follows the view for.
    pub(super) fn is_concerned_by(&self, entry: &JobEntry) -> bool {
        let is_covered = |member: &Member| member.attention.interest().covers(&entry.data);
        self.0.as_ref().is_none_or(is_covered)
    }
}
