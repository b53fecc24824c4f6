//! Shows and steers distjob: the operator's tool.
//!
//! Each command is a file: it reads what it needs ([`survey`]), puts it into a report, and writes that, for people or
//! as one JSON object ([`output`]). The fields of that object are those of the report's struct, where each is explained;
//! fields may be added, none is renamed or removed.
//!
//! | command | fields of its JSON object |
//! |---|---|
//! | `status` | `ledger`, `executors`, `watchers`, `jobs` (how many in each state), `tasks`, `locks`, `unreadable`, `redis_error` |
//! | `jobs` | `jobs` (oldest first), `unreadable` |
//! | `show` | `id`, `job`, `unreadable`, `watcher`, `store` (the partition) |
//! | `wait` | `jobs`: `id`, `outcome` of `delivered`, `over`, `cancelled`, `lost`, `unknown`, `unreadable`, `waiting` |
//! | `cancel`, `restore` | `jobs`: `id`, `to`, `outcome` of `done`, `already`, `refused`, `unknown`, `unreadable` |
//! | `gc` | `dry_run`, `dropped`, `kept` |
//! | `accept-store` | `ledger`, `mark_before`, `changed`, `jobs` |
//!
//! Znodes of other programs among the jobs are listed with the reason why they are no jobs, and otherwise left alone.
//!
//! **Architecture invariant:** no command writes more than its one versioned change of a znode, its one `drop`, or the
//! ledger mark. What follows from it is done by the daemons.

mod accept;
mod cancel;
mod cli;
mod config;
mod gc;
mod jobs;
mod output;
mod show;
mod status;
mod survey;
mod wait;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use distjob_runtime::{
    exit::Status,
    reach::{Directories, Reach, ReachSettings},
    shutdown::Stop,
};

pub use cli::{Args, Command, Options, State};
pub use config::{Config, CtlConfig, EMBEDDED_CONFIG};

use output::Output;

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
    let limit = options
        .timeout
        .unwrap_or(if is_wait { wait::PATIENCE } else { PATIENCE });
    let reach = Reach::new(ReachSettings {
        zookeeper: config.zookeeper.clone(),
        redis: config.redis.clone(),
        limit,
        directories: Directories::Expect,
        say: Arc::new(|text| tracing::warn!("{text}")),
    })?;
    let output = Output { json: options.json };
    let work = async {
        match command {
            Command::Status => status::run(&reach, output).await,
            Command::Jobs { state, queue } => jobs::run(&reach, output, state, queue).await,
            Command::Show { id } => show::run(&reach, output, &id).await,
            Command::Wait { ids } => wait::run(&reach, output, ids, options.timeout).await,
            Command::Cancel { ids } => cancel::cancel(&reach, output, ids).await,
            Command::Restore { id } => cancel::restore(&reach, output, &id).await,
            Command::Gc { dry_run } => {
                gc::run(&reach, output, dry_run, config.distjobctl.tombstone_ttl).await
            }
            Command::AcceptStore => accept::run(&reach, output).await,
        }
    };
    let outcome = stop.unless_requested(work).await;
    reach.leave().await;
    outcome.context("interrupted")?
}
