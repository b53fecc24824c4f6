use std::time::Duration;

use distjob_core::{
    Holder, JobId, KeyScheme, MemberName, Outcome, Packed, Source, TaskRange, Token, Zxid,
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, DropReply, Grant, Isolated, Open, Push, PushRequest,
    },
};
use distjob_runtime::store::{Freeing, JobStore, StoreError, retrying};
use tokio::time::{advance, sleep, timeout};

use super::*;
use crate::network::{Delays, Link, Node};

const LIFE: Zxid = Zxid::new(5);

const TIMEOUT: Duration = Duration::from_millis(500);

/// One process and the store.
struct Fixture {
    network: Network,
    redis: Redis,
    store: JobStore,
}

const PROCESS: Process = Process {
    node: Node(1),
    life: 1,
};

fn fixture() -> Fixture {
    let trace = Trace::new(false);
    let network = Network::start(1, Delays::default(), trace.clone());
    let redis = Redis::new(network.clone(), 1, trace);
    let store = store(&redis, PROCESS);
    Fixture {
        network,
        redis,
        store,
    }
}

fn store(redis: &Redis, process: Process) -> JobStore {
    let keys = KeyScheme::new("distjob:".to_owned()).unwrap();
    JobStore::over(keys, redis.dial(process, TIMEOUT, TIMEOUT), 2)
}

fn id() -> JobId {
    JobId::new("job").unwrap()
}

fn holder(name: &str) -> Holder {
    Holder {
        born: Zxid::new(1),
        name: MemberName::new(name).unwrap(),
    }
}

fn truths(count: usize) -> Packed {
    let mut packed = Packed::default();
    for _ in 0..count {
        packed.push(Outcome::Ok(b"true"));
    }
    packed
}

fn staged() -> Source {
    Source::Staged(Token::new("t").unwrap())
}

impl Fixture {
    async fn push(&self, offset: u64, count: usize) -> Result<Push, StoreError> {
        let Source::Staged(source) = staged() else {
            unreachable!("it is staged");
        };
        let request = PushRequest {
            source: &source,
            offset,
            ttl_s: 60,
            tasks: &vec![b"task".to_vec(); count],
        };
        self.store.push(&id(), &request).await
    }

    /// A job of so many tasks.
    async fn opened(&self, count: usize) {
        self.push(0, count).await.unwrap();
        let open = self.store.open(&id(), LIFE, count as u64, &staged()).await;
        assert_eq!(open.unwrap(), Open::Open);
    }

    async fn claim(&self, holder: &Holder, held: &[TaskRange]) -> Result<Claim, StoreError> {
        let request = ClaimRequest {
            life: LIFE,
            holder,
            want: 2,
            bytes_max: 1000,
            isolate: 2,
            isolated: Isolated::Leave,
            held,
        };
        self.store.claim(&id(), &request).await
    }

    async fn lease(&self, holder: &Holder, held: &[TaskRange]) -> Grant {
        match self.claim(holder, held).await.unwrap() {
            Claim::Lease(grant) => grant,
            other => panic!("{other:?} where a lease was expected"),
        }
    }

    async fn commit(&self, holder: &Holder, lo: u64, count: usize) -> Result<Commit, StoreError> {
        let request = CommitRequest {
            life: LIFE,
            holder,
            lo,
            outcomes: &truths(count),
        };
        self.store.commit(&id(), &request).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_from_its_list_to_its_tombstone() {
    let fixture = fixture();
    let a = holder("a");
    fixture.opened(4).await;
    for lo in [0, 2] {
        assert_eq!(fixture.lease(&a, &[]).await.lease.range.lo(), lo);
        assert!(fixture.commit(&a, lo, 2).await.unwrap().accepted);
    }
    assert_eq!(fixture.claim(&a, &[]).await.unwrap(), Claim::Complete);
    let dropped = fixture.store.drop_job(&id(), LIFE, &staged(), 60, None).await;
    assert_eq!(dropped.unwrap(), DropReply::Dropped);
    assert_eq!(fixture.redis.jobs(), [id()]);
    assert_eq!(fixture.redis.record().outcomes[&(id(), LIFE)].len(), 4);
    assert_eq!(fixture.redis.violations(), [""; 0]);

    advance(Duration::from_secs(61)).await;
    assert_eq!(fixture.redis.jobs(), [], "tombstones expire");
}

#[tokio::test(start_paused = true)]
async fn a_staged_list_expires_unless_it_is_pushed_to_or_opened_in_time() {
    let fixture = fixture();
    fixture.push(0, 2).await.unwrap();
    advance(Duration::from_secs(40)).await;
    assert_eq!(fixture.push(2, 0).await.unwrap(), Push::Ok(2));
    advance(Duration::from_secs(40)).await;
    assert_eq!(fixture.push(2, 1).await.unwrap(), Push::Ok(3));
    advance(Duration::from_secs(61)).await;
    assert_eq!(fixture.push(3, 1).await.unwrap(), Push::Gap(0));
    assert_eq!(fixture.redis.job(&id()), None);

    fixture.opened(3).await;
    advance(Duration::from_secs(1000)).await;
    assert_eq!(fixture.redis.job(&id()).unwrap().tasks.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_a_silent_partition_is_unclear_and_may_have_had_its_effect() {
    let fixture = fixture();
    let a = holder("a");
    fixture.opened(4).await;
    fixture
        .network
        .set_link(PROCESS.node, Server::Redis, Link::DeafProcess);
    let error = fixture.claim(&a, &[]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unclear(_)), "{error:?}");
    assert!(
        fixture.store.connection_state().borrow().connected,
        "one may be late"
    );
    fixture.claim(&a, &[]).await.unwrap_err();
    assert!(!fixture.store.connection_state().borrow().connected);
    fixture.network.heal();
    let grant = retrying(sleep(TIMEOUT * 20), || fixture.claim(&a, &[])).await;
    let Ok(Claim::Lease(grant)) = grant else {
        panic!("{grant:?} where a lease was expected");
    };
    assert_eq!(
        grant.lease.range.lo(),
        0,
        "what was granted without a word comes back"
    );
    assert_eq!(fixture.store.connection_state().borrow().generation, 2);
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_is_made_again() {
    let (fixture, a) = (fixture(), holder("a"));
    fixture.opened(4).await;
    assert_eq!(fixture.network.cut(PROCESS.node, Server::Redis), 2);
    let error = fixture.claim(&a, &[]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unclear(_)), "{error:?}");
    let claim = retrying(sleep(TIMEOUT), || fixture.claim(&a, &[])).await;
    assert!(matches!(claim, Ok(Claim::Lease(_))), "{claim:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_may_not_write_is_away_until_it_may() {
    let (fixture, a) = (fixture(), holder("a"));
    fixture.opened(4).await;
    for refusal in [Refusal::ReadOnly, Refusal::Loading] {
        fixture.redis.refuse(Some(refusal));
        for _ in 0..3 {
            let error = fixture.claim(&a, &[]).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            assert!(!fixture.store.connection_state().borrow().connected);
            sleep(Duration::from_secs(3)).await;
        }
        fixture.redis.refuse(None);
        let claim = retrying(sleep(TIMEOUT * 10), || fixture.claim(&a, &[])).await;
        assert!(claim.is_ok(), "{claim:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_memory_nothing_is_pushed_and_everything_else_goes_on() {
    let fixture = fixture();
    fixture.opened(2).await;
    fixture.redis.refuse(Some(Refusal::NoMemory));
    let error = fixture.push(0, 1).await.unwrap_err();
    assert!(error.is_out_of_memory(), "{error:?}");
    let a = holder("a");
    fixture.lease(&a, &[]).await;
    assert!(fixture.commit(&a, 0, 2).await.unwrap().accepted);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_refuses_and_comes_back_without_its_last_writes() {
    let fixture = fixture();
    let a = holder("a");
    fixture.opened(4).await;
    fixture.lease(&a, &[]).await;
    assert!(fixture.commit(&a, 0, 1).await.unwrap().accepted);
    assert!(fixture.commit(&a, 1, 1).await.unwrap().accepted);
    fixture.network.stop_server(Server::Redis);
    assert_eq!(fixture.redis.lose_tail(1), 1);
    fixture.claim(&a, &[]).await.unwrap_err();
    let error = fixture.claim(&a, &[]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    fixture.network.start_server(Server::Redis);

    let again = retrying(sleep(TIMEOUT * 10), || fixture.commit(&a, 1, 1)).await;
    assert!(again.unwrap().accepted, "what was lost can be recorded once more");
    let record = fixture.redis.record();
    assert_eq!(record.violations, [""; 0]);
    assert!(record.damaged.contains(&id()));
    assert_eq!((record.counts.lost_writes, record.counts.outcomes), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_emptied_knows_nothing_not_even_its_ledger() {
    let fixture = fixture();
    fixture.opened(4).await;
    let (mine, other) = (Zxid::new(7), Zxid::new(8));
    assert_eq!(fixture.store.mark_ledger(mine).await.unwrap(), mine);
    assert_eq!(fixture.store.mark_ledger(other).await.unwrap(), mine);
    assert_eq!(fixture.store.ledger_mark().await.unwrap(), Some(mine));
    fixture.redis.empty();
    assert_eq!(fixture.store.ledger_mark().await.unwrap(), None);
    assert_eq!(fixture.claim(&holder("a"), &[]).await.unwrap(), Claim::Absent);
    assert!(fixture.redis.record().damaged.contains(&id()));
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_sent_twice_have_one_effect() {
    let fixture = fixture();
    fixture.redis.repeat_one_in(1);
    let a = holder("a");
    fixture.opened(4).await;
    assert_eq!(fixture.lease(&a, &[]).await.lease.range.hi(), 2);
    // The reply is that of the second delivery.
    let commit = fixture.commit(&a, 0, 2).await.unwrap();
    assert!(!commit.accepted && commit.committed == 2, "{commit:?}");
    assert_eq!(fixture.lease(&a, &[]).await.lease.range.lo(), 2);
    let freed = fixture.store.free(&id(), LIFE, &a, Freeing::Dead).await;
    assert_eq!(freed.unwrap(), 0);
    let record = fixture.redis.record();
    assert_eq!((record.dead_freed.len(), record.dead_freed[0].ranges), (1, 1));
    assert_eq!(record.violations, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_process_has_sent_may_still_happen_and_nothing_after_it() {
    let fixture = fixture();
    fixture.opened(4).await;
    let (a, b) = (holder("a"), holder("b"));
    let claim = fixture.claim(&a, &[]);
    let _ = timeout(Duration::ZERO, claim).await;
    fixture.network.kill(PROCESS);
    let _ = timeout(Duration::from_secs(5), fixture.claim(&b, &[])).await;
    sleep(Duration::from_secs(10)).await;
    let leases = fixture.redis.job(&id()).unwrap().leases;
    assert!(!leases.contains_key(&b), "{leases:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_gives_a_task_two_outcomes_is_found_out() {
    for (bug, told) in [
        (Bug::NoLeaseCheck, "two outcomes of task 0"),
        (Bug::CursorStays, "no partition any more after claim"),
    ] {
        let fixture = fixture();
        fixture.redis.break_with(bug);
        fixture.opened(4).await;
        fixture.lease(&holder("a"), &[]).await;
        for _ in 0..2 {
            fixture.commit(&holder("a"), 0, 2).await.unwrap();
        }
        let violations = fixture.redis.violations();
        assert!(
            violations.iter().any(|violation| violation.contains(told)),
            "{violations:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_list_is_pushed_without_a_script_and_never_expires() {
    let fixture = fixture();
    let tasks = vec![b"1".to_vec(), b"2".to_vec()];
    fixture.redis.push_plain(PROCESS, &id(), tasks).await.unwrap();
    advance(Duration::from_secs(100_000)).await;
    let open = fixture.store.open(&id(), LIFE, 2, &Source::Plain).await;
    assert_eq!(open.unwrap(), Open::Open);
}
