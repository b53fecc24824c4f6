//! The operator's tool. Behaviour lives in the library; here is only the start.

use std::process::ExitCode;

use clap::Parser as _;
use distjob_runtime::program::Program;
use distjobctl::{Args, EMBEDDED_CONFIG, run};

fn main() -> ExitCode {
    let args = Args::parse();
    let command = match args.command() {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    let (common, options) = (args.common, args.options);
    let program = Program {
        name: "distjobctl",
        embedded_config: EMBEDDED_CONFIG,
    };
    program.tool(&common, |config, stop| run(config, options, command, stop))
}
