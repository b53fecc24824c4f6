//! The least that a daemon of distjob consists of; its tests are in `tests/daemon.rs`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use distjob_runtime::config::{AdminConfig, CommonArgs, LogConfig, Problems, Settings, duration};
use distjob_runtime::program::{Context, Program};
use distjob_runtime::shutdown;
use serde::{Deserialize, Serialize};
use tracing::info;

/// The text is a file of its own in a real program, so that it can be shipped.
const PROGRAM: Program = Program {
    name: "minimal-daemon",
    embedded_config: r#"
# The log.
[log]
# A level. [reload]
level = "info"
# text or json.
format = "text"

# Metrics and health.
[admin]
# An address or "off".
listen = "127.0.0.1:0"

# The daemon's own.
[minimal]
# How long its last piece of work takes.
work = "0s"
# How long it may take at most. [reload]
grace_period = "30s"
"#,
};

#[derive(Debug, Deserialize, Serialize)]
struct Config {
    log: LogConfig,
    admin: AdminConfig,
    minimal: Minimal,
}

#[derive(Debug, Deserialize, Serialize)]
struct Minimal {
    #[serde(with = "duration")]
    work: Duration,
    #[serde(with = "duration")]
    grace_period: Duration,
}

impl Settings for Config {
    const RELOADABLE: &'static [&'static str] = &["minimal.grace_period"];

    fn check(&self, problems: &mut Problems<'_>) {
        self.log.check(problems);
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
}

#[derive(Parser)]
#[command(version, about = "The least that a daemon consists of")]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> ExitCode {
    PROGRAM.daemon(&Args::parse().common, run)
}

async fn run(mut context: Context<Config>) -> anyhow::Result<()> {
    let [started] = context.readiness.require(["started"]);
    started.met();
    loop {
        context.heartbeat.beat();
        tokio::select! {
            () = context.stop.requested() => break,
            () = context.heartbeat.due() => {}
            Ok(()) = context.updates.changed() => info!("the loop has seen the new configuration"),
        }
    }
    let grace = context.updates.borrow().minimal.grace_period;
    let last_work = tokio::time::sleep(context.settings.minimal.work);
    if shutdown::drain(grace, last_work).await.is_err() {
        info!("the grace period is over; what was not finished is given back");
    }
    Ok(())
}
