//! What becomes of a lease when tasks leave it from anywhere: commits in any order, and releases.

use distjob_core::store::{Claim, CommitRequest};
use distjob_core::{Outcome, Packed, TaskRange};
use distjob_runtime::store::Freeing;

use crate::fixture::{Fixture, LIFE, holder, lease, range, tasks};

#[tokio::test]
async fn tasks_are_committed_in_any_order_and_what_lies_on_either_side_stays_leased() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(10)).await;
    fixture.lease(&a, 8, &[]).await;
    let middle = fixture.commit(&a, 3, 2).await;
    assert!(middle.accepted);
    assert_eq!(middle.leases, [lease(0, 3, 0), lease(5, 8, 0)]);
    assert!(!fixture.commit(&a, 3, 2).await.accepted, "once is enough");
    assert!(
        !fixture.commit(&a, 2, 2).await.accepted,
        "one of these has its outcome"
    );
    assert!(
        !fixture.commit(&a, 2, 4).await.accepted,
        "no single lease covers them"
    );
    let last = fixture.commit(&a, 7, 1).await;
    assert_eq!(last.leases, [lease(0, 3, 0), lease(5, 7, 0)]);
    assert_eq!(fixture.commit(&a, 0, 3).await.leases, [lease(5, 7, 0)]);
    let whole = fixture.commit(&a, 5, 2).await;
    assert_eq!((whole.committed, whole.failed, whole.leases), (8, 0, vec![]));
}

#[tokio::test]
async fn a_claim_that_is_under_way_while_a_lease_is_cut_does_not_bring_the_pieces_back() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(9)).await;
    fixture.lease(&a, 6, &[]).await;
    fixture.commit(&a, 2, 1).await;
    fixture.commit(&a, 4, 1).await;
    assert_eq!(fixture.claim(&a, 0, &[range(0, 6)]).await, Claim::Audited);
    // Pieces that are told one by one are known as well, in any order, but not what lies between two of them.
    let pieces = [range(5, 6), range(0, 2), range(3, 4)];
    assert_eq!(fixture.claim(&a, 0, &pieces).await, Claim::Audited);
    let unknown = fixture
        .lease(&a, 9, &[range(0, 1), range(1, 2), range(3, 6)])
        .await;
    assert_eq!(
        unknown.lease,
        lease(0, 2, 0),
        "two ranges that meet cover nothing together"
    );
    let larger = [range(0, 9), range(1, 2), range(2, 3)];
    assert_eq!(fixture.claim(&a, 0, &larger).await, Claim::Audited);
}

#[tokio::test]
async fn what_is_released_is_leased_again_with_the_deaths_that_it_has_seen_and_no_more() {
    let fixture = Fixture::shared().await;
    let (a, b, c) = (holder("a"), holder("b"), holder("c"));
    fixture.open(&tasks(6)).await;
    fixture.lease(&c, 6, &[]).await;
    let free = fixture.store.free(&fixture.id, LIFE, &c, Freeing::Dead).await;
    assert_eq!(free.unwrap(), 1);
    fixture.lease(&a, 6, &[]).await;
    let released = fixture.release(&a, 2, 4).await;
    assert!(released.accepted);
    assert_eq!((released.committed, released.failed, released.count), (0, 0, 6));
    assert_eq!(released.leases, [lease(0, 2, 1), lease(4, 6, 1)]);
    assert_eq!(fixture.lease(&b, 6, &[]).await.lease, lease(2, 4, 1));
    let none = fixture.claim(&b, 6, &[range(2, 4)]).await;
    assert!(matches!(none, Claim::None { .. }), "{none:?}");
    assert_eq!(fixture.release(&a, 4, 6).await.leases, [lease(0, 2, 1)]);
    assert_eq!(fixture.release(&a, 0, 2).await.leases, []);
    assert_eq!(fixture.claim(&a, 0, &[]).await, Claim::Audited);
}

#[tokio::test]
async fn nobody_releases_what_one_lease_of_its_own_does_not_cover() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(8)).await;
    fixture.lease(&a, 4, &[]).await;
    fixture.commit(&a, 1, 1).await;
    fixture.lease(&b, 2, &[]).await;
    let before = fixture.store.inspect(&fixture.id, &fixture.source).await.unwrap();
    for (holder, lo, hi) in [
        (&b, 0, 1),
        (&a, 4, 5),
        (&a, 0, 3),
        (&a, 1, 2),
        (&a, 3, 5),
        (&a, 7, 8),
    ] {
        assert!(!fixture.release(holder, lo, hi).await.accepted, "{lo}..{hi}");
    }
    let after = fixture.store.inspect(&fixture.id, &fixture.source).await.unwrap();
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_release_that_comes_twice_gives_back_once_unless_its_holder_has_the_tasks_again() {
    let fixture = Fixture::shared().await;
    let (a, b) = (holder("a"), holder("b"));
    fixture.open(&tasks(4)).await;
    fixture.lease(&a, 4, &[]).await;
    assert!(fixture.release(&a, 2, 4).await.accepted);
    let again = fixture.release(&a, 2, 4).await;
    assert_eq!((again.accepted, again.leases), (false, vec![lease(0, 2, 0)]));
    assert_eq!(fixture.lease(&a, 4, &[range(0, 2)]).await.lease, lease(2, 4, 0));
    assert!(
        fixture.release(&a, 2, 4).await.accepted,
        "nothing tells this late copy from a new one"
    );
    assert_eq!(fixture.lease(&b, 4, &[]).await.lease, lease(2, 4, 0));
    assert!(
        !fixture.commit(&a, 2, 2).await.accepted,
        "but whoever has them decides"
    );
    assert!(fixture.commit(&b, 2, 2).await.accepted);
}

#[tokio::test]
async fn failures_are_counted_in_every_answer() {
    let fixture = Fixture::shared().await;
    let a = holder("a");
    fixture.open(&tasks(4)).await;
    fixture.lease(&a, 2, &[]).await;
    let mut outcomes = Packed::default();
    outcomes.push(Outcome::Err(b"no"));
    let request = CommitRequest {
        life: LIFE,
        holder: &a,
        lo: 1,
        outcomes: &outcomes,
    };
    let commit = fixture.store.commit(&fixture.id, &request).await.unwrap();
    assert_eq!((commit.committed, commit.failed), (1, 1));
    let commit = fixture.store.commit(&fixture.id, &request).await.unwrap();
    assert_eq!((commit.accepted, commit.failed), (false, 1));
    assert_eq!(fixture.commit(&a, 0, 1).await.failed, 1);
    let grant = fixture.lease(&a, 2, &[]).await;
    assert_eq!((grant.committed, grant.failed), (2, 1));
    assert_eq!(fixture.release(&a, 2, 4).await.failed, 1);
}

#[tokio::test]
async fn a_holder_with_hundreds_of_leases_is_served_like_any_other() {
    let fixture = Fixture::shared().await;
    let (a, count) = (holder("a"), 2001);
    fixture.open(&tasks(count)).await;
    fixture.lease(&a, count, &[]).await;
    for index in (1..count).step_by(2) {
        fixture.commit(&a, index, 1).await;
    }
    let holes: Vec<TaskRange> = (0..count)
        .step_by(2)
        .map(|index| range(index, index + 1))
        .collect();
    assert_eq!(fixture.claim(&a, 0, &holes).await, Claim::Audited);
    let (missing, others) = (holes[700], [&holes[..700], &holes[701..]].concat());
    assert_eq!(fixture.lease(&a, 0, &others).await.lease.range, missing);
    for hole in holes {
        assert!(fixture.commit(&a, hole.lo(), 1).await.accepted, "{hole}");
    }
    assert_eq!(fixture.claim(&a, 1, &[]).await, Claim::Complete);
}
