//! Waiting for a single job.

use distjob_runtime::zk::{JobRead, JobWatch, Ledger};
use tokio::time::timeout;

use crate::fixture::{SOON, Site, id};

async fn watched(ledger: &Ledger, name: &str) -> (JobRead, JobWatch) {
    let (read, watch) = ledger.read_and_watch(&id(name)).await.unwrap();
    (read, watch.unwrap())
}

#[tokio::test]
async fn a_watched_job_tells_when_it_changes_and_when_it_goes() {
    let site = Site::shared().await;
    let ledger = site.ledger().await;
    let created = site.put(&id("job"), "subm=3").await;
    let (read, watch) = watched(&ledger, "job").await;
    assert_eq!(read, JobRead::Job(created));
    let mut changed = Box::pin(watch.changed());
    assert!(futures::poll!(&mut changed).is_pending());
    site.change(&id("job"), "prcd=3").await;
    timeout(SOON, changed).await.unwrap();
    let (_, watch) = watched(&ledger, "job").await;
    site.remove(&id("job")).await;
    timeout(SOON, watch.changed()).await.unwrap();
    let (read, watch) = ledger.read_and_watch(&id("job")).await.unwrap();
    assert!(read == JobRead::Gone && watch.is_none());
}

#[tokio::test]
async fn a_watch_does_not_outlive_its_connection() {
    let site = Site::shared().await;
    let (proxy, session) = site.proxied().await;
    let ledger = Ledger::new(session);
    site.put(&id("job"), "subm=3").await;
    let (_, watch) = watched(&ledger, "job").await;
    proxy.cut();
    timeout(SOON, watch.changed()).await.unwrap();
    ledger.session().connected().await.unwrap();
    let (_, watch) = watched(&ledger, "job").await;
    site.expire(&proxy, ledger.session()).await;
    timeout(SOON, watch.changed()).await.unwrap();
}
