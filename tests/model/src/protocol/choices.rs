//! What may happen in a state.

use super::{Action, Fate, Protocol};
use crate::{
    bounds::{Faults, Submission},
    executor,
    request::{Session, Who},
    world::World,
};

impl Protocol {
    /// What may happen without anything going wrong, in the order in which a calm run does it.
    pub(crate) fn calm(&self, world: &World) -> Vec<Action> {
        let mut actions = Vec::new();
        let believed = |session: &Session| world.session_of(session.who) == Some(*session);
        let orphans = world.ledger.sessions.iter().filter(|session| !believed(session));
        actions.extend(orphans.map(|session| Action::Expire(*session)));
        for who in world.members() {
            self.perceive(world, who, &mut actions);
        }
        for (number, member) in world.executors.iter().enumerate() {
            let is_cut = member.term.as_ref().is_some_and(|term| term.cut);
            actions.extend(is_cut.then_some(Action::Reconnect(Who::Executor(number as u8))));
        }
        let makers = world.submitters.iter().map(|submitter| submitter.who);
        for who in makers.chain(world.members()) {
            let moves = world.moves(who, &self.rules).into_iter();
            actions.extend(moves.map(|chosen| Action::Step(who, chosen, Fate::Answered)));
        }
        actions
    }

    /// What happens by and by, when nothing else does: second looks, and the end of what nobody looks after.
    pub(crate) fn slow(&self, world: &World) -> Vec<Action> {
        let mut actions = Vec::new();
        for (number, member) in world.executors.iter().enumerate() {
            let audits = member.term.iter().flat_map(executor::Term::audits);
            let who = Who::Executor(number as u8);
            actions.extend(audits.map(|chosen| Action::Step(who, chosen, Fate::Answered)));
            let looks_again = member
                .term
                .as_ref()
                .is_some_and(|term| term.looks_again(&self.rules));
            actions.extend(looks_again.then_some(Action::Unpark(who)));
        }
        for (number, member) in world.watchers.iter().enumerate() {
            let has_parked = member.term.as_ref().is_some_and(|term| !term.parked.is_empty());
            actions.extend(has_parked.then_some(Action::Unpark(Who::Watcher(number as u8))));
        }
        actions.extend((!world.wire.is_empty()).then_some(Action::Dissolve));
        let lists = world.unattended_lists(&self.rules);
        actions.extend(lists.into_iter().map(|(id, source)| Action::Wither(id, source)));
        actions
    }

    /// What a member may learn.
    fn perceive(&self, world: &World, who: Who, actions: &mut Vec<Action>) {
        let Some(session) = world.session_of(who) else {
            return;
        };
        if !world.ledger.sessions.contains(&session) {
            actions.push(Action::Hear(who));
        } else if self.rules.lags(who) {
            actions.extend((!world.knows_jobs(who)).then_some(Action::SeeJobs(who)));
            actions.extend((!world.knows_members(who)).then_some(Action::SeeMembers(who)));
        }
    }

    /// What may go wrong, as far as it still may.
    pub(super) fn faults(&self, world: &World, calm: &[Action]) -> Vec<Action> {
        let mut actions: Vec<Action> = world
            .wire
            .iter()
            .map(|(key, late)| Action::Late(*key, late.clone()))
            .collect();
        let Faults {
            crashes,
            expiries,
            unclear,
            repeats,
            rollbacks,
            lapses,
            leaves,
            releases: _,
        } = world.left;
        let living = || world.members().filter(|who| world.session_of(*who).is_some());
        if crashes > 0 {
            actions.extend(living().map(Action::Crash));
            let busy = world.submitters.iter().filter(|submitter| {
                // What a plain submission leaves behind nobody can know.
                !submitter.is_over() && submitter.kind(&self.rules) == Submission::Staged
            });
            actions.extend(busy.map(|submitter| Action::Crash(submitter.who)));
        }
        if expiries > 0 {
            let connected = living().filter(|who| {
                let session = world.session_of(*who);
                session.is_some_and(|session| world.ledger.sessions.contains(&session))
            });
            actions.extend(connected.map(Action::Lose));
        }
        if leaves > 0 {
            let staying = world
                .executors
                .iter()
                .enumerate()
                .filter(|(_, member)| member.term.as_ref().is_some_and(|term| !term.leaving));
            actions.extend(staying.map(|(number, _)| Action::Stop(Who::Executor(number as u8))));
        }
        for action in calm {
            let Action::Step(who, chosen, _) = action else {
                continue;
            };
            actions.extend((unclear > 0).then(|| Action::Step(*who, chosen.clone(), Fate::Unclear)));
            actions.extend((repeats > 0).then(|| Action::Step(*who, chosen.clone(), Fate::Repeated)));
        }
        if rollbacks > 0 {
            actions.push(if world.saved.is_none() {
                Action::Save
            } else {
                Action::RollBack
            });
        }
        if lapses > 0 {
            for (id, keys) in &world.stores {
                let lists = keys.sources.keys().cloned();
                actions.extend(lists.map(|source| Action::Lapse(id.clone(), source)));
            }
        }
        actions
    }
}
