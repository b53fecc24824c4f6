//! The scripts and their model, side by side: whatever happens, they answer the same and stand the same.

use std::cell::RefCell;
use std::collections::BTreeMap;

use distjob_core::JobId;
use distjob_core::store::model::{Model, Part};
use distjob_core::store::{DropReply, Open, Standing};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::AsyncCommands as _;

use crate::calls::{Call, Reply};
use crate::draw::steps;
use crate::dump::dump;
use crate::fixture::Fixture;
use crate::steps::{Step, source, sources};

const SEQUENCES: u32 = 1000;

/// How often each kind of answer was given.
type Seen = BTreeMap<&'static str, u32>;

struct Job {
    id: JobId,
    model: Model,
    past: Vec<Call>,
    /// Whether the store lost a part of it since it was opened: its pieces need not add up any more.
    damaged: bool,
}

impl Job {
    fn new() -> Self {
        Self {
            id: JobId::new(harness::unique()).unwrap(),
            model: Model::default(),
            past: Vec::new(),
            damaged: false,
        }
    }

    async fn take(
        &mut self,
        fixture: &mut Fixture,
        step: &Step,
        seen: &mut Seen,
    ) -> Result<(), TestCaseError> {
        match step.call(&self.model, &self.past) {
            Some(call) if call.is_refused() => {}
            Some(call) => {
                self.make(fixture, &call, seen).await?;
                self.past.push(call);
            }
            None => self.suffer(fixture, step).await,
        }
        self.compare(fixture).await
    }

    async fn make(&mut self, fixture: &Fixture, call: &Call, seen: &mut Seen) -> Result<(), TestCaseError> {
        let absent = match call {
            Call::Open { life, .. } => self.model.standing(*life) == Standing::Absent,
            _ => false,
        };
        let expected = call.on_model(&mut self.model);
        let found = call.on_store(&fixture.store, &self.id).await;
        *seen.entry(expected.kind()).or_insert(0) += 1;
        prop_assert_eq!(
            &expected,
            &found,
            "the model's reply and the store's, to {:?}",
            call
        );
        if matches!(found, Reply::Drop(DropReply::Dropped)) || (absent && found == Reply::Open(Open::Open)) {
            self.damaged = false;
        }
        Ok(())
    }

    /// What happens to the store without a call.
    async fn suffer(&mut self, fixture: &mut Fixture, step: &Step) {
        let keys = fixture.store.keys().job(&self.id);
        let raw = &mut fixture.raw;
        match step {
            Step::PushPlain { tasks } if !tasks.is_empty() => {
                let list = self.model.sources.entry(source(0)).or_default();
                list.extend(tasks.iter().cloned());
                let _: () = raw.rpush(self.id.as_str(), tasks).await.unwrap();
            }
            Step::Lose(part) => {
                self.model.lose(*part);
                self.damaged = true;
                let key = match part {
                    Part::Meta => keys.meta,
                    Part::Tasks => keys.tasks,
                    Part::Leases => keys.leases,
                    Part::Freed => keys.freed,
                    Part::Results => keys.results,
                };
                let _: () = raw.del(key).await.unwrap();
            }
            Step::ExpireSource { source: which } => {
                self.model.expire_source(&source(*which));
                let list = fixture.store.keys().source(&self.id, &source(*which));
                let _: () = raw.del(list).await.unwrap();
            }
            Step::ExpireTombstone => {
                let ttl: i64 = raw.ttl(&keys.meta).await.unwrap();
                if ttl > 0 {
                    let _: () = raw.del(&keys.meta).await.unwrap();
                }
                self.model.expire_tombstone();
            }
            Step::ForgetScripts => {
                let flush = redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(raw).await;
                flush.unwrap();
            }
            _ => {}
        }
    }

    async fn compare(&self, fixture: &mut Fixture) -> Result<(), TestCaseError> {
        let found = dump(&mut fixture.raw, fixture.store.keys(), &self.id, &sources()).await;
        prop_assert_eq!(&self.model, &found, "the model and the store");
        if !self.damaged {
            prop_assert_eq!(found.partition(), Ok(()));
        }
        let inspect = Call::Inspect { source: source(1) };
        let inspection = inspect.on_store(&fixture.store, &self.id).await;
        prop_assert_eq!(inspect.on_model(&mut self.model.clone()), inspection);
        Ok(())
    }

    async fn remove(&self, fixture: &mut Fixture) {
        let keys = fixture.store.keys().job(&self.id);
        let mut all = vec![keys.meta, keys.tasks, keys.leases, keys.freed, keys.results];
        all.extend(
            sources()
                .iter()
                .map(|source| fixture.store.keys().source(&self.id, source)),
        );
        let _: () = fixture.raw.del(all).await.unwrap();
    }
}

async fn run(fixture: &mut Fixture, seen: &mut Seen, steps: &[(u8, Step)]) -> Result<(), TestCaseError> {
    let mut jobs = [Job::new(), Job::new()];
    for (job, step) in steps {
        jobs[usize::from(*job)].take(fixture, step, seen).await?;
    }
    for job in jobs {
        job.compare(fixture).await?;
        job.remove(fixture).await;
    }
    Ok(())
}

#[test]
fn the_scripts_and_their_model_answer_and_stand_the_same_after_every_step() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let state = RefCell::new((runtime.block_on(Fixture::shared()), Seen::new()));
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            let (fixture, seen) = &mut *state.borrow_mut();
            runtime.block_on(run(fixture, seen, &steps))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let (_, seen) = state.into_inner();
    let unseen: Vec<_> = Reply::KINDS
        .into_iter()
        .filter(|kind| !seen.contains_key(kind))
        .collect();
    assert!(unseen.is_empty(), "no sequence was answered {unseen:?}: {seen:?}");
}
