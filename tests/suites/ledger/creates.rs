//! Creating jobs, and reading them.

use distjob_core::{JobEntry, Zxid};
use distjob_runtime::zk::{Created, JobRead, Ledger, ZkError};
use harness::{Effect, Trigger};

use crate::fixture::{PERSISTENT, Site, data, entry, id, token};

#[tokio::test]
async fn an_id_is_given_to_the_first_who_asks_for_it() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let (first, second) = (
        data(&format!("subm=3;queue=primes;from={}", token())),
        data(&format!("subm=3;from={}", token())),
    );
    let Created::Yes(created) = ledger.create(&id("job"), &first).await.unwrap() else {
        panic!("it was not there");
    };
    let (_, stat) = site.raw.get_data(&site.layout.job(&id("job"))).await.unwrap();
    let expected = JobEntry {
        data: first.clone(),
        life: Zxid::from(stat.czxid),
        version: 0,
        created_ms: stat.ctime,
    };
    assert_eq!(created, expected);
    let again = ledger.create(&id("job"), &second).await.unwrap();
    assert_eq!(again, Created::Exists(JobRead::Job(expected.clone())));
    // The same attempt, told once more, and in whatever state the job is by now.
    site.change(
        &id("job"),
        &format!("prcd=3;{}", &first.to_string()["subm=3;".len()..]),
    )
    .await;
    let Created::Yes(mine) = ledger.create(&id("job"), &first).await.unwrap() else {
        panic!("it is of this attempt");
    };
    assert_eq!((mine.life, mine.version), (expected.life, 1));
}

#[tokio::test]
async fn a_plain_job_is_nobodys_own() {
    let site = Site::shared().await;
    let (proxy, session) = site.proxied().await;
    let ledger = Ledger::new(session);
    let _fault = proxy.arm(Effect::LoseReply, Trigger::creating(&site.layout.job(&id("job"))));
    let created = ledger.create(&id("job"), &data("subm=3")).await.unwrap();
    let now = entry(&ledger, &id("job")).await;
    assert_eq!(created, Created::Exists(JobRead::Job(now)));
}

#[tokio::test]
async fn what_cannot_be_created_says_why() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    site.raw.delete(&site.layout.jobs(), None).await.unwrap();
    let created = ledger.create(&id("job"), &data("subm=3")).await;
    assert_eq!(created, Err(ZkError::NoNode));
    assert_eq!(ledger.session().ledger_identity().await, Err(ZkError::NoNode));
}

#[tokio::test]
async fn the_ledgers_identity_tells_whether_it_was_ever_used() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let (identity, is_unused) = ledger.session().ledger_identity().await.unwrap();
    assert!(is_unused);
    let created = site.put(&id("job"), "subm=3").await;
    assert!(identity < created.life);
    site.remove(&id("job")).await;
    assert_eq!(ledger.session().ledger_identity().await, Ok((identity, false)));
}

#[tokio::test]
async fn a_list_knows_as_of_when_it_is() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let job = site.put(&id("job"), "subm=3").await;
    assert_eq!(ledger.list().await, Ok((vec!["job".to_owned()], job.life)));
    site.remove(&id("job")).await;
    let (names, as_of) = ledger.list().await.unwrap();
    assert!(names.is_empty() && as_of > job.life);
}

#[tokio::test]
async fn what_is_no_job_is_read_as_such() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let path = site.layout.job(&id("other"));
    site.raw
        .create(&path, b"something else", &PERSISTENT)
        .await
        .unwrap();
    assert!(matches!(
        ledger.read(&id("other")).await,
        Ok(JobRead::Unreadable(..))
    ));
    assert_eq!(ledger.read_fresh(&id("none")).await, Ok(JobRead::Gone));
    let created = ledger.create(&id("other"), &data("subm=3")).await.unwrap();
    assert!(matches!(created, Created::Exists(JobRead::Unreadable(..))));
}
