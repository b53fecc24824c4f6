//! What is noted in the store of jobs that a sink does not take, for people and tools.

use std::time::Duration;

use distjob_core::{JobEntry, JobId, trouble::SinkTrouble};
use distjob_runtime::chance;

use super::{Chore, Server};
use crate::pipeline::SinkFailures;

/// A note outlives the longest wait before an attempt twice, and this: so it stays while somebody tries, and goes soon
/// when nobody does.
const TTL_MORE: Duration = Duration::from_secs(60);

impl Server<'_> {
    /// Notes which sinks do not take the result of a job that is tried again after `delay`.
    pub(super) fn note_trouble(
        &mut self,
        id: &JobId,
        entry: &JobEntry,
        failures: &SinkFailures,
        delay: Duration,
    ) {
        let now = chance::since_1970();
        let (attempts, since) = self.attempts.in_trouble(id, entry, now);
        let mut failures = failures.iter();
        let Some(first) = failures.next() else { return };
        let trouble = SinkTrouble {
            sink: first.sink.clone(),
            error: first.error.chain(),
            since_ms: ms(since),
            attempts,
            watcher: self.tools.member.clone(),
            next_ms: ms(now + delay),
            others: failures.map(|failure| failure.sink.clone()).collect(),
        };
        let ttl = delay + (self.config.watcher.retry_max * 2).saturating_add(TTL_MORE);
        let (store, id) = (self.tools.doorman.store.clone(), id.clone());
        self.chores.spawn(async move {
            if let Err(error) = store.set_trouble(&id, &trouble, ttl.as_secs()).await {
                tracing::debug!(job.id = %id, %error, "failed to note which sink is in trouble");
            }
            Chore::Noted
        });
    }

    /// Forgets the attempts of a job that was settled, or is gone; and what was noted of it, if this watcher did.
    pub(super) fn forget_attempts(&mut self, id: &JobId) {
        if !self.attempts.forget(id) {
            return;
        }
        let (store, id) = (self.tools.doorman.store.clone(), id.clone());
        self.chores.spawn(async move {
            if let Err(error) = store.clear_trouble(&id).await {
                tracing::debug!(job.id = %id, %error, "failed to remove a note of a sink in trouble, it will expire");
            }
            Chore::Noted
        });
    }
}

fn ms(since_1970: Duration) -> u64 {
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}
