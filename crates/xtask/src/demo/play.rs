//! The story that the demo tells.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use harness::World;
use rustix::process::Signal;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use zookeeper_client::Client;

use super::{
    cast::{Actor, Cast},
    review,
    scene::{Camera, Scene},
    status::distjobctl,
};
use crate::steps::{Verdict, seconds};

const BATCHES: usize = 4;
const TASKS: u64 = 5_000;
const QUEUE: &str = "primes";
/// How long a dead member is still believed to be there.
const SESSION_TIMEOUT: Duration = Duration::from_secs(2);
const SUBMITTED_WITHIN: Duration = Duration::from_secs(20);
const DONE_WITHIN: Duration = Duration::from_secs(90);
/// Between two scenes.
const SCENE_EVERY: Duration = Duration::from_millis(1_500);
/// The executor that is killed.
const VICTIM: &str = "executor 2";
/// The number of the one that joins later.
const NEWCOMER: usize = 4;

/// Plays it to its end. What was started stops when this future is dropped.
pub(super) async fn play() -> Result<Verdict> {
    let started = Instant::now();
    act("Private servers, on free ports, with their files in a temporary directory");
    let mut world = World::private().await?;
    world.set_session_timeout(SESSION_TIMEOUT);
    println!(
        "  ZooKeeper at {}, Redis at {}",
        world.zookeeper_addr(),
        world.redis_url()
    );
    println!("  files in {}", world.dir().display());

    act("Two watchers and three executors");
    let mut cast = Cast::default();
    for number in 1..=2 {
        cast.watcher(&world, number).await?;
    }
    for number in 1..=3 {
        cast.executor(&world, number).await?;
    }

    act("Four batches of the article: 5,000 random numbers each, which of them are prime?");
    let jobs = submit(&world).await?;
    let submitted = Instant::now();

    act("At work");
    println!(
        "  A test hook makes each task 3 ms longer, or all would be done in a blink. In the middle {VICTIM} gets"
    );
    println!("  SIGKILL, and so does the first watcher that begins to deliver; executor {NEWCOMER} joins.");
    work(&world, &mut cast, &jobs).await?;
    let worked = submitted.elapsed();

    act("Every single result, checked by trial division");
    let primes = review(&world, &jobs).await?;

    act("Leaving: SIGTERM to all that still run");
    let left = cast.dismiss().await?;
    println!("  {left} programs left, each with status 0");
    drop(cast);
    let directory = world.dir().to_owned();
    drop(world);
    ensure!(!directory.exists(), "{} is still there", directory.display());

    act("Done");
    let tasks = BATCHES as u64 * TASKS;
    println!(
        "  {tasks} tasks in {BATCHES} batches were shared; an executor and a watcher were killed, an executor joined."
    );
    println!("  Every result is there once and right ({primes} primes), and nothing is left behind.");
    println!(
        "  {} from submission to the last delivery, {} in all",
        seconds(worked),
        seconds(started.elapsed())
    );
    Ok(Verdict::Passed)
}

async fn submit(world: &World) -> Result<Vec<String>> {
    let mut jobs = Vec::new();
    for number in 1..=BATCHES {
        let tasks = TASKS.to_string();
        let args = ["--random-numbers", &tasks, "--queue", QUEUE];
        let ids = world.submit(&args, SUBMITTED_WITHIN).await?;
        ensure!(ids.len() == 1, "the submitter printed {ids:?} for one job");
        println!("  batch {number} is job {}", ids[0]);
        jobs.extend(ids);
    }
    Ok(jobs)
}

/// Shows the work, and makes it hard, until all is delivered.
async fn work(world: &World, cast: &mut Cast, jobs: &[String]) -> Result<()> {
    let mut camera = Camera::new(world, jobs, TASKS).await?;
    let watchers = cast.all("watcher").cloned().collect();
    // A task of its own, because a lock is there for some tens of milliseconds only.
    let mut hunt = JoinSet::new();
    hunt.spawn(kill_first_to_lock(
        world.zk().await?,
        world.path("watchlocks"),
        watchers,
    ));
    let mut ticks = interval(SCENE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let mut plot = [
        Turn {
            at_percent: 20,
            event: Event::Death,
        },
        Turn {
            at_percent: 45,
            event: Event::Arrival,
        },
    ]
    .iter();
    let mut next = plot.next();
    loop {
        ticks.tick().await;
        let scene = camera.take(cast).await?;
        print!("\n{:>7} {scene}", seconds(started.elapsed()));
        if scene.is_over() {
            break;
        }
        ensure!(
            started.elapsed() < DONE_WITHIN,
            "not all batches were delivered within {DONE_WITHIN:?}"
        );
        if let Some(turn) = next.filter(|turn| turn.at_percent <= scene.percent()) {
            turn.event.happen(world, cast, &scene).await?;
            next = plot.next();
        }
    }
    ensure!(
        next.is_none(),
        "the work was over before anything could happen to it"
    );
    hunt.try_join_next()
        .context("no watcher was seen to lock a batch")?
        .context("look for a lock")?
}

/// Something that happens once so much of the work is done.
struct Turn {
    at_percent: u64,
    event: Event,
}

enum Event {
    /// An executor is killed.
    Death,
    /// A new executor joins.
    Arrival,
}

impl Event {
    async fn happen(&self, world: &World, cast: &mut Cast, scene: &Scene) -> Result<()> {
        match self {
            Self::Death => {
                println!(
                    "\n  >>> SIGKILL to {VICTIM}, which has claimed {} tasks",
                    scene.claimed_by(VICTIM)
                );
                cast.kill(VICTIM).await
            }
            Self::Arrival => {
                println!("\n  >>> a new executor joins");
                cast.executor(world, NEWCOMER).await?;
                println!(
                    "\n  distjobctl status says:\n\n{}",
                    indented(&distjobctl(world, &["status"]).await?)
                );
                Ok(())
            }
        }
    }
}

/// Checks what was delivered, and that no more than that is left. Returns how many primes there were.
async fn review(world: &World, jobs: &[String]) -> Result<usize> {
    let mut primes = 0;
    for (id, number) in jobs.iter().zip(1..) {
        let found = review::batch(world, QUEUE, id, TASKS)?;
        println!(
            "  batch {number}: {TASKS} results, each index once, all right; {found} of the numbers are prime"
        );
        primes += found;
    }
    let left = world.keys_left().await?;
    ensure!(left.is_empty(), "keys were left in Redis: {left:?}");
    println!("  no job is left in ZooKeeper, and in Redis only tombstones that expire");
    Ok(primes)
}

/// Waits until a watcher has locked a batch, and kills it there and then: in the middle of its work.
async fn kill_first_to_lock(zk: Client, locks: String, watchers: Vec<Actor>) -> Result<()> {
    loop {
        let (locked, changed) = zk.list_and_watch_children(&locks).await?;
        for job in locked {
            // The lock is gone when its watcher was quicker than this.
            let Ok((holder, _)) = zk.get_data(&format!("{locks}/{job}")).await else {
                continue;
            };
            if let Some(watcher) = watchers
                .iter()
                .find(|watcher| watcher.member.as_bytes() == holder)
            {
                watcher.process.signal(Signal::KILL)?;
                println!(
                    "\n  >>> {} has locked {job} to deliver it: SIGKILL",
                    watcher.label
                );
                return Ok(());
            }
        }
        changed.changed().await;
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn act(title: &str) {
    println!("\n==> {title}");
}
