//! From what the store has to a result that everybody who should has it.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use distjob_core::{
    JobData, JobEntry, JobId, JobState, SinkName,
    store::{Read, Slice},
    watcher::{Loss, Progress},
};
use distjob_runtime::{
    drill,
    zk::{Lock, Written},
};
use futures::future::join_all;
use tokio::time::Instant;

use super::{
    Ended, Pipeline, Setback, SinkFailure, Trouble, aside::Aside, harvest::Harvest, light::size_of_slice,
};
use crate::{
    sink::{Location, Manifest, Parcel, SinkError},
    spool::{Collected, Collecting, Recipe, Tally},
    then::Outcome,
};

impl Pipeline {
    /// Goes on with what an earlier attempt left in the spool. `Break` when there is nothing that could be gone on with.
    pub(super) async fn resume(&mut self) -> Result<ControlFlow<()>, Trouble> {
        let Some(harvest) = &self.harvest else {
            return Ok(ControlFlow::Break(()));
        };
        let is_whole = harvest.is_of(&self.entry) && self.is_there(harvest).await;
        if is_whole && self.refresh_aside(&harvest.aside).await? {
            if let Some(harvest) = &mut self.harvest {
                harvest.entry = self.entry.clone();
            }
            return Ok(ControlFlow::Continue(()));
        }
        self.discard_harvest().await;
        Ok(ControlFlow::Break(()))
    }

    /// Whether the result is in the spool as it was left there, or nobody needs it any more.
    async fn is_there(&self, harvest: &Harvest) -> bool {
        if self.wanted(harvest).is_empty() {
            return true;
        }
        harvest.room.is_some() && self.tools.spool.has(&harvest.collected).await
    }

    /// Brings the job's whole result to the spool, durable, and puts aside what goes with it; but only if all of its sinks
    /// would take it now.
    pub(super) async fn collect_in_turn(&mut self) -> Result<(), Setback> {
        self.await_turn()?;
        self.harvest = Some(self.collect(None).await?);
        Ok(())
    }

    /// The job's whole result, durable in the spool. `first` is what was read of it already, from the first task on.
    pub(super) async fn collect(&self, first: Option<Slice>) -> Result<Harvest, Setback> {
        let queue = self.tools.config.queue(&self.entry.data.queue);
        let recipe = Recipe::new(&self.id, &self.entry, queue);
        let collecting = self.tools.spool.collect(recipe.clone());
        let mut aside = self.begin_aside();
        let collected = match self.feed(&*collecting, &mut aside, first).await {
            Ok(()) => collecting.finish().await.map_err(Setback::from),
            Err(setback) => {
                collecting.discard().await;
                Err(setback)
            }
        };
        match collected {
            Ok(collected) => Ok(Harvest {
                recipe,
                room: Some(self.tools.in_spool.enter(collected.tally.bytes)),
                collected,
                aside,
                delivered: Default::default(),
                is_told: false,
                entry: self.entry.clone(),
            }),
            Err(setback) => {
                aside.forget(self.store()).await;
                Err(setback)
            }
        }
    }

    /// Reads the job from its first task to its last; the next slice while the one before is written.
    async fn feed(
        &self,
        collecting: &dyn Collecting,
        aside: &mut Aside,
        mut first: Option<Slice>,
    ) -> Result<(), Setback> {
        let mut progress = Progress::new(self.entry.data.count);
        let mut bytes = 0;
        while !progress.is_complete() {
            let slice = match first.take() {
                Some(slice) => slice,
                None => self.next_slice(progress).await?,
            };
            progress.advance(&slice).map_err(Setback::Loss)?;
            bytes += size_of_slice(&slice);
            self.put_aside(aside, &slice).await?;
            let pushed = self
                .tools
                .abandon
                .run_until_cancelled(collecting.push(slice))
                .await;
            match pushed {
                Some(true) => {}
                // The writer has given up, and `finish` says why.
                Some(false) => return Ok(()),
                None => return Err(Trouble::Abandoned.into()),
            }
        }
        self.learn_size(bytes);
        Ok(self.finish_aside(aside).await?)
    }

    async fn next_slice(&self, progress: Progress) -> Result<Slice, Setback> {
        Err(Setback::Loss(match self.read(progress.next()).await? {
            Read::Slice(slice) => return Ok(slice),
            Read::Hole(index) => Loss::Hole(index),
            Read::Short => Loss::Short,
            Read::Gone => Loss::Missing(0),
        }))
    }

    /// From a result in the spool to the end of the job. When that fails, the result stays in [`Self::harvest`].
    pub(super) async fn hand_over(&mut self, lock: &Lock, began: Instant) -> Result<Ended, Trouble> {
        let Some(mut harvest) = self.harvest.take() else {
            return Ok(Ended::Settled);
        };
        let uploaded = match self.publish(lock, &mut harvest).await {
            Ok(Some(uploaded)) => uploaded,
            // Also when the job is not ours any more: that may be for a sink to skip.
            outcome => {
                self.harvest = Some(harvest);
                return outcome.map(|_| Ended::Settled);
            }
        };
        drill::point("uploaded");
        self.tell_of_delivery(&uploaded.data, harvest.collected.tally, began.elapsed());
        drop(harvest);
        // What is left is a few words with the stores.
        self.slot = None;
        self.entry = uploaded;
        if self.entry.data.count == 0 && self.needs_store() {
            // Nobody has asked the store anything about it yet.
            self.check_ours().await?;
        }
        self.clean_up(lock).await
    }

    /// Brings the result to every sink, and makes the job uploaded. The job as it is then, or `None` when it is not this
    /// watcher's any more.
    async fn publish(&mut self, lock: &Lock, harvest: &mut Harvest) -> Result<Option<JobEntry>, Trouble> {
        if harvest.recipe.archive.is_packed() && !self.announce(lock, harvest).await? {
            return Ok(None);
        }
        // A paused process may have lost its lock long ago, and the job may be somebody else's by now.
        if !self.tools.ledger.holds(lock).await? {
            tracing::info!(job.id = %self.id, "the lock was lost before the result was published");
            return Ok(None);
        }
        drill::point("before-rename");
        let manifest = Arc::new(self.manifest(harvest));
        self.deliver(harvest, &manifest).await?;
        drill::point("delivered");
        let conclusion = manifest.conclusion;
        let outcome = Outcome::delivered(&manifest, harvest.delivered.iter());
        let then = self
            .created_with(&mut harvest.aside.follow_ups, conclusion, &outcome)
            .await?;
        self.note_outcome(lock, &outcome).await?;
        let kept = harvest.aside.failed.kept().cloned();
        let data = self
            .entry
            .data
            .uploaded(harvest.collected.tally.err, conclusion, kept)
            .followed_by(then.iter().map(|(id, _)| id.clone()).collect());
        harvest.is_told = true;
        let uploaded = self.write_locked(lock, data, &then).await?;
        if uploaded.is_some() {
            self.tell_of_follow_ups(&then);
        }
        Ok(uploaded)
    }

    /// What the result is.
    fn manifest(&self, harvest: &Harvest) -> Manifest {
        let Collected { tally, sha256, .. } = &harvest.collected;
        let skipped = self.entry.data.ties.skip.clone();
        harvest.recipe.manifest(tally, sha256, skipped)
    }

    /// Says in the ledger that the archive is durable; whether the job is still this watcher's.
    async fn announce(&mut self, lock: &Lock, harvest: &mut Harvest) -> Result<bool, Trouble> {
        if self.entry.data.state == JobState::Processed {
            let data = self.entry.data.in_state(JobState::Zipped);
            let Some(zipped) = self.write_locked(lock, data, &[]).await? else {
                return Ok(false);
            };
            self.entry = zipped;
            drill::point("zipped");
        }
        harvest.entry = self.entry.clone();
        Ok(true)
    }

    /// Writes the job's data under the lock, and creates these follow-ups with it. The job as it is then, or `None` when it is
    /// not this watcher's any more.
    async fn write_locked(
        &self,
        lock: &Lock,
        data: JobData,
        then: &[(JobId, JobData)],
    ) -> Result<Option<JobEntry>, Trouble> {
        let ledger = &self.tools.ledger;
        let written = ledger.set_locked_with(lock, &self.entry, &data, then).await?;
        Ok((written == Written::Yes).then(|| JobEntry {
            data,
            version: self.entry.version.wrapping_add(1),
            ..self.entry.clone()
        }))
    }

    /// The sinks that must have it.
    pub(super) fn all_wanted(&self) -> impl Iterator<Item = &SinkName> {
        let data = &self.entry.data;
        let sinks = self.tools.config.queue(&data.queue).sinks.iter();
        sinks.filter(|name| !data.ties.skip.contains(name))
    }

    /// Those that must still get it.
    fn wanted(&self, harvest: &Harvest) -> Vec<SinkName> {
        let wanted = self
            .all_wanted()
            .filter(|name| !harvest.delivered.contains_key(*name));
        wanted.cloned().collect()
    }

    /// Spares the work of collecting a result that a sink would not take now.
    ///
    /// # Errors
    /// [`Trouble::Sinks`] with those that would not.
    pub(super) fn await_turn(&self) -> Result<(), Trouble> {
        let refusals = self.all_wanted().filter_map(|name| {
            let error = self.tools.sinks.get(name)?.refusal(self.place())?;
            Some(SinkFailure {
                sink: name.clone(),
                error,
            })
        });
        let refusals: Vec<_> = refusals.collect();
        match refusals.is_empty() {
            true => Ok(()),
            false => Err(Trouble::Sinks(refusals.into())),
        }
    }

    /// Brings the result to all sinks that do not have it, at the same time.
    async fn deliver(&self, harvest: &mut Harvest, manifest: &Arc<Manifest>) -> Result<(), Trouble> {
        let wanted = self.wanted(harvest);
        if wanted.is_empty() {
            return Ok(());
        }
        let parcel = Arc::new(self.parcel(harvest, manifest, wanted.len() == 1));
        let deliveries = join_all(wanted.iter().map(|name| self.deliver_to(name, &parcel)));
        let Some(outcomes) = self.tools.abandon.run_until_cancelled(deliveries).await else {
            return Err(Trouble::Abandoned);
        };
        if parcel.is_moved() {
            harvest.room = None;
        }
        let mut failures = Vec::new();
        for (sink, outcome) in wanted.into_iter().zip(outcomes) {
            match outcome {
                Ok(location) => {
                    harvest.delivered.insert(sink, location);
                }
                Err(error) => failures.push(SinkFailure { sink, error }),
            }
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(Trouble::Sinks(failures.into())),
        }
    }

    async fn deliver_to(&self, name: &SinkName, parcel: &Arc<Parcel>) -> Result<Location, SinkError> {
        let Some(sink) = self.tools.sinks.get(name) else {
            return Err(SinkError::new(format!(
                "find the sink {name}, of which the configuration says nothing any more"
            )));
        };
        let way = sink.begin(self.place())?;
        let began = Instant::now();
        let outcome = sink.deliver(way, Arc::clone(parcel)).await;
        self.tools
            .metrics
            .sink_tried(name, outcome.is_ok(), began.elapsed());
        outcome
    }

    fn parcel(&self, harvest: &Harvest, manifest: &Arc<Manifest>, may_be_moved: bool) -> Parcel {
        let Harvest {
            recipe, collected, ..
        } = harvest;
        Parcel {
            job: self.id.clone(),
            life: self.entry.life,
            queue: self.entry.data.queue.clone(),
            name: recipe.name(manifest.conclusion),
            ending: recipe.ending(),
            path: collected.path.clone(),
            manifest: Arc::clone(manifest),
            may_be_moved,
            moved: Default::default(),
            hold: Arc::clone(&collected.hold),
        }
    }

    fn tell_of_delivery(&self, uploaded: &JobData, tally: Tally, took: Duration) {
        let JobData {
            queue, conclusion, ..
        } = uploaded;
        self.tools.metrics.delivered(tally, took);
        if let Some(conclusion) = conclusion {
            self.tools.metrics.concluded(queue, *conclusion);
        }
        tracing::info!(
            job.id = %self.id,
            %queue,
            tasks = tally.ok + tally.err,
            failed = tally.err,
            conclusion = conclusion.map(tracing::field::display),
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "delivered"
        );
    }
}
