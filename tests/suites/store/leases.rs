//! What each script promises, one sentence a test.

use distjob_core::store::{
    Claim, ClaimRequest, DropReply, Isolated, Open, Push, PushRequest, Read, ReadRequest, Standing, Status,
};
use distjob_core::{Lease, Source, TaskRange, Token, Zxid};
use distjob_runtime::store::Freeing;
use redis::AsyncCommands as _;

use crate::fixture::{Fixture, LIFE, holder, tasks, token};

fn lease(lo: u64, hi: u64, attempts: u32) -> Lease {
    Lease {
        range: TaskRange::new(lo, hi).unwrap(),
        attempts,
    }
}

#[tokio::test]
async fn a_repeated_push_appends_nothing_and_a_missing_one_is_a_gap() {
    let fixture = Fixture::shared().await;
    let tasks = tasks(6);
    assert_eq!(fixture.push(0, &tasks[..4]).await, Push::Ok(4));
    assert_eq!(fixture.push(0, &tasks[..4]).await, Push::Ok(4));
    assert_eq!(fixture.push(0, &tasks[..2]).await, Push::Ok(4));
    assert_eq!(fixture.push(5, &tasks[..1]).await, Push::Gap(4));
    assert_eq!(fixture.push(3, &tasks[..2]).await, Push::Gap(4));
    assert_eq!(fixture.push(4, &tasks[4..]).await, Push::Ok(6));
    let list: Vec<Vec<u8>> = fixture.raw.clone().lrange(fixture.list(), 0, -1).await.unwrap();
    assert_eq!(list, tasks);
}

#[tokio::test]
async fn a_push_of_more_tasks_than_lua_can_unpack_keeps_their_order() {
    let fixture = Fixture::shared().await;
    let tasks = tasks(20_001);
    assert_eq!(fixture.push(0, &tasks).await, Push::Ok(20_001));
    let list: Vec<Vec<u8>> = fixture.raw.clone().lrange(fixture.list(), 0, -1).await.unwrap();
    assert_eq!(list, tasks);
}

#[tokio::test]
async fn every_push_keeps_its_list_alive_but_none_brings_an_expired_one_back() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    fixture.push(0, &tasks(3)).await;
    let _: () = raw.expire(fixture.list(), 5).await.unwrap();
    assert_eq!(fixture.push(3, &[]).await, Push::Ok(3));
    let ttl: i64 = raw.ttl(fixture.list()).await.unwrap();
    assert!((50..=60).contains(&ttl), "{ttl}");

    let _: () = raw.del(fixture.list()).await.unwrap();
    assert_eq!(fixture.push(3, &[]).await, Push::Gap(0));
    let exists: bool = raw.exists(fixture.list()).await.unwrap();
    assert!(!exists);
}

#[tokio::test]
async fn a_late_push_after_the_job_was_opened_or_dropped_makes_no_new_list() {
    let fixture = Fixture::shared().await;
    fixture.open(&tasks(2)).await;
    assert_eq!(fixture.push(0, &tasks(2)).await, Push::Opened);
    let dropped = fixture.store.drop_job(&fixture.id, LIFE, &fixture.source, 60);
    assert_eq!(dropped.await.unwrap(), DropReply::Dropped);
    assert_eq!(fixture.push(0, &tasks(2)).await, Push::Opened);
    let exists: bool = fixture.raw.clone().exists(fixture.list()).await.unwrap();
    assert!(!exists);
}

#[tokio::test]
async fn two_submitters_of_one_id_never_mix_and_one_of_them_wins() {
    let fixture = Fixture::shared().await;
    let other = Token::new("t2").unwrap();
    fixture.push(0, &tasks(2)).await;
    let request = PushRequest {
        source: &other,
        offset: 0,
        ttl_s: 60,
        tasks: &tasks(3),
    };
    assert_eq!(
        fixture.store.push(&fixture.id, &request).await.unwrap(),
        Push::Ok(3)
    );
    let open = |source: Source, n| {
        let fixture = &fixture;
        async move { fixture.store.open(&fixture.id, LIFE, n, &source).await.unwrap() }
    };
    assert_eq!(open(fixture.source.clone(), 3).await, Open::Missing(2));
    assert_eq!(open(fixture.source.clone(), 2).await, Open::Open);
    assert_eq!(open(token("t2"), 3).await, Open::Open);
    let inspection = fixture.store.inspect(&fixture.id, &token("t2")).await.unwrap();
    assert_eq!((inspection.tasks, inspection.source), (2, 3));
    assert_eq!(inspection.meta.unwrap().source, fixture.source);
}

#[tokio::test]
async fn an_opened_job_never_expires_whatever_its_list_and_an_older_tombstone_had_left_to_live() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    let older = Zxid::new(LIFE.number() - 1);
    let drop = fixture
        .store
        .drop_job(&fixture.id, older, &token("old"), 60)
        .await;
    assert_eq!(drop.unwrap(), DropReply::Dropped);
    fixture.open(&tasks(2)).await;
    for key in [fixture.keys().meta, fixture.keys().tasks] {
        let ttl: i64 = raw.ttl(&key).await.unwrap();
        assert_eq!(ttl, -1, "{key}");
    }
}

#[tokio::test]
async fn a_plain_list_becomes_a_job_and_a_newer_one_survives_the_drop() {
    let fixture = Fixture::shared().await;
    let mut raw = fixture.raw.clone();
    let (id, plain) = (&fixture.id, Source::Plain);
    let _: () = raw.rpush(id.as_str(), tasks(3)).await.unwrap();
    assert_eq!(
        fixture.store.open(id, LIFE, 2, &plain).await.unwrap(),
        Open::Missing(3)
    );
    assert_eq!(fixture.store.open(id, LIFE, 3, &plain).await.unwrap(), Open::Open);
    let _: () = raw.rpush(id.as_str(), tasks(1)).await.unwrap();
    for _ in 0..2 {
        let dropped = fixture.store.drop_job(id, LIFE, &plain, 60).await.unwrap();
        assert_eq!(dropped, DropReply::Dropped);
        let length: u64 = raw.llen(id.as_str()).await.unwrap();
        assert_eq!(length, 1);
    }
    let _: () = raw.del(id.as_str()).await.unwrap();
}

#[tokio::test]
async fn dropping_a_job_that_was_never_opened_takes_its_list_but_no_key_of_another_kind() {
    let mut fixture = Fixture::shared().await;
    fixture.push(0, &tasks(2)).await;
    let drop = fixture.store.drop_job(&fixture.id, LIFE, &fixture.source, 60);
    assert_eq!(drop.await.unwrap(), DropReply::Dropped);
    let exists: bool = fixture.raw.exists(fixture.list()).await.unwrap();
    assert!(!exists);

    let newer = Zxid::new(LIFE.number() + 1);
    let _: () = fixture.raw.set(fixture.id.as_str(), "somebody's").await.unwrap();
    let open = fixture.store.open(&fixture.id, newer, 1, &Source::Plain).await;
    assert_eq!(open.unwrap(), Open::Missing(0));
    let drop = fixture
        .store
        .drop_job(&fixture.id, newer, &Source::Plain, 60)
        .await;
    assert_eq!(drop.unwrap(), DropReply::Dropped);
    let value: String = fixture.raw.get_del(fixture.id.as_str()).await.unwrap();
    assert_eq!(value, "somebody's");
}

#[tokio::test]
async fn after_the_drop_nothing_is_left_but_a_tombstone_with_a_time_to_live_that_stops_late_calls() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(4)).await;
    fixture.lease(&a, 2, &[]).await;
    let drop = fixture.store.drop_job(&fixture.id, LIFE, &fixture.source, 60);
    drop.await.unwrap();
    let pattern = format!("*{{{}}}*", fixture.id);
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(pattern)
        .query_async(&mut fixture.raw.clone())
        .await
        .unwrap();
    assert_eq!(keys, [fixture.keys().meta]);

    let inspection = fixture.store.inspect(&fixture.id, &fixture.source).await.unwrap();
    assert!(inspection.meta_ttl_s.is_some_and(|ttl| (50..=60).contains(&ttl)));
    assert_eq!(fixture.claim(&a, 1, &[]).await, Claim::Gone);
    assert_eq!(fixture.commit(&a, 0, 1).await.standing, Standing::Gone);
    let open = fixture.store.open(&fixture.id, LIFE, 4, &fixture.source).await;
    assert_eq!(open.unwrap(), Open::Gone);
    let free = fixture.store.free(&fixture.id, LIFE, &a, Freeing::Dead).await;
    assert_eq!(free.unwrap(), 0);
}

#[tokio::test]
async fn a_lease_whose_reply_was_lost_comes_back_whole_before_anything_else() {
    let fixture = Fixture::shared().await;
    let (a, tasks) = (holder("a"), tasks(10));
    fixture.open(&tasks).await;
    let first = fixture.lease(&a, 4, &[]).await;
    assert_eq!((first.lease, first.cursor), (lease(0, 4, 0), 4));
    assert_eq!(fixture.lease(&a, 4, &[]).await, first);
    // Its end names it, wherever it begins by now.
    fixture.commit(&a, 0, 3).await;
    assert_eq!(fixture.lease(&a, 2, &[4]).await.lease, lease(4, 6, 0));
    let again = fixture.lease(&a, 0, &[6]).await;
    assert_eq!((again.lease, again.tasks), (lease(3, 4, 0), tasks[3..4].to_vec()));
    assert_eq!(fixture.claim(&a, 0, &[6, 4]).await, Claim::Audited);
}

#[tokio::test]
async fn a_claim_is_bounded_by_tasks_and_by_bytes_but_gives_one_task_however_large() {
    let fixture = Fixture::shared().await;
    let (a, size) = (holder("a"), 1000);
    fixture.open(&vec![vec![0; size]; 3000]).await;
    let claim = async |bytes_max: u64, held: &[u64]| {
        let request = ClaimRequest {
            life: LIFE,
            holder: &a,
            want: 2000,
            bytes_max,
            isolate: 0,
            isolated: Isolated::Leave,
            held,
        };
        match fixture.store.claim(&fixture.id, &request).await.unwrap() {
            Claim::Lease(grant) => grant.lease,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(claim(0, &[]).await, lease(0, 1, 0));
    assert_eq!(claim(5 * 1000, &[1]).await, lease(1, 6, 0));
    assert_eq!(claim(6 * 1000 - 1, &[1, 6]).await, lease(6, 11, 0));
    assert_eq!(claim(1 << 40, &[1, 6, 11]).await, lease(11, 2011, 0));
}

#[tokio::test]
async fn a_freed_range_is_given_out_before_new_tasks_and_what_is_cut_off_goes_back_to_its_front() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(20)).await;
    fixture.lease(&a, 6, &[]).await;
    fixture.lease(&a, 2, &[6]).await;
    let free = fixture.store.free(&fixture.id, LIFE, &a, Freeing::Dead).await;
    assert_eq!(free.unwrap(), 2);
    assert_eq!(fixture.lease(&b, 4, &[]).await.lease, lease(0, 4, 1));
    assert_eq!(fixture.lease(&b, 4, &[4]).await.lease, lease(4, 6, 1));
    assert_eq!(fixture.lease(&b, 4, &[4, 6]).await.lease, lease(6, 8, 1));
    assert_eq!(fixture.lease(&b, 4, &[4, 6, 8]).await.lease, lease(8, 12, 0));
}

#[tokio::test]
async fn a_range_that_killed_twice_is_given_out_task_by_task_and_leaving_gracefully_counts_nothing() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(3)).await;
    let alone = async |held: &[u64]| {
        let request = ClaimRequest {
            life: LIFE,
            holder: &a,
            want: 3,
            bytes_max: 1 << 30,
            isolate: 2,
            isolated: Isolated::Take,
            held,
        };
        match fixture.store.claim(&fixture.id, &request).await.unwrap() {
            Claim::Lease(grant) => grant.lease,
            other => panic!("{other:?}"),
        }
    };
    for (attempts, why) in [(0, Freeing::Leaving), (0, Freeing::Dead), (1, Freeing::Dead)] {
        assert_eq!(fixture.lease(&a, 3, &[]).await.lease, lease(0, 3, attempts));
        fixture.store.free(&fixture.id, LIFE, &a, why).await.unwrap();
    }
    assert_eq!(fixture.claim(&a, 3, &[]).await, Claim::Isolated);
    assert_eq!(alone(&[]).await, lease(0, 1, 2));
    assert_eq!(alone(&[1]).await, lease(1, 2, 2));
}

#[tokio::test]
async fn suspects_hold_up_nothing_that_may_be_given_out() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(5)).await;
    let free = async |holder, why| fixture.store.free(&fixture.id, LIFE, holder, why).await.unwrap();
    for _ in 0..2 {
        fixture.lease(&a, 2, &[]).await;
        free(&a, Freeing::Dead).await;
    }
    fixture.lease(&b, 2, &[]).await;
    free(&b, Freeing::Leaving).await;
    // Freed are the suspects [0, 2) and, behind them, [2, 4); nobody has reached 4 yet.
    assert_eq!(fixture.lease(&b, 5, &[]).await.lease, lease(2, 4, 0));
    assert_eq!(fixture.lease(&b, 5, &[4]).await.lease, lease(4, 5, 0));
    assert_eq!(fixture.claim(&b, 5, &[4, 5]).await, Claim::Isolated);
}

#[tokio::test]
async fn when_nothing_is_left_the_holders_are_named_also_the_one_that_asks() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(5)).await;
    fixture.lease(&b, 3, &[]).await;
    fixture.lease(&a, 3, &[]).await;
    fixture.commit(&b, 0, 1).await;
    let none = Claim::None {
        committed: 1,
        count: 5,
        holders: vec![a.clone(), b.clone()],
    };
    assert_eq!(fixture.claim(&a, 1, &[5]).await, none);
    fixture.commit(&a, 3, 2).await;
    fixture.commit(&b, 1, 2).await;
    assert_eq!(fixture.claim(&a, 0, &[]).await, Claim::Complete);
}

#[tokio::test]
async fn an_outcome_counts_once_however_often_it_is_delivered() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(4)).await;
    fixture.lease(&a, 4, &[]).await;
    let first = fixture.commit(&a, 0, 3).await;
    assert!(first.accepted);
    assert_eq!(
        (first.committed, first.count, first.leases),
        (3, 4, vec![lease(3, 4, 0)])
    );
    let second = fixture.commit(&a, 0, 3).await;
    assert!(!second.accepted);
    assert_eq!((second.committed, second.leases), (3, vec![lease(3, 4, 0)]));
}

#[tokio::test]
async fn nobody_commits_what_was_given_to_somebody_else() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(4)).await;
    fixture.lease(&a, 4, &[]).await;
    fixture
        .store
        .free(&fixture.id, LIFE, &a, Freeing::Dead)
        .await
        .unwrap();
    fixture.lease(&b, 2, &[]).await;
    for (lo, count) in [(0, 1), (0, 2), (2, 2)] {
        let commit = fixture.commit(&a, lo, count).await;
        assert!(!commit.accepted && commit.leases.is_empty());
    }
    assert!(!fixture.commit(&b, 0, 3).await.accepted, "beyond its end");
    assert!(!fixture.commit(&b, 1, 1).await.accepted, "not from its front");
    assert!(fixture.commit(&b, 0, 2).await.accepted);
}

#[tokio::test]
async fn a_late_free_of_a_holder_with_nothing_changes_nothing() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(2)).await;
    fixture.lease(&a, 2, &[]).await;
    let free = async |why| fixture.store.free(&fixture.id, LIFE, &a, why).await.unwrap();
    assert_eq!(free(Freeing::Dead).await, 1);
    fixture.lease(&b, 2, &[]).await;
    assert_eq!(free(Freeing::Dead).await, 0);
    assert_eq!(fixture.lease(&b, 0, &[]).await.lease, lease(0, 2, 1));
}

#[tokio::test]
async fn calls_of_another_life_have_no_effect() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(2)).await;
    let before = fixture.store.inspect(&fixture.id, &fixture.source).await.unwrap();
    for (life, claim, standing) in [
        (LIFE.number() - 1, Claim::Stale, Standing::Stale),
        (LIFE.number() + 1, Claim::Absent, Standing::Absent),
    ] {
        let life = Zxid::new(life);
        let request = ClaimRequest {
            life,
            holder: &a,
            want: 1,
            bytes_max: 1,
            isolate: 0,
            isolated: Isolated::Leave,
            held: &[],
        };
        assert_eq!(fixture.store.claim(&fixture.id, &request).await.unwrap(), claim);
        let outcomes = crate::fixture::truths(1);
        let request = distjob_core::store::CommitRequest {
            life,
            holder: &a,
            lo: 0,
            outcomes: &outcomes,
        };
        let commit = fixture.store.commit(&fixture.id, &request).await.unwrap();
        assert_eq!((commit.accepted, commit.standing), (false, standing));
    }
    let older = Zxid::new(LIFE.number() - 1);
    let drop = fixture
        .store
        .drop_job(&fixture.id, older, &fixture.source, 60)
        .await;
    assert_eq!(drop.unwrap(), DropReply::Stale);
    let open = fixture.store.open(&fixture.id, older, 2, &fixture.source).await;
    assert_eq!(open.unwrap(), Open::Stale);
    let after = fixture.store.inspect(&fixture.id, &fixture.source).await.unwrap();
    assert_eq!(before, after);
}

#[tokio::test]
async fn slices_hold_whole_commits_and_every_index_once_whatever_bytes_the_payloads_have() {
    let fixture = Fixture::shared().await;
    let (a, tasks) = (
        holder("a"),
        (0..=255).map(|byte| vec![byte; 3]).collect::<Vec<_>>(),
    );
    fixture.open(&tasks).await;
    fixture.lease(&a, 256, &[]).await;
    for lo in (0..256).step_by(32) {
        fixture.commit(&a, lo, 32).await;
    }
    let mut request = ReadRequest {
        life: LIFE,
        from: 0,
        tasks_max: 40,
        bytes_max: 1 << 20,
    };
    let mut read = Vec::new();
    while request.from < 256 {
        let Read::Slice(slice) = fixture.store.read(&fixture.id, request).await.unwrap() else {
            panic!("no slice at {}", request.from);
        };
        assert_eq!(
            slice.chunks.len(),
            2,
            "a second one, because 32 are fewer than 40"
        );
        request.from = slice.upto();
        read.extend(slice.tasks);
    }
    assert_eq!(read, tasks);
    let end = fixture.store.read(&fixture.id, request).await.unwrap();
    assert_eq!(end, Read::Hole(256));
    let middle = ReadRequest { from: 5, ..request };
    assert_eq!(
        fixture.store.read(&fixture.id, middle).await.unwrap(),
        Read::Hole(5)
    );
}

#[tokio::test]
async fn the_status_of_a_job_that_is_not_open_tells_whether_its_source_is_still_complete() {
    let fixture = Fixture::shared().await;
    let status = async || {
        let status = fixture.store.status(&fixture.id, LIFE, 3, &fixture.source);
        status.await.unwrap()
    };
    assert_eq!(status().await, Status::None(0));
    fixture.push(0, &tasks(3)).await;
    assert_eq!(status().await, Status::None(3));
    fixture
        .store
        .open(&fixture.id, LIFE, 3, &fixture.source)
        .await
        .unwrap();
    let open = Status::Open {
        committed: 0,
        failed: 0,
        cursor: 0,
        whole: true,
    };
    assert_eq!(status().await, open);
    let other_count = fixture.store.status(&fixture.id, LIFE, 4, &fixture.source).await;
    assert!(matches!(other_count.unwrap(), Status::Open { whole: false, .. }));
}

#[tokio::test]
async fn a_job_of_a_million_tasks_is_claimed_and_committed_like_any_other() {
    let fixture = Fixture::shared().await;
    let (a, count, batch) = (holder("a"), 1_000_000, 50_000);
    let tasks = tasks(count);
    for (number, batch) in tasks.chunks(batch).enumerate() {
        fixture.push(number as u64 * 50_000, batch).await;
    }
    let open = fixture.store.open(&fixture.id, LIFE, count, &fixture.source);
    assert_eq!(open.await.unwrap(), Open::Open);
    let mut done = 0;
    while done < count {
        let grant = fixture.lease(&a, u64::from(u32::MAX), &[]).await;
        let (lo, hi) = (grant.lease.range.lo(), grant.lease.range.hi());
        assert_eq!(lo, done);
        assert!(grant.tasks == tasks[lo as usize..hi as usize]);
        assert!(fixture.commit(&a, lo, hi - lo).await.accepted);
        done = hi;
    }
    assert_eq!(fixture.claim(&a, 1, &[]).await, Claim::Complete);
    let drop = fixture.store.drop_job(&fixture.id, LIFE, &fixture.source, 1);
    assert_eq!(drop.await.unwrap(), DropReply::Dropped);
}
