//! A store that lost something of a job: never short, never torn.

use distjob_core::store::model::Part;
use distjob_core::store::{
    Claim, ClaimRequest, CommitRequest, Isolated, Read, ReadRequest, ReleaseRequest, Status,
};
use distjob_core::{Holder, Source};
use distjob_runtime::store::{Freeing, StoreError};
use redis::AsyncCommands as _;

use crate::dump::dump;
use crate::fixture::{Fixture, LIFE, holder, range, tasks, truths};

/// An open job of ten tasks: 0..2 and 4..6 committed, 2..4 leased by `b`, 6..8 freed, 8..10 unreached.
async fn in_all_pieces() -> (Fixture, Holder, Holder) {
    let fixture = Fixture::shared().await;
    let (a, b, c) = (holder("a"), holder("b"), holder("c"));
    fixture.open(&tasks(10)).await;
    fixture.lease(&a, 2, &[]).await;
    fixture.lease(&b, 2, &[]).await;
    fixture.lease(&a, 2, &[range(0, 2)]).await;
    fixture.lease(&c, 2, &[]).await;
    fixture.commit(&a, 0, 2).await;
    fixture.commit(&a, 4, 2).await;
    let why = Freeing::Leaving;
    fixture.store.free(&fixture.id, LIFE, &c, why).await.unwrap();
    (fixture, a, b)
}

async fn status(fixture: &Fixture) -> Status {
    let status = fixture.store.status(&fixture.id, LIFE, 10, &fixture.source);
    status.await.unwrap()
}

/// Claims and commits as long as anything is granted, and returns the last answer.
async fn work_on(fixture: &Fixture, holder: &Holder) -> Claim {
    loop {
        match fixture.claim(holder, 3, &[]).await {
            Claim::Lease(grant) => {
                let range = grant.lease.range;
                assert!(fixture.commit(holder, range.lo(), range.len()).await.accepted);
            }
            other => return other,
        }
    }
}

async fn delete(fixture: &Fixture, key: &str) {
    let deleted: u64 = fixture.raw.clone().del(key).await.unwrap();
    assert_eq!(deleted, 1, "{key}");
}

#[tokio::test]
async fn an_undamaged_job_ends_complete_and_whole() {
    let (fixture, a, b) = in_all_pieces().await;
    assert!(matches!(work_on(&fixture, &a).await, Claim::None { .. }));
    assert_eq!(work_on(&fixture, &b).await, Claim::Complete);
    assert!(matches!(
        status(&fixture).await,
        Status::Open {
            committed: 10,
            whole: true,
            ..
        }
    ));
}

#[tokio::test]
async fn a_job_without_its_meta_is_absent_and_cannot_be_opened_again() {
    let (fixture, a, _) = in_all_pieces().await;
    delete(&fixture, &fixture.keys().meta).await;
    assert_eq!(work_on(&fixture, &a).await, Claim::Absent);
    assert_eq!(status(&fixture).await, Status::None(0));
}

#[tokio::test]
async fn a_job_without_its_tasks_is_broken_short_and_not_whole() {
    let (fixture, a, _) = in_all_pieces().await;
    delete(&fixture, &fixture.keys().tasks).await;
    assert_eq!(work_on(&fixture, &a).await, Claim::Broken);
    assert!(matches!(
        status(&fixture).await,
        Status::Open { whole: false, .. }
    ));
    let request = ReadRequest {
        life: LIFE,
        from: 0,
        tasks_max: 10,
        bytes_max: 1000,
    };
    assert_eq!(
        fixture.store.read(&fixture.id, request).await.unwrap(),
        Read::Short
    );
}

#[tokio::test]
async fn a_job_without_its_leases_is_broken_once_nothing_else_is_left() {
    let (fixture, a, b) = in_all_pieces().await;
    delete(&fixture, &fixture.keys().leases).await;
    assert!(!fixture.commit(&b, 2, 2).await.accepted);
    assert_eq!(work_on(&fixture, &a).await, Claim::Broken);
    assert!(matches!(
        status(&fixture).await,
        Status::Open { whole: false, .. }
    ));
}

#[tokio::test]
async fn a_job_without_its_freed_ranges_is_broken_once_nothing_else_is_left() {
    let (fixture, a, b) = in_all_pieces().await;
    delete(&fixture, &fixture.keys().freed).await;
    assert_eq!(work_on(&fixture, &a).await, Claim::Broken);
    assert_eq!(work_on(&fixture, &b).await, Claim::Broken);
    assert!(matches!(
        status(&fixture).await,
        Status::Open { whole: false, .. }
    ));
}

#[tokio::test]
async fn a_job_without_its_results_ends_with_a_hole() {
    let (fixture, a, b) = in_all_pieces().await;
    delete(&fixture, &fixture.keys().results).await;
    work_on(&fixture, &a).await;
    assert_eq!(work_on(&fixture, &b).await, Claim::Complete);
    let request = ReadRequest {
        life: LIFE,
        from: 0,
        tasks_max: 10,
        bytes_max: 1000,
    };
    assert_eq!(
        fixture.store.read(&fixture.id, request).await.unwrap(),
        Read::Hole(0)
    );
}

#[tokio::test]
async fn pieces_that_cannot_be_read_are_broken() {
    for junk in ["", "x", "3:3:0", "9:11:0", "1:2"] {
        let (fixture, a, _) = in_all_pieces().await;
        let _: () = fixture
            .raw
            .clone()
            .lset(fixture.keys().freed, 0, junk)
            .await
            .unwrap();
        assert_eq!(fixture.claim(&a, 1, &[]).await, Claim::Broken, "{junk:?}");
    }
    for field in ["n", "cursor", "committed", "failed"] {
        let (fixture, a, _) = in_all_pieces().await;
        let _: () = fixture
            .raw
            .clone()
            .hset(fixture.keys().meta, field, "1.5")
            .await
            .unwrap();
        assert_eq!(fixture.claim(&a, 1, &[]).await, Claim::Broken, "{field}");
        assert!(matches!(
            status(&fixture).await,
            Status::Open { whole: false, .. }
        ));
    }
}

/// Whether claim by `a`, commit by `b`, release by `b` and free of `b` are rejected.
async fn rejections(fixture: &Fixture, a: &Holder, b: &Holder) -> [bool; 4] {
    let outcomes = truths(2);
    let commit = CommitRequest {
        life: LIFE,
        holder: b,
        lo: 2,
        outcomes: &outcomes,
    };
    let claim = ClaimRequest {
        life: LIFE,
        holder: a,
        want: 1,
        bytes_max: 10,
        isolate: 2,
        isolated: Isolated::Leave,
        held: &[],
    };
    let release = ReleaseRequest {
        life: LIFE,
        holder: b,
        range: range(2, 4),
    };
    let (store, id) = (&fixture.store, &fixture.id);
    let rejected = |error: Option<StoreError>| matches!(error, Some(StoreError::Rejected(_)));
    [
        rejected(store.claim(id, &claim).await.err()),
        rejected(store.commit(id, &commit).await.err()),
        rejected(store.release(id, &release).await.err()),
        rejected(store.free(id, LIFE, b, Freeing::Leaving).await.err()),
    ]
}

#[tokio::test]
async fn a_key_of_another_type_is_rejected_before_anything_is_written() {
    for (part, expected) in [
        (Part::Meta, [true, true, true, true]),
        (Part::Tasks, [true, false, false, false]),
        (Part::Leases, [true, true, true, true]),
        (Part::Freed, [true, false, true, true]),
        (Part::Results, [false, true, false, false]),
    ] {
        let (fixture, a, b) = in_all_pieces().await;
        let (keys, mut raw) = (fixture.keys(), fixture.raw.clone());
        let key = match part {
            Part::Meta => keys.meta,
            Part::Tasks => keys.tasks,
            Part::Leases => keys.leases,
            Part::Freed => keys.freed,
            Part::Results => keys.results,
        };
        let saved = format!("{key}:saved");
        let _: () = raw.rename(&key, &saved).await.unwrap();
        let _: () = raw.set(&key, "of another type").await.unwrap();
        assert_eq!(rejections(&fixture, &a, &b).await, expected, "{part:?}");
        let _: () = raw.rename(&saved, &key).await.unwrap();
        let found = dump(&mut raw, fixture.store.keys(), &fixture.id, &[Source::Plain]).await;
        assert_eq!(found.partition(), Ok(()), "{part:?}");
    }
}
