//! What two clients do to a few znodes.

use distjob_runtime::zk::client::Mode;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// Below the root of a script. Children of what is ephemeral are among them.
const PATHS: [&str; 6] = ["/a", "/b", "/a/x", "/a/y", "/b/x", "/c"];

/// One of the two clients.
pub(crate) type Who = usize;

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(Who, Write),
    /// All of them together.
    Multi(Who, Vec<Write>),
    Stat(Who, &'static str),
    Data(Who, &'static str),
    /// All of them with one request.
    DataOfAll(Who, Vec<&'static str>),
    Children(Who, &'static str),
    WatchData(Who, &'static str),
    WatchChildren(Who, &'static str),
    /// Ends a session and begins another one.
    Renew(Who),
}

/// A write, alone or with others.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Create(&'static str, Mode),
    /// With a version, as all of distjob's.
    Set(&'static str, i32),
    Delete(&'static str, i32),
    /// Only with others.
    Check(&'static str, i32),
}

/// The steps that follow from a seed.
pub(crate) fn script(seed: u64, steps: usize) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..steps).map(|_| step(&mut rng)).collect()
}

fn step(rng: &mut StdRng) -> Step {
    let (who, path) = (rng.random_range(0..2), any_path(rng));
    match rng.random_range(0..22) {
        0..=7 => Step::Write(who, write(rng, 3)),
        8..=10 => {
            let count = rng.random_range(1..4);
            Step::Multi(who, (0..count).map(|_| write(rng, 4)).collect())
        }
        11 => Step::Stat(who, path),
        12 | 13 => Step::Data(who, path),
        14 | 15 => Step::Children(who, path),
        16 => Step::WatchData(who, path),
        17 | 18 => Step::WatchChildren(who, path),
        19 | 20 => {
            let count = rng.random_range(0..5);
            Step::DataOfAll(who, (0..count).map(|_| any_path(rng)).collect())
        }
        _ => Step::Renew(who),
    }
}

/// One of the first so many kinds.
fn write(rng: &mut StdRng, kinds: u32) -> Write {
    let (path, version) = (any_path(rng), rng.random_range(0..2));
    match rng.random_range(0..kinds) {
        0 => Write::Create(path, [Mode::Persistent, Mode::Ephemeral][rng.random_range(0..2)]),
        1 => Write::Set(path, version),
        2 => Write::Delete(path, version),
        _ => Write::Check(path, version),
    }
}

fn any_path(rng: &mut StdRng) -> &'static str {
    PATHS[rng.random_range(0..PATHS.len())]
}
