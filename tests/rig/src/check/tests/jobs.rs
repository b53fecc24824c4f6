//! What can be wrong with jobs, their files, and the executions of their tasks.

use super::{
    Promise, breaks, passes,
    run::{EMPTY, PLAIN, POISON, REFUSED, SAFE, TWICE, UNCLEAR, expected, given_up, life, stranger, why},
};
use crate::expect::ATTEMPTS;
use crate::history::{Answer, Event};

fn lost(id: &str) -> Event {
    Event::Lost { id: id.to_owned() }
}

fn cancelling(id: &str) -> Event {
    Event::Cancelling { id: id.to_owned() }
}

fn store_lost() -> Event {
    Event::StoreLost {
        why: "the tail of its file was cut off".to_owned(),
    }
}

#[test]
fn an_acknowledged_job_without_a_file_is_found() {
    breaks(Promise::Delivered, SAFE, |run| {
        run.undeliver(SAFE, &["subm", "prcd", "uploaded"]);
    });
    breaks(Promise::Delivered, EMPTY, |run| {
        run.undeliver(EMPTY, &["subm", "prcd", "uploaded"]);
    });
}

#[test]
fn a_file_that_was_seen_before_it_was_whole_is_found() {
    let appeared = |id: &str, lines| Event::Appeared {
        id: id.to_owned(),
        lines,
    };
    passes(|run| run.during(appeared(SAFE, 20)));
    passes(|run| run.during(appeared(EMPTY, 0)));
    breaks(Promise::Whole, SAFE, |run| run.during(appeared(SAFE, 19)));
}

#[test]
fn an_acknowledged_job_that_was_never_created_is_found() {
    breaks(Promise::Delivered, EMPTY, |run| {
        run.undeliver(EMPTY, &[]);
        run.lives(EMPTY).clear();
    });
}

#[test]
fn an_unclear_job_that_came_to_be_and_got_stuck_is_found() {
    breaks(Promise::Delivered, UNCLEAR, |run| {
        run.undeliver(UNCLEAR, &["subm"]);
    });
}

#[test]
fn an_unclear_job_may_be_delivered() {
    let verdict = passes(|_| {});
    assert_eq!(verdict.figures.unclear["delivered"], 1);
}

#[test]
fn a_job_that_was_cancelled_may_be_delivered_or_not() {
    passes(|run| {
        run.during(cancelling(SAFE));
        run.undeliver(SAFE, &["subm", "cncl"]);
    });
    passes(|run| {
        run.during(cancelling(SAFE));
        *run.lives(SAFE) = vec![life(&["subm", "prcd", "cncl"])];
    });
}

#[test]
fn a_job_that_was_cancelled_for_nobody_is_found() {
    breaks(Promise::Delivered, SAFE, |run| {
        run.undeliver(SAFE, &["subm", "cncl"]);
    });
}

#[test]
fn a_job_that_its_submitter_took_back_may_be_cancelled() {
    passes(|run| {
        run.answer_instead(REFUSED, Answer::Withdrawn { why: why() });
        run.undeliver(REFUSED, &["subm", "cncl"]);
    });
}

#[test]
fn a_lost_job_needs_a_loss_after_its_submission() {
    breaks(Promise::Lost, SAFE, |run| {
        run.undeliver(SAFE, &["subm", "prcd", "lost"]);
        run.during(lost(SAFE));
    });
    breaks(Promise::Lost, TWICE, |run| {
        run.undeliver(TWICE, &["subm", "prcd", "lost"]);
        run.during(lost(TWICE));
        run.at(500, store_lost());
    });
    let verdict = passes(|run| {
        run.undeliver(SAFE, &["subm", "prcd", "lost"]);
        run.during(store_lost());
        run.during(lost(SAFE));
    });
    assert_eq!(verdict.figures.lost, [SAFE]);
}

#[test]
fn what_no_submitter_called_safe_may_be_lost_by_itself_but_no_plain_list() {
    passes(|run| {
        run.undeliver(UNCLEAR, &["subm", "prcd", "lost"]);
        run.during(lost(UNCLEAR));
    });
    breaks(Promise::Lost, PLAIN, |run| {
        run.undeliver(PLAIN, &["subm", "prcd", "lost"]);
        run.during(lost(PLAIN));
    });
}

#[test]
fn a_loss_excuses_no_job_that_is_neither_delivered_nor_lost() {
    breaks(Promise::Delivered, SAFE, |run| {
        run.during(store_lost());
        run.undeliver(SAFE, &["subm", "prcd", "subm"]);
    });
}

#[test]
fn a_refused_job_that_was_created_delivered_or_run_is_found() {
    breaks(Promise::Refused, REFUSED, |run| run.deliver(REFUSED));
    breaks(Promise::Refused, REFUSED, |run| {
        run.undeliver(REFUSED, &["subm", "cncl"]);
    });
    breaks(Promise::Refused, REFUSED, |run| {
        run.executions.insert(expected(REFUSED).payload(3), 1);
    });
}

#[test]
fn a_resubmission_of_a_refused_job_may_succeed() {
    passes(|run| {
        run.answer_instead(SAFE, Answer::Refused { why: why() });
        run.submit(9, SAFE);
        run.answer(9, SAFE, Answer::Acknowledged);
    });
}

#[test]
fn a_short_file_is_found() {
    breaks(Promise::Whole, SAFE, |run| drop(run.lines(SAFE).pop()));
}

#[test]
fn an_index_that_is_missing_doubled_or_out_of_order_is_found() {
    breaks(Promise::Whole, SAFE, |run| drop(run.lines(SAFE).remove(3)));
    breaks(Promise::Whole, SAFE, |run| {
        let line = run.lines(SAFE)[3].clone();
        run.lines(SAFE).insert(3, line);
    });
    breaks(Promise::Whole, SAFE, |run| run.lines(SAFE).swap(3, 4));
}

#[test]
fn a_wrong_value_or_a_foreign_task_is_found() {
    breaks(Promise::Whole, SAFE, |run| {
        run.lines(SAFE)[3].outcome = Ok(b"other".to_vec());
    });
    breaks(Promise::Whole, SAFE, |run| {
        run.lines(SAFE)[3].outcome = Err("other".to_owned());
    });
    breaks(Promise::Whole, SAFE, |run| {
        run.lines(SAFE)[3].task = expected(PLAIN).payload(3).into_bytes();
    });
}

#[test]
fn a_task_that_was_run_more_often_than_it_may_is_found() {
    passes(|run| run.lines(SAFE)[0].attempts = Some(ATTEMPTS));
    breaks(Promise::Whole, SAFE, |run| {
        run.lines(SAFE)[0].attempts = Some(ATTEMPTS + 1);
    });
}

#[test]
fn a_file_that_cannot_be_read_is_found() {
    breaks(Promise::Whole, EMPTY, |run| {
        run.file(EMPTY).lines = Err("it ends within a line".to_owned());
    });
}

#[test]
fn a_task_is_given_up_only_for_enough_deaths() {
    breaks(Promise::Whole, SAFE, |run| {
        run.lines(SAFE)[3].outcome = given_up();
    });
    let verdict = passes(|run| {
        run.lines(SAFE)[3].outcome = given_up();
        run.lives(SAFE)[0].departures = 5;
    });
    assert_eq!(verdict.figures.given_up_harmless, 1);
}

#[test]
fn a_deadly_task_that_has_a_value_is_found() {
    breaks(Promise::Whole, POISON, |run| {
        run.lines(POISON)[10].outcome = Ok(Vec::new());
    });
}

#[test]
fn a_file_that_nobody_submitted_is_found() {
    breaks(Promise::Unexpected, &stranger(), |run| {
        let mut file = run.file(EMPTY).clone();
        file.id = stranger();
        run.deliveries.push(file);
    });
}

#[test]
fn a_file_in_another_queue_is_found() {
    breaks(Promise::Unexpected, SAFE, |run| {
        run.file(SAFE).queue = "other".to_owned();
    });
}

#[test]
fn a_second_file_of_a_job_is_found() {
    breaks(Promise::Once, SAFE, |run| {
        let file = run.file(SAFE).clone();
        run.deliveries.push(file);
    });
}

#[test]
fn a_job_in_the_ledger_that_nobody_submitted_is_found() {
    breaks(Promise::Unexpected, &stranger(), |run| {
        *run.lives(&stranger()) = vec![life(&["subm"])];
    });
}

#[test]
fn an_execution_of_what_nobody_submitted_is_found() {
    breaks(Promise::Unexpected, "17", |run| {
        run.executions.insert("17".to_owned(), 1);
    });
    let foreign = crate::expect::Expected::new(8, SAFE, 1).unwrap().payload(0);
    breaks(Promise::Unexpected, &foreign.clone(), |run| {
        run.executions.insert(foreign, 1);
    });
}

#[test]
fn a_job_that_was_uploaded_in_two_lives_is_found() {
    let again = |run: &mut super::Run| run.lives(SAFE).push(life(&["subm", "prcd", "uploaded"]));
    breaks(Promise::Once, SAFE, again);
    // A store that forgot its tombstone takes its id for a new one.
    passes(|run| {
        again(run);
        run.during(store_lost());
    });
}

#[test]
fn a_file_of_a_job_that_was_never_uploaded_is_found() {
    breaks(Promise::Once, SAFE, |run| {
        *run.lives(SAFE) = vec![life(&["subm", "prcd"])];
    });
}

#[test]
fn a_breach_of_the_ledgers_rules_is_found() {
    breaks(Promise::Once, "ledger", |run| {
        run.ledger
            .violations
            .push("0x5: job a: from subm to uploaded".to_owned());
    });
}

#[test]
fn a_task_that_was_never_executed_is_found() {
    breaks(Promise::Executed, SAFE, |run| {
        run.executions.remove(&expected(SAFE).payload(3));
    });
}

#[test]
fn a_task_may_run_twice_under_faults_and_not_without() {
    let twice = |run: &mut super::Run| {
        run.executions.insert(expected(SAFE).payload(3), 2);
    };
    assert_eq!(passes(twice).figures.duplicates, 1);
    breaks(Promise::Executed, SAFE, |run| {
        twice(run);
        run.remove(|event| {
            matches!(
                event,
                Event::FaultBegan { .. }
                    | Event::FaultEnded { .. }
                    | Event::ProcessKilled { .. }
                    | Event::ProcessExited {
                        exit: crate::history::Exit::Signal(_),
                        ..
                    }
            )
        });
    });
}

#[test]
fn a_plain_list_that_is_left_is_found_unless_its_znode_never_came() {
    let push = |run: &mut super::Run, key: &str| {
        run.left().keys.push(crate::history::LeftKey {
            key: key.to_owned(),
            is_tombstone: false,
            ttl_ms: None,
        });
    };
    breaks(Promise::Left, PLAIN, |run| push(run, PLAIN));
    breaks(Promise::Left, SAFE, |run| push(run, SAFE));
    passes(|run| {
        push(run, PLAIN);
        run.undeliver(PLAIN, &[]);
        run.lives(PLAIN).clear();
    });
}
