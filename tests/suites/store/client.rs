//! The client: what it knows after a failure, and how it comes back.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use distjob_core::store::{Claim, ClaimRequest, CommitRequest, Isolated, Push, PushRequest};
use distjob_core::{JobId, Source, Zxid};
use distjob_runtime::store::{JobStore, StoreError, StoreSettings, retrying};
use harness::{Effect, Proxy, Trigger};
use redis::AsyncCommands as _;
use tokio::time::sleep;

use crate::fixture::{Fixture, LIFE, SOON, holder, scheme, tasks, truths};

/// A store that is reached through a proxy.
async fn through_proxy(fixture: &mut Fixture) -> Proxy {
    let proxy = Proxy::for_redis(fixture.server()).await.unwrap();
    let settings = StoreSettings::new(proxy.redis_url(), fixture.store.keys().clone());
    fixture.store = JobStore::new(&settings).unwrap();
    proxy
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_given_to_it_again() {
    let fixture = Fixture::private().await;
    let a = holder("a");
    fixture.open(&tasks(3)).await;
    for lo in 0..3 {
        let mut raw = fixture.raw.clone();
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .query_async::<()>(&mut raw)
            .await
            .unwrap();
        let grant = fixture.lease(&a, 1, &[]).await;
        assert_eq!(grant.lease.range.lo(), lo);
        assert!(fixture.commit(&a, lo, 1).await.accepted);
    }
    assert_eq!(fixture.claim(&a, 1, &[]).await, Claim::Complete);
    assert_eq!(fixture.store.counts().rejected(), 0);
}

#[tokio::test]
async fn a_claim_whose_reply_is_lost_is_unclear_and_its_lease_comes_back() {
    let mut fixture = Fixture::private().await;
    let a = holder("a");
    let proxy = through_proxy(&mut fixture).await;
    fixture.open(&tasks(9)).await;
    let generation = fixture.store.connection_state().borrow().generation;

    let fault = proxy.lose_reply(&a.to_string());
    let request = ClaimRequest {
        life: LIFE,
        holder: &a,
        want: 4,
        bytes_max: 100,
        isolate: 2,
        isolated: Isolated::Leave,
        held: &[],
    };
    let error = fixture.store.claim(&fixture.id, &request).await.unwrap_err();
    assert!(matches!(error, StoreError::Unclear(_)), "{error:?}");
    fault.fired(SOON).await.unwrap();
    let state = fixture.store.connection_state().borrow().clone();
    assert!(!state.connected && state.last_error.is_some());

    let grant = fixture.lease(&a, 2, &[]).await;
    assert_eq!((grant.lease.range.lo(), grant.lease.range.hi()), (0, 4));
    let state = fixture.store.connection_state().borrow().clone();
    assert!(state.connected && state.generation == generation + 1);
    assert_eq!(fixture.store.counts().unclear(), 1);
}

#[tokio::test]
async fn a_commit_is_repeated_until_it_is_clear_and_counts_once() {
    let mut fixture = Fixture::private().await;
    let a = holder("a");
    let proxy = through_proxy(&mut fixture).await;
    fixture.open(&tasks(4)).await;
    fixture.lease(&a, 4, &[]).await;
    let fault = proxy.lose_reply(&a.to_string());
    let outcomes = truths(3);
    let request = CommitRequest {
        life: LIFE,
        holder: &a,
        lo: 0,
        outcomes: &outcomes,
    };
    let commit = retrying(sleep(SOON), || fixture.store.commit(&fixture.id, &request)).await;
    let commit = commit.unwrap();
    assert_eq!(fault.fires(), 1);
    // The first delivery was accepted; the leases tell.
    assert!(!commit.accepted);
    assert_eq!(commit.committed, 3);
    assert_eq!(commit.leases[0].range.lo(), 3);
}

#[tokio::test]
async fn a_push_whose_reply_is_lost_is_repeated_without_doubling() {
    let mut fixture = Fixture::private().await;
    let proxy = through_proxy(&mut fixture).await;
    let tasks = tasks(4);
    let Source::Staged(source) = &fixture.source else {
        panic!("a staged source");
    };
    let request = PushRequest {
        source,
        offset: 0,
        ttl_s: 60,
        tasks: &tasks,
    };
    fixture.store.ping().await.unwrap();
    let _fault = proxy.lose_reply(source.as_str());
    let push = retrying(sleep(SOON), || fixture.store.push(&fixture.id, &request)).await;
    assert_eq!(push.unwrap(), Push::Ok(4));
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_found_again_when_it_is_back() {
    let fixture = Fixture::private().await;
    fixture.open(&tasks(2)).await;
    fixture.server().kill().await.unwrap();
    // The first call may find the broken connection; then there is none.
    let _ = fixture.store.ping().await;
    let error = fixture.store.ping().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let (back, _) = tokio::join!(
        retrying(sleep(SOON), || fixture.store.ping()),
        fixture.server().start()
    );
    back.unwrap();
    assert!(fixture.store.connection_state().borrow().generation >= 2);
}

#[tokio::test]
async fn calls_at_the_same_time_share_one_attempt_to_connect() {
    let fixture = Fixture::private().await;
    let settings = StoreSettings::new(fixture.server().url(), scheme());
    let store = JobStore::new(&settings).unwrap();
    let pings = (0..50).map(|_| store.ping());
    for ping in futures::future::join_all(pings).await {
        ping.unwrap();
    }
    assert_eq!(store.connection_state().borrow().generation, 1);
    let clients = fixture.server().clients().await.unwrap();
    // The store's two, the fixture's raw one, the one that asks.
    assert_eq!(clients.len(), 4, "{clients:?}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_two_late_replies() {
    let fixture = Fixture::private().await;
    let mut settings = StoreSettings::new(fixture.server().url(), scheme());
    settings.response_timeout = Duration::from_millis(200);
    settings.connection_timeout = Duration::from_millis(200);
    let store = JobStore::new(&settings).unwrap();
    retrying(sleep(SOON), || store.ping()).await.unwrap();
    fixture.server().pause().unwrap();
    let first = store.ping().await;
    assert!(matches!(first, Err(StoreError::Unclear(_))), "{first:?}");
    assert!(store.connection_state().borrow().connected);
    let second = store.ping().await;
    assert!(matches!(second, Err(StoreError::Unclear(_))), "{second:?}");
    assert!(!store.connection_state().borrow().connected);
    fixture.server().resume().unwrap();
    retrying(sleep(SOON), || store.ping()).await.unwrap();
}

/// Which of two connections serves the job: the one that its hash chooses.
fn connection_of(id: &JobId) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish() % 2
}

#[tokio::test]
async fn a_connection_that_hangs_is_given_up_although_another_one_answers() {
    let fixture = Fixture::private().await;
    let proxy = Proxy::for_redis(fixture.server()).await.unwrap();
    let mut settings = StoreSettings::new(proxy.redis_url(), scheme());
    settings.response_timeout = Duration::from_millis(200);
    let store = JobStore::new(&settings).unwrap();
    let status = async |id: &JobId| store.status(id, LIFE, 1, &Source::Plain).await;
    let jobs = (0..).map(|number| JobId::new(format!("job-{number}")).unwrap());
    let other = jobs
        .into_iter()
        .find(|id| connection_of(id) != connection_of(&fixture.id))
        .unwrap();
    retrying(sleep(SOON), || status(&other)).await.unwrap();

    let hangs = Trigger::containing(format!("{{{}}}:", fixture.id));
    let fault = proxy.arm(Effect::HoldRequest, hangs);
    for connected in [true, false] {
        status(&other).await.unwrap();
        status(&fixture.id).await.unwrap_err();
        assert_eq!(store.connection_state().borrow().connected, connected);
    }
    assert_eq!(fault.fires(), 1);
    retrying(sleep(SOON), || status(&fixture.id)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_became_a_replica_answers_nothing_not_even_reads() {
    let fixture = Fixture::private().await;
    let mut raw = fixture.raw.clone();
    fixture.open(&tasks(2)).await;
    let mut replicaof = async |host: &str, port: &str| {
        let done = redis::cmd("REPLICAOF")
            .arg(host)
            .arg(port)
            .query_async::<()>(&mut raw)
            .await;
        done.unwrap();
    };
    replicaof("127.0.0.1", "1").await;
    let mark = fixture.store.ledger_mark().await;
    assert!(matches!(mark, Err(StoreError::Unavailable(_))), "{mark:?}");
    assert!(!fixture.store.connection_state().borrow().connected);
    let error = fixture
        .store
        .status(&fixture.id, LIFE, 2, &fixture.source)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    // That it takes connections does not make it look like a store that is back.
    let mark = retrying(sleep(Duration::from_millis(500)), || fixture.store.ledger_mark()).await;
    // The last attempt may be under way when the time is over.
    assert!(
        matches!(mark, Err(StoreError::Unavailable(_) | StoreError::Unclear(_))),
        "{mark:?}"
    );
    let state = fixture.store.connection_state().borrow().clone();
    assert!(!state.connected && state.generation == 1, "{state:?}");
    replicaof("NO", "ONE").await;
    let status = retrying(sleep(SOON), || {
        fixture.store.status(&fixture.id, LIFE, 2, &fixture.source)
    });
    status.await.unwrap();
}

#[tokio::test]
async fn without_memory_nothing_is_pushed_but_jobs_are_finished_and_dropped() {
    let fixture = Fixture::private().await;
    let (mut raw, a) = (fixture.raw.clone(), holder("a"));
    fixture.open(&tasks(4)).await;
    let limit = redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("1mb")
        .query_async::<()>(&mut raw)
        .await;
    limit.unwrap();
    let memory = fixture.store.memory().await.unwrap();
    assert_eq!(memory.max, Some(1 << 20));

    let Source::Staged(other) = crate::fixture::token("t2") else {
        panic!("a staged source");
    };
    let request = PushRequest {
        source: &other,
        offset: 0,
        ttl_s: 60,
        tasks: &[vec![0; 2 << 20]],
    };
    let error = fixture.store.push(&fixture.id, &request).await.unwrap_err();
    assert!(error.is_out_of_memory(), "{error:?}");
    // What is there already lives on, and goes when nobody needs it.
    let touch = PushRequest {
        tasks: &[],
        ..request
    };
    assert_eq!(
        fixture.store.push(&fixture.id, &touch).await.unwrap(),
        Push::Ok(0)
    );

    fixture.lease(&a, 4, &[]).await;
    let free = fixture
        .store
        .free(&fixture.id, LIFE, &a, distjob_runtime::store::Freeing::Leaving);
    assert_eq!(free.await.unwrap(), 1);
    fixture.lease(&a, 4, &[]).await;
    assert!(fixture.commit(&a, 0, 4).await.accepted);
    fixture
        .store
        .drop_job(&fixture.id, LIFE, &fixture.source, 60, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_ledger_mark_is_written_once_and_overwritten_only_by_an_operator() {
    let fixture = Fixture::shared().await;
    let (mine, other) = (Zxid::new(5), Zxid::new(6));
    assert_eq!(fixture.store.ledger_mark().await.unwrap(), None);
    assert_eq!(fixture.store.mark_ledger(mine).await.unwrap(), mine);
    assert_eq!(fixture.store.mark_ledger(other).await.unwrap(), mine);
    assert_eq!(fixture.store.ledger_mark().await.unwrap(), Some(mine));
    fixture.store.accept_ledger(other).await.unwrap();
    assert_eq!(fixture.store.ledger_mark().await.unwrap(), Some(other));

    let key = fixture.store.keys().ledger_mark();
    let _: () = fixture.raw.clone().set(key, "not a zxid").await.unwrap();
    let error = fixture.store.ledger_mark().await.unwrap_err();
    assert!(matches!(error, StoreError::Reply(_)), "{error:?}");
}

#[tokio::test]
async fn a_walk_over_all_jobs_sees_each_of_them_and_nothing_else() {
    let mut fixture = Fixture::shared().await;
    let mut expected = BTreeSet::new();
    for number in 0..30 {
        fixture.id = JobId::new(format!("job-{number}")).unwrap();
        fixture.open(&tasks(1)).await;
        if number % 3 == 0 {
            fixture
                .store
                .drop_job(&fixture.id, LIFE, &fixture.source, 60, None)
                .await
                .unwrap();
        }
        expected.insert(fixture.id.to_string());
    }
    let stranger = fixture.store.keys().job(&JobId::new("stranger").unwrap()).meta;
    let _: () = fixture.raw.set(stranger, "no hash").await.unwrap();

    let (mut seen, mut gone, mut cursor) = (BTreeSet::new(), BTreeSet::new(), Some(0));
    while let Some(from) = cursor {
        let page = fixture.store.scan(from).await.unwrap();
        for job in page.jobs {
            assert_eq!(job.life, LIFE);
            if !job.stays {
                gone.insert(job.id.to_string());
            }
            seen.insert(job.id.to_string());
        }
        cursor = page.next;
    }
    assert_eq!(seen, expected);
    assert_eq!(gone.len(), 10);
}

#[test]
fn an_address_that_makes_no_sense_is_refused_at_once() {
    for url in ["", "http://localhost", "redis://:not a port"] {
        assert!(
            JobStore::new(&StoreSettings::new(url, scheme())).is_err(),
            "{url}"
        );
    }
}
