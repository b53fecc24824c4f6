//! What a term does when something has happened.

use std::{sync::Arc, time::Duration};

use distjob_core::{JobEntry, JobId};
use distjob_runtime::{
    chance,
    member::BELONGING_PAUSE,
    zk::{JobChange, ZkError},
};

use super::{CHECK_EVERY, Chore, Finished, Server, clock, count, kept::Bounds};
use crate::pipeline::{Attempted, Ended, Forgetting, Harvest, Trouble};

impl Server<'_> {
    pub(super) fn after_pipeline(&mut self, finished: Finished) {
        let now = clock();
        let Finished {
            id,
            picked,
            attempted:
                Attempted {
                    result,
                    entry,
                    harvest,
                },
        } = finished;
        self.keep(&id, harvest);
        self.board.see_own(&id, &picked, &entry);
        let failure = match result {
            Ok(Ended::Deleted) => {
                self.forget_attempts(&id);
                self.board.park(&id, now);
                return;
            }
            Ok(Ended::Settled) | Err(Trouble::ZooKeeper(ZkError::SessionOver)) => {
                // Somebody else may be at it, and note what it meets.
                self.attempts.forget(&id);
                self.board.park(&id, now);
                return;
            }
            Ok(Ended::Rest(rest)) => {
                self.attempts.rests(&id, &entry);
                self.board.settle_at(&id, now + rest, now);
                return;
            }
            Err(Trouble::NotOurs) => {
                self.stand_still();
                self.board.ripen(&id, now);
                return;
            }
            Err(Trouble::Recalled) => {
                self.board.ripen(&id, now);
                return;
            }
            Err(failure) => failure,
        };
        let delay = self.back_off(&id, &entry, &failure);
        match &failure {
            Trouble::Spool(_) => {
                self.watcher.metrics.spool_failures.inc();
            }
            Trouble::Sinks(failures) => self.note_trouble(&id, &entry, failures, delay),
            Trouble::Store(_) => self.check_at = self.check_at.map(|_| now),
            _ => {}
        }
        let retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let (queue, failure) = (&entry.data.queue, anyhow::Error::from(failure));
        tracing::error!(job.id = %id, %queue, retry_ms, "failed to {failure:#}, trying again");
        self.board.settle_at(&id, now + delay, now);
    }

    /// How long a job waits that could not be brought further: longer each time, and as long as a sink asked for.
    fn back_off(&mut self, id: &JobId, entry: &JobEntry, failure: &Trouble) -> Duration {
        let config = &self.config.watcher;
        let wait = self
            .attempts
            .failed(id, entry, config.retry_initial, config.retry_max);
        let asked = match failure {
            Trouble::Sinks(failures) => failures.retry_after(),
            _ => None,
        };
        chance::upper_half(wait).max(asked.unwrap_or_default())
    }

    /// Keeps a result for another attempt, if there is room, and as long as it is that of the job.
    fn keep(&mut self, id: &JobId, harvest: Option<Harvest>) {
        let Some(harvest) = harvest else {
            return self.measure_spool();
        };
        let outdated = self
            .board
            .entry(id)
            .is_none_or(|entry| harvest.is_outdated_by(entry));
        let bounds = Bounds {
            results: self.config.watcher.spool_max,
            bytes: self.config.watcher.spool_max_bytes,
        };
        let refused = match outdated {
            true => Some(harvest),
            false => self.kept.put(id, harvest, bounds, self.tools.in_spool.bytes()),
        };
        self.let_go(refused);
    }

    /// Removes a result that is of no use any more, and what was put aside for it.
    fn let_go(&mut self, harvest: Option<Harvest>) {
        self.measure_spool();
        if let Some(harvest) = harvest {
            let forgetting = Forgetting::new(self.tools.doorman.store.clone(), harvest);
            self.chores.spawn(async move {
                forgetting.run().await;
                Chore::Forgotten
            });
        }
    }

    pub(super) fn after_chore(&mut self, chore: &Chore) {
        match chore {
            Chore::Checked(true) => {
                if !self.trusted {
                    tracing::info!("the store answers and belongs to the ledger, going on");
                }
                self.trusted = true;
                self.check_at = Some(clock() + CHECK_EVERY);
            }
            Chore::Checked(false) => {
                self.stand_still();
                self.check_at = Some(clock() + BELONGING_PAUSE);
            }
            Chore::Forgotten | Chore::Noted => {}
            Chore::Swept => {
                let swept = self.sweeping.take();
                if swept.is_none_or(|by| !Arc::ptr_eq(&by, &self.roster.borrow())) {
                    self.sweep();
                }
            }
        }
    }

    /// No job is touched until the store is known to belong to the ledger again. Why has been logged.
    pub(super) fn stand_still(&mut self) {
        self.trusted = false;
        self.recall();
        self.check_at = self.check_at.map(|_| clock() + BELONGING_PAUSE);
    }

    pub(super) fn see(&mut self, changes: impl IntoIterator<Item = (JobId, JobChange)>) {
        let now = clock();
        for (id, change) in changes {
            let entry = match change {
                JobChange::Seen(entry) => Some(entry),
                JobChange::Gone => {
                    self.forget_attempts(&id);
                    None
                }
            };
            self.census.see(&id, entry.as_ref().map(|entry| entry.data.state));
            let outdated = self.kept.see(&id, entry.as_ref());
            self.let_go(outdated);
            self.board.see(&id, entry, now);
        }
        for (state, count) in self.census.counts() {
            self.watcher.metrics.jobs_in(state, count);
        }
    }

    /// Members came or went: their locks are free, and what they were writing is rubbish.
    pub(super) fn meet(&mut self) {
        let roster = Arc::clone(&self.roster.borrow_and_update());
        self.board.meet(roster, clock());
        if self.sweeping.is_none() {
            self.sweep();
        }
    }

    pub(super) fn sweep(&mut self) {
        let roster = Arc::clone(&self.roster.borrow());
        self.sweeping = Some(Arc::clone(&roster));
        let sweeps = self.watcher.outlets.sweeps(&roster, self.term.holder());
        self.chores.spawn(async move {
            for sweep in sweeps {
                match sweep.await {
                    Ok(0) => {}
                    Ok(files) => tracing::info!(files, "removed what dead watchers left behind"),
                    Err(error) => tracing::warn!("failed to {:#}", anyhow::Error::from(error)),
                }
            }
            Chore::Swept
        });
    }

    pub(super) fn zookeeper_changed(&self) {
        let condition = &self.watcher.doorman.conditions.zookeeper;
        if self.term.session().is_connected() {
            condition.met();
        } else {
            condition.unmet("the session has no connection");
        }
    }

    pub(super) fn reconfigure(&mut self) {
        self.recall();
        let config = Arc::clone(&self.watcher.updates.borrow_and_update());
        let watcher = &config.watcher;
        self.board.reconfigure(watcher.sharing, watcher.help_after);
        let tools = Arc::make_mut(&mut self.tools);
        tools.config = Arc::clone(&config);
        tools.spool = self.watcher.outlets.spool(&config, self.term.holder());
        tools.sinks = self.watcher.outlets.sinks(&config);
        self.config = config;
    }

    /// Has the jobs that wait for a slot picked anew, if at all: they would go on with tools that hold no more.
    fn recall(&mut self) {
        let tools = Arc::make_mut(&mut self.tools);
        tools.recall.cancel();
        tools.recall = tools.abandon.child_token();
    }

    pub(super) fn measure_spool(&self) {
        let metrics = &self.watcher.metrics;
        metrics.spool_results.set(count(self.kept.len()));
        metrics
            .spool_bytes
            .set(i64::try_from(self.kept.bytes()).unwrap_or(i64::MAX));
    }

    pub(super) fn measure(&self) {
        let metrics = &self.watcher.metrics;
        metrics.watchers.set(count(self.roster.borrow().members.len()));
        metrics
            .executors
            .set(count(self.term.executors.roster().members.len()));
        metrics
            .session_connected
            .set(i64::from(self.term.session().is_connected()));
    }
}
