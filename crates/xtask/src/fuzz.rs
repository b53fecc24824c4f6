//! `cargo xtask fuzz`: the parsers' properties under libFuzzer, target by target.

use std::{ffi::OsString, fs, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::{
    interrupts::Interrupts,
    shell::{command, root, target},
    steps::{Outcome, Steps, Verdict},
    tools::FUZZ,
};

/// Where the fuzz targets and their seeds are.
const DIRECTORY: &str = "tests/fuzz";

/// What to fuzz, and for how long.
#[derive(Args)]
pub(crate) struct Order {
    /// Only this target; otherwise all of them, one after the other
    #[arg(value_enum)]
    target: Option<Target>,
    /// How many minutes each target is run
    #[arg(long, value_name = "M", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
}

/// The fuzz targets, each a file in `tests/fuzz/fuzz_targets`.
#[derive(Clone, Copy, ValueEnum)]
enum Target {
    Configuration,
    Job,
    Member,
    Names,
    Outcomes,
    Replies,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Job => "job",
            Self::Member => "member",
            Self::Names => "names",
            Self::Outcomes => "outcomes",
            Self::Replies => "replies",
        }
    }
}

/// Builds and runs what is ordered. What a target finds stays in `target/fuzz/artifacts`, what it learned in
/// `target/fuzz/corpus`, from where the next run goes on.
pub(crate) fn fuzz(order: &Order) -> Result<Verdict> {
    let mut steps = Steps::new("fuzz");
    let fuzzer = FUZZ.find_or_install()?;
    let interrupts = Interrupts::catch()?;
    // No sanitizer: there is no unsafe code to watch, and with one the toolchain would have to be a nightly one.
    let cargo_fuzz = |verb: &str| {
        let arguments = ["fuzz", verb, "--sanitizer", "none", "--fuzz-dir", DIRECTORY];
        let mut cargo_fuzz = command(&fuzzer, arguments);
        cargo_fuzz.env("CARGO_TARGET_DIR", target().join("fuzz"));
        cargo_fuzz
    };
    let built = steps.step("build", || {
        let mut build = cargo_fuzz("build");
        build.args(order.target.map(Target::name));
        interrupts.run(build)?;
        Ok(Outcome::Passed)
    });
    let targets = order
        .target
        .as_ref()
        .map_or(Target::value_variants(), std::slice::from_ref);
    for fuzzed in targets.iter().filter(|_| built) {
        steps.step(fuzzed.name(), || {
            let mut run = cargo_fuzz("run");
            run.args(arguments(*fuzzed, Duration::from_secs(60 * order.minutes))?);
            interrupts.run(run)?;
            Ok(Outcome::Passed)
        });
    }
    Ok(steps.finish())
}

/// What follows `cargo fuzz run`: the target, where it keeps and finds inputs, and the fuzzer's own options.
fn arguments(fuzzed: Target, duration: Duration) -> Result<Vec<OsString>> {
    let place = |kind: &str| {
        let directory = target().join("fuzz").join(kind).join(fuzzed.name());
        fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        anyhow::Ok(directory)
    };
    let mut artifacts = OsString::from("-artifact_prefix=");
    artifacts.push(place("artifacts")?.join(""));
    Ok(vec![
        fuzzed.name().into(),
        place("corpus")?.into(),
        root().join(DIRECTORY).join("seeds").join(fuzzed.name()).into(),
        "--".into(),
        format!("-max_total_time={}", duration.as_secs()).into(),
        "-print_final_stats=1".into(),
        // Else it writes a line for each input that reached something new.
        "-verbosity=0".into(),
        artifacts,
    ])
}
