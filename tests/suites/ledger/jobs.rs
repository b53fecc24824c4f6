//! The live view of all jobs.

use std::collections::BTreeMap;

use anyhow::Context as _;
use distjob_core::{JobEntry, JobId};
use distjob_runtime::zk::{Audience, JobChange, JobsView, Ledger};
use futures::{StreamExt as _, stream};
use harness::eventually;
use tokio::time::timeout;
use zookeeper_client::{Acls, CreateMode, Error};

use crate::fixture::{NEVER, PERSISTENT, SOON, Site, disconnect, id};

/// What a reader of a view knows.
struct Reader {
    view: JobsView,
    known: BTreeMap<JobId, JobEntry>,
}

impl Reader {
    fn new(ledger: Ledger) -> Self {
        Self {
            view: JobsView::follow(ledger, Audience::anybody(), NEVER),
            known: BTreeMap::new(),
        }
    }

    /// Returns when the picture is as wanted.
    async fn sees(&mut self, what: &str, wanted: impl Fn(&BTreeMap<JobId, JobEntry>) -> bool) {
        let seen = async {
            while !wanted(&self.known) {
                self.take().await;
            }
        };
        let seen = timeout(SOON, seen).await;
        assert!(
            seen.is_ok(),
            "not seen: {what}; {} jobs are known",
            self.known.len()
        );
    }

    async fn take(&mut self) {
        for (id, change) in self.view.changes().await {
            match change {
                JobChange::Seen(entry) => drop(self.known.insert(id, entry)),
                JobChange::Gone => drop(self.known.remove(&id)),
            }
        }
    }

    async fn sees_state(&mut self, name: &str, text: &str) {
        let id = id(name);
        self.sees(&format!("{name} as {text}"), |known| {
            known.get(&id).is_some_and(|entry| entry.data.to_string() == text)
        })
        .await;
    }

    async fn sees_no(&mut self, name: &str) {
        let id = id(name);
        self.sees(&format!("{name} gone"), |known| !known.contains_key(&id))
            .await;
    }
}

#[tokio::test]
async fn what_is_there_at_the_start_is_complete_when_the_view_says_so() {
    let site = Site::shared().await;
    let mut expected = BTreeMap::new();
    for number in 0..600 {
        let id = id(&format!("job-{number}"));
        expected.insert(id.clone(), site.put(&id, "subm=3").await);
    }
    let mut reader = Reader::new(site.ledger().await);
    timeout(SOON, reader.view.complete()).await.unwrap();
    reader.take().await;
    assert_eq!(reader.known, expected);
}

#[tokio::test]
async fn an_empty_ledger_is_complete_at_once() {
    let site = Site::shared().await;
    let mut view = JobsView::follow(site.ledger().await, Audience::anybody(), NEVER);
    timeout(SOON, view.complete()).await.unwrap();
}

#[tokio::test]
async fn each_step_of_a_job_is_seen() {
    let site = Site::shared().await;
    let mut reader = Reader::new(site.ledger().await);
    let created = site.put(&id("job"), "subm=3;queue=primes").await;
    reader.sees_state("job", "subm=3;queue=primes").await;
    assert_eq!(reader.known[&id("job")], created);
    site.change(&id("job"), "prcd=3;queue=primes").await;
    reader.sees_state("job", "prcd=3;queue=primes").await;
    assert_eq!(reader.known[&id("job")].version, 1);
    site.remove(&id("job")).await;
    reader.sees_no("job").await;
    let again = site.put(&id("job"), "subm=3;queue=primes").await;
    reader
        .sees("another life", |known| known.get(&id("job")) == Some(&again))
        .await;
}

#[tokio::test]
async fn strangers_hide_nothing_and_are_no_jobs() {
    let site = Site::shared().await;
    let intruder = harness::servers::zookeeper::connect(&site.addr.to_string())
        .await
        .unwrap();
    intruder.auth("digest", b"somebody:secret").await.unwrap();
    let private = CreateMode::Persistent.with_acls(Acls::creator_all());
    let path = |name: &str| format!("{}/{name}", site.layout.jobs());
    let strangers = async |stem: &str| {
        for (name, data) in [
            ("has space", "subm=1"),
            ("odd", "something else"),
            ("half", "subm="),
        ] {
            let path = path(&format!("{stem}{name}"));
            site.raw
                .create(&path, data.as_bytes(), &PERSISTENT)
                .await
                .unwrap();
        }
        // Nobody else may even look.
        intruder
            .create(&path(&format!("{stem}secret")), b"subm=1", &private)
            .await
            .unwrap();
    };
    strangers("before-").await;
    site.put(&id("first"), "subm=3").await;
    let mut reader = Reader::new(site.ledger().await);
    timeout(SOON, reader.view.complete()).await.unwrap();
    strangers("after-").await;
    site.raw
        .create(&path("first/below"), b"subm=1", &PERSISTENT)
        .await
        .unwrap();
    site.put(&id("second"), "subm=3").await;
    reader.sees_state("second", "subm=3").await;
    assert!(reader.known.keys().eq(&[id("first"), id("second")]));
    // A stranger that learns to behave is a job; a job that turns odd is none.
    site.change(&id("after-odd"), "subm=7").await;
    reader.sees_state("after-odd", "subm=7").await;
    site.change(&id("second"), "odd").await;
    reader.sees_no("second").await;
}

#[tokio::test]
async fn a_burst_of_creates_and_deletes_ends_in_the_right_picture() {
    const JOBS: usize = 5000;
    let site = Site::shared().await;
    let mut reader = Reader::new(site.ledger().await);
    let site = &site;
    // Jobs that stay, that go, that change, and that come back.
    let burst = stream::iter(0..JOBS).for_each_concurrent(200, |number| async move {
        let id = id(&format!("job-{number}"));
        site.put(&id, "subm=3").await;
        if number % 2 == 0 {
            site.remove(&id).await;
        } else if number % 3 == 0 {
            site.change(&id, "prcd=3").await;
        }
        if number % 10 == 0 {
            site.put(&id, "subm=4").await;
        }
    });
    let right = |known: &BTreeMap<JobId, JobEntry>| {
        let expected = |number: usize| match number {
            _ if number.is_multiple_of(10) => Some("subm=4"),
            _ if number.is_multiple_of(2) => None,
            _ if number.is_multiple_of(3) => Some("prcd=3"),
            _ => Some("subm=3"),
        };
        (0..JOBS).all(|number| {
            let seen = known.get(&id(&format!("job-{number}")));
            seen.map(|entry| entry.data.to_string()).as_deref() == expected(number)
        })
    };
    let count = (0..JOBS)
        .filter(|number| number % 10 == 0 || number % 2 == 1)
        .count();
    let ((), ()) = tokio::join!(burst, reader.sees("all of them", |known| known.len() == count));
    reader.sees("each as it is", right).await;
}

#[tokio::test]
async fn after_a_restart_of_an_idle_server_a_new_job_is_still_seen() {
    let site = Site::private().await;
    let ledger = site.ledger().await;
    let session = ledger.session().clone();
    let mut reader = Reader::new(ledger);
    site.put(&id("before"), "subm=3").await;
    reader.sees_state("before", "subm=3").await;
    site.server().restart().await.unwrap();
    timeout(SOON, session.connected()).await.unwrap().unwrap();
    // The view is idle again when it has listed everything, of which nothing tells. Each of these may come before or
    // after that; at least the last ones come after.
    for round in 0..20 {
        let name = format!("after-{round}");
        put_after_restart(&site, &name).await;
        reader.sees_state(&name, "subm=3").await;
    }
}

async fn put_after_restart(site: &Site, name: &str) {
    let path = site.layout.job(&id(name));
    eventually("the test's own client is back", SOON, async || {
        match site.raw.create(&path, b"subm=3", &PERSISTENT).await {
            Ok(_) | Err(Error::NodeExists) => Ok(()),
            Err(error) => Err(error).context("create"),
        }
    })
    .await;
}

#[tokio::test]
async fn what_happens_while_the_view_is_cut_off_is_seen_afterwards() {
    let site = Site::shared().await;
    let (proxy, session) = site.proxied().await;
    let mut reader = Reader::new(Ledger::new(session.clone()));
    for name in ["goes", "changes", "returns", "stays"] {
        site.put(&id(name), "subm=3").await;
    }
    reader.sees("all four", |known| known.len() == 4).await;
    disconnect(&proxy, &session).await;
    site.remove(&id("goes")).await;
    site.change(&id("changes"), "prcd=3").await;
    site.remove(&id("returns")).await;
    let returned = site.put(&id("returns"), "subm=3").await;
    site.put(&id("new"), "subm=3").await;
    proxy.accept().await.unwrap();
    reader.sees_no("goes").await;
    reader.sees_state("changes", "prcd=3").await;
    reader
        .sees("another life", |known| {
            known.get(&id("returns")) == Some(&returned)
        })
        .await;
    reader.sees_state("new", "subm=3").await;
    reader.sees_state("stays", "subm=3").await;
    // And events are heard again.
    site.remove(&id("stays")).await;
    reader.sees_no("stays").await;
}

#[tokio::test]
async fn many_short_interruptions_leave_the_right_picture() {
    let site = Site::shared().await;
    let (proxy, session) = site.proxied().await;
    let mut reader = Reader::new(Ledger::new(session));
    for number in 0..200 {
        if number % 20 == 0 {
            proxy.cut();
        }
        site.put(&id(&format!("job-{number}")), "subm=3").await;
        if number >= 100 {
            site.remove(&id(&format!("job-{}", number - 100))).await;
        }
    }
    reader
        .sees("the last hundred", |known| {
            known.len() == 100 && (100..200).all(|number| known.contains_key(&id(&format!("job-{number}"))))
        })
        .await;
}
