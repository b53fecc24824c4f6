//! What the processes of one configuration go by.

use distjob_core::{JobData, JobId, QueueName, Source, Zxid};

use crate::{
    bounds::{Bounds, Lag},
    mutant::Mutant,
    request::{Who, token},
};

/// From so many deaths on a range is run alone, where a task is poison.
const ISOLATE_AFTER: u32 = 1;

/// From so many deaths on such a task is given up.
const POISON_AFTER: u32 = 2;

/// The bounds, the seeded bug if there is one, and the names.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) bounds: Bounds,
    pub(crate) mutant: Option<Mutant>,
    /// The job that is submitted.
    pub(crate) job: JobId,
}

impl Rules {
    pub(crate) fn new(bounds: Bounds, mutant: Option<Mutant>) -> Self {
        let job = JobId::new("job").expect("a word is an id");
        Self { bounds, mutant, job }
    }

    pub(crate) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The follow-up of the job `id`, when it has one: a follow-up has none itself.
    pub(crate) fn follow_up(&self, id: &JobId, life: Zxid) -> Option<JobId> {
        (self.bounds.follow_up && *id == self.job).then(|| id.follow_up(life, "next"))
    }

    /// Whether the views of this member may lag behind.
    pub(crate) const fn lags(&self, who: Who) -> bool {
        match self.bounds.lag {
            Lag::Nobody => false,
            Lag::Executors => matches!(who, Who::Executor(_)),
            Lag::Watchers => matches!(who, Who::Watcher(_)),
            Lag::All => true,
        }
    }

    /// From how many deaths on a range is run alone; 0: never.
    pub(crate) const fn isolate_after(&self) -> u32 {
        if self.bounds.poison.is_some() {
            ISOLATE_AFTER
        } else {
            0
        }
    }

    /// From how many deaths on a task is given up; 0: never.
    pub(crate) const fn poison_after(&self) -> u32 {
        if self.bounds.poison.is_some() {
            POISON_AFTER
        } else {
            0
        }
    }
}

/// The payloads that submission `stem` pushes: no two submissions have one in common.
pub(crate) fn payloads(stem: u8, count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|index| vec![stem, index as u8]).collect()
}

/// A job as it is created, with its tasks under `staged` or in the list of its id.
pub(crate) fn submitted(count: u64, staged: Option<&str>) -> JobData {
    let source = staged.map_or(Source::Plain, |text| Source::Staged(token(text)));
    JobData::submitted(count, QueueName::default_queue(), source)
}
