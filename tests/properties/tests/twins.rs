//! The properties on proptest's inputs: plain noise, words of the formats in any order, and the fuzzer's seeds with
//! pieces cut out, repeated and exchanged.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

use std::fs;
use std::path::Path;

use distjob_properties::{ALL, Property};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

/// Inputs of each kind that each property is tried on.
const CASES: u32 = 4_000;

/// What the formats are made of.
const WORDS: [&str; 44] = [
    "subm=",
    "prcd=",
    "uploaded=",
    "cncl=",
    "lost=",
    "zpd=",
    ";queue=",
    ";from=",
    ";why=",
    ";",
    "=",
    "0",
    "1",
    "7",
    "4294967296",
    "18446744073709551615",
    "default",
    "primes",
    "-",
    "_",
    "/",
    "/distjob",
    "..",
    "{",
    "}",
    ":",
    ",",
    "0000000000000001",
    ".",
    "\n",
    "open",
    "lease",
    "none",
    "slice",
    "ok",
    "refused",
    "[executor]\n",
    "[watcher]\n",
    "slots = ",
    "help_after = \"",
    "s\"\n",
    "{\"host\":\"h\",\"pid\":1,\"version\":\"1\"}",
    "\u{1f980}",
    "\0",
];

/// The seeds of the fuzz target of that name.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A seed into which a piece of another one was put in place of some of its bytes.
fn crossed(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let places = any::<[Index; 4]>();
    (select(seeds.clone()), select(seeds), places, 1..4_usize).prop_map(|(seed, other, at, times)| {
        let cut = |bytes: &[u8], a: Index, b: Index| {
            let (a, b) = (a.index(bytes.len() + 1), b.index(bytes.len() + 1));
            (a.min(b), a.max(b))
        };
        let (from, to) = cut(&seed, at[0], at[1]);
        let (low, high) = cut(&other, at[2], at[3]);
        [&seed[..from], &other[low..high].repeat(times), &seed[to..]].concat()
    })
}

fn inputs(name: &str) -> BoxedStrategy<Vec<u8>> {
    let words =
        prop::collection::vec(select(&WORDS[..]), 0..12).prop_map(|words| words.concat().into_bytes());
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![1 => noise, 3 => words, 4 => crossed(seeds(name))].boxed()
}

fn holds(name: &str) {
    let (_, property): &(&str, Property) = ALL.iter().find(|(known, _)| *known == name).unwrap();
    seeds(name).iter().for_each(|seed| property(seed));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&inputs(name), |input| {
        property(&input);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn every_configuration_is_taken_whole_or_refused_with_a_place() {
    holds("configuration");
}

#[test]
fn data_that_is_a_job_once_is_a_job_in_every_state() {
    holds("job");
}

#[test]
fn what_a_member_says_is_read_as_it_was_written() {
    holds("member");
}

#[test]
fn names_paths_and_keys_are_safe_where_they_stand() {
    holds("names");
}

#[test]
fn outcomes_come_back_as_they_were_packed() {
    holds("outcomes");
}

#[test]
fn no_reply_of_the_store_is_misread() {
    holds("replies");
}

#[test]
fn every_property_has_seeds_and_a_fuzz_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (name, _) in ALL {
        assert!(!seeds(name).is_empty());
        let target = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("distjob_properties::{name}(")), "{name}");
    }
}
