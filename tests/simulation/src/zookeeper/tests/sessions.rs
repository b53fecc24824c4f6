//! What distjob's own sessions ask of an ensemble, and what they spare it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use distjob_core::{
    JobData, JobEntry, JobId, MemberName, QueueName, Roster, Source, Zxid, attention::Attention,
    board::Interest,
};
use distjob_runtime::zk::{
    Audience, Created, JobChange, JobRead, JobsView, Ledger, Lock, Locking, Session, Written,
};
use futures::future::join_all;
use tokio::{sync::watch, time::sleep};

use super::{LONG, Lag, Site};
use crate::network::Node;

const NEVER: Duration = Duration::from_secs(3600);

fn id(number: usize) -> JobId {
    JobId::new(format!("job-{number}")).unwrap()
}

fn data(text: &str) -> JobData {
    JobData::parse(text.as_bytes()).unwrap()
}

fn member(name: &str) -> MemberName {
    MemberName::new(name).unwrap()
}

impl Site {
    async fn ledger_at(&self, servers: &str, node: u16) -> Ledger {
        let session = Session::open(&self.session_settings(servers, node))
            .await
            .unwrap();
        session.ensure_directories().await.unwrap();
        Ledger::new(session)
    }

    fn asked(&self, node: u16, what: &[&str]) -> u64 {
        self.ensemble.tally().counts().of(&[Node(node)], what)
    }
}

async fn create(ledger: &Ledger, id: &JobId) -> JobEntry {
    let data = JobData::submitted(1, QueueName::default_queue(), Source::Plain);
    match ledger.create(id, &data).await.unwrap() {
        Created::Yes(entry) => entry,
        other => panic!("{other:?}"),
    }
}

async fn lock(ledger: &Ledger, id: &JobId, before: &JobEntry) -> Lock {
    match ledger.lock(id, before, &member("me")).await.unwrap() {
        Locking::Held(lock) => lock,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn fresh_reads_of_many_tasks_go_together_and_each_sees_what_was_before() {
    let site = Site::new(1);
    let at_leader = site.ledger_at("zookeeper0", 1).await;
    let behind = site.ledger_at("zookeeper1", 2).await;
    site.ensemble.set_lag(
        1,
        Lag {
            min_ms: 300,
            max_ms: 300,
        },
    );
    let ids: Vec<JobId> = (0..100).map(id).collect();
    let entries = join_all(ids.iter().map(|id| create(&at_leader, id))).await;
    let before = site.asked(2, &["sync", "data of all", "data", "stat"]);
    let reads = join_all(ids.iter().map(|id| behind.read_fresh(id))).await;
    let expected = entries.into_iter().map(|entry| Ok(JobRead::Job(entry)));
    assert_eq!(reads, expected.collect::<Vec<_>>());
    let asked = site.asked(2, &["sync", "data of all", "data", "stat"]) - before;
    // The first two take those who come first along; the others wait for them together.
    assert!(
        asked <= 8,
        "four flights at most, of a sync and a read each: {asked} requests"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fresh_read_sees_what_happened_while_another_one_was_under_way() {
    for seed in 0..20 {
        let site = Site::new(seed);
        let at_leader = site.ledger_at("zookeeper0", 1).await;
        let behind = site.ledger_at("zookeeper1", 2).await;
        site.ensemble.set_lag(
            1,
            Lag {
                min_ms: 0,
                max_ms: 200,
            },
        );
        let others = async {
            for number in 0..30 {
                let _ = behind.read_fresh(&id(number)).await;
            }
        };
        let own = async {
            for number in 0..10 {
                let entry = create(&at_leader, &id(number)).await;
                assert_eq!(behind.read_fresh(&id(number)).await, Ok(JobRead::Job(entry)));
            }
        };
        tokio::join!(others, own);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_a_fresh_read_holds_up_nobody() {
    let site = Site::new(1);
    let ledger = site.ledger_at("", 1).await;
    let entry = create(&ledger, &id(0)).await;
    for _ in 0..20 {
        let (id, other) = (id(0), id(1));
        let mut given_up = Box::pin(ledger.read_fresh(&other));
        // As far as its request, and no further.
        for _ in 0..3 {
            assert!(futures::poll!(&mut given_up).is_pending());
            tokio::task::yield_now().await;
        }
        let mut kept = Box::pin(ledger.read_fresh(&id));
        assert!(futures::poll!(&mut kept).is_pending());
        drop(given_up);
        assert_eq!(kept.await, Ok(JobRead::Job(entry.clone())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_a_view_looks_at_a_locked_job_once() {
    let site = Site::new(1);
    let ledger = site.ledger_at("", 1).await;
    let mut view = JobsView::follow(ledger.clone(), Audience::anybody(), NEVER);
    view.complete().await;
    let before = create(&ledger, &id(0)).await;
    // The view has heard that the job was created.
    view.changes().await;
    let asked = site.asked(1, &["data"]);
    let held = lock(&ledger, &id(0), &before).await;
    let written = ledger.set_locked(&held, &before, &data("prcd=1")).await;
    assert_eq!(written, Ok(Written::Yes));
    let now = ledger.read_fresh(&id(0)).await.unwrap().into_job().unwrap();
    assert_eq!(ledger.delete_locked(&held, &now).await, Ok(Written::Yes));
    assert_eq!(site.asked(1, &["data"]) - asked, 1);
}

#[tokio::test(start_paused = true)]
async fn a_view_that_hears_of_another_life_of_a_locked_job_keeps_it_from_being_written_to() {
    let site = Site::new(1);
    let (ledger, stranger) = (site.ledger_at("", 1).await, site.client(2).await);
    let mut view = JobsView::follow(ledger.clone(), Audience::anybody(), NEVER);
    view.complete().await;
    let before = create(&ledger, &id(0)).await;
    view.changes().await;
    let held = lock(&ledger, &id(0), &before).await;
    let path = ledger.session().layout().job(&id(0));
    stranger.delete(&path, None).await.unwrap();
    let now = create(&ledger, &id(0)).await;
    let seen = async {
        while !matches!(view.changes().await.get(&id(0)), Some(JobChange::Seen(entry)) if *entry == now) {}
    };
    tokio::time::timeout(LONG, seen).await.unwrap();
    let written = ledger.set_locked(&held, &before, &data("prcd=1")).await;
    assert_eq!(written, Ok(Written::Overtaken(JobRead::Job(now.clone()))));
    assert_eq!(
        ledger.delete_locked(&held, &before).await,
        Ok(Written::Overtaken(JobRead::Job(now)))
    );
}

/// Views of some executors that serve the default queue, each with a session of its own.
async fn executors(site: &Site, many: u16) -> Vec<JobsView> {
    let name = |node: u16| member(&format!("member-{node}"));
    let roster = Arc::new(Roster {
        as_of: Zxid::new(1),
        members: (0..many).map(|node| (name(node), None)).collect(),
        born: BTreeMap::new(),
    });
    let mut views = Vec::new();
    for node in 0..many {
        let ledger = site.ledger_at("", 10 + node).await;
        let interest = Interest::Execution(BTreeSet::from([QueueName::default_queue()]));
        let mut attention = Attention::new(name(node), interest);
        attention.meet(&roster);
        // Nobody comes or goes.
        let (_, receiver) = watch::channel(Arc::clone(&roster));
        let mut view = JobsView::follow(ledger, Audience::member(attention, receiver), NEVER);
        view.complete().await;
        views.push(view);
    }
    views
}

fn reads(site: &Site, many: u16) -> u64 {
    (0..many).map(|node| site.asked(10 + node, &["znode"])).sum()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_soon_gone_is_read_by_one_executor_of_many() {
    const MEMBERS: u16 = 8;
    let site = Site::new(1);
    let views = executors(&site, MEMBERS).await;
    let (submitter, stranger) = (site.ledger_at("", 1).await, site.client(2).await);
    let before = reads(&site, MEMBERS);
    for number in 0..50 {
        create(&submitter, &id(number)).await;
        sleep(Duration::from_millis(20)).await;
        let path = submitter.session().layout().job(&id(number));
        stranger.delete(&path, None).await.unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(reads(&site, MEMBERS) - before, 50);
    drop(views);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_stays_is_seen_by_every_executor_and_so_is_its_return() {
    const MEMBERS: u16 = 4;
    let site = Site::new(1);
    let views = executors(&site, MEMBERS).await;
    let submitter = site.ledger_at("", 1).await;
    let mut entries: Vec<(JobId, JobEntry)> = Vec::new();
    for number in 0..20 {
        entries.push((id(number), create(&submitter, &id(number)).await));
    }
    for state in ["prcd=1", "subm=1"] {
        for (id, entry) in &mut entries {
            assert_eq!(submitter.set(id, entry, &data(state)).await, Ok(Written::Yes));
            *entry = submitter.read_fresh(id).await.unwrap().into_job().unwrap();
        }
    }
    let expected: BTreeMap<JobId, JobEntry> = entries.into_iter().collect();
    for view in views {
        let mut known = BTreeMap::new();
        let seen = async {
            while known != expected {
                for (id, change) in view.changes().await {
                    match change {
                        JobChange::Seen(entry) => known.insert(id, entry),
                        JobChange::Gone => known.remove(&id),
                    };
                }
            }
        };
        tokio::time::timeout(LONG, seen).await.unwrap();
    }
}
