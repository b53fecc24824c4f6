//! Jobs that need next to nothing, of which many are in hand at the same time.
//!
//! A small job whose result only goes to a directory mostly waits: for the ledger, and for the disk. Both serve many at once
//! at the cost of few. So such a job needs no slot of the few that bound what is read, packed and sent at a time. Whose tasks are
//! few but large gets one all the same, as do the jobs of its queue that follow.
//!
//! ```text
//! light: lock ┬───────────────────────────────► still ours? ► every sink ► …
//!             └ status and all tasks ► collect
//! other: slot ► lock ► status ► collect slice by slice ► still ours? ► every sink ► slot free ► …
//! ```

use distjob_core::{
    store::{Read, Slice},
    watcher::{FirstStep, Progress, Verdict},
};
use futures::future::join;

use super::{Harvest, Pipeline, Trouble};
use crate::{sink::Place, slots::Slot};

/// A light job has at most so many tasks.
const LIGHT_TASKS: u64 = 100;

/// Of a light job about so many bytes are read at a time.
const LIGHT_BYTES: u64 = 64 * 1024;

impl Pipeline {
    /// Waits for a slot, unless the job needs none. It is not locked meanwhile: somebody else may have one sooner.
    pub(super) async fn take_slot(&self) -> Result<Option<Slot>, Trouble> {
        if self.is_light() {
            return Ok(None);
        }
        let tools = &self.tools;
        let slot = tools.slots.clone().take();
        match tools.recall.run_until_cancelled(slot).await {
            Some(Some(slot)) => Ok(Some(slot)),
            None if !tools.abandon.is_cancelled() => Err(Trouble::Recalled),
            // They are closed when this watcher leaves.
            _ => Err(Trouble::Abandoned),
        }
    }

    /// What a delivery of it holds.
    pub(super) fn place(&self) -> Place {
        match self.slot {
            Some(_) => Place::Pipeline,
            None => Place::InHand,
        }
    }

    /// Whether there is little to do, and that with the stores and this machine's disks alone.
    fn is_light(&self) -> bool {
        let data = &self.entry.data;
        match FirstStep::of(data) {
            FirstStep::Examine | FirstStep::DeliverEmpty => {}
            _ => return true,
        }
        let is_near = |name| self.tools.sinks.get(name).is_some_and(|sink| sink.is_near());
        let queue = self.tools.config.queue(&data.queue);
        data.count <= LIGHT_TASKS
            && !self.tools.bulky.contains(&data.queue)
            && !queue.archive.is_packed()
            && self.all_wanted().all(is_near)
    }

    /// Takes notice of how many bytes a job's tasks and outcomes are, or those of its first slice.
    pub(super) fn learn_size(&self, bytes: usize) {
        let data = &self.entry.data;
        if data.count <= LIGHT_TASKS {
            let is_large = bytes as u64 > LIGHT_BYTES;
            self.tools.bulky.learn(&data.queue, is_large);
        }
    }

    /// About how many bytes to read at a time, where `max` are allowed.
    pub(super) fn slice_bytes_max(&self, max: u64) -> u64 {
        match self.slot {
            Some(_) => max,
            None => max.min(LIGHT_BYTES),
        }
    }

    /// The result of a light job, if the store says that it is complete: collected while the lock is asked for.
    ///
    /// Nothing comes of it unless the lock is had then, with the job as it looked before. So nobody delivered and dropped it
    /// in between, and outcomes that are complete do not change. Any other answer, be it that something is lost, is not
    /// believed: it is asked for again under the lock, and what fails is tried again there. One attempt.
    pub(super) async fn collect_early(&self) -> Option<Harvest> {
        let all = self.glance().await?;
        self.collect(Some(all)).await.ok()
    }

    /// All of a light job.
    async fn glance(&self) -> Option<Slice> {
        let data = &self.entry.data;
        let is_apt = self.slot.is_none()
            && self.harvest.is_none()
            && FirstStep::of(data) == FirstStep::Examine
            && self.await_turn().is_ok();
        if !is_apt {
            return None;
        }
        let store = self.store();
        let status = store.status(&self.id, self.entry.life, data.count, &data.source);
        let (status, read) = join(status, store.read(&self.id, self.read_request(0))).await;
        let mut progress = Progress::new(data.count);
        match (Verdict::of(data.count, &status.ok()?), read.ok()?) {
            (Verdict::Collect, Read::Slice(slice)) => {
                progress.advance(&slice).ok()?;
                self.learn_size(size_of_slice(&slice));
                progress.is_complete().then_some(slice)
            }
            _ => None,
        }
    }
}

/// How many bytes the tasks and outcomes of a slice are.
pub(super) fn size_of_slice(slice: &Slice) -> usize {
    let packed: usize = slice.chunks.iter().map(|chunk| chunk.packed.len()).sum();
    packed + slice.tasks.bytes()
}
