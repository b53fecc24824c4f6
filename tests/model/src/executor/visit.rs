//! What a visit makes of each answer: `visit.rs` of `executor-d`.

use distjob_core::{
    JobId, Roster, Zxid,
    executor::{AfterClaim, after_claim, after_open},
    store::{Claim, Grant},
};

use super::{Step, Term, Visit, Work};
use crate::{mutant::Mutant, request::Reply, rules::Rules};

impl Term {
    pub(super) fn after_visit(&mut self, mut visit: Visit, reply: Reply, rules: &Rules) {
        let (id, life) = (visit.id.clone(), visit.entry.life);
        match (&mut visit.step, reply) {
            // What is in hand does not depend on the answer, and the next claim names the dead again.
            (Step::Free(_, false), Reply::Unclear) => {}
            (_, Reply::Unclear) => {
                self.doubts.insert((id, life));
                self.alone = false;
            }
            (Step::Claim, Reply::Claim(claim)) => self.after_claim(visit, claim, rules),
            (Step::Open, Reply::Open(open)) => match after_open(&open) {
                None => {
                    visit.step = Step::Claim;
                    self.visit = Some(visit);
                }
                Some(_) => self.finish(&id),
            },
            (Step::Free(dead, then_claim), _) => {
                dead.remove(0);
                let then_claim = *then_claim;
                if dead.is_empty() && then_claim {
                    visit.step = Step::Claim;
                } else if dead.is_empty() {
                    return;
                }
                self.visit = Some(visit);
            }
            (_, reply) => unreachable!("no answer to what a visit asks: {reply:?}"),
        }
    }

    fn after_claim(&mut self, mut visit: Visit, claim: Claim, rules: &Rules) {
        let id = visit.id.clone();
        let known_dead = self.roster_of_the_dead(&claim, rules);
        match after_claim(claim, &known_dead) {
            AfterClaim::Run(grant, dead) => {
                self.pick_up(&id, visit.entry.life, grant);
                if !dead.is_empty() {
                    visit.step = Step::Free(dead, false);
                    self.visit = Some(visit);
                }
            }
            AfterClaim::Reclaim(dead) => {
                visit.step = Step::Free(dead, true);
                self.visit = Some(visit);
            }
            AfterClaim::Open => {
                visit.step = Step::Open;
                self.visit = Some(visit);
            }
            AfterClaim::Finish(_) => self.finish(&id),
            AfterClaim::Wait => self.put_aside(id),
            AfterClaim::Isolate => self.isolated = Some(id),
            AfterClaim::Nothing => {
                self.parked.remove(&id);
                self.stirred.remove(&id);
            }
        }
    }

    /// The list of members that deaths are proven by; a seeded bug bends it.
    fn roster_of_the_dead(&self, claim: &Claim, rules: &Rules) -> Roster {
        let mut roster = self.members.roster();
        if rules.has(Mutant::AbsenceIsDeath) {
            roster.as_of = Zxid::new(u64::MAX);
        }
        let holders = match claim {
            Claim::None { holders, .. } => holders.as_slice(),
            Claim::Lease(grant) => &grant.holders,
            _ => &[],
        };
        if rules.has(Mutant::ReclaimByEvent) {
            let unseen = holders
                .iter()
                .filter(|holder| !self.witnessed.contains(&holder.name));
            roster
                .members
                .extend(unseen.map(|holder| (holder.name.clone(), None)));
        }
        roster
    }

    fn pick_up(&mut self, id: &JobId, life: Zxid, grant: Grant) {
        // A new life of the id: the old one's leases ended with its keys.
        self.hands.retain(|work| work.id != *id || work.life == life);
        let range = grant.lease.range;
        if self.held(id, life).iter().any(|known| known.overlaps(range)) {
            // Nobody may be left who works on the rest of it.
            self.doubts.insert((id.clone(), life));
        } else {
            self.hands.push(Work::new(id.clone(), life, grant));
        }
        self.parked.remove(id);
    }
}
