//! What follows a delivered job is created once, in the transaction that says so, with the tasks that it must have, and
//! ends like any other job.
//!
//! What they are is known from the results that they follow from, and these from the seed: what is wrong anywhere on the
//! way is found where it began.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Delivered, audit::Life};
use serde_json::Value;

use super::{Case, Delivery, Findings, Promise, case::FollowUp};
use crate::expect::{ARCHIVED, STEPS, Step, is_given_up, noted, value_of};

/// The files of workflows, by job.
pub(super) type Files = BTreeMap<String, Delivery>;

pub(super) fn check(case: &Case<'_>, files: &Files, found: &mut Findings) {
    for step in STEPS.into_iter().filter(|step| !step.is_join()) {
        for (id, lives) in parents(case, step) {
            check_step(case, files, (step, id, lives), found);
        }
    }
    check_groups(case, files, found);
    for (id, job) in &case.follow_ups {
        check_end(case, files, (id, job), found);
    }
    check_origins(case, found);
}

/// The jobs of a step's queue, with all of their lives.
fn parents<'a>(case: &'a Case<'_>, step: Step) -> impl Iterator<Item = (&'a String, &'a Vec<Life>)> {
    let of_queue = move |life: &Life| life.said("queue") == Some(step.from);
    (case.ledger.jobs.iter()).filter(move |(_, lives)| lives.iter().any(of_queue))
}

/// What a step makes of one job.
fn check_step(
    case: &Case<'_>,
    files: &Files,
    (step, id, lives): (Step, &String, &Vec<Life>),
    found: &mut Findings,
) {
    let Some(lines) = files.get(id).and_then(|file| file.lines.as_ref().ok()) else {
        // That a file is missing, or cannot be read, is judged by itself.
        return;
    };
    let tasks = step.tasks(lines);
    for uploaded in lives.iter().filter_map(|life| life.uploaded) {
        let mut followers = case.follow_ups.iter().filter(|(_, job)| {
            job.parent == id && job.queue == step.to && job.lives.iter().any(|life| life.created == uploaded)
        });
        let (first, others) = (followers.next(), followers.count());
        if others > 0 || first.is_some() == tasks.is_empty() {
            let expected = usize::from(!tasks.is_empty());
            let seen = others + usize::from(first.is_some());
            let why = format!(
                "{seen} jobs of {} instead of {expected} were created with its `uploaded`",
                step.to
            );
            found.add(Promise::Follows, id, why);
        }
        if let Some((follower, _)) = first {
            check_tasks(case, files, follower, &tasks, found);
        }
    }
}

/// That nothing was created apart from what it follows.
fn check_origins(case: &Case<'_>, found: &mut Findings) {
    for (id, job) in &case.follow_ups {
        let origins: BTreeSet<i64> = match job.joins {
            Some(group) => case
                .ledger
                .joins
                .get(group)
                .into_iter()
                .flatten()
                .copied()
                .collect(),
            None => {
                let lives = case.ledger.jobs.get(job.parent).into_iter().flatten();
                lives.filter_map(|life| life.uploaded).collect()
            }
        };
        if !job.lives.iter().all(|life| origins.contains(&life.created)) {
            found.add(
                Promise::Follows,
                *id,
                "it was not created together with what it follows",
            );
        }
        if Step::to(job.queue).is_none_or(|step| step.is_join() != job.joins.is_some()) {
            found.add(
                Promise::Follows,
                *id,
                format!("no step leads to a job of {}", job.queue),
            );
        }
    }
}

/// That each group was joined once, by a job with a task for each member.
fn check_groups(case: &Case<'_>, files: &Files, found: &mut Findings) {
    let mut groups = BTreeMap::<&str, BTreeMap<&String, &Life>>::new();
    for (id, lives) in &case.ledger.jobs {
        for life in lives {
            if let Some(group) = life.said("group") {
                groups.entry(group).or_default().insert(id, life);
            }
        }
    }
    for (group, members) in groups {
        let joins = case.ledger.joins.get(group).map_or(0, Vec::len);
        let mut followers = (case.follow_ups.iter()).filter(|(_, job)| job.joins == Some(group));
        let (first, others) = (followers.next(), followers.count());
        let Some((follower, _)) = first.filter(|_| joins == 1 && others == 0) else {
            let jobs = others + usize::from(first.is_some());
            let why = format!("it was joined {joins} times, and {jobs} jobs follow it");
            found.add(Promise::Follows, group, why);
            continue;
        };
        let Some(lines) = files.get(*follower).and_then(|file| file.lines.as_ref().ok()) else {
            continue;
        };
        if lines.len() != members.len() {
            let why = format!("{} tasks for {} members", lines.len(), members.len());
            found.add(Promise::Follows, *follower, why);
        }
        for (line, (member, life)) in lines.iter().zip(members) {
            if let Some(why) = wrong_member(files, line, member, life) {
                found.add(Promise::Follows, *follower, format!("{member}: {why}"));
            }
        }
    }
}

/// What is wrong with the task that says where a member's result is, if anything.
fn wrong_member(files: &Files, line: &Delivered, member: &str, life: &Life) -> Option<String> {
    let said: Value = match serde_json::from_slice(&line.task) {
        Ok(said) => said,
        Err(error) => return Some(format!("its task is no JSON: {error}")),
    };
    let is = |key: &str, expected: &str| said[key].as_str() == Some(expected);
    if !is("job", member) || !is("queue", "parts") || !is("life", &format!("{:016x}", life.created)) {
        return Some(format!("its task is of another job: {said}"));
    }
    // It may have been cancelled when its result was out already, which is then told of or not.
    let is_cancelled = is("conclusion", "cancelled") && life.was("cncl");
    let Some(file) = files.get(member).filter(|_| !is_cancelled) else {
        return (!is_cancelled).then(|| format!("it was not delivered, but {said}"));
    };
    let is_located = said["locations"]["default"]
        .as_str()
        .is_some_and(|place| place.ends_with(&format!("/parts/{member}.jsonl")));
    (!is("sha256", &file.sha256) || !is_located).then(|| format!("its file is another one: {said}"))
}

/// That a follow-up has these tasks, and what comes of them.
fn check_tasks(case: &Case<'_>, files: &Files, id: &str, tasks: &[Vec<u8>], found: &mut Findings) {
    let Some(lines) = files.get(id).and_then(|file| file.lines.as_ref().ok()) else {
        return;
    };
    let had: Vec<&[u8]> = lines.iter().map(|line| line.task.as_slice()).collect();
    if had != tasks {
        let why = format!("{} other tasks than the {} that follow", had.len(), tasks.len());
        found.add(Promise::Follows, id, why);
    }
    let poison_after = case.parameters.map_or(0, |parameters| parameters.poison_after);
    let departures = case.follow_ups.get(id).map_or(0, FollowUp::departures);
    for (at, line) in lines.iter().enumerate() {
        let may_be = match &line.outcome {
            Ok(value) => value == value_of(&line.task),
            Err(error) => is_given_up(error) && departures >= u64::from(poison_after),
        };
        if !may_be || line.index != at as u64 {
            found.add(Promise::Whole, id, format!("line {}: {:?}", at + 1, line.outcome));
        }
    }
}

/// That a follow-up was delivered, by way of an archive where it has one, and run.
fn check_end(case: &Case<'_>, files: &Files, (id, job): (&str, &FollowUp<'_>), found: &mut Findings) {
    let was = |state| job.lives.iter().any(|life| life.was(state));
    let has_lost = case.may_have_lost_since(job.began_ms);
    let is_lost = job.is_lost || was("lost");
    if is_lost && !has_lost {
        found.add(Promise::Lost, id, "it is lost, but Redis lost nothing");
    }
    let uploads = job.lives.iter().filter(|life| life.uploaded.is_some()).count();
    if uploads > 1 && !has_lost {
        found.add(Promise::Once, id, format!("it was uploaded in {uploads} lives"));
    }
    let Some(file) = files.get(id) else {
        if !is_lost {
            found.add(
                Promise::Delivered,
                id,
                format!("it follows {}, but has no file", job.parent),
            );
        }
        return;
    };
    if job.queue == ARCHIVED && !was("zpd") {
        found.add(
            Promise::Once,
            id,
            "it was delivered as an archive and never `zpd`",
        );
    }
    let executed = |line: &Delivered| case.executions.get(&noted(&line.task)).copied().unwrap_or(0);
    for line in file.lines.iter().flatten() {
        let times = executed(line);
        if times == 0 && line.outcome.is_ok() {
            found.add(
                Promise::Executed,
                id,
                format!("task {} was never executed", line.index),
            );
        }
        if times > 1 && case.is_without_faults() {
            found.add(
                Promise::Executed,
                id,
                format!("task {} was executed {times} times", line.index),
            );
        }
    }
}

/// What is noted of the tasks of all follow-ups when they are executed.
pub(super) fn payloads(files: &Files, case: &Case<'_>) -> BTreeSet<String> {
    let steps = STEPS.into_iter().filter(|step| !step.is_join());
    let follow = steps.flat_map(|step| {
        let of_queue = files.values().filter(move |file| file.queue == step.from);
        of_queue.flat_map(move |file| step.tasks(file.lines.as_deref().unwrap_or_default()))
    });
    let delivered = files
        .values()
        .filter(|file| case.follow_ups.contains_key(file.id.as_str()));
    let tasks = delivered.flat_map(|file| file.lines.iter().flatten().map(|line| line.task.clone()));
    follow.chain(tasks).map(|task| noted(&task)).collect()
}
