//! A store that is a model in memory, and loses what it is told to lose; a handler that does what payloads say.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use distjob_core::{
    Account, Holder, JobData, JobId, KeyScheme, MemberName, Outcome, QueueName, Source, Token, Zxid,
    outcome::unpack,
    rate::{Limit, Tokens},
    retry::Policy,
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, DropReply, Inspection, Isolated, Open, Push, PushRequest,
        Read, ReadRequest, ReleaseRequest, Status, model::Model,
    },
    trouble::SinkTrouble,
};
use distjob_runtime::{
    metrics::Metrics,
    store::{Dial, Freeing, JobStore, Line, Lines, Memory, MetaPage, Reply, StoreError},
};
use futures::{FutureExt as _, future::BoxFuture};
use redis::RedisError;
use tokio::{sync::watch, time::sleep};

use crate::{
    grip::Grip,
    handler::{AsyncFunction, CommitLimits, Concurrently, Failure, Job, Retry, Task, Verdict},
    lease::{Ended, Order, RunLimits, Runner, Work},
    metrics::ExecutorMetrics,
};

pub(super) const LIFE: Zxid = Zxid::new(7);

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Answered,
    /// It never arrives.
    Lost,
    /// It takes effect, and nobody hears of it.
    Unanswered,
    /// It takes effect, and once more some calls later.
    Repeated,
}

/// One job in a store, and who executed what.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<State>>);

pub(super) struct State {
    pub(super) model: Model,
    pub(super) fates: VecDeque<Fate>,
    pub(super) calls: usize,
    /// The attempts that began, by task.
    pub(super) executions: BTreeMap<u64, Vec<u32>>,
    late: VecDeque<(usize, Late)>,
    /// Whether a call came twice.
    has_repeated: bool,
}

/// What is recorded of a task.
type Recorded = (Result<Vec<u8>, Vec<u8>>, Option<Account>);

type Late = Box<dyn FnOnce(&mut Model) + Send>;

pub(super) fn holder(name: &str) -> Holder {
    Holder {
        born: Zxid::new(1),
        name: MemberName::new(name).unwrap(),
    }
}

impl World {
    /// A job whose tasks say what their handler does.
    pub(super) fn new(scripts: &[Script]) -> Self {
        let (mut model, token) = (Model::default(), Token::new("t").unwrap());
        let tasks: Vec<Vec<u8>> = scripts.iter().map(Script::payload).collect();
        model.push(&PushRequest {
            source: &token,
            offset: 0,
            ttl_s: 60,
            tasks: &tasks,
        });
        let source = Source::Staged(token);
        assert_eq!(model.open(LIFE, scripts.len() as u64, &source), Open::Open);
        Self(Arc::new(Mutex::new(State {
            model,
            fates: VecDeque::new(),
            calls: 0,
            executions: BTreeMap::new(),
            late: VecDeque::new(),
            has_repeated: false,
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A lease of `want` tasks, in hand. None, too, when some of it is in hand already: a release that comes once more may
    /// give back what waits, and the store then leases it again together with others.
    pub(super) fn claim(&self, grip: &Grip, want: u64) -> Option<Work> {
        let held = grip.begin_visit();
        grip.end_visit();
        let claim = self.state().model.claim(&ClaimRequest {
            life: LIFE,
            holder: &holder("me"),
            want,
            bytes_max: 1 << 20,
            isolate: 0,
            isolated: Isolated::Leave,
            held: &held,
        });
        let Claim::Lease(grant) = claim else { return None };
        if !grip.take(grant.lease.range) {
            assert!(self.state().has_repeated, "{grant:?}");
            return None;
        }
        let job = Job {
            id: JobId::new("job").unwrap(),
            life: LIFE,
            queue: QueueName::default_queue(),
        };
        Some(Work::granted(job.into(), grip.clone(), grant))
    }

    pub(super) fn runner(&self, at_once: usize) -> Runner {
        let keys = KeyScheme::new("distjob:".to_owned()).unwrap();
        let function = Scripted(self.clone());
        Runner {
            store: JobStore::over(keys, Arc::new(self.clone()), 1),
            holder: holder("me"),
            handler: Arc::new(Concurrently::new(function, at_once.try_into().unwrap())),
            metrics: ExecutorMetrics::register(&Metrics::default()),
        }
    }

    /// Runs a lease that nobody interferes with.
    pub(super) async fn run(&self, work: Work, limits: RunLimits) -> Ended {
        let (_orders, obeys) = watch::channel(Order::Go);
        self.runner(1).run(work, limits, obeys, None).await
    }

    /// The outcomes that are recorded, and what they took.
    pub(super) fn outcomes(&self) -> BTreeMap<u64, Recorded> {
        let mut outcomes = BTreeMap::new();
        for (lo, (upto, packed)) in &self.state().model.results {
            let records: Vec<_> = unpack(packed).map(Result::unwrap).collect();
            assert_eq!(records.len() as u64, upto - lo);
            for (index, record) in (*lo..).zip(records) {
                let outcome = match record.outcome {
                    Outcome::Ok(value) => Ok(value.to_vec()),
                    Outcome::Err(message) => Err(message.to_vec()),
                };
                assert!(
                    outcomes.insert(index, (outcome, record.account)).is_none(),
                    "{index}"
                );
            }
        }
        outcomes
    }

    /// The tasks that were given back.
    pub(super) fn freed(&self) -> Vec<u64> {
        let state = self.state();
        let freed = state.model.freed.iter();
        let mut freed: Vec<u64> = freed
            .flat_map(|lease| lease.range.lo()..lease.range.hi())
            .collect();
        freed.sort_unstable();
        freed
    }

    fn call<T: Send + 'static>(
        &self,
        effect: impl Fn(&mut Model) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut state = self.state();
        state.calls += 1;
        while state.late.front().is_some_and(|(at, _)| *at <= state.calls) {
            let (_, late) = state.late.pop_front().unwrap();
            late(&mut state.model);
        }
        let fate = state.fates.pop_front().unwrap_or(Fate::Answered);
        let result = match fate {
            Fate::Lost => Err(io::ErrorKind::TimedOut),
            Fate::Answered => Ok(effect(&mut state.model)),
            Fate::Unanswered => {
                effect(&mut state.model);
                Err(io::ErrorKind::ConnectionReset)
            }
            Fate::Repeated => {
                let answer = effect(&mut state.model);
                let at = state.calls + 2;
                state.has_repeated = true;
                state
                    .late
                    .push_back((at, Box::new(move |model| drop(effect(model)))));
                Ok(answer)
            }
        };
        state.model.partition().unwrap();
        result.map_err(|kind| StoreError::of_command(io::Error::from(kind).into()))
    }
}

/// What a task does at each attempt; the last step again and again.
#[derive(Clone, Debug)]
pub(super) struct Script(pub(super) Vec<(u64, Step)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Succeeds,
    Fails,
    FailsForGood,
    /// Not its fault.
    Suffers,
    /// Nor is this.
    FindsNothing,
}

impl Script {
    pub(super) fn one(ms: u64, step: Step) -> Self {
        Self(vec![(ms, step)])
    }

    fn payload(&self) -> Vec<u8> {
        let steps = self.0.iter().map(|(ms, step)| format!("{ms} {step:?}"));
        steps.collect::<Vec<_>>().join(",").into_bytes()
    }

    fn step(payload: &[u8], nth: usize) -> (Duration, Step) {
        let text = std::str::from_utf8(payload).unwrap();
        let steps: Vec<&str> = text.split(',').collect();
        let (ms, step) = steps[nth.min(steps.len() - 1)].split_once(' ').unwrap();
        let kinds = [
            Step::Succeeds,
            Step::Fails,
            Step::FailsForGood,
            Step::Suffers,
            Step::FindsNothing,
        ];
        let step = kinds
            .into_iter()
            .find(|kind| format!("{kind:?}") == step)
            .unwrap();
        (Duration::from_millis(ms.parse().unwrap()), step)
    }
}

#[derive(Clone)]
struct Scripted(World);

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl AsyncFunction for Scripted {
    fn handle<'a>(&'a self, _: &'a Job, task: &'a Task) -> BoxFuture<'a, Verdict> {
        async move {
            let nth = {
                let mut state = self.0.state();
                let executions = state.executions.entry(task.index).or_default();
                executions.push(task.attempt);
                executions.len() - 1
            };
            let (pause, step) = Script::step(task.payload(), nth);
            sleep(pause).await;
            match step {
                Step::Succeeds => Ok(task.index.to_string().into_bytes().into()),
                Step::Fails => Err(format!("failed {}", task.attempt).into()),
                Step::FailsForGood => Err(Failure::new("for good").is_final()),
                Step::Suffers => Err(Failure::new("suffered").retry(Retry::Uncounted)),
                Step::FindsNothing => {
                    Err(Failure::new("no program").retry(Retry::Elsewhere(Duration::from_secs(10))))
                }
            }
        }
        .boxed()
    }
}

pub(super) const LIMITS: RunLimits = RunLimits {
    commit: CommitLimits {
        bytes: 1 << 16,
        time: Duration::from_millis(50),
    },
    policy: Policy {
        attempts: 3,
        initial: Duration::from_millis(100),
        max: Duration::from_secs(1),
    },
    poison_after: 5,
    abort_after: distjob_core::Percent::ZERO,
    target: Duration::from_secs(3600),
};

/// How often a future was dropped before its end, for handlers that never end.
#[derive(Clone, Debug, Default)]
pub(super) struct Dropped(pub(super) Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Dial for World {
    fn dial(&self, count: usize) -> BoxFuture<'_, Result<Lines, RedisError>> {
        let line = || Box::new(self.clone()) as Box<dyn Line>;
        let lines = (0..count).map(|_| line()).collect();
        std::future::ready(Ok(lines)).boxed()
    }
}

fn not_asked<'a, T>() -> Reply<'a, T> {
    unreachable!("a lease that runs asks for commits and releases only")
}

impl Line for World {
    fn commit<'a>(&'a self, _: &'a JobId, request: &'a CommitRequest<'a>) -> Reply<'a, Commit> {
        let (life, holder, lo) = (request.life, request.holder.clone(), request.lo);
        let outcomes = request.outcomes.clone();
        async move {
            sleep(Duration::from_millis(1)).await;
            self.call(move |model| {
                model.commit(&CommitRequest {
                    life,
                    holder: &holder,
                    lo,
                    outcomes: &outcomes,
                })
            })
        }
        .boxed()
    }

    fn release<'a>(&'a self, _: &'a JobId, request: &'a ReleaseRequest<'a>) -> Reply<'a, Commit> {
        let (life, holder, range) = (request.life, request.holder.clone(), request.range);
        async move {
            sleep(Duration::from_millis(1)).await;
            self.call(move |model| {
                model.release(&ReleaseRequest {
                    life,
                    holder: &holder,
                    range,
                })
            })
        }
        .boxed()
    }

    fn push<'a>(&'a self, _: &'a JobId, _: &'a PushRequest<'a>) -> Reply<'a, Push> {
        not_asked()
    }

    fn open<'a>(&'a self, _: &'a JobId, _: Zxid, _: u64, _: &'a Source) -> Reply<'a, Open> {
        not_asked()
    }

    fn claim<'a>(&'a self, _: &'a JobId, _: &'a ClaimRequest<'a>) -> Reply<'a, Claim> {
        not_asked()
    }

    fn free<'a>(&'a self, _: &'a JobId, _: Zxid, _: &'a Holder, _: Freeing) -> Reply<'a, u64> {
        not_asked()
    }

    fn read<'a>(&'a self, _: &'a JobId, _: ReadRequest) -> Reply<'a, Read> {
        not_asked()
    }

    fn status<'a>(&'a self, _: &'a JobId, _: Zxid, _: u64, _: &'a Source) -> Reply<'a, Status> {
        not_asked()
    }

    fn drop_job<'a>(
        &'a self,
        _: &'a JobId,
        _: Zxid,
        _: &'a Source,
        _: u64,
        _: Option<&'a JobData>,
    ) -> Reply<'a, DropReply> {
        not_asked()
    }

    fn staged<'a>(&'a self, _: &'a JobId, _: &'a Token, _: u64, _: u64) -> Reply<'a, Vec<Vec<u8>>> {
        not_asked()
    }

    fn inspect<'a>(&'a self, _: &'a JobId, _: &'a Source) -> Reply<'a, Inspection> {
        not_asked()
    }

    fn set_trouble<'a>(&'a self, _: &'a JobId, _: &'a SinkTrouble, _: u64) -> Reply<'a, ()> {
        not_asked()
    }

    fn clear_trouble<'a>(&'a self, _: &'a JobId) -> Reply<'a, ()> {
        not_asked()
    }

    fn trouble<'a>(&'a self, _: &'a JobId) -> Reply<'a, Option<SinkTrouble>> {
        not_asked()
    }

    fn take_tokens<'a>(&'a self, _: &'a QueueName, _: Limit, _: u32) -> Reply<'a, Tokens> {
        not_asked()
    }

    fn ledger_mark(&self) -> Reply<'_, Option<Zxid>> {
        not_asked()
    }

    fn mark_ledger(&self, _: Zxid) -> Reply<'_, Zxid> {
        not_asked()
    }

    fn accept_ledger(&self, _: Zxid) -> Reply<'_, ()> {
        not_asked()
    }

    fn scan(&self, _: u64) -> Reply<'_, MetaPage> {
        not_asked()
    }

    fn ping(&self) -> Reply<'_, ()> {
        not_asked()
    }

    fn memory(&self) -> Reply<'_, Memory> {
        not_asked()
    }
}
