//! `apalis-peer REDIS_URL TASKS [unlocked]`: apalis-redis's time for that many trivial tasks, from the first push until the
//! last is done.
//!
//! As its documentation has it best: large batches fetched (`Config::batch_size`) and pushed (`push_stream`), no events that nobody
//! hears (`Config::emit_events`), many tasks at once (`concurrency`; `parallelize` makes such short ones slower). Results
//! are kept. `unlocked` turns locks off, as the documentation of `Config::lock_tasks` allows for tasks that are
//! shorter than a heartbeat.
//!
//! It is fed while it runs: its scripts fail above some 8,000 waiting tasks, because they unpack all of them onto Lua's
//! stack; and each lock searches the list of those that wait, so that it is fastest with few.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use apalis::prelude::{
    BackendExt as _, BoxDynError, Data, TaskSink as _, WorkerBuilder, WorkerBuilderExt as _,
};
use apalis_redis::{Config, RedisError, RedisStorage};
use futures::{Stream, stream};
use tokio::{sync::Notify, time::MissedTickBehavior};

/// Fetched in one go.
const FETCH: usize = 500;
/// Pushed in one go.
const PUSH: usize = 500;
/// Not done yet, at most.
const WAITING: usize = 1_000;
/// Run at once.
const CONCURRENCY: usize = 100;
/// How often a worker without tasks looks for some.
const POLL: Duration = Duration::from_millis(5);
/// So long before the first push: workers register in less.
const UP: Duration = Duration::from_millis(500);

/// Which tasks are done.
struct Tally {
    seen: Vec<AtomicU8>,
    done: AtomicUsize,
    changed: Notify,
}

#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let args: Vec<_> = env::args().skip(1).collect();
    let (url, tasks, is_locked) = match &args[..] {
        [url, tasks] => (url, tasks.parse()?, true),
        [url, tasks, unlocked] if unlocked == "unlocked" => (url, tasks.parse()?, false),
        _ => return Err("usage: apalis-peer REDIS_URL TASKS [unlocked]".into()),
    };
    let config = Config::default()
        .queue("primes")
        .batch_size(FETCH)
        .emit_events(false)
        .lock_tasks(is_locked);
    let tally = Arc::new(Tally::of(tasks));
    let worker = WorkerBuilder::new("worker")
        .backend(storage(url, &config).await?.poll_with_stream(ticks()))
        .data(Arc::clone(&tally))
        .concurrency(CONCURRENCY)
        .build(prime);
    let feeder = tokio::spawn(feed(storage(url, &config).await?, Arc::clone(&tally)));
    let time = tokio::select! {
        biased;
        time = feeder => time??,
        ended = worker.run() => {
            ended?;
            return Err("the worker ended".into());
        }
    };
    if !tally.seen.iter().all(|times| times.load(Ordering::Relaxed) == 1) {
        return Err("not every task was done once".into());
    }
    println!("{{\"seconds\": {}, \"tasks\": {tasks}}}", time.as_secs_f64());
    Ok(())
}

async fn storage(url: &str, config: &Config) -> Result<RedisStorage<u32>, RedisError> {
    Ok(RedisStorage::new(apalis_redis::connect(url).await?).with_config(config.clone()))
}

/// Wakes the worker every now and then. `poll_with_interval` would do so if it did not forget, when its time is over, to ask for
/// the next: a worker that finds nothing at that very moment sleeps until its heartbeat.
fn ticks() -> impl Stream<Item = ()> + Unpin + Send + 'static {
    let mut interval = tokio::time::interval(POLL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::poll_fn(move |context| {
        let mut ticked = Poll::Pending;
        while interval.poll_tick(context).is_ready() {
            ticked = Poll::Ready(Some(()));
        }
        ticked
    })
}

/// Pushes every task when the worker is up, and waits until all are done: how long that takes.
async fn feed(mut storage: RedisStorage<u32>, tally: Arc<Tally>) -> Result<Duration, BoxDynError> {
    tokio::time::sleep(UP).await;
    let (tasks, begun) = (tally.seen.len(), Instant::now());
    for from in (0..tasks).step_by(PUSH) {
        let upto = tasks.min(from + PUSH);
        tally.until(upto.saturating_sub(WAITING)).await;
        storage
            .push_stream(&mut stream::iter(from as u32..upto as u32))
            .await?;
    }
    tally.until(tasks).await;
    Ok(begun.elapsed())
}

impl Tally {
    fn of(tasks: usize) -> Self {
        Self {
            seen: (0..tasks).map(|_| AtomicU8::new(0)).collect(),
            done: AtomicUsize::new(0),
            changed: Notify::new(),
        }
    }

    /// Waits until so many are done.
    async fn until(&self, done: usize) {
        while self.done.load(Ordering::Acquire) < done {
            // A call of `notify_one` between the look and the wait is kept.
            self.changed.notified().await;
        }
    }
}

/// What the worker does for a task, the same for every peer.
async fn prime(index: u32, tally: Data<Arc<Tally>>) -> Result<bool, BoxDynError> {
    let number = index % 100;
    let answer = number > 1 && (2..).take_while(|d| d * d <= number).all(|d| number % d != 0);
    tally.seen[index as usize].fetch_add(1, Ordering::Relaxed);
    tally.done.fetch_add(1, Ordering::Release);
    tally.changed.notify_one();
    // A bare `false` would count as a failure, and be tried again.
    Ok(answer)
}
