//! The naive use of Redis as a queue with results, as fast as it goes: one connection, no leases, no ledger, no order.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::World;
use redis::{Cmd, Pipeline, aio::MultiplexedConnection, cmd, pipe};

/// How many tasks are read, and how many commands are sent, before an answer is awaited.
const BATCH: usize = 500;

/// How results are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Results {
    /// A command for each, as programs do that finish one task after the other.
    OneByOne,
    /// A command for [`BATCH`] of them.
    Batched,
}

/// One connection.
pub(crate) struct Naive {
    redis: MultiplexedConnection,
}

impl Naive {
    /// Connects.
    pub(crate) async fn connect(world: &World) -> Result<Self> {
        Ok(Self {
            redis: world.redis().await?,
        })
    }

    /// Runs `count` tasks (the numbers below 100 in turn) as jobs of `size` each: pushes them, reads them, stores a result
    /// for each, reads the results, and deletes both. Returns the time of all but the deleting.
    pub(crate) async fn run(&mut self, count: usize, size: usize, results: Results) -> Result<Duration> {
        let tasks: Vec<String> = (0..size).map(|task| (task % 100).to_string()).collect();
        let mut total = Duration::ZERO;
        for job in 0..count.div_ceil(size) {
            let keys = [format!("naive:{job}:tasks"), format!("naive:{job}:results")];
            let begun = Instant::now();
            self.job(&keys, &tasks[..size.min(count - job * size)], results)
                .await?;
            total += begun.elapsed();
            let _: u64 = cmd("DEL").arg(&keys).query_async(&mut self.redis).await?;
        }
        Ok(total)
    }

    async fn job(
        &mut self,
        [tasks_key, results_key]: &[String; 2],
        tasks: &[String],
        results: Results,
    ) -> Result<()> {
        let pushes = tasks.iter().map(|task| command("RPUSH", [tasks_key, task]));
        self.send(pushes).await?;
        for from in (0..tasks.len()).step_by(BATCH) {
            let to = from + BATCH - 1;
            let read: Vec<String> = cmd("LRANGE")
                .arg(tasks_key)
                .arg(from)
                .arg(to)
                .query_async(&mut self.redis)
                .await?;
            let outcomes = (from..).zip(&read).map(|(index, _)| (index.to_string(), "false"));
            match results {
                Results::OneByOne => {
                    let stores = outcomes.map(|(index, value)| command("HSET", [results_key, &index, value]));
                    self.send(stores).await?;
                }
                Results::Batched => {
                    let mut store = cmd("HSET");
                    store.arg(results_key);
                    for (index, value) in outcomes {
                        store.arg(index).arg(value);
                    }
                    let _: u64 = store.query_async(&mut self.redis).await?;
                }
            }
        }
        for from in (0..tasks.len()).step_by(BATCH) {
            let fields: Vec<String> = (from..tasks.len().min(from + BATCH))
                .map(|index| index.to_string())
                .collect();
            let values: Vec<String> = cmd("HMGET")
                .arg(results_key)
                .arg(&fields)
                .query_async(&mut self.redis)
                .await?;
            ensure!(
                values.len() == fields.len(),
                "{} of {} results",
                values.len(),
                fields.len()
            );
        }
        Ok(())
    }

    /// Sends commands [`BATCH`] at a time.
    async fn send(&mut self, commands: impl Iterator<Item = Cmd>) -> Result<()> {
        let mut commands = commands.peekable();
        while commands.peek().is_some() {
            let mut batch: Pipeline = pipe();
            for command in commands.by_ref().take(BATCH) {
                batch.add_command(command).ignore();
            }
            let () = batch.query_async(&mut self.redis).await?;
        }
        Ok(())
    }
}

fn command<const N: usize>(name: &str, args: [&str; N]) -> Cmd {
    let mut command = cmd(name);
    command.arg(&args[..]);
    command
}
