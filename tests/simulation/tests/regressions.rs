//! What simulations found, each as a play of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use distjob_core::{JobId, QueueName};
use distjob_simulation::{
    cluster::Cluster,
    history::Answer,
    network::{Link, Server},
    payload::Kind,
    plan::{Faults, How, Plan, Submission},
    run::stage,
};
use tokio::time::sleep;

/// A plan without jobs or faults.
fn plan() -> Plan {
    let mut plan = Plan::draw(1, &Faults::none());
    plan.submissions.clear();
    plan.cancels.clear();
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
        dies_after_ms: None,
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
    let violations = stage(plan(), |cluster| async move {
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
