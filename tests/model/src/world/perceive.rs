//! What members hear, what passes by itself, and what the invariants remember.

use std::sync::Arc;

use distjob_core::{
    JobId, Source,
    store::{DropReply, model::Model},
};

use super::World;
use crate::{
    invariants::Event,
    moves::Move,
    request::{Reply, Request, Script, Who, Write},
    rules::Rules,
};

impl World {
    pub(crate) fn knows_jobs(&self, who: Who) -> bool {
        let seen = match who {
            Who::Executor(n) => self.executors[usize::from(n)]
                .term
                .as_ref()
                .map(|term| &term.jobs),
            Who::Watcher(n) => self.watchers[usize::from(n)].term.as_ref().map(|term| &term.jobs),
            Who::Submitter(_) | Who::Operator => None,
        };
        seen.is_none_or(|jobs| *jobs == self.ledger.jobs)
    }

    pub(crate) fn knows_members(&self, who: Who) -> bool {
        let Who::Executor(n) = who else { return true };
        let term = self.executors[usize::from(n)].term.as_ref();
        term.is_none_or(|term| term.members == self.ledger.executors)
    }

    pub(crate) fn see_jobs(&mut self, who: Who) {
        let jobs = &self.ledger.jobs;
        match who {
            Who::Executor(n) => {
                if let Some(term) = &mut Arc::make_mut(&mut self.executors[usize::from(n)]).term {
                    term.see_jobs(jobs);
                }
            }
            Who::Watcher(n) => {
                if let Some(term) = &mut Arc::make_mut(&mut self.watchers[usize::from(n)]).term {
                    term.see_jobs(jobs);
                }
            }
            Who::Submitter(_) | Who::Operator => {}
        }
    }

    pub(crate) fn see_members(&mut self, who: Who, rules: &Rules) {
        if let Who::Executor(n) = who
            && let Some(term) = &mut Arc::make_mut(&mut self.executors[usize::from(n)]).term
        {
            term.see_members(&self.ledger.executors, rules);
        }
    }

    /// Lets every connected member know all that is the case.
    pub(crate) fn see_everything(&mut self, rules: &Rules) {
        for who in self.members() {
            let session = self.session_of(who);
            if rules.lags(who) {
                continue;
            }
            if session.is_none_or(|session| !self.ledger.sessions.contains(&session)) {
                continue;
            }
            if !self.knows_jobs(who) {
                self.see_jobs(who);
            }
            if !self.knows_members(who) {
                self.see_members(who, rules);
            }
        }
    }

    /// A store that goes back was restarted, or is another one: every connection to it is cut.
    pub(crate) fn cut_connections(&mut self) {
        for member in &mut self.executors {
            if let Some(term) = &mut Arc::make_mut(member).term {
                term.cut = true;
            }
        }
    }

    pub(crate) fn reconnect(&mut self, who: Who, rules: &Rules) {
        if let Who::Executor(n) = who
            && let Some(term) = &mut Arc::make_mut(&mut self.executors[usize::from(n)]).term
        {
            term.reconnect(rules);
        }
    }

    pub(crate) fn unpark(&mut self, who: Who) {
        match who {
            Who::Executor(n) => {
                if let Some(term) = &mut Arc::make_mut(&mut self.executors[usize::from(n)]).term {
                    term.parked.clear();
                }
            }
            Who::Watcher(n) => {
                if let Some(term) = &mut Arc::make_mut(&mut self.watchers[usize::from(n)]).term {
                    term.parked.clear();
                }
            }
            Who::Submitter(_) | Who::Operator => {}
        }
    }

    pub(crate) fn stop(&mut self, who: Who) {
        if let Who::Executor(n) = who
            && let Some(term) = &mut Arc::make_mut(&mut self.executors[usize::from(n)]).term
        {
            term.leave();
        }
    }

    pub(crate) fn expire_list(&mut self, id: &JobId, source: &Source) {
        if let Some(keys) = self.stores.get_mut(id) {
            Arc::make_mut(keys).expire_source(source);
            if **keys == Model::default() {
                self.stores.remove(id);
            }
        }
    }

    /// Whether this move runs a task that kills who runs it.
    pub(crate) fn is_deadly(&self, who: Who, chosen: &Move, rules: &Rules) -> bool {
        let (Who::Executor(n), Move::Run(id, index)) = (who, chosen) else {
            return false;
        };
        let term = self.executors[usize::from(n)].term.as_ref();
        term.is_some_and(|term| term.is_deadly(id, *index, rules))
    }

    /// Remembers what an invariant will want to know.
    pub(crate) fn note(&mut self, event: &Event) {
        let facts = &mut self.facts;
        match event {
            Event::Executed(Request::Publish(id, life, _), _) => {
                facts.published.insert((id.clone(), *life));
            }
            Event::Executed(
                Request::Store(id, Script::Drop { life, source }),
                Reply::Dropped(DropReply::Dropped),
            ) => {
                facts.dropped.insert((id.clone(), *life));
                facts.spent.insert(source.clone());
            }
            Event::Executed(Request::Ledger(_, Write::SetLocked(_, _, _, Some((id, _)))), Reply::Done) => {
                *facts.follow_ups.entry(id.clone()).or_default() += 1;
            }
            Event::Executed(Request::Ledger(session, Write::Create(id, _)), Reply::Job(_))
                if matches!(session.who, Who::Watcher(_)) =>
            {
                *facts.follow_ups.entry(id.clone()).or_default() += 1;
            }
            _ => {}
        }
    }
}
