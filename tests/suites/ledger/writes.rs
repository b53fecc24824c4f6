//! Changes without a lock, and who comes first.

use distjob_core::JobState;
use distjob_runtime::zk::{JobRead, Ledger, Written, ZkError};

use crate::fixture::{Site, data, entry, id};

#[tokio::test]
async fn of_two_who_change_a_job_one_comes_first_and_the_other_hears_of_it() {
    let site = Site::shared().await;
    let (one, other) = tokio::join!(site.ledger(), site.ledger());
    for round in 0..50 {
        let id = id(&format!("job-{round}"));
        let before = site.put(&id, "subm=3").await;
        let (processed, cancelled) = (data("prcd=3"), data("cncl=3"));
        let (one, other) = tokio::join!(
            one.set(&id, &before, &processed),
            other.set(&id, &before, &cancelled)
        );
        let (won, lost) = match (one.unwrap(), other.unwrap()) {
            (Written::Yes, lost) => (JobState::Processed, lost),
            (lost, Written::Yes) => (JobState::Cancelled, lost),
            neither => panic!("{neither:?}"),
        };
        assert!(matches!(lost, Written::Overtaken(JobRead::Job(now)) if now.data.state == won));
    }
}

#[tokio::test]
async fn a_change_that_somebody_else_made_alike_is_not_ones_own() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "subm=3").await;
    site.change(&id("job"), "prcd=3").await;
    let written = ledger.set(&id("job"), &before, &data("prcd=3")).await.unwrap();
    let now = entry(&ledger, &id("job")).await;
    assert_eq!(written, Written::Overtaken(JobRead::Job(now)));
}

#[tokio::test]
async fn a_job_that_came_back_to_life_is_another_one_in_the_same_version_too() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let before = site.put(&id("job"), "subm=3").await;
    site.remove(&id("job")).await;
    let gone = ledger.set(&id("job"), &before, &data("cncl=3")).await;
    assert_eq!(gone, Ok(Written::Overtaken(JobRead::Gone)));
    let now = site.put(&id("job"), "subm=3").await;
    assert_eq!((now.version, &now.data), (before.version, &before.data));
    let written = ledger.set(&id("job"), &before, &data("cncl=3")).await;
    assert_eq!(written, Ok(Written::Overtaken(JobRead::Job(now))));
    assert_eq!(site.data(&id("job")).await.as_deref(), Some("subm=3"));
}

#[tokio::test]
async fn a_session_that_is_over_writes_nothing() {
    let site = Site::shared().await;
    let (proxy, session) = site.proxied().await;
    let ledger = Ledger::new(session);
    let before = site.put(&id("job"), "subm=3").await;
    site.expire(&proxy, ledger.session()).await;
    let written = ledger.set(&id("job"), &before, &data("prcd=3")).await;
    assert_eq!(written, Err(ZkError::SessionOver));
    assert_eq!(
        ledger.create(&id("new"), &data("subm=3")).await,
        Err(ZkError::SessionOver)
    );
    assert_eq!(ledger.read(&id("job")).await, Err(ZkError::SessionOver));
    assert_eq!(site.data(&id("job")).await.as_deref(), Some("subm=3"));
}
