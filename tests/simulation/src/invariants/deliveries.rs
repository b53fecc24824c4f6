//! An acknowledged job is delivered exactly once in the ledger, and what is delivered is whole and right; or it is lost,
//! but only where the store lost writes.

use std::collections::BTreeMap;

use distjob_core::{JobState, Outcome, Source};

use super::{Evidence, Life};
use crate::{
    history::{Answer, Attempt},
    payload::Payload,
    plan::Submission,
    shelf::Delivery,
};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let lives = evidence.lives();
    let mut violations = Vec::new();
    let submitted = evidence
        .deliveries
        .iter()
        .filter(|delivery| !evidence.follows(&delivery.id));
    for delivery in submitted {
        if let Err(why) = check_lines(evidence, delivery) {
            violations.push(format!(
                "{} delivered by {} at {} ms {why}",
                delivery.id, delivery.by, delivery.at_ms
            ));
        }
    }
    for attempt in &evidence.attempts {
        let number = attempt.submission.number;
        let of_it: Vec<&Life> = lives.iter().filter(|life| is_of(life, attempt)).collect();
        if let Err(why) = check_attempt(evidence, attempt, &of_it) {
            violations.push(format!("submission {number} of {} {why}", attempt.submission.id));
        }
    }
    violations.extend(check_order(evidence, &lives));
    violations
}

/// Whether that life of a job comes from that submission.
fn is_of(life: &Life, attempt: &Attempt) -> bool {
    let Some(Some(first)) = life.states.first() else {
        return false;
    };
    life.id == attempt.submission.id
        && attempt.source.as_ref() == Some(&first.source)
        // Two plain submissions of one id differ in nothing else that the ledger knows.
        && (first.source != Source::Plain || first.count == attempt.submission.tasks.len() as u64)
}

/// Whether a file is exactly what one submission of that id must come to. The error fits behind "the file".
fn check_lines(evidence: &Evidence, delivery: &Delivery) -> Result<(), String> {
    let number = submission_of(delivery)?;
    let of_id = |attempt: &&Attempt| attempt.submission.id == delivery.id;
    let attempt = evidence
        .attempts
        .iter()
        .filter(of_id)
        .find(|attempt| match number {
            Some(number) => attempt.submission.number == number,
            None => attempt.submission.tasks.is_empty() && attempt.submission.queue == delivery.queue,
        })
        .ok_or_else(|| format!("has lines of submission {number:?}, which is not of this id"))?;
    let submission = &attempt.submission;
    if delivery.queue != submission.queue {
        return Err(format!("is in queue {}", delivery.queue));
    }
    if delivery.lines.len() != submission.tasks.len() {
        return Err(format!(
            "has {} lines of {}",
            delivery.lines.len(),
            submission.tasks.len()
        ));
    }
    for ((index, line), kind) in (0..).zip(delivery.lines.iter()).zip(&submission.tasks) {
        let payload = Payload {
            submission: submission.number,
            index,
            kind: *kind,
        };
        if line.task != payload.to_string().as_bytes() {
            return Err(format!("has another task at {index}"));
        }
        let outcome = match &line.outcome {
            Ok(value) => Outcome::Ok(value),
            Err(error) => Outcome::Err(error),
        };
        if was_cut_short(evidence, submission, outcome) {
            continue;
        }
        if !payload.allows(outcome, evidence.plan.settings.attempts) {
            return Err(format!("has a wrong outcome at {index}: {outcome:?}"));
        }
        // Of what was given up nobody knows.
        let counted = payload.counted(evidence.plan.settings.attempts);
        if line.attempts.is_some_and(|attempts| attempts != counted) {
            return Err(format!("tells of {:?} attempts at {index}", line.attempts));
        }
    }
    Ok(())
}

/// Whether a task can have got this outcome without being run, or without being run to its end.
fn was_cut_short(evidence: &Evidence, submission: &Submission, outcome: Outcome<'_>) -> bool {
    match outcome {
        Outcome::Err(b"the job's deadline has passed") => submission.deadline_ms.is_some(),
        Outcome::Err(error) if error.starts_with(b"not run: the first ") => {
            evidence.plan.settings.abort_after_percent > 0
        }
        _ => false,
    }
}

/// The submission that the first line belongs to.
fn submission_of(delivery: &Delivery) -> Result<Option<u32>, String> {
    let Some(first) = delivery.lines.first() else {
        return Ok(None);
    };
    match Payload::parse(&first.task) {
        Ok(payload) => Ok(Some(payload.submission)),
        Err(_) => Err("begins with something that nobody submitted".to_owned()),
    }
}

/// Whether what became of a submission fits what its submitter was told.
fn check_attempt(evidence: &Evidence, attempt: &Attempt, lives: &[&Life]) -> Result<(), String> {
    let reached = |life: &Life, state| life.states.iter().flatten().any(|data| data.state == state);
    let uploaded = lives
        .iter()
        .filter(|life| reached(life, JobState::Uploaded))
        .count();
    let is_delivered = evidence
        .deliveries
        .iter()
        .any(|delivery| is_delivery_of(delivery, attempt));
    if uploaded > 1 {
        return Err(format!("was delivered in {uploaded} lives"));
    }
    if uploaded == 1 && !is_delivered {
        return Err("counts as delivered without a file".to_owned());
    }
    let id = &attempt.submission.id;
    match &attempt.answer {
        Some(Answer::Created) => {}
        Some(Answer::Failed(why)) if !lives.iter().all(|life| is_taken_back(life)) => {
            return Err(format!("runs, though it was said to have failed: {why}"));
        }
        Some(Answer::Before) if !evidence.lives().iter().any(|life| life.id == *id) => {
            return Err("was said to be submitted before, and nothing ever was".to_owned());
        }
        _ => return Ok(()),
    }
    if uploaded == 1 {
        return Ok(());
    }
    if lives.is_empty() {
        return Err("was acknowledged, but never created".to_owned());
    }
    let is_cancelled = evidence.cancelled.contains(id);
    if is_cancelled && lives.iter().any(|life| reached(life, JobState::Cancelled)) {
        return Ok(());
    }
    if lives.iter().any(|life| reached(life, JobState::Lost)) {
        return match evidence.store.damaged.contains(&attempt.submission.id) {
            true => Ok(()),
            false => {
                Err("was acknowledged, and declared lost though the store lost nothing of it".to_owned())
            }
        };
    }
    match evidence.unfinished.is_empty() {
        true => Err("was acknowledged, and came to no end".to_owned()),
        // Said already.
        false => Ok(()),
    }
}

/// Whether a job that was created after all was cancelled before anything came of it.
fn is_taken_back(life: &Life) -> bool {
    let reached = |state| life.states.iter().flatten().any(|data| data.state == state);
    reached(JobState::Cancelled) && !reached(JobState::Uploaded)
}

fn is_delivery_of(delivery: &Delivery, attempt: &Attempt) -> bool {
    delivery.id == attempt.submission.id
        && submission_of(delivery).is_ok_and(|number| match number {
            Some(number) => number == attempt.submission.number,
            None => attempt.submission.tasks.is_empty() && attempt.submission.queue == delivery.queue,
        })
}

/// No file of an older life replaces that of a newer one: what stands there at last is what was delivered last.
fn check_order(evidence: &Evidence, lives: &[Life]) -> Vec<String> {
    let born = |delivery: &Delivery| {
        let attempts = evidence.attempts.iter();
        let mut of_it = attempts.filter(|attempt| is_delivery_of(delivery, attempt));
        let attempt = of_it.next()?;
        lives.iter().rposition(|life| is_of(life, attempt))
    };
    let mut newest = BTreeMap::new();
    let mut violations = Vec::new();
    for delivery in evidence
        .deliveries
        .iter()
        .filter(|delivery| !delivery.lines.is_empty())
    {
        let Some(born) = born(delivery) else { continue };
        let newest = newest.entry((&delivery.queue, &delivery.id)).or_insert(born);
        if born < *newest {
            violations.push(format!(
                "the file of {} at {} ms replaces that of a later life",
                delivery.id, delivery.at_ms
            ));
        }
        *newest = born.max(*newest);
    }
    violations
}
