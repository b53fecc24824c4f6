//! The daemon that runs the tasks of distjob's jobs. Behaviour lives in the library; here is only the command line.

use std::process::ExitCode;

use clap::Parser;
use distjob_runtime::{config::CommonArgs, program::Program};

/// Runs the tasks of distjob's jobs.
#[derive(Debug, Parser)]
#[command(name = "executor-d", version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> ExitCode {
    distjob_executor::launcher::run_if_asked();
    let args = Args::parse();
    let program = Program {
        name: "executor-d",
        embedded_config: distjob_executor::EMBEDDED_CONFIG,
    };
    program.daemon(&args.common, distjob_executor::run)
}
