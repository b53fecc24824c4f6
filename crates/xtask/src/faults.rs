//! `cargo xtask faults`: real processes and servers under faults by seed, and the judgement of what came of it.
//!
//! All of it is the fault rig's work, a program of `tests/rig`; here it gets what it needs, and is run. It is built for
//! development: the handlers that abort, hang and bloat are not in a release.

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    interrupts::Interrupts,
    packages::{self, IPROUTE, LIBFAKETIME, REDIS, ZOOKEEPER},
    shell::{cargo, command, target},
    steps::Verdict,
};

/// What `cargo xtask test` runs: always the same, so that a failure is the tree's and not the seed's.
const TEST_SEED: u64 = 1;
/// As short as makes sense: every kind of most value once.
const TEST_MINUTES: u64 = 2;

/// What the run is to be like.
#[derive(clap::Args)]
pub(crate) struct Order {
    /// For how long faults happen
    #[arg(long, value_name = "M", default_value_t = TEST_MINUTES)]
    minutes: u64,

    /// Draws which faults happen when, and which jobs are submitted; a fresh one if it is not given
    #[arg(long, value_name = "S")]
    seed: Option<u64>,

    /// Only these kinds of faults; "none" for none, "list" to see all
    #[arg(long, value_name = "KIND,KIND…")]
    nemesis: Option<String>,

    /// How Redis keeps what it was told
    #[arg(long, value_enum, default_value_t = Redis::Aof)]
    redis: Redis,

    /// Keep what a clean run wrote to Redis, too
    #[arg(long)]
    keep: bool,
}

/// Which Redis.
#[derive(Clone, Copy, ValueEnum)]
enum Redis {
    /// Stand-alone, its append-only file synced each second
    Aof,
    /// Stand-alone, its append-only file synced before each reply
    AofAlways,
    /// A primary with a replica, which is promoted now and then
    Replica,
}

/// Installs and builds what is needed, and runs the rig.
pub(crate) fn faults(order: &Order) -> Result<Verdict> {
    packages::ensure(&[&ZOOKEEPER, &REDIS, &IPROUTE, &LIBFAKETIME])?;
    let interrupts = Interrupts::catch()?;
    eprintln!("==> building the programs");
    interrupts.run(cargo(["build", "--locked", "--workspace", "--bins"]))?;
    // Its exit status is the verdict, and it says all there is to say.
    let clean = interrupts.status(&mut rig(order))?.success();
    Ok(if clean { Verdict::Passed } else { Verdict::Failed })
}

/// The command of a run of [`TEST_MINUTES`] with [`TEST_SEED`], for which everything was built.
pub(crate) fn test_run() -> Command {
    rig(&Order {
        minutes: TEST_MINUTES,
        seed: Some(TEST_SEED),
        nemesis: None,
        redis: Redis::Aof,
        keep: false,
    })
}

fn rig(order: &Order) -> Command {
    let seed = order.seed.unwrap_or_else(fresh_seed);
    let mut rig = command(target().join("debug/distjob-rig"), ["run"]);
    rig.args([
        "--minutes",
        &order.minutes.to_string(),
        "--seed",
        &seed.to_string(),
    ]);
    if let Some(value) = order.redis.to_possible_value() {
        rig.args(["--redis", value.get_name()]);
    }
    if let Some(nemesis) = &order.nemesis {
        rig.args(["--nemesis", nemesis]);
    }
    if order.keep {
        rig.arg("--keep");
    }
    rig.arg("--out").arg(target().join("faults"));
    rig
}

/// Short enough to be typed.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) % 1_000_000
}
