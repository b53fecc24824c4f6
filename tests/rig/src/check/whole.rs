//! A delivered file has each index of its job once, in order, with the right outcomes.
//!
//! The outcome of a harmless task may also be that it was given up, when as many executors went away during its job's
//! life as that takes: a task cannot be told from those that run beside it.

use harness::Delivered;

use super::{Case, Delivery, Findings, Job, Promise, case::Seen};
use crate::expect::{Expected, is_given_up};
use crate::history::Event;

/// Judges one file, and says what is in it.
pub(super) fn check(case: &Case<'_>, delivery: &Delivery, found: &mut Findings) -> Seen {
    match &delivery.told {
        Ok(told) if *told == delivery.sha256 => {}
        Ok(told) => {
            let why = format!("its manifest tells of {told}, its digest is {}", delivery.sha256);
            found.add(Promise::Whole, &delivery.id, why);
        }
        Err(why) => found.add(Promise::Whole, &delivery.id, format!("its manifest: {why}")),
    }
    let lines = match &delivery.lines {
        Ok(lines) => lines,
        Err(why) => {
            found.add(Promise::Whole, &delivery.id, why);
            return Seen::default();
        }
    };
    let mut seen = Seen {
        tasks: lines.len() as u64,
        ..Seen::default()
    };
    let Some(job) = case.jobs.get(delivery.id.as_str()) else {
        return seen;
    };
    let Some(expected) = &job.expected else {
        found.add(Promise::Whole, &delivery.id, "nobody can say what its tasks are");
        return seen;
    };
    if seen.tasks != expected.count() {
        let why = format!("{} lines for {} tasks", lines.len(), expected.count());
        found.add(Promise::Whole, &delivery.id, why);
    }
    for (at, line) in (0..expected.count()).zip(lines) {
        match wrong(expected, at, line) {
            None => seen.given_up += u64::from(has_given_up(line)),
            Some(_) if has_given_up(line) && may_give_up(case, job) => {
                seen.given_up += 1;
                seen.given_up_harmless += 1;
            }
            // One is enough: a file that is out of step is so to its end.
            Some(why) => {
                found.add(Promise::Whole, &delivery.id, format!("line {}: {why}", at + 1));
                break;
            }
        }
    }
    seen
}

/// Judges what files had in them when they were first seen: whoever reads one may come at any time, and a file that is whole
/// at the end may have been written again.
pub(super) fn check_first_sights(case: &Case<'_>, found: &mut Findings) {
    for (_, event) in case.history.events() {
        if let Event::Appeared { id, lines } = event
            && let Some(job) = case.jobs.get(id.as_str())
            && job.count() != *lines
        {
            let why = format!(
                "it had {lines} lines for {} tasks when it was first seen",
                job.count()
            );
            found.add(Promise::Whole, id, why);
        }
    }
}

fn wrong(expected: &Expected, at: u64, line: &Delivered) -> Option<String> {
    let payload = expected.payload(at);
    if line.index != at {
        return Some(format!("index {} where {at} belongs", line.index));
    }
    if line.task != payload.as_bytes() {
        return Some(format!(
            "the task {:?} where {payload:?} belongs",
            shortened(&line.task)
        ));
    }
    if let Some(attempts) = line.attempts.filter(|attempts| !expected.may_take(at, *attempts))
        && !has_given_up(line)
    {
        return Some(format!("{attempts} attempts at the task {payload:?}"));
    }
    let outcome = line.outcome.as_ref().map(Vec::as_slice).map_err(String::as_str);
    (!expected.is_right(at, outcome)).then(|| match outcome {
        Ok(value) => format!("the value {:?} of the task {payload:?}", shortened(value)),
        Err(error) => format!("the error {error:?} of the task {payload:?}"),
    })
}

fn has_given_up(line: &Delivered) -> bool {
    matches!(&line.outcome, Err(error) if is_given_up(error))
}

fn may_give_up(case: &Case<'_>, job: &Job<'_>) -> bool {
    let poison_after = case.parameters.map_or(0, |parameters| parameters.poison_after);
    let departures = job.lives.iter().map(|life| life.departures).max().unwrap_or(0);
    poison_after > 0 && departures >= u64::from(poison_after)
}

fn shortened(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    if bytes.len() > 80 {
        format!("{text}… ({} bytes)", bytes.len())
    } else {
        text
    }
}
