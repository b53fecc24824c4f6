//! What jobs and members cost in calm clusters, beside what the model says.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use distjob_core::{
    JobId, QueueName,
    cost::{Bill, Job, Members},
};
use distjob_simulation::{
    cluster::Cluster,
    network::{Delays, Node},
    payload::Kind,
    plan::{Faults, How, Plan, Submission},
    run::stage,
    tally::Counts,
    zookeeper::Cause,
};
use tokio::time::sleep;

const SCRIPTS: [&str; 9] = [
    "inspect", "push", "open", "claim", "commit", "release", "status", "read", "drop",
];

/// As many tasks as a simulated submitter pushes at once.
const PUSH: u64 = 7;

/// Jobs of a run.
const JOBS: u32 = 20;

/// What was asked of the stores.
struct Spent {
    zookeeper: Counts,
    redis: Counts,
    writes: u64,
}

impl Spent {
    /// How often, for each job, the ledger was asked for any of these.
    fn asked(&self, what: &[&str]) -> f64 {
        self.zookeeper.all(what) as f64 / f64::from(JOBS)
    }

    /// How often, for each job, the store was.
    fn scripts(&self, what: &[&str]) -> f64 {
        self.redis.all(what) as f64 / f64::from(JOBS)
    }
}

/// A calm cluster.
fn plan(members: Members) -> Plan {
    let mut plan = Plan::draw(1, &Faults::none());
    plan.submissions.clear();
    plan.cancels.clear();
    plan.flows.clear();
    plan.executors = nodes(1000, members.executors);
    plan.watchers = nodes(2000, members.watchers);
    plan.delays = Delays {
        min_ms: 1,
        max_ms: 3,
        resent_one_in: 0,
    };
    plan.settings.slots = 4;
    plan.settings.pipelines = 8;
    plan.settings.claim_max_tasks = 1000;
    plan.settings.slice_max_tasks = 1000;
    plan.settings.commit_every_ms = 50;
    plan.settings.repeat_one_in = 0;
    plan.settings.session_timeout_ms = 6000;
    plan.settings.at_once = 1;
    plan.settings.abort_after_percent = 0;
    plan
}

fn nodes(first: u16, count: u64) -> Vec<Node> {
    (first..)
        .take(usize::try_from(count).unwrap())
        .map(Node)
        .collect()
}

fn submission(number: u32, tasks: usize) -> Submission {
    Submission {
        number,
        at_ms: 0,
        id: JobId::new(format!("job-{number}")).unwrap(),
        queue: QueueName::default_queue(),
        how: How::Staged,
        tasks: vec![Kind::Works(0); tasks],
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

/// What the stores were asked until now.
fn spent(cluster: &Cluster) -> Spent {
    let writes = cluster.ensemble().history();
    Spent {
        zookeeper: cluster.ensemble().tally().counts(),
        redis: cluster.redis().tally().counts(),
        writes: writes.iter().filter(|txn| txn.cause == Cause::Write).count() as u64,
    }
}

/// Starts all members, and lets jobs of so many tasks come one after another: what that cost.
fn run(members: Members, tasks: usize, every_ms: u64) -> Spent {
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    let mut plan = plan(members);
    plan.submissions = (0..JOBS).map(|number| submission(number, tasks)).collect();
    let violations = stage(plan, None, |cluster: Cluster| async move {
        for node in cluster.members() {
            cluster.start_daemon(node);
        }
        sleep(Duration::from_secs(3)).await;
        let before = spent(&cluster);
        for submission in &cluster.plan().submissions {
            cluster.submit(submission);
            sleep(Duration::from_millis(every_ms)).await;
        }
        let jobs = format!("{}/", cluster.layout().jobs());
        let is_job = |path: &String| path.starts_with(&jobs);
        until(|| !cluster.is_being_used() && !cluster.ensemble().znodes().keys().any(is_job)).await;
        // What is still to be told, and what is left for later.
        sleep(Duration::from_secs(1)).await;
        let after = spent(&cluster);
        *tell.lock().unwrap() = Some(Spent {
            zookeeper: after.zookeeper - before.zookeeper,
            redis: after.redis - before.redis,
            writes: after.writes - before.writes,
        });
    });
    assert_eq!(violations, []);
    told.lock().unwrap().take().unwrap()
}

fn members(executors: u64, watchers: u64) -> Members {
    Members { executors, watchers }
}

fn bill(tasks: u64, members: Members) -> Bill {
    let job = Job {
        tasks,
        push: PUSH,
        // A first claim is small: how long tasks take is not known.
        claim: 250,
        slice: 1000,
    };
    Bill::of(job, members)
}

#[test]
fn a_job_has_the_writes_and_the_events_of_the_model_whoever_takes_part() {
    for (executors, watchers) in [(1, 1), (2, 2), (8, 8), (3, 1)] {
        for every_ms in [1, 400] {
            let members = members(executors, watchers);
            let (spent, bill) = (run(members, 1, every_ms), bill(1, members));
            assert_eq!(spent.writes, bill.writes * u64::from(JOBS), "{members:?}");
            let events = spent.zookeeper.all(&["event"]);
            assert_eq!(events, bill.events * u64::from(JOBS), "{members:?}");
        }
    }
}

#[test]
fn a_job_costs_no_more_reads_and_scripts_than_the_model_says() {
    for tasks in [1, 100, 1000] {
        let members = members(1, 1);
        let (spent, bill) = (run(members, tasks, 400), bill(tasks as u64, members));
        let (reads, scripts) = (spent.asked(&["znode"]), spent.scripts(&SCRIPTS));
        assert!(
            reads <= bill.reads_of_lasting as f64,
            "{tasks} tasks: {reads} {bill:?}"
        );
        assert!(
            scripts <= bill.scripts as f64,
            "{tasks} tasks: {scripts} {bill:?}"
        );
    }
}

#[test]
fn what_a_small_job_makes_members_ask_does_not_grow_with_their_number_but_for_a_look_at_what_lasts() {
    let members = members(60, 30);
    let (spent, bill) = (run(members, 1, 400), bill(1, members));
    let reads = spent.asked(&["znode"]);
    assert!(reads <= bill.reads_of_lasting as f64, "{reads} {bill:?}");
    // As many as help with what takes not much longer than their patience lasts, and not as many as there are.
    let (claims, sets, multis) = (
        spent.scripts(&["claim"]),
        spent.asked(&["set"]),
        spent.asked(&["multi"]),
    );
    assert!(claims <= 12.0, "{claims} claims a job");
    assert!(sets <= 4.0, "{sets} sets a job");
    assert!(multis <= 15.0, "{multis} transactions a job");
}

#[test]
fn a_member_that_has_nothing_to_do_asks_a_little_and_tells_nobody() {
    const SECONDS: u64 = 60;
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    let violations = stage(plan(members(4, 2)), None, |cluster: Cluster| async move {
        for node in cluster.members() {
            cluster.start_daemon(node);
        }
        sleep(Duration::from_secs(20)).await;
        let before = spent(&cluster);
        sleep(Duration::from_secs(SECONDS)).await;
        let after = spent(&cluster);
        let asked = after.zookeeper - before.zookeeper;
        let requests = ["stat", "data", "data of all", "children", "watch", "sync", "ping"];
        *tell.lock().unwrap() = Some((
            after.writes - before.writes,
            asked.all(&["event"]),
            asked.all(&requests),
            (after.redis - before.redis).all(&["mark", "ping", "memory"]),
        ));
    });
    assert_eq!(violations, []);
    let (writes, events, requests, commands) = told.lock().unwrap().unwrap();
    assert_eq!((writes, events), (0, 0));
    let member_seconds = 6 * SECONDS;
    // Of sessions of 6 s, which are pinged nearly each second, and a scrub each 10 s.
    assert!(
        requests <= 3 * member_seconds,
        "{requests} requests in {member_seconds} seconds"
    );
    assert!(
        commands <= member_seconds,
        "{commands} commands in {member_seconds} seconds"
    );
}
