//! What happens to a cluster while its plan lasts.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    cluster::Cluster,
    network::{Delays, Link, Server},
    plan::{Cancel, ENSEMBLE, Fault, FaultKind, Strike, Submission},
    redis::Refusal,
    shelf::DiskFaults,
    zookeeper::Lag,
};

/// How long the ensemble takes to elect a leader.
const ELECTION: Duration = Duration::from_millis(300);

/// How long Redis takes to read its data.
const LOADING: Duration = Duration::from_millis(200);

/// Something that is planned.
enum Event {
    Submission(Submission),
    Cancel(Cancel),
    Strike(Strike),
}

impl Event {
    const fn at_ms(&self) -> u64 {
        match self {
            Self::Submission(submission) => submission.at_ms,
            Self::Cancel(cancel) => cancel.at_ms,
            Self::Strike(strike) => strike.at_ms,
        }
    }
}

/// Lets everything happen that is planned, and returns when no fault is left. How many there were of each kind.
pub(crate) async fn rage(cluster: &Cluster) -> BTreeMap<FaultKind, u64> {
    let began = Instant::now();
    let plan = cluster.plan();
    let mut events: Vec<Event> = plan.submissions.iter().cloned().map(Event::Submission).collect();
    events.extend(plan.cancels.iter().cloned().map(Event::Cancel));
    events.extend(plan.strikes.iter().copied().map(Event::Strike));
    events.sort_by_key(Event::at_ms);
    let mut lasting = JoinSet::new();
    let mut counts = BTreeMap::new();
    for event in events {
        sleep_until(began + Duration::from_millis(event.at_ms())).await;
        match event {
            Event::Submission(submission) => cluster.submit(&submission),
            Event::Cancel(Cancel { id, .. }) => {
                let cluster = cluster.clone();
                lasting.spawn(async move { cluster.cancel(id).await });
            }
            Event::Strike(strike) => {
                *counts.entry(strike.kind).or_default() += 1;
                cluster.trace().mark(strike.kind.name().as_bytes());
                cluster
                    .trace()
                    .note(|| format!("fault: {:?} for {} ms", strike.fault, strike.for_ms));
                let cluster = cluster.clone();
                lasting.spawn(async move { suffer(&cluster, strike).await });
            }
        }
    }
    while lasting.join_next().await.is_some() {}
    calm(cluster);
    counts
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
        Fault::Leader => ensemble.elect(lasting.min(Duration::from_secs(2))).await,
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
            if redis.lose_tail(writes) > 0 {
                cluster.history().store_loses_writes();
            }
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
