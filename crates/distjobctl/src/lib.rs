//! Shows and steers distjob: the operator's tool.
//!
//! Each command is a file: it reads what it needs ([`survey`]), puts it into a report, and writes that, for people or
//! as one JSON object ([`output`]). The fields of that object are those of the report's struct, where each is explained;
//! fields may be added, none is renamed or removed.
//!
//! | command | fields of its JSON object |
//! |---|---|
//! | `status` | `ledger`, `executors`, `watchers`, `queues`, `jobs` (how many in each state), `tasks`, `locks`, `troubles` (sinks that do not take jobs), `unreadable`, `redis_error` |
//! | `queues` | `queues` |
//! | `pause`, `resume` | `queues`: `name`, `paused`, `outcome` of `done`, `already`, `replaced`, `executors` |
//! | `jobs` | `jobs` (oldest first), `unreadable` |
//! | `show` | `id`, `job`, `unreadable`, `watcher`, `store` (the partition), `trouble` (a sink that does not take it), `tree` (what it follows, and what follows it) |
//! | `graph` | `mermaid` |
//! | `groups` | `groups` |
//! | `skip` | `id`, `sink`, `outcome` of `done`, `already`, `refused`, `full`, `unknown`, `unreadable`; `skip` (all of them) |
//! | `wait` | `jobs`: `id`, `outcome` of `delivered` (with `conclusion`, `tasks`, `failed`), `over`, `cancelled`, `lost`, `unknown`, `unreadable`, `waiting` |
//! | `retry` | `id`, `failed`, `retry` (the new job), `outcome` of `submitted`, `already`, `nothing_failed` |
//! | `cancel`, `restore` | `jobs`: `id`, `to`, `outcome` of `done`, `already`, `refused`, `unknown`, `unreadable` |
//! | `gc` | `dry_run`, `dropped`, `kept` |
//! | `accept-store` | `ledger`, `mark_before`, `changed`, `jobs` |
//!
//! Znodes of other programs among the jobs are listed with the reason why they are no jobs, and otherwise left alone.
//!
//! **Architecture invariant:** no command writes more than its one versioned change of a znode for each job or queue, its
//! one `drop`, or the ledger mark. What follows from it is done by the daemons.

mod accept;
mod cancel;
mod cli;
mod config;
mod family;
mod gc;
mod graph;
mod groups;
mod jobs;
mod output;
mod queues;
mod retry;
mod show;
mod skip;
mod status;
mod survey;
mod troubles;
mod wait;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use distjob_runtime::{
    exit::Status,
    reach::{Directories, Reach, ReachSettings},
    shutdown::Stop,
};

pub use cli::{Args, Command, Of, Options, State};
pub use config::{Config, CtlConfig, EMBEDDED_CONFIG};

use output::Output;
use queues::Switch;

/// How long a store may stay away when nothing else was said.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does what `command` says.
///
/// # Errors
/// When a store stays unreachable or refuses; when what was asked for cannot be done.
pub async fn run(
    config: Arc<Config>,
    options: Options,
    command: Command,
    stop: Stop,
) -> anyhow::Result<Status> {
    let is_wait = matches!(command, Command::Wait { .. });
    // A job that was created must be made safe, or taken back.
    let hears_of_stop = matches!(command, Command::Retry { .. });
    let limit = options
        .timeout
        .unwrap_or(if is_wait { wait::PATIENCE } else { PATIENCE });
    let reach = Arc::new(Reach::new(ReachSettings {
        zookeeper: config.zookeeper.clone(),
        redis: config.redis.clone(),
        limit,
        directories: Directories::Expect,
        say: Arc::new(|text| tracing::warn!("{text}")),
    })?);
    let output = Output { json: options.json };
    let work = async {
        match command {
            Command::Status => status::run(&reach, output).await,
            Command::Jobs { state, queue } => jobs::run(&reach, output, state, queue).await,
            Command::Show { id } => show::run(&reach, output, &id).await,
            Command::Graph(of) => graph::run(&reach, output, of).await,
            Command::Groups => groups::run(&reach, output).await,
            Command::Skip { id, sink } => skip::run(&reach, output, &id, &sink).await,
            Command::Wait { ids } => wait::run(&reach, output, ids, options.timeout).await,
            Command::Cancel { ids } => cancel::cancel(&reach, output, ids).await,
            Command::Queues => queues::run(&reach, output).await,
            Command::Pause { queues } => queues::switch(&reach, output, queues, Switch::Pause).await,
            Command::Resume { queues } => queues::switch(&reach, output, queues, Switch::Resume).await,
            Command::Restore { id } => cancel::restore(&reach, output, &id).await,
            Command::Gc { dry_run } => {
                gc::run(&reach, output, dry_run, config.distjobctl.tombstone_ttl).await
            }
            Command::AcceptStore => accept::run(&reach, output).await,
            Command::Retry { id } => retry::run(&reach, output, &id, &stop).await,
        }
    };
    let outcome = if hears_of_stop {
        Some(work.await)
    } else {
        stop.unless_requested(work).await
    };
    reach.leave().await;
    outcome.context("interrupted")?
}
