//! Redis as it is: the scripts of the core's own model, which the suites prove equal to the Lua.

use std::{collections::BTreeMap, sync::Arc};

use distjob_core::{
    JobId, Outcome, Packed, Source,
    store::{ClaimRequest, CommitRequest, PushRequest, ReadRequest, ReleaseRequest, model::Model},
};

use crate::{
    mutant::{Mutant, scripts},
    request::{Reply, Script, token},
};

/// The keys of every job. An id without keys has no entry.
pub(crate) type Stores = BTreeMap<JobId, Arc<Model>>;

/// Runs a script on the keys of `id`.
pub(crate) fn execute(stores: &mut Stores, id: &JobId, script: &Script, mutant: Option<Mutant>) -> Reply {
    let mut shared = stores.remove(id).unwrap_or_default();
    let keys = Arc::make_mut(&mut shared);
    let reply = match mutant.and_then(|mutant| scripts::execute(mutant, keys, script)) {
        Some(reply) => reply,
        None => run(keys, script),
    };
    if *keys != Model::default() {
        stores.insert(id.clone(), shared);
    }
    reply
}

/// Runs a script as it should run.
pub(crate) fn run(keys: &mut Model, script: &Script) -> Reply {
    match script {
        Script::Push {
            source: Source::Plain,
            tasks,
            ..
        } => {
            keys.sources.insert(Source::Plain, tasks.clone());
            Reply::Done
        }
        Script::Push {
            source: Source::Staged(source),
            offset,
            tasks,
        } => Reply::Push(keys.push(&PushRequest {
            source,
            offset: *offset,
            ttl_s: 1,
            tasks,
        })),
        // What it knows besides is of no interest here.
        Script::Inspect => Reply::Known(keys.inspect(&Source::Staged(token("any"))).meta),
        Script::Open { life, count, source } => Reply::Open(keys.open(*life, *count, source)),
        Script::Claim {
            life,
            holder,
            want,
            isolate,
            isolated,
            held,
        } => Reply::Claim(keys.claim(&ClaimRequest {
            life: *life,
            holder,
            want: *want,
            bytes_max: u64::MAX,
            isolate: *isolate,
            isolated: *isolated,
            held,
        })),
        Script::Commit {
            life,
            holder,
            lo,
            outcomes,
        } => Reply::Commit(keys.commit(&CommitRequest {
            life: *life,
            holder,
            lo: *lo,
            outcomes: &packed(outcomes),
        })),
        Script::Release { life, holder, range } => Reply::Commit(keys.release(&ReleaseRequest {
            life: *life,
            holder,
            range: *range,
        })),
        Script::Free { life, holder, deaths } => {
            keys.free(*life, holder, *deaths);
            Reply::Done
        }
        Script::Status { life, count, source } => Reply::Status(keys.status(*life, *count, source)),
        Script::Read { life, from } => Reply::Read(keys.read(ReadRequest {
            life: *life,
            from: *from,
            tasks_max: 2,
            bytes_max: u64::MAX,
        })),
        Script::Drop { life, source } => Reply::Dropped(keys.drop_job(*life, source, None)),
    }
}

/// Outcomes as a commit carries them; none stands for the error of a task that was given up.
pub(crate) fn packed(outcomes: &[Option<Vec<u8>>]) -> Packed {
    let mut packed = Packed::default();
    for outcome in outcomes {
        packed.push(match outcome {
            Some(value) => Outcome::Ok(value),
            None => Outcome::Err(b"given up"),
        });
    }
    packed
}
