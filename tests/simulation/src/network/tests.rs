use std::{
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::time::timeout;

use super::*;

const PROCESS: Process = Process {
    node: Node(1),
    life: 1,
};

fn network(seed: u64) -> Network {
    Network::start(seed, Delays::default(), Trace::new(false))
}

/// Pushes what it is called with to a log when it happens.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u32>>>);

impl Log {
    fn add(&self, value: u32) -> impl FnOnce() + Send + 'static {
        let log = self.clone();
        move || log.0.lock().unwrap().push(value)
    }

    fn values(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn requests_arrive_in_order_whether_or_not_somebody_waits() {
    let wire = network(1).connect(PROCESS, Server::Redis).await.unwrap();
    let log = Log::default();
    for value in 0..50 {
        drop(wire.call(log.add(value)));
    }
    wire.call(|| ()).await.unwrap();
    assert_eq!(log.values(), (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn pushes_and_replies_arrive_in_the_order_they_were_sent() {
    let wire = network(2).connect(PROCESS, Server::Redis).await.unwrap();
    let log = Log::default();
    let end = wire.server_end();
    let pushed = log.clone();
    wire.call(move || {
        for value in 0..20 {
            end.push(pushed.add(value));
        }
    })
    .await
    .unwrap();
    assert_eq!(log.values().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_silent_partition_tells_nobody_and_delivers_when_it_heals() {
    let network = network(3);
    let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    network.set_link(PROCESS.node, Server::Redis, Link::Silent);
    let mut call = wire.call(move || counted.fetch_add(1, Ordering::Relaxed));
    assert!(timeout(millis(60_000), &mut call).await.is_err());
    assert_eq!(count.load(Ordering::Relaxed), 0);
    network.heal();
    assert_eq!(call.await, Ok(0));
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deaf_process_has_its_effect_all_the_same() {
    let network = network(4);
    let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
    let log = Log::default();
    network.set_link(PROCESS.node, Server::Redis, Link::DeafProcess);
    assert!(timeout(millis(1000), wire.call(log.add(1))).await.is_err());
    assert_eq!(log.values(), [1]);
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_leaves_of_the_requests_is_a_beginning_of_them_and_may_come_late() {
    let mut kept = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let network = network(seed);
        let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
        let log = Log::default();
        let calls: Vec<_> = (0..4).map(|value| wire.call(log.add(value))).collect();
        assert_eq!(network.cut(PROCESS.node, Server::Redis), 1);
        for call in calls {
            assert_eq!(call.await, Err(Cut));
        }
        assert!(wire.is_cut());
        tokio::time::sleep(millis(30_000)).await;
        let values = log.values();
        assert_eq!(values, (0..4).take(values.len()).collect::<Vec<_>>());
        kept.insert(values.len());
        assert_eq!(wire.call(log.add(9)).await, Err(Cut));
    }
    assert_eq!(kept.len(), 5, "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_process_hears_nothing_but_what_it_sent_may_arrive() {
    let mut arrived = 0;
    for seed in 0..20 {
        let network = network(seed);
        let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
        let log = Log::default();
        let call = wire.call(log.add(1));
        network.kill(PROCESS);
        assert!(timeout(millis(1000), call).await.is_err());
        assert!(timeout(millis(1000), wire.call(log.add(2))).await.is_err());
        let connect = network.connect(PROCESS, Server::Redis);
        assert!(timeout(millis(30_000), connect).await.is_err());
        assert!(!log.values().contains(&2));
        arrived += log.values().len();
    }
    assert!((1..20).contains(&arrived), "{arrived}");
}

#[tokio::test(start_paused = true)]
async fn a_paused_process_sends_and_hears_nothing_until_it_goes_on() {
    let network = network(6);
    let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
    let log = Log::default();
    let before = wire.call(log.add(1));
    network.pause(PROCESS);
    let during = wire.call(log.add(2));
    assert!(timeout(millis(1000), before).await.is_err());
    assert_eq!(log.values(), [1]);
    network.resume(PROCESS);
    assert_eq!(during.await, Ok(()));
    assert_eq!(log.values(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_refuses_and_one_that_is_paused_answers_late() {
    let network = network(7);
    let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
    network.stop_server(Server::Redis);
    assert_eq!(wire.call(|| ()).await, Err(Cut));
    assert!(network.connect(PROCESS, Server::Redis).await.is_err());
    network.start_server(Server::Redis);
    let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
    network.pause_server(Server::Redis);
    let mut call = wire.call(|| 7);
    assert!(timeout(millis(1000), &mut call).await.is_err());
    network.resume_server(Server::Redis);
    assert_eq!(call.await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_server_answers_later_or_closes() {
    let network = network(8);
    let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let mut call = wire.request(move |responder: Responder<u32>| *keep.lock().unwrap() = Some(responder));
    assert!(timeout(millis(1000), &mut call).await.is_err());
    kept.lock().unwrap().take().unwrap().send(5);
    assert_eq!(call.await, Ok(5));
    assert!(wire.server_end().is_open());
    wire.server_end().close();
    wire.cut().await;
    assert!(!wire.server_end().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_is_dropped_is_forgotten() {
    let network = network(9);
    let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
    drop(wire.call(|| ()));
    let end = wire.server_end();
    drop(wire);
    assert!(timeout(millis(30_000), pending::<()>()).await.is_err());
    assert!(!end.is_open());
    assert_eq!(network.cut_server(Server::Redis), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_busy_moment_gets_the_one_after_so_many_messages() {
    let network = network(10);
    let wire = network.connect(PROCESS, Server::Redis).await.unwrap();
    let before = network.delivered();
    let waiting = tokio::spawn({
        let network = network.clone();
        async move {
            network.busy(before + 5).await;
            network.delivered()
        }
    });
    for _ in 0..10 {
        wire.call(|| ()).await.unwrap();
    }
    assert_eq!(waiting.await.unwrap(), before + 5);
    network.busy(before).await;
    assert!(timeout(millis(1000), network.busy(1000)).await.is_err());
}
