//! The daemon that delivers the results of distjob's jobs. Behaviour lives in the library; here is only the command line.

use std::process::ExitCode;

use clap::Parser;
use distjob_runtime::{config::CommonArgs, program::Program};

/// Delivers the results of distjob's jobs.
#[derive(Debug, Parser)]
#[command(name = "watcher-d", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let program = Program {
        name: "watcher-d",
        embedded_config: watcher_d::EMBEDDED_CONFIG,
    };
    program.daemon(&args.common, watcher_d::run)
}
