//! What stands in the store, and until when.

use std::{collections::BTreeMap, time::Duration};

use distjob_core::{
    JobId, QueueName, Source, Zxid,
    rate::Bucket,
    store::{MetaState, model::Model},
};
use tokio::time::Instant;

/// All keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    jobs: BTreeMap<JobId, Job>,
    pub(super) mark: Option<Zxid>,
    /// The buckets of tokens. One that is full again is as good as none.
    pub(super) buckets: BTreeMap<QueueName, Bucket>,
}

/// The keys of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) model: Model,
    /// When staged lists expire. A plain one never does.
    expiries: BTreeMap<Source, Instant>,
    /// When the tombstone expires.
    tombstone_until: Option<Instant>,
}

impl Keys {
    /// The keys of a job as they are now.
    pub(super) fn look(&mut self, id: &JobId) -> Option<&Job> {
        let now = Instant::now();
        let job = self.jobs.get_mut(id)?;
        job.expire(now);
        if job.model == Model::default() {
            self.jobs.remove(id);
        }
        self.jobs.get(id)
    }

    /// Takes a job's keys out, to be put back.
    pub(super) fn take(&mut self, id: &JobId) -> Job {
        let mut job = self.jobs.remove(id).unwrap_or_default();
        job.expire(Instant::now());
        job
    }

    pub(super) fn put(&mut self, id: &JobId, mut job: Job) {
        job.forget_times();
        if job.model != Model::default() {
            self.jobs.insert(id.clone(), job);
        } else {
            self.jobs.remove(id);
        }
    }

    /// The jobs of which something stands there now.
    pub(super) fn ids(&mut self) -> Vec<JobId> {
        let ids: Vec<JobId> = self.jobs.keys().cloned().collect();
        ids.into_iter().filter(|id| self.look(id).is_some()).collect()
    }

    /// Bytes of payloads and outcomes.
    pub(super) fn bytes(&self) -> u64 {
        let job_bytes = |job: &Job| {
            let staged = job.model.sources.values().flatten();
            let tasks = staged.chain(&job.model.tasks).map(Vec::len);
            let outcomes = job.model.results.values().map(|(_, packed)| packed.len());
            tasks.chain(outcomes).sum::<usize>() as u64
        };
        self.jobs.values().map(job_bytes).sum()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Job {
    /// Gives a staged list a time to live.
    pub(super) fn keep_source(&mut self, source: &Source, until: Instant) {
        self.expiries.insert(source.clone(), until);
    }

    /// Gives the tombstone a time to live.
    pub(super) fn keep_tombstone(&mut self, until: Instant) {
        self.tombstone_until = Some(until);
    }

    /// In how many seconds the meta key expires, rounded as the server does.
    pub(super) fn tombstone_ttl_s(&self) -> Option<u64> {
        let left = self.tombstone_until?.saturating_duration_since(Instant::now());
        Some((left + Duration::from_millis(500)).as_secs())
    }

    fn expire(&mut self, now: Instant) {
        let model = &mut self.model;
        self.expiries.retain(|source, until| {
            let stays = *until > now;
            if !stays {
                model.expire_source(source);
            }
            stays
        });
        if self.tombstone_until.is_some_and(|until| until <= now) {
            self.model.expire_tombstone();
            self.tombstone_until = None;
        }
    }

    /// Forgets the times of keys that are no more.
    fn forget_times(&mut self) {
        let Self { model, expiries, .. } = self;
        expiries.retain(|source, _| model.sources.contains_key(source));
        let is_tombstone = |state: MetaState| state == MetaState::Gone;
        if !model.meta.as_ref().is_some_and(|meta| is_tombstone(meta.state)) {
            self.tombstone_until = None;
        }
    }
}
