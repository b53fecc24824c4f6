//! What the scripts promise of leases, commits and reads, one sentence a test.

use distjob_core::store::{
    Claim, ClaimRequest, CommitRequest, DropReply, Isolated, Open, Read, ReadRequest, Standing,
};
use distjob_core::{TaskRange, Zxid};
use distjob_runtime::store::Freeing;

use crate::fixture::{Fixture, LIFE, holder, lease, range, tasks};

#[tokio::test]
async fn a_lease_whose_reply_was_lost_comes_back_whole_before_anything_else() {
    let fixture = Fixture::shared().await;
    let (a, tasks) = (holder("a"), tasks(10));
    fixture.open(&tasks).await;
    let first = fixture.lease(&a, 4, &[]).await;
    assert_eq!((first.lease, first.cursor), (lease(0, 4, 0), 4));
    assert_eq!(fixture.lease(&a, 4, &[]).await, first);
    // It is known by what it was granted as, whatever is left of it by now.
    fixture.commit(&a, 0, 3).await;
    assert_eq!(fixture.lease(&a, 2, &[range(0, 4)]).await.lease, lease(4, 6, 0));
    let again = fixture.lease(&a, 0, &[range(4, 6)]).await;
    assert_eq!(
        (again.lease, again.tasks),
        (lease(3, 4, 0), tasks[3..4].iter().collect())
    );
    assert_eq!(
        fixture.claim(&a, 0, &[range(4, 6), range(0, 4)]).await,
        Claim::Audited
    );
}

#[tokio::test]
async fn a_claim_is_bounded_by_tasks_and_by_bytes_but_gives_one_task_however_large() {
    let fixture = Fixture::shared().await;
    let (a, size) = (holder("a"), 1000);
    fixture.open(&vec![vec![0; size]; 3000]).await;
    let claim = async |bytes_max: u64, held: &[TaskRange]| {
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
    assert_eq!(claim(5 * 1000, &[range(0, 1)]).await, lease(1, 6, 0));
    assert_eq!(claim(6 * 1000 - 1, &[range(0, 6)]).await, lease(6, 11, 0));
    assert_eq!(claim(1 << 40, &[range(0, 11)]).await, lease(11, 2011, 0));
}

#[tokio::test]
async fn a_freed_range_is_given_out_before_new_tasks_and_what_is_cut_off_goes_back_to_its_front() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(20)).await;
    fixture.lease(&a, 6, &[]).await;
    fixture.lease(&a, 2, &[range(0, 6)]).await;
    let free = fixture.store.free(&fixture.id, LIFE, &a, Freeing::Dead).await;
    assert_eq!(free.unwrap(), 2);
    assert_eq!(fixture.lease(&b, 4, &[]).await.lease, lease(0, 4, 1));
    assert_eq!(fixture.lease(&b, 4, &[range(0, 4)]).await.lease, lease(4, 6, 1));
    assert_eq!(
        fixture.lease(&b, 4, &[range(4, 6), range(0, 4)]).await.lease,
        lease(6, 8, 1)
    );
    assert_eq!(fixture.lease(&b, 4, &[range(0, 8)]).await.lease, lease(8, 12, 0));
}

#[tokio::test]
async fn a_range_that_killed_twice_is_given_out_task_by_task_and_leaving_gracefully_counts_nothing() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(3)).await;
    let alone = async |held: &[TaskRange]| {
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
    let frees = [
        (holder("leaver"), 0, Freeing::Leaving),
        (holder("first"), 0, Freeing::Dead),
        (holder("second"), 1, Freeing::Dead),
    ];
    for (holder, attempts, why) in frees {
        assert_eq!(fixture.lease(&holder, 3, &[]).await.lease, lease(0, 3, attempts));
        fixture.store.free(&fixture.id, LIFE, &holder, why).await.unwrap();
    }
    assert_eq!(fixture.claim(&a, 3, &[]).await, Claim::Isolated);
    assert_eq!(alone(&[]).await, lease(0, 1, 2));
    assert_eq!(alone(&[range(0, 1)]).await, lease(1, 2, 2));
}

#[tokio::test]
async fn suspects_hold_up_nothing_that_may_be_given_out() {
    let fixture = Fixture::shared().await;
    let (a, b, c) = (holder("a"), holder("b"), holder("c"));
    fixture.open(&tasks(5)).await;
    let free = async |holder, why| fixture.store.free(&fixture.id, LIFE, holder, why).await.unwrap();
    for dead in [&a, &c] {
        fixture.lease(dead, 2, &[]).await;
        free(dead, Freeing::Dead).await;
    }
    fixture.lease(&b, 2, &[]).await;
    free(&b, Freeing::Leaving).await;
    // Freed are the suspects [0, 2) and, behind them, [2, 4); nobody has reached 4 yet.
    assert_eq!(fixture.lease(&b, 5, &[]).await.lease, lease(2, 4, 0));
    assert_eq!(fixture.lease(&b, 5, &[range(2, 4)]).await.lease, lease(4, 5, 0));
    assert_eq!(
        fixture.claim(&b, 5, &[range(2, 4), range(4, 5)]).await,
        Claim::Isolated
    );
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
    assert_eq!(fixture.claim(&a, 1, &[range(3, 5)]).await, none);
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
async fn a_holder_that_does_not_know_of_its_death_counts_as_dead_once() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(2)).await;
    for attempts in [0, 1, 1, 1] {
        assert_eq!(fixture.lease(&a, 2, &[]).await.lease, lease(0, 2, attempts));
        let free = fixture.store.free(&fixture.id, LIFE, &a, Freeing::Dead).await;
        assert_eq!(free.unwrap(), 1);
    }
    assert_eq!(fixture.lease(&b, 2, &[]).await.lease, lease(0, 2, 1));
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
        let request = CommitRequest {
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
        .drop_job(&fixture.id, older, &fixture.source, 60, None)
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
        read.extend(slice.tasks.iter().map(<[u8]>::to_vec));
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
    let drop = fixture
        .store
        .drop_job(&fixture.id, LIFE, &fixture.source, 1, None);
    assert_eq!(drop.await.unwrap(), DropReply::Dropped);
}
