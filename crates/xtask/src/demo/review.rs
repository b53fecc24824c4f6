//! The check of what came out, which shares no code with what made it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use harness::{World, is_prime};

/// The article's numbers.
const NUMBERS: std::ops::RangeInclusive<u64> = 5_000..=90_000_000;

/// Checks one delivered batch: each index once and in order, distinct numbers of the article's range, and every answer
/// against trial division. Returns how many of the numbers are prime.
pub(super) fn batch(world: &World, queue: &str, id: &str, tasks: u64) -> Result<usize> {
    let lines = world
        .delivered(queue, id)?
        .with_context(|| format!("job {id} was not delivered"))?;
    ensure!(
        lines.len() as u64 == tasks,
        "job {id}: {} results for {tasks} tasks",
        lines.len()
    );
    let mut numbers = BTreeSet::new();
    let mut primes = 0;
    for (line, index) in lines.iter().zip(0..) {
        ensure!(
            line.index == index,
            "job {id}: index {} where {index} belongs",
            line.index
        );
        let number: u64 = std::str::from_utf8(&line.task)?
            .parse()
            .context("read a task as a number")?;
        ensure!(
            NUMBERS.contains(&number),
            "job {id}: {number} is none of the article's numbers"
        );
        ensure!(numbers.insert(number), "job {id}: {number} is there twice");
        let expected = is_prime(number);
        let answer = line.outcome.as_deref();
        ensure!(
            answer == Ok(expected.to_string().as_bytes()),
            "job {id}: the answer for {number} is {answer:?}, not {expected}"
        );
        primes += usize::from(expected);
    }
    Ok(primes)
}
