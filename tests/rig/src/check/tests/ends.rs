//! What can be wrong with the end of a run, of its processes, and with what is left.

use super::{
    Promise, breaks, passes,
    run::{Run, SAFE, UNCLEAR},
};
use crate::history::{Event, Exit, LeftKey, Role};

fn left_key(run: &mut Run, key: &str, is_tombstone: bool, ttl_ms: Option<u64>) {
    run.left().keys.push(LeftKey {
        key: key.to_owned(),
        is_tombstone,
        ttl_ms,
    });
}

/// Replaces the way in which the last process of that name ended.
fn exit_instead(run: &mut Run, process: &str, instead: Exit) {
    let mut events = run.history.entries.iter_mut().rev().map(|entry| &mut entry.event);
    let exit = events.find_map(|event| match event {
        Event::ProcessExited { name, exit } if name == process => Some(exit),
        _ => None,
    });
    *exit.unwrap() = instead;
}

#[test]
fn a_run_that_settled_too_late_or_never_is_found() {
    let is_settled = |event: &Event| matches!(event, Event::Settled { .. });
    breaks(Promise::Ended, "run", |run| run.remove(is_settled));
    breaks(Promise::Ended, "run", |run| {
        run.remove(is_settled);
        run.at(95_000, Event::Settled { after_ms: 60_001 });
    });
    breaks(Promise::Ended, "mixed-000009 (prcd)", |run| {
        run.remove(is_settled);
        let left = vec!["mixed-000009 (prcd)".to_owned()];
        run.at(30_500, Event::Unsettled { left });
    });
}

#[test]
fn a_run_that_was_broken_off_is_found() {
    breaks(Promise::Ended, "run", |run| {
        run.remove(|event| matches!(event, Event::Ended));
    });
}

#[test]
fn a_fault_that_was_never_undone_is_found() {
    breaks(Promise::Ended, "fault 1", |run| {
        run.remove(|event| matches!(event, Event::FaultEnded { .. }));
    });
}

#[test]
fn a_daemon_that_fails_or_is_killed_by_nobody_is_found() {
    for exit in [
        Exit::Status(1),
        Exit::Status(101),
        Exit::Signal(9),
        Exit::Signal(11),
    ] {
        breaks(Promise::Exits, "executor-1", |run| {
            exit_instead(run, "executor-1", exit);
        });
    }
    breaks(Promise::Exits, "watcher-1", |run| {
        exit_instead(run, "watcher-1", Exit::Signal(6));
    });
}

#[test]
fn a_daemon_that_leaves_unasked_is_found() {
    breaks(Promise::Exits, "watcher-1", |run| {
        run.remove(|event| matches!(event, Event::ProcessStopped { name } if name == "watcher-1"));
    });
}

#[test]
fn a_daemon_that_never_ends_is_found() {
    breaks(Promise::Exits, "watcher-2", |run| {
        run.during(Event::ProcessStarted {
            name: "watcher-2".to_owned(),
            role: Role::Watcher,
            pid: 2,
            incarnation: 0,
        });
    });
}

#[test]
fn a_submitter_may_fail_but_not_crash() {
    let ended = |run: &mut Run, exit| {
        run.during(Event::ProcessStarted {
            name: "submitter-1".to_owned(),
            role: Role::Submitter,
            pid: 3,
            incarnation: 0,
        });
        let name = "submitter-1".to_owned();
        run.at(26_000, Event::ProcessExited { name, exit });
    };
    for status in [0, 1, 69] {
        passes(|run| ended(run, Exit::Status(status)));
    }
    for exit in [Exit::Status(78), Exit::Status(101), Exit::Signal(6)] {
        breaks(Promise::Exits, "submitter-1", |run| ended(run, exit));
    }
}

#[test]
fn a_znode_that_is_left_is_found() {
    for znode in [
        "/distjob/jobs/mixed-000001",
        "/distjob/executors/a",
        "/distjob/watchlocks/mixed-000001",
    ] {
        breaks(Promise::Left, znode, |run| {
            run.left().znodes.push(znode.to_owned());
        });
    }
}

#[test]
fn what_belongs_to_a_lost_job_may_stay() {
    passes(|run| {
        run.during(Event::StoreLost {
            why: "cut".to_owned(),
        });
        run.undeliver(SAFE, &["subm", "prcd", "lost"]);
        run.at(31_500, Event::Lost { id: SAFE.to_owned() });
        run.left().znodes.push(format!("/distjob/jobs/{SAFE}"));
        left_key(run, &format!("distjob:{{{SAFE}}}:tasks"), false, None);
    });
}

#[test]
fn a_key_that_is_left_is_found() {
    for (key, is_tombstone) in [
        (format!("distjob:{{{SAFE}}}:tasks"), false),
        (format!("distjob:{{{SAFE}}}:meta"), true),
        (format!("distjob:{{{UNCLEAR}}}:in:abc"), false),
        ("foreign".to_owned(), false),
    ] {
        breaks(Promise::Left, &key, |run| left_key(run, &key, is_tombstone, None));
    }
    breaks(Promise::Left, "distjob:{mixed-000001}:results", |run| {
        left_key(run, "distjob:{mixed-000001}:results", false, Some(1_000));
    });
}

#[test]
fn a_process_a_file_and_a_descriptor_that_are_left_are_found() {
    breaks(Promise::Left, "watcher-1 (17)", |run| {
        run.left().processes.push("watcher-1 (17)".to_owned());
    });
    breaks(Promise::Left, "default/.partial/a", |run| {
        run.left().files.push("default/.partial/a".to_owned());
    });
    breaks(Promise::Left, "executor-1", |run| {
        run.left().descriptors[0].at_end = 29;
    });
}

#[test]
fn a_process_that_a_daemon_left_behind_is_found() {
    breaks(Promise::Left, "executor-1", |run| {
        run.during(Event::Orphaned {
            name: "executor-1".to_owned(),
            processes: vec![4711],
        });
    });
}

#[test]
fn a_run_at_whose_end_nobody_looked_is_found() {
    breaks(Promise::Left, "run", |run| {
        run.remove(|event| matches!(event, Event::Left(_)));
    });
}
