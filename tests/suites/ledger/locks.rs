//! Locks: who holds them, and what they allow.

use distjob_core::JobState;
use distjob_runtime::zk::{JobRead, Ledger, Locking, Written, ZkError};

use crate::fixture::{EPHEMERAL, PERSISTENT, Site, data, entry, id, locked, member};

#[tokio::test]
async fn of_two_sessions_that_want_a_lock_one_gets_it() {
    let site = Site::shared().await;
    let (one, other) = tokio::join!(site.ledger(), site.ledger());
    let before = site.put(&id("job"), "prcd=3").await;
    for _ in 0..50 {
        let (name, job) = (member("me"), id("job"));
        let (left, right) = tokio::join!(one.lock(&job, &before, &name), other.lock(&job, &before, &name));
        let (holder, lock) = match (left.unwrap(), right.unwrap()) {
            (Locking::Held(lock), Locking::Taken) => (&one, lock),
            (Locking::Taken, Locking::Held(lock)) => (&other, lock),
            neither => panic!("{neither:?}"),
        };
        assert_eq!(site.lock_owner(&job).await, Some(holder.session().id()));
        assert_eq!(holder.holds(&lock).await, Ok(true));
        holder.unlock(lock).await.unwrap();
        assert_eq!(site.lock_owner(&job).await, None);
    }
}

#[tokio::test]
async fn a_lock_that_this_session_has_already_is_its_own() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "prcd=3").await;
    let first = locked(&ledger, &id("job"), &before).await;
    let again = locked(&ledger, &id("job"), &before).await;
    assert_eq!(first, again);
    assert_eq!(
        ledger.locks().await,
        Ok(vec![("job".to_owned(), "me".to_owned())])
    );
}

#[tokio::test]
async fn a_job_that_has_changed_is_not_locked() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "prcd=3").await;
    site.change(&id("job"), "subm=3").await;
    let locking = ledger.lock(&id("job"), &before, &member("me")).await.unwrap();
    assert!(matches!(locking, Locking::Overtaken(JobRead::Job(now)) if now.version == 1));
    site.remove(&id("job")).await;
    let locking = ledger.lock(&id("job"), &before, &member("me")).await.unwrap();
    assert_eq!(locking, Locking::Overtaken(JobRead::Gone));
    // Another life in the same version: the transaction cannot tell them apart, the look after it does.
    let now = site.put(&id("job"), "prcd=3").await;
    let locking = ledger.lock(&id("job"), &before, &member("me")).await.unwrap();
    assert_eq!(locking, Locking::Overtaken(JobRead::Job(now)));
    assert_eq!(site.lock_owner(&id("job")).await, None);
}

#[tokio::test]
async fn with_a_lost_lock_nothing_is_written() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "prcd=3").await;
    let lock = locked(&ledger, &id("job"), &before).await;
    site.raw
        .delete(&site.layout.lock(&id("job")), None)
        .await
        .unwrap();
    assert_eq!(ledger.holds(&lock).await, Ok(false));
    let written = ledger.set_locked(&lock, &before, &data("uploaded=3")).await;
    assert_eq!(written, Ok(Written::LockLost));
    assert_eq!(ledger.delete_locked(&lock, &before).await, Ok(Written::LockLost));
    assert_eq!(site.data(&id("job")).await.as_deref(), Some("prcd=3"));
    // Whoever has it now keeps it.
    let path = site.layout.lock(&id("job"));
    site.raw.create(&path, b"other", &EPHEMERAL).await.unwrap();
    assert_eq!(ledger.holds(&lock).await, Ok(false));
    ledger.unlock(lock).await.unwrap();
    assert_eq!(site.lock_owner(&id("job")).await, Some(site.raw.session_id().0));
}

#[tokio::test]
async fn a_lock_is_of_no_use_in_another_session() {
    let site = Site::shared().await;
    let (one, other) = tokio::join!(site.ledger(), site.ledger());
    let before = site.put(&id("job"), "uploaded=3").await;
    let lock = locked(&one, &id("job"), &before).await;
    assert_eq!(other.holds(&lock).await, Ok(false));
    let written = other.set_locked(&lock, &before, &data("subm=3")).await;
    assert_eq!(written, Ok(Written::LockLost));
    assert_eq!(other.delete_locked(&lock, &before).await, Ok(Written::LockLost));
    assert_eq!(site.data(&id("job")).await.as_deref(), Some("uploaded=3"));
}

#[tokio::test]
async fn a_lock_ends_with_its_session() {
    let site = Site::shared().await;
    let ((proxy, session), other) = tokio::join!(site.proxied(), site.ledger());
    let one = Ledger::new(session);
    let before = site.put(&id("job"), "prcd=3").await;
    let lock = locked(&one, &id("job"), &before).await;
    site.expire(&proxy, one.session()).await;
    let mine = locked(&other, &id("job"), &before).await;
    let written = one.set_locked(&lock, &before, &data("uploaded=3")).await;
    assert_eq!(written, Err(ZkError::SessionOver));
    assert_eq!(one.unlock(lock).await, Err(ZkError::SessionOver));
    assert_eq!(other.holds(&mine).await, Ok(true));
}

#[tokio::test]
async fn under_a_lock_too_another_life_of_the_job_is_left_alone() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "prcd=3").await;
    let lock = locked(&ledger, &id("job"), &before).await;
    site.remove(&id("job")).await;
    let now = site.put(&id("job"), "prcd=4").await;
    let overtaken = Ok(Written::Overtaken(JobRead::Job(now)));
    let written = ledger.set_locked(&lock, &before, &data("uploaded=3")).await;
    assert_eq!(written, overtaken);
    assert_eq!(ledger.delete_locked(&lock, &before).await, overtaken);
    assert_eq!(site.data(&id("job")).await.as_deref(), Some("prcd=4"));
}

#[tokio::test]
async fn a_change_under_the_lock_needs_the_version_that_was_seen() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "prcd=3").await;
    let lock = locked(&ledger, &id("job"), &before).await;
    site.change(&id("job"), "cncl=3").await;
    let written = ledger
        .set_locked(&lock, &before, &data("uploaded=3"))
        .await
        .unwrap();
    let now = entry(&ledger, &id("job")).await;
    assert_eq!(now.data.state, JobState::Cancelled);
    assert_eq!(written, Written::Overtaken(JobRead::Job(now.clone())));
    assert_eq!(ledger.delete_locked(&lock, &now).await, Ok(Written::Yes));
    assert_eq!(
        (site.data(&id("job")).await, site.lock_owner(&id("job")).await),
        (None, None)
    );
}

#[tokio::test]
async fn a_job_with_znodes_below_it_is_not_deleted_and_says_so() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "uploaded=3").await;
    let lock = locked(&ledger, &id("job"), &before).await;
    let child = format!("{}/child", site.layout.job(&id("job")));
    site.raw.create(&child, b"", &PERSISTENT).await.unwrap();
    assert_eq!(ledger.delete_locked(&lock, &before).await, Err(ZkError::NotEmpty));
    assert_eq!(ledger.holds(&lock).await, Ok(true));
    site.raw.delete(&child, None).await.unwrap();
    assert_eq!(ledger.delete_locked(&lock, &before).await, Ok(Written::Yes));
}

#[tokio::test]
async fn a_lock_that_a_stranger_wrote_to_is_given_back_like_any_other() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "prcd=3").await;
    let lock = locked(&ledger, &id("job"), &before).await;
    let path = site.layout.lock(&id("job"));
    site.raw.set_data(&path, b"stranger", None).await.unwrap();
    ledger.unlock(lock).await.unwrap();
    assert_eq!(site.lock_owner(&id("job")).await, None);
}

#[tokio::test]
async fn without_the_directory_of_locks_it_is_made_again() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "prcd=3").await;
    site.raw.delete(&site.layout.locks(), None).await.unwrap();
    let lock = locked(&ledger, &id("job"), &before).await;
    assert_eq!(ledger.holds(&lock).await, Ok(true));
}
