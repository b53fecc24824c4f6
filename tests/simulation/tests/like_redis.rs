//! The modelled store against a real server, where it is more than the scripts' model: what is refused when, and what is
//! gone after its time.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

use std::{sync::Arc, time::Duration};

use distjob_core::{
    Conclusion, Holder, JobData, JobId, KeyScheme, MemberName, Outcome, Packed, QueueName, Source, TaskRange,
    Token, Zxid,
    store::{ClaimRequest, CommitRequest, Inspection, Isolated, PushRequest, ReadRequest, ReleaseRequest},
};
use distjob_runtime::store::{Freeing, JobStore, StoreError, StoreSettings};
use distjob_simulation::{
    network::{Delays, Network, Node, Process},
    redis::{Redis, Refusal},
    trace::Trace,
};
use futures::future::BoxFuture;
use harness::{AppendOnly, servers};
use tokio::{runtime::Builder, time::sleep};

const LIFE: Zxid = Zxid::new(5);

const TIMEOUT: Duration = Duration::from_secs(5);

/// A server, modelled or real.
struct Stage {
    /// A client with connections of its own.
    store: Box<dyn Fn() -> JobStore>,
    refuse: Box<dyn Fn(Option<Refusal>) -> BoxFuture<'static, ()>>,
}

/// All calls there are.
#[derive(Clone, Copy, Debug)]
enum Call {
    Push,
    Open,
    Claim,
    Commit,
    Free,
    Read,
    Status,
    Release,
    Staged,
    Take,
    Drop,
    Inspect,
    Mark,
    MarkOnce,
    Accept,
    Scan,
    Ping,
    Memory,
}

const CALLS: [Call; 18] = [
    Call::Push,
    Call::Staged,
    Call::Open,
    Call::Claim,
    Call::Commit,
    Call::Release,
    Call::Take,
    Call::Read,
    Call::Free,
    Call::Status,
    Call::Drop,
    Call::Inspect,
    Call::MarkOnce,
    Call::Accept,
    Call::Mark,
    Call::Scan,
    Call::Ping,
    Call::Memory,
];

fn words<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(answer) => format!("{answer:?}"),
        Err(error) if error.is_out_of_memory() => "no memory".to_owned(),
        Err(StoreError::Unavailable(_)) => "unavailable".to_owned(),
        Err(error) => format!("another error: {error:?}"),
    }
}

/// How long lists and tombstones live.
const TTL_S: u64 = 2;

/// When they are gone for certain.
const PAST: Duration = Duration::from_secs(TTL_S + 1);

/// What the znode of a job of three tasks said last.
fn last() -> JobData {
    let queue = QueueName::default_queue();
    JobData::submitted(3, queue, Source::Plain).uploaded(1, Conclusion::PartlyFailed, None)
}

/// Makes a call about a job of three tasks.
async fn make(call: Call, store: &JobStore, id: &str) -> String {
    let id = JobId::new(id).unwrap();
    let token = Token::new("t").unwrap();
    let source = Source::Staged(token.clone());
    let holder = Holder {
        born: Zxid::new(1),
        name: MemberName::new("executor").unwrap(),
    };
    match call {
        Call::Push => {
            let request = PushRequest {
                source: &token,
                offset: 0,
                ttl_s: TTL_S,
                tasks: &["1", "2", "3"].map(|task| task.as_bytes().to_vec()),
            };
            words(store.push(&id, &request).await)
        }
        Call::Open => words(store.open(&id, LIFE, 3, &source).await),
        Call::Claim => {
            let request = ClaimRequest {
                life: LIFE,
                holder: &holder,
                want: 2,
                bytes_max: 100,
                isolate: 2,
                isolated: Isolated::Leave,
                held: &[],
            };
            words(store.claim(&id, &request).await)
        }
        Call::Commit => {
            let mut outcomes = Packed::default();
            outcomes.push(Outcome::Ok(b"true"));
            let request = CommitRequest {
                life: LIFE,
                holder: &holder,
                lo: 0,
                outcomes: &outcomes,
            };
            words(store.commit(&id, &request).await)
        }
        Call::Release => {
            let request = ReleaseRequest {
                life: LIFE,
                holder: &holder,
                range: TaskRange::new(1, 2).unwrap(),
            };
            words(store.release(&id, &request).await)
        }
        Call::Staged => words(store.staged(&id, &token, 1, 9).await),
        // How long it is to the next one depends on how fast the machine is.
        Call::Take => {
            let (queue, rate) = (QueueName::default_queue(), "2/h".parse().unwrap());
            let taken = store.take_tokens(&queue, rate, 2, 3).await;
            words(taken.map(|tokens| tokens.granted))
        }
        Call::Free => words(store.free(&id, LIFE, &holder, Freeing::Dead).await),
        Call::Read => {
            let request = ReadRequest {
                life: LIFE,
                from: 0,
                tasks_max: 10,
                bytes_max: 100,
            };
            words(store.read(&id, request).await)
        }
        Call::Status => words(store.status(&id, LIFE, 3, &source).await),
        Call::Drop => words(store.drop_job(&id, LIFE, &source, TTL_S, Some(&last())).await),
        Call::Inspect => words(store.inspect(&id, &source).await.map(|inspection| Inspection {
            // What is left of it depends on how fast the machine is.
            meta_ttl_s: inspection.meta_ttl_s.map(|_| TTL_S),
            ..inspection
        })),
        Call::Mark => words(store.ledger_mark().await),
        Call::MarkOnce => words(store.mark_ledger(Zxid::new(7)).await),
        Call::Accept => words(store.accept_ledger(Zxid::new(8)).await),
        Call::Scan => words(store.scan(0).await),
        Call::Ping => words(store.ping().await),
        Call::Memory => words(store.memory().await.map(drop)),
    }
}

/// What all calls come to: on a server that refuses, each on a connection that was made before, and then on one that does
/// as it is asked, before and after what it has is past its time.
async fn play(stage: Stage) -> Vec<String> {
    let mut answers = Vec::new();
    for refusal in [Refusal::ReadOnly, Refusal::NoMemory] {
        let mut stores = Vec::new();
        for _ in CALLS {
            let store = (stage.store)();
            store.ping().await.unwrap();
            stores.push(store);
        }
        (stage.refuse)(Some(refusal)).await;
        for (call, store) in CALLS.into_iter().zip(stores) {
            let answer = make(call, &store, &format!("{refusal:?}")).await;
            let connected = store.connection_state().borrow().connected;
            answers.push(format!("{refusal:?} {call:?}: {answer}, connected: {connected}"));
        }
        let fresh = (stage.store)().ping().await;
        answers.push(format!("{refusal:?} for a new connection: {}", words(fresh)));
        (stage.refuse)(None).await;
    }
    let store = (stage.store)();
    answers.push(make(Call::Push, &store, "expires").await);
    sleep(PAST).await;
    answers.push(make(Call::Open, &store, "expires").await);
    for call in CALLS {
        answers.push(format!("{call:?}: {}", make(call, &store, "job").await));
    }
    sleep(PAST).await;
    for call in [Call::Inspect, Call::Scan, Call::Status] {
        answers.push(format!("{call:?} later: {}", make(call, &store, "job").await));
    }
    answers
}

fn keys() -> KeyScheme {
    KeyScheme::new("distjob:".to_owned()).unwrap()
}

fn modelled() -> Vec<String> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let trace = Trace::new(false);
        let network = Network::start(1, Delays::default(), trace.clone());
        let redis = Redis::new(network, 1, trace);
        let process = Process {
            node: Node(1),
            life: 1,
        };
        let refused = redis.clone();
        play(Stage {
            store: Box::new(move || JobStore::over(keys(), redis.dial(process, TIMEOUT, TIMEOUT), 1)),
            refuse: Box::new(move |refusal| {
                refused.refuse(refusal);
                Box::pin(async {})
            }),
        })
        .await
    })
}

fn real() -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = servers::Redis::start_in(dir.path(), AppendOnly::No)
            .await
            .unwrap();
        let server = Arc::new(server);
        let settings = StoreSettings::new(server.url(), keys());
        play(Stage {
            store: Box::new(move || JobStore::new(&settings).unwrap()),
            refuse: Box::new(move |refusal| Box::pin(refuse(Arc::clone(&server), refusal))),
        })
        .await
    })
}

async fn refuse(server: Arc<servers::Redis>, refusal: Option<Refusal>) {
    let primary = match refusal {
        Some(Refusal::ReadOnly) => ["127.0.0.1", "1"],
        _ => ["NO", "ONE"],
    };
    let memory = match refusal {
        Some(Refusal::NoMemory) => "1",
        _ => "0",
    };
    let mut connection = server.connect().await.unwrap();
    let mut replica_of = redis::cmd("REPLICAOF");
    replica_of.arg(&primary);
    replica_of.query_async::<()>(&mut connection).await.unwrap();
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg(memory);
    limit.query_async::<()>(&mut connection).await.unwrap();
}

#[test]
fn the_model_refuses_and_forgets_as_a_real_server_does() {
    let (real, modelled) = (real(), modelled());
    for (real, modelled) in real.iter().zip(&modelled) {
        assert_eq!(modelled, real, "the model, and then the server");
    }
    assert_eq!(modelled.len(), real.len());
    for word in [
        "unavailable",
        "no memory",
        "Missing(0)",
        "Lease",
        "Dropped",
        "None(0)",
    ] {
        let comes = modelled.iter().any(|answer| answer.contains(word));
        assert!(comes, "nothing comes to {word}: {modelled:#?}");
    }
}
