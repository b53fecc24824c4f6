//! What happens to a cluster while its plan lasts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use distjob_core::QueueName;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    cluster::Cluster,
    network::{Delays, Link, Server},
    plan::{Cancel, ENSEMBLE, Fault, FaultKind, Pause, STORM_MS, Strike, When},
    redis::Refusal,
    shelf::DiskFaults,
    zookeeper::Lag,
};

/// How long the ensemble takes to elect a leader.
const ELECTION: Duration = Duration::from_millis(300);

/// How long Redis takes to read its data.
const LOADING: Duration = Duration::from_millis(200);

/// Lets everything happen that is planned, and returns when no fault is left. How many there were of each kind.
pub(crate) async fn rage(cluster: &Cluster) -> BTreeMap<FaultKind, u64> {
    let began = Instant::now();
    let plan = cluster.plan();
    let mut strikes: JoinSet<FaultKind> = plan
        .strikes
        .iter()
        .map(|strike| strike_in_time(cluster.clone(), began, *strike))
        .collect();
    let mut cancels: JoinSet<()> = plan
        .cancels
        .iter()
        .map(|cancel| cancel_in_time(cluster.clone(), began, cancel.clone()))
        .collect();
    let mut pauses: JoinSet<()> = plan
        .pauses
        .iter()
        .map(|pause| pause_in_time(cluster.clone(), began, pause.clone()))
        .collect();
    for submission in &plan.submissions {
        sleep_until(began + Duration::from_millis(submission.at_ms)).await;
        cluster.submit(submission);
    }
    sleep_until(began + Duration::from_millis(STORM_MS)).await;
    while cancels.join_next().await.is_some() {}
    // What waits for more to happen than does strikes now.
    cluster.network().release();
    let mut counts = BTreeMap::new();
    while let Some(struck) = strikes.join_next().await {
        let kind = struck.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
        *counts.entry(kind).or_default() += 1;
    }
    calm(cluster);
    while pauses.join_next().await.is_some() {}
    resume(cluster).await;
    counts
}

async fn cancel_in_time(cluster: Cluster, began: Instant, Cancel { at_ms, id }: Cancel) {
    sleep_until(began + Duration::from_millis(at_ms)).await;
    cluster.cancel(id).await;
}

/// Pauses a queue, and resumes it however long that takes: what an operator forgets would never end.
async fn pause_in_time(cluster: Cluster, began: Instant, pause: Pause) {
    sleep_until(began + Duration::from_millis(pause.at_ms)).await;
    cluster.switch(&pause.queue, true).await;
    sleep(Duration::from_millis(pause.for_ms)).await;
    while !cluster.switch(&pause.queue, false).await {
        sleep(Duration::from_secs(1)).await;
    }
}

/// Resumes every queue once more: a pause of which the operator heard nothing may have come after its end.
async fn resume(cluster: &Cluster) {
    let queues: BTreeSet<&QueueName> = cluster.plan().pauses.iter().map(|pause| &pause.queue).collect();
    if !queues.is_empty() {
        sleep(cluster.longest_silence()).await;
    }
    for queue in queues {
        while !cluster.switch(queue, false).await {
            sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn strike_in_time(cluster: Cluster, began: Instant, strike: Strike) -> FaultKind {
    match strike.when {
        When::Ms(ms) => sleep_until(began + Duration::from_millis(ms)).await,
        When::Messages(messages) => cluster.network().busy(messages).await,
    }
    cluster.trace().mark(strike.kind.name().as_bytes());
    cluster
        .trace()
        .note(|| format!("fault: {:?} for {} ms", strike.fault, strike.for_ms));
    suffer(&cluster, strike).await;
    strike.kind
}

/// Ends whatever may be left of faults.
fn calm(cluster: &Cluster) {
    cluster.trace().note(|| "calm".to_owned());
    cluster.network().heal();
    cluster.network().set_delays(cluster.plan().delays);
    cluster.shelf().set_faults(DiskFaults::default());
    cluster.redis().refuse(None);
    for node in cluster.members() {
        cluster.start_daemon(node);
    }
}

/// Brings a fault about, and ends it when its time is over.
async fn suffer(cluster: &Cluster, strike: Strike) {
    let lasting = Duration::from_millis(strike.for_ms);
    let network = cluster.network();
    match strike.fault {
        Fault::Kill(node) => {
            cluster.kill(node);
            sleep(lasting).await;
            cluster.start_daemon(node);
        }
        Fault::Stop(node) => {
            cluster.stop(node);
            sleep(lasting).await;
            while cluster.runs(node) && cluster.is_stopping(node) {
                sleep(Duration::from_millis(100)).await;
            }
            cluster.start_daemon(node);
        }
        Fault::Pause(node) => {
            if let Some(process) = cluster.pause(node) {
                sleep(lasting).await;
                cluster.trace().note(|| format!("{process} goes on"));
                network.resume(process);
            }
        }
        Fault::Link(node, target, link) => {
            for server in target.servers() {
                network.set_link(node, server, link);
            }
            sleep(lasting).await;
            for server in target.servers() {
                network.set_link(node, server, Link::Open);
            }
        }
        Fault::Cut(node, target) => {
            for server in target.servers() {
                network.cut(node, server);
            }
        }
        Fault::CutAll(target) => {
            for server in target.servers() {
                network.cut_server(server);
            }
        }
        Fault::Delay => {
            let Delays { max_ms, .. } = cluster.plan().delays;
            network.set_delays(Delays {
                min_ms: 1,
                max_ms: 20 * max_ms,
                resent_one_in: 10,
            });
            sleep(lasting).await;
            network.set_delays(cluster.plan().delays);
        }
        Fault::DiskFull | Fault::DiskSlow => {
            cluster.shelf().set_faults(DiskFaults {
                is_full: strike.fault == Fault::DiskFull,
                slow_ms: 300,
                unsynced_one_in: 2,
            });
            sleep(lasting).await;
            cluster.shelf().set_faults(DiskFaults::default());
        }
        Fault::Expire(_) | Fault::ZooKeeperDown(_) | Fault::Lag(_) | Fault::Leader | Fault::Quorum => {
            suffer_in_zookeeper(cluster, strike.fault, lasting).await;
        }
        Fault::RedisPause | Fault::RedisDown(_) | Fault::RedisFull | Fault::RedisReadonly => {
            suffer_in_redis(cluster, strike.fault, lasting).await;
        }
    }
}

async fn suffer_in_zookeeper(cluster: &Cluster, fault: Fault, lasting: Duration) {
    let ensemble = cluster.ensemble();
    match fault {
        Fault::Expire(node) => {
            if let Some(process) = cluster.newest(node) {
                ensemble.expire(process);
            }
        }
        Fault::ZooKeeperDown(index) => {
            ensemble.stop_server(index.into(), ELECTION).await;
            sleep(lasting).await;
            ensemble.start_server(index.into(), ELECTION).await;
        }
        Fault::Lag(index) => {
            let ms = u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX);
            ensemble.set_lag(
                index.into(),
                Lag {
                    min_ms: ms / 4,
                    max_ms: ms,
                },
            );
            sleep(lasting).await;
            ensemble.set_lag(index.into(), Lag { min_ms: 0, max_ms: 5 });
        }
        // Either there is none for so long, or two believe that they are.
        Fault::Leader if lasting < Duration::from_secs(2) => ensemble.elect(lasting).await,
        Fault::Leader => ensemble.depose_leader(ELECTION, lasting).await,
        _ => {
            // All but one server, one after the other.
            for index in 1..ENSEMBLE {
                ensemble.stop_server(index.into(), Duration::ZERO).await;
            }
            sleep(lasting).await;
            for index in 1..ENSEMBLE {
                ensemble.start_server(index.into(), ELECTION).await;
            }
        }
    }
}

async fn suffer_in_redis(cluster: &Cluster, fault: Fault, lasting: Duration) {
    let (network, redis) = (cluster.network(), cluster.redis());
    match fault {
        Fault::RedisPause => {
            network.pause_server(Server::Redis);
            sleep(lasting).await;
            network.resume_server(Server::Redis);
        }
        Fault::RedisDown(writes) => {
            network.stop_server(Server::Redis);
            redis.lose_tail(writes);
            sleep(lasting).await;
            redis.refuse(Some(Refusal::Loading));
            network.start_server(Server::Redis);
            sleep(LOADING).await;
            redis.refuse(None);
        }
        _ => {
            redis.refuse(Some(match fault {
                Fault::RedisFull => Refusal::NoMemory,
                _ => Refusal::ReadOnly,
            }));
            sleep(lasting).await;
            redis.refuse(None);
        }
    }
}
