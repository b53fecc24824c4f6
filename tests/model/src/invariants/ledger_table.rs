//! Invariant 4: the ledger changes as its table says ([`distjob_core::ledger::allows`]), and no change that needs the
//! job's lock is made by a session that does not own it.

use distjob_core::{
    JobData, JobState,
    ledger::{Actor, allows},
};

use super::Event;
use crate::{
    request::{Reply, Request, Session, Who, Write},
    rules::Rules,
    world::World,
};

pub(super) fn check(before: &World, event: &Event, after: &World, _: &Rules) -> Result<(), String> {
    let Event::Executed(Request::Ledger(session, write), reply) = event else {
        return is_unchanged(before, after);
    };
    if *reply != Reply::Done {
        // A create that was refused, a read, a registration.
        return Ok(());
    }
    match write {
        Write::Set(id, _, data) => change(before, *session, id, Some(data)),
        Write::SetLocked(id, _, data, _) => change(before, *session, id, Some(data)),
        Write::Delete(id, _) => change(before, *session, id, None),
        _ => is_unchanged(before, after),
    }
}

fn change(
    before: &World,
    session: Session,
    id: &distjob_core::JobId,
    to: Option<&JobData>,
) -> Result<(), String> {
    let Some(job) = before.ledger.jobs.get(id) else {
        return Err(format!("{session:?} changed job {id}, which was not there"));
    };
    let owns = before.ledger.locks.get(id) == Some(&session);
    let actor = match session.who {
        Who::Executor(_) => Actor::Executor,
        Who::Watcher(_) if owns => Actor::LockHolder,
        Who::Watcher(_) => return Err(format!("{session:?} changed job {id} without its lock")),
        Who::Submitter(_) | Who::Operator => Actor::Operator,
    };
    let (from, to) = (job.data.state, to.map(|data| data.state));
    if allows(actor, from, to) {
        Ok(())
    } else {
        let to = to.map_or("deleted", JobState::as_str);
        Err(format!("{session:?} took job {id} from {from} to {to}"))
    }
}

fn is_unchanged(before: &World, after: &World) -> Result<(), String> {
    if before.ledger.jobs.len() > after.ledger.jobs.len() {
        return Err("a job vanished".to_owned());
    }
    Ok(())
}
