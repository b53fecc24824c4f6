//! Jobs that follow jobs.

use harness::{Delivered, audit::Life};

use super::{Promise, breaks, passes, run::Run};
use crate::{
    check::Delivery,
    expect::{Expected, STEPS, value_of},
    history::{Answer, Event, How},
};

const SEED: u64 = 7;
/// A job of `flow-a`.
const FLOW: &str = "flow-000020";
/// What follows it, by step.
const FOLLOW: [&str; 3] = ["next", "amend", "last"];

/// A life that went through these states, created and uploaded in these transactions.
fn life(born: &str, states: &[&str], (created, uploaded): (i64, i64)) -> Life {
    Life {
        states: states.iter().map(|&state| state.to_owned()).collect(),
        is_over: true,
        departures: 0,
        created,
        born: born.to_owned(),
        uploaded: Some(uploaded),
    }
}

fn deliver(run: &mut Run, queue: &str, id: &str, lines: Vec<Delivered>) {
    for line in &lines {
        let payload = String::from_utf8(line.task.clone()).unwrap();
        run.executions.insert(payload, 1);
    }
    run.deliveries.push(Delivery {
        queue: queue.to_owned(),
        id: id.to_owned(),
        unix_ms: 1_015_000,
        lines: Ok(lines),
        sha256: "5a5a".to_owned(),
        told: Ok("5a5a".to_owned()),
    });
}

fn taken(run: &mut Run, outlet: &str, place: &str) {
    run.during(Event::Taken {
        outlet: outlet.to_owned(),
        place: place.to_owned(),
        sha256: "5a5a".to_owned(),
        times: 2,
    });
}

fn lines(run: &mut Run, id: &str) -> Vec<Delivered> {
    run.lines(id).clone()
}

/// Adds a job with all that follows it.
fn follow(run: &mut Run) {
    run.push(0, submitting(FLOW));
    run.answer(20, FLOW, Answer::Acknowledged);
    let job = Expected::new(SEED, FLOW, 30).unwrap();
    let line = |index| {
        let payload = job.payload(index);
        let (verb, rest) = payload.split_once(' ').unwrap();
        Delivered {
            index,
            outcome: match verb {
                "say" => Ok(rest.as_bytes().to_vec()),
                _ => Err(rest.to_owned()),
            },
            task: payload.into_bytes(),
            attempts: None,
        }
    };
    deliver(run, "flow-a", FLOW, (0..30).map(line).collect());
    *run.lives(FLOW) = vec![life(
        "subm=30;queue=flow-a",
        &["subm", "prcd", "uploaded"],
        (5, 10),
    )];
    for (step, id) in STEPS.into_iter().zip(FOLLOW) {
        let parent = if id == "last" { FOLLOW[0] } else { FLOW };
        let created = if id == "last" { 20 } else { 10 };
        let tasks = step.tasks(&lines(run, parent)).into_iter();
        let line = |(index, task): (u64, Vec<u8>)| Delivered {
            index,
            outcome: Ok(value_of(&task).to_vec()),
            task,
            attempts: None,
        };
        let lines = (0..).zip(tasks).map(line).collect();
        deliver(run, step.to, id, lines);
        let born = format!("subm=3;queue={};parent={parent};depth=1", step.to);
        let states = ["subm", "prcd", "zpd", "uploaded"];
        *run.lives(id) = vec![life(&born, &states, (created, created + 10))];
    }
    taken(run, "hook", "next.000000000000000a");
    taken(run, "objects", "/objects/flow-c/last.zip");
}

fn submitting(id: &str) -> Event {
    Event::Submitting {
        submission: 20,
        id: id.to_owned(),
        queue: "flow-a".to_owned(),
        count: 30,
        by: "submitter-1".to_owned(),
        how: How::Once,
        group: None,
    }
}

/// As [`breaks`], of a run with a workflow.
#[track_caller]
fn flow_breaks(promise: Promise, subject: &str, doctor: impl FnOnce(&mut Run)) {
    breaks(promise, subject, |run| {
        follow(run);
        doctor(run);
    });
}

#[test]
fn a_workflow_that_came_out_right_is_clean() {
    passes(follow);
}

#[test]
fn what_was_not_created_or_created_twice_or_apart_from_its_job_is_found() {
    flow_breaks(Promise::Follows, FLOW, |run| {
        run.deliveries.retain(|file| file.id != "amend");
        run.ledger.jobs.remove("amend");
    });
    flow_breaks(Promise::Follows, FLOW, |run| {
        let twin = run.lives("amend").clone();
        *run.lives("twin") = twin;
        let lines = lines(run, "amend");
        deliver(run, "flow-d", "twin", lines);
    });
    flow_breaks(Promise::Follows, "last", |run| {
        let twice = life(
            "subm=3;queue=flow-c;parent=next",
            &["subm", "prcd", "zpd", "uploaded"],
            (21, 22),
        );
        run.lives("last")[0].uploaded = None;
        run.lives("last").push(twice);
    });
}

#[test]
fn a_task_that_is_missing_or_another_one_in_what_follows_is_found() {
    flow_breaks(Promise::Follows, "last", |run| {
        run.lines("last").pop();
    });
}

#[test]
fn what_follows_and_is_not_delivered_or_not_to_everybody_is_found() {
    flow_breaks(Promise::Delivered, "last", |run| {
        run.deliveries.retain(|file| file.id != "last");
    });
    flow_breaks(Promise::Delivered, "next", |run| {
        run.remove(|event| matches!(event, Event::Taken { outlet, .. } if outlet == "hook"));
    });
}

#[test]
fn an_archive_without_its_state_and_a_digest_that_is_wrong_are_found() {
    flow_breaks(Promise::Once, "last", |run| {
        run.lives("last")[0].states.retain(|state| state != "zpd");
    });
    flow_breaks(Promise::Whole, "amend", |run| {
        run.file("amend").told = Ok("other".to_owned());
    });
}
