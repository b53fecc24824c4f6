//! What is left when nothing more has to happen.

use std::sync::Arc;

use distjob_core::{
    JobEntry, JobId, JobState, Source,
    store::{MetaState, model::Model},
};

use super::World;
use crate::{mutant::Mutant, rules::Rules, submitter::Submitter};

impl World {
    /// Whether a job with these tasks was dropped before. A plain list may be pushed again, and nobody can tell.
    pub(crate) fn is_spent(&self, source: &Source) -> bool {
        *source != Source::Plain && self.facts.spent.contains(source)
    }

    /// Whether nothing of a job is left but what an operator must decide about.
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_lost = |job: &JobEntry| job.data.state == JobState::Lost;
        self.submitters.iter().all(Submitter::is_over) && self.ledger.jobs.values().all(is_lost)
    }

    /// The lists that nobody looks after and nobody will open: their time to live ends them.
    pub(crate) fn unattended_lists(&self, rules: &Rules) -> Vec<(JobId, Source)> {
        let mut lists = Vec::new();
        for (id, keys) in &self.stores {
            let free = keys.sources.keys().filter(|source| {
                let wants = |job: &JobEntry| job.data.source == **source && job.data.state != JobState::Lost;
                let is_named = self.ledger.jobs.values().any(wants);
                // No request is as old as that.
                let is_coming = self.wire.values().any(|late| late.creates_from(source));
                let is_attended = self
                    .submitters
                    .iter()
                    .any(|submitter| !submitter.is_over() && submitter.data(rules).source == **source);
                let is_abandoned = rules.has(Mutant::UnclearCreateFailed) && !is_attended;
                let is_staging = self
                    .watchers
                    .iter()
                    .filter_map(|member| member.term.as_ref())
                    .any(|term| term.stages(source));
                let for_ever = rules.has(Mutant::StagedForEver) && source.as_str().starts_with('w');
                let is_needed = (is_named || is_coming) && !is_abandoned;
                **source != Source::Plain && !for_ever && !is_needed && !is_attended && !is_staging
            });
            lists.extend(free.map(|source| (id.clone(), source.clone())));
        }
        lists
    }

    /// Whether the store holds nothing but tombstones.
    pub(crate) fn is_clean(&self) -> bool {
        let is_tomb = |keys: &Arc<Model>| {
            keys.sources.is_empty()
                && keys
                    .meta
                    .as_ref()
                    .is_none_or(|meta| meta.state == MetaState::Gone)
        };
        self.ledger.locks.is_empty() && self.stores.values().all(is_tomb)
    }
}
