//! The program that makes jobs of tasks. Behaviour lives in the library; here is only the start.

use std::process::ExitCode;

use clap::Parser as _;
use distjob_runtime::program::Program;
use submitter::{Args, EMBEDDED_CONFIG, Work, once, run};

fn main() -> ExitCode {
    let args = Args::parse();
    let work = match args.work() {
        Ok(work) => work,
        Err(error) => error.exit(),
    };
    let program = Program {
        name: "submitter",
        embedded_config: EMBEDDED_CONFIG,
    };
    match work {
        Work::Once(order) => program.tool(&args.common, |settings, stop| once::run(settings, order, stop)),
        Work::Run => program.daemon(&args.common, run::serve),
    }
}
