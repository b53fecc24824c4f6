//! Executors that serve several queues, and jobs for them.

use std::fs;
use std::time::Duration;

use harness::{World, eventually};
use redis::AsyncCommands as _;

use crate::SOON;
use crate::crew::{Executor, drill, metric};

/// An executor with this TOML, whose handler does as its tasks say. It notes each task that it begins.
pub(crate) async fn start(world: &World, name: &str, toml: &str) -> Executor {
    Executor::start_as(world, name, drill(world, toml)).await
}

/// Submits a job of this queue.
pub(crate) async fn submit<T: AsRef<str>>(world: &World, queue: &str, tasks: &[T]) -> String {
    submit_with(world, queue, "", tasks).await
}

/// Submits a job of this queue whose znode says more.
pub(crate) async fn submit_with<T: AsRef<str>>(
    world: &World,
    queue: &str,
    more: &str,
    tasks: &[T],
) -> String {
    let id = world.job_id(queue);
    let mut redis = world.redis().await.unwrap();
    for batch in tasks.chunks(10_000) {
        let batch: Vec<&str> = batch.iter().map(AsRef::as_ref).collect();
        redis.rpush::<_, _, ()>(&id, batch).await.unwrap();
    }
    let data = format!("subm={};queue={queue}{more}", tasks.len());
    world.create_job(&id, data).await.unwrap();
    id
}

/// So many tasks that sleep so long, each with a name of its own.
pub(crate) fn naps(name: &str, count: usize, length: Duration) -> Vec<String> {
    let ms = length.as_millis();
    (0..count)
        .map(|task| format!("sleep {ms} {name}-{task}"))
        .collect()
}

/// The tasks that an executor of this name began so far, in order.
pub(crate) fn begun(world: &World, name: &str) -> Vec<String> {
    let noted = fs::read_to_string(world.dir().join(format!("{name}.executions"))).unwrap_or_default();
    noted.lines().map(str::to_owned).collect()
}

/// How many of these tasks have this name.
pub(crate) fn count(tasks: &[String], name: &str) -> usize {
    tasks
        .iter()
        .filter(|task| task.contains(&format!(" {name}-")))
        .count()
}

/// Returns when this executor has begun so many tasks of this name.
pub(crate) async fn has_begun(world: &World, executor: &str, name: &str, least: usize) {
    eventually("the tasks begin", SOON, async || {
        let begun = count(&begun(world, executor), name);
        anyhow::ensure!(begun >= least, "{begun} of {least} did");
        Ok(())
    })
    .await;
}

/// A series of one queue.
pub(crate) async fn queue_metric(executor: &Executor, name: &str, queue: &str) -> u64 {
    metric(executor, &format!("distjob_queue_{name}{{queue=\"{queue}\"}}")).await
}
