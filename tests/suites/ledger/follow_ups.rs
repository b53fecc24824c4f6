//! Follow-ups: created in the transaction that says so, or not at all.

use distjob_core::{JobData, JobId, JobState};
use distjob_runtime::zk::{JobRead, Ledger, Locking, Written, ZkError};

use crate::fixture::{Site, data, entry, id, locked, member, token};
use crate::mishaps::{MULTI, request, with_every_effect};

/// Two follow-ups of the job, as one attempt creates them.
fn follow_ups(of: &JobId) -> [(JobId, JobData); 2] {
    ["one", "two"].map(|step| {
        let text = format!("subm=2;queue={step};from={};parent={of};depth=1", token());
        (id(&format!("{of}-{step}")), data(&text))
    })
}

fn uploaded(then: &[(JobId, JobData)]) -> JobData {
    let then = then.iter().map(|(id, _)| id.clone()).collect();
    data("prcd=3").in_state(JobState::Uploaded).followed_by(then)
}

#[tokio::test]
async fn a_job_and_its_follow_ups_change_together_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let before = site.put(&rig.id, "prcd=3").await;
        let lock = locked(&rig.ledger, &rig.id, &before).await;
        let then = follow_ups(&rig.id);
        let fault = rig.arm(request(MULTI, site.layout.job(&rig.id)));
        let written = rig
            .ledger
            .set_locked_with(&lock, &before, &uploaded(&then), &then)
            .await;
        assert_eq!(written, Ok(Written::Yes), "{:?}", rig.effect);
        rig.late(fault).await;
        let now = entry(&rig.ledger, &rig.id).await;
        assert_eq!((now.data, now.version), (uploaded(&then), 1));
        for (id, data) in then {
            let now = entry(&rig.ledger, &id).await;
            assert_eq!((now.data, now.version), (data, 0), "{:?}", rig.effect);
        }
        rig.ledger.unlock(lock).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_two_watchers_one_creates_the_follow_ups_and_the_other_hears_of_it() {
    let site = Site::shared().await;
    let before = site.put(&id("job"), "prcd=3").await;
    let (proxy, session) = site.proxied().await;
    let stale = Ledger::new(session);
    let old = locked(&stale, &id("job"), &before).await;
    // The session ends without its knowing, and another watcher goes on.
    site.expire(&proxy, stale.session()).await;
    let ledger = site.ledger().await;
    let lock = locked(&ledger, &id("job"), &before).await;
    let (ours, theirs) = (follow_ups(&id("job")), follow_ups(&id("job")));
    let written = ledger
        .set_locked_with(&lock, &before, &uploaded(&ours), &ours)
        .await;
    assert_eq!(written, Ok(Written::Yes));
    let late = stale
        .set_locked_with(&old, &before, &uploaded(&theirs), &theirs)
        .await;
    assert_eq!(late, Err(ZkError::SessionOver));
    // So would one that has the lock now, and decides by what it saw before.
    let again = ledger
        .set_locked_with(&lock, &before, &uploaded(&theirs), &theirs)
        .await;
    assert!(matches!(again, Ok(Written::Overtaken(JobRead::Job(now))) if now.data == uploaded(&ours)));
    for (id, data) in ours {
        assert_eq!(entry(&ledger, &id).await.data, data);
    }
}

#[tokio::test]
async fn a_follow_up_whose_id_is_taken_leaves_everything_as_it_is() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "prcd=3").await;
    let lock = locked(&ledger, &id("job"), &before).await;
    let then = follow_ups(&id("job"));
    site.put(&then[1].0, "subm=9").await;
    let written = ledger
        .set_locked_with(&lock, &before, &uploaded(&then), &then)
        .await;
    assert_eq!(written, Err(ZkError::NodeExists));
    assert_eq!(site.data(&id("job")).await.as_deref(), Some("prcd=3"));
    assert_eq!(site.data(&then[0].0).await, None);
    assert_eq!(site.data(&then[1].0).await.as_deref(), Some("subm=9"));
}

#[tokio::test]
async fn without_its_lock_a_job_is_followed_by_none() {
    let site = Site::shared().await;
    let (one, other) = tokio::join!(site.ledger(), site.ledger());
    let before = site.put(&id("job"), "prcd=3").await;
    let lock = locked(&one, &id("job"), &before).await;
    let then = follow_ups(&id("job"));
    let written = other
        .set_locked_with(&lock, &before, &uploaded(&then), &then)
        .await;
    assert_eq!(written, Ok(Written::LockLost));
    let copy = lock.clone();
    one.unlock(lock).await.unwrap();
    let written = one.set_locked_with(&copy, &before, &uploaded(&then), &then).await;
    assert_eq!(written, Ok(Written::LockLost));
    assert_eq!(site.data(&then[0].0).await, None);
    let locking = other.lock(&id("job"), &before, &member("other")).await.unwrap();
    assert!(matches!(locking, Locking::Held(_)));
}
