//! What an executor hears of jobs and members, and how it leaves.

use std::sync::Arc;

use distjob_core::JobId;

use super::Term;
use crate::{
    ledger::{Jobs, Members},
    moves::Move,
    mutant::Mutant,
    rules::Rules,
};

impl Term {
    /// Takes notice of the jobs as they are: one that changed is looked at again.
    pub(crate) fn see_jobs(&mut self, jobs: &Arc<Jobs>) {
        let changed: Vec<JobId> = jobs
            .iter()
            .filter(|(id, entry)| self.jobs.get(*id) != Some(*entry))
            .map(|(id, _)| id.clone())
            .collect();
        self.parked
            .retain(|id| jobs.contains_key(id) && !changed.contains(id));
        let busy = changed
            .into_iter()
            .filter(|id| self.is_busy_with(id))
            .collect::<Vec<_>>();
        self.stirred.extend(busy);
        self.jobs = jobs.clone();
        let doubts = std::mem::take(&mut self.doubts);
        self.doubts = doubts
            .into_iter()
            .filter(|(id, life)| self.jobs.get(id).is_some_and(|entry| entry.life == *life))
            .collect();
        if self
            .isolated
            .as_ref()
            .is_some_and(|id| !self.jobs.contains_key(id))
        {
            self.isolated = None;
        }
    }

    /// Takes notice of the members: whatever was put aside may have become possible.
    pub(crate) fn see_members(&mut self, members: &Arc<Members>, rules: &Rules) {
        if rules.has(Mutant::ReclaimByEvent) {
            let vanished = self.members.names.difference(&members.names).cloned();
            self.witnessed.extend(vanished);
        }
        self.members = members.clone();
        self.look_again();
    }

    /// Whether it will look again, by and by, at what it has put aside: `Board::park_for_a_while`. What somebody gives
    /// back while all others have put the job aside is announced to nobody. Where nobody does, no second look is needed,
    /// and none is taken: so each other way in which a job might be forgotten shows.
    pub(crate) fn looks_again(&self, rules: &Rules) -> bool {
        let gives_back = rules.bounds.faults.releases > 0;
        gives_back && !rules.has(Mutant::NoSecondLook) && !self.parked.is_empty() && !self.leaving
    }

    /// `Server::after_reconnect`: the store may be an earlier one, so whatever was put aside may have become possible.
    pub(crate) fn reconnect(&mut self, rules: &Rules) {
        self.cut = false;
        if !rules.has(Mutant::ReconnectUnnoticed) {
            self.look_again();
        }
    }

    fn look_again(&mut self) {
        self.parked.clear();
        let busy: Vec<JobId> = self
            .jobs
            .keys()
            .filter(|id| self.is_busy_with(id))
            .cloned()
            .collect();
        self.stirred.extend(busy);
    }

    /// The next step of leaving: give back wherever there may be something, then go.
    pub(super) fn parting(&self) -> Move {
        let held = self.hands.iter().map(|work| (work.id.clone(), work.life));
        match held.chain(self.doubts.iter().cloned()).next() {
            Some((id, life)) => Move::Free(id, life),
            None => Move::Leave,
        }
    }

    /// Begins to leave: what runs is not awaited, and a visit that is under way may have brought something.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
        if let Some(visit) = self.visit.take() {
            self.doubts.insert((visit.id, visit.entry.life));
        }
    }
}
