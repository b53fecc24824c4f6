//! The program that makes jobs of tasks. Behaviour lives in the library; here is only the start.

use std::process::ExitCode;

use clap::Parser as _;
use distjob_runtime::program::Program;
use submitter::{Args, EMBEDDED_CONFIG, run};

fn main() -> ExitCode {
    let args = Args::parse();
    let order = match args.order() {
        Ok(order) => order,
        Err(error) => error.exit(),
    };
    let program = Program {
        name: "submitter",
        embedded_config: EMBEDDED_CONFIG,
    };
    program.tool(&args.common, |settings, stop| run(settings, order, stop))
}
