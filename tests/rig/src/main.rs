//! `distjob-rig`: runs the fault rig, or judges a run that was kept. `cargo xtask faults` builds what it needs and calls it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use distjob_rig::history::RedisKind;
use distjob_rig::judge::{self, Judgement};
use distjob_rig::net::private;
use distjob_rig::plan::Kind;
use distjob_rig::run::{self, Settings};

/// Real processes and servers under faults, and the judgement of what came of it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run, judge, and report
    Run(Order),
    /// Judge a run again that was kept
    Check {
        /// Its directory
        dir: PathBuf,
    },
}

#[derive(Args)]
struct Order {
    /// For how long faults happen
    #[arg(long, default_value_t = 2)]
    minutes: u64,
    /// Draws faults and jobs
    #[arg(long)]
    seed: u64,
    /// Only these kinds of faults; "none" for none, "list" to see all
    #[arg(long, value_delimiter = ',')]
    nemesis: Vec<String>,
    /// aof, aof-always or replica
    #[arg(long, default_value = "aof", value_parser = redis_kind)]
    redis: RedisKind,
    /// Keep what a clean run wrote to Redis, too
    #[arg(long)]
    keep: bool,
    /// Where each run gets a directory of its own
    #[arg(long, default_value = "target/faults")]
    out: PathBuf,
}

fn redis_kind(name: &str) -> Result<RedisKind, String> {
    let kinds = [RedisKind::Aof, RedisKind::AofAlways, RedisKind::Replica];
    let found = kinds.into_iter().find(|kind| kind.to_string() == name);
    found.ok_or_else(|| "there are aof, aof-always and replica".to_owned())
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(order) if order.nemesis == ["list"] => {
            Kind::ALL.iter().for_each(|kind| println!("{kind}"));
            return ExitCode::SUCCESS;
        }
        Command::Run(order) => run_it(&order),
        Command::Check { dir } => judge::judge(&dir),
    };
    match done {
        Ok(judgement) => {
            println!("{judgement}");
            if judgement.is_clean() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_it(order: &Order) -> Result<Judgement> {
    let settings = settings(order)?;
    // Before any thread is started: this process becomes one inside namespaces of its own.
    if let Err(reason) = private::enter() {
        eprintln!(
            "no network namespaces ({reason:#}): everything runs on loopback addresses, behind proxies"
        );
    }
    eprintln!("{} -> {}", settings.command(), settings.dir.display());
    eprint!("{}", settings.plan());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the async runtime")?;
    let ran = runtime.block_on(run::run(&settings));
    runtime.shutdown_background();
    ran.with_context(|| format!("run; its logs are in {}", settings.dir.display()))?;
    let judgement = judge::judge(&settings.dir)?;
    if judgement.is_clean() && !order.keep {
        judge::tidy(&settings.dir)?;
    }
    Ok(judgement)
}

fn settings(order: &Order) -> Result<Settings> {
    let is_quiet = order.nemesis == ["none"];
    let kinds = if is_quiet {
        Ok(Vec::new())
    } else {
        order.nemesis.iter().map(|name| name.parse()).collect()
    };
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    Ok(Settings {
        seed: order.seed,
        minutes: order.minutes,
        kinds: kinds?,
        is_quiet,
        redis: order.redis,
        dir: std::path::absolute(order.out.join(format!("{}-{now_s}", order.seed)))
            .context("find the run's directory")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn an_order_is_understood_and_a_wrong_name_is_told() {
        let line = "distjob-rig run --seed 3 --minutes 1 --redis replica --nemesis cut-tail,churn";
        let Command::Run(order) = Cli::try_parse_from(line.split(' ')).unwrap().command else {
            panic!("not a run");
        };
        let settings = settings(&order).unwrap();
        assert_eq!(settings.kinds, [Kind::CutTail, Kind::Churn]);
        assert_eq!((settings.redis, settings.is_quiet), (RedisKind::Replica, false));
        let wrong = Order {
            nemesis: vec!["flood".to_owned()],
            ..order
        };
        assert!(
            super::settings(&wrong)
                .unwrap_err()
                .to_string()
                .contains("there are kill-executor")
        );
    }
}
