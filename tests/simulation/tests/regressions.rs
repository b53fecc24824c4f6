//! What simulations found, each as a play of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use distjob_core::{JobData, JobId, JobState, MemberName, QueueName, Source};
use distjob_runtime::zk::Locking;
use distjob_simulation::{
    cluster::Cluster,
    history::Answer,
    network::{Link, Node, Process, Server},
    payload::Kind,
    plan::{Faults, How, Plan, Submission},
    run::{Bug, stage},
    zookeeper::{Flaw, Lag},
};
use tokio::time::sleep;

/// A plan without jobs or faults.
fn plan() -> Plan {
    let mut plan = Plan::draw(1, &Faults::none());
    plan.submissions.clear();
    plan.cancels.clear();
    plan.flows.clear();
    plan
}

fn submission(tasks: usize) -> Submission {
    Submission {
        number: 0,
        at_ms: 0,
        id: JobId::new("job").unwrap(),
        queue: QueueName::default_queue(),
        how: How::Staged,
        tasks: vec![Kind::Works(1); tasks],
        deadline_ms: None,
        dies_after_ms: None,
        place: None,
    }
}

/// Looks every millisecond until something is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(1)).await;
    }
}

fn start(cluster: &Cluster) {
    for node in cluster.members() {
        cluster.start_daemon(node);
    }
}

#[test]
fn a_submitter_that_could_not_open_its_job_does_not_say_that_one_was_cancelled_which_others_opened_and_delivered()
 {
    let violations = stage(plan(), None, |cluster| async move {
        start(&cluster);
        sleep(Duration::from_secs(2)).await;
        cluster.submit(&submission(3));
        let job = cluster.layout().job(&JobId::new("job").unwrap());
        let is_there = || cluster.ensemble().znodes().contains_key(&job);
        until(is_there).await;
        cluster
            .network()
            .set_link(Plan::submitter(0), Server::Redis, Link::Silent);
        until(|| !is_there()).await;
        assert_eq!(cluster.shelf().deliveries().len(), 1);
        until(|| cluster.history().attempts()[0].answer.is_some()).await;
        let answer = cluster.history().attempts()[0].answer.clone();
        assert!(matches!(answer, Some(Answer::Unclear(_))), "{answer:?}");
    });
    assert_eq!(violations, []);
}

/// What a job says that has the id of an earlier one, after somebody whose server lags behind wrote to the earlier one.
fn written_from_behind(seed: u64, bug: Option<Bug>) -> String {
    let plan = Plan { seed, ..plan() };
    let data = Arc::new(Mutex::new(String::new()));
    let told = Arc::clone(&data);
    // The second job stays: nobody is there who runs it.
    let _ = stage(plan, bug, |cluster| async move {
        let id = JobId::new("job").unwrap();
        let data = |count| JobData::submitted(count, QueueName::default_queue(), Source::Plain);
        let [slow, fast] = [Node(1), Node(2)].map(|node| cluster.reach(Process { node, life: 1 }));
        let (id, first, second) = (&id, &data(1), &data(2));
        fast.zookeeper(|ledger| async move { ledger.create(id, first).await })
            .await
            .unwrap();
        let read = slow
            .zookeeper(|ledger| async move { ledger.read_fresh(id).await })
            .await;
        let before = &read.unwrap().into_job().unwrap();
        for server in 0..3 {
            let (min_ms, max_ms) = if server == 1 { (4000, 4000) } else { (0, 1) };
            cluster.ensemble().set_lag(server, Lag { min_ms, max_ms });
        }
        // Cancelled, cleaned up, and submitted again.
        fast.zookeeper(|ledger| async move {
            let cancelled = before.data.in_state(JobState::Cancelled);
            ledger.set(id, before, &cancelled).await?;
            let now = ledger.read_fresh(id).await?.into_job().unwrap();
            let name = MemberName::new("member").unwrap();
            let Locking::Held(lock) = ledger.lock(id, &now, &name).await? else {
                panic!("nobody else wants the lock");
            };
            ledger.delete_locked(&lock, &now).await?;
            ledger.create(id, second).await
        })
        .await
        .unwrap();
        let processed = &before.data.in_state(JobState::Processed);
        // Whatever it is told: what counts is what it does.
        let _ = slow
            .zookeeper(|ledger| async move { ledger.set(id, before, processed).await })
            .await;
        let znodes = cluster.ensemble().znodes();
        let job = &znodes[&cluster.layout().job(id)];
        *told.lock().unwrap() = String::from_utf8(job.data.to_vec()).unwrap();
        fast.leave().await;
        slow.leave().await;
    });
    data.lock().unwrap().clone()
}

#[test]
fn whoever_reads_from_a_server_that_lags_behind_does_not_write_to_the_next_life_of_a_job() {
    for seed in 0..40 {
        assert_eq!(written_from_behind(seed, None), "subm=2", "seed {seed}");
    }
}

#[test]
fn without_a_sync_that_asks_the_leader_somebody_does() {
    let hollow = Some(Bug::Ledger(Flaw::HollowSync));
    assert!((0..40).any(|seed| written_from_behind(seed, hollow) != "subm=2"));
}
