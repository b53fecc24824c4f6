//! A made-up run that is right, to be doctored.

use std::collections::HashMap;

use harness::{
    Delivered,
    audit::{Ledger, Life},
};

use crate::{
    check::{Delivery, Evidence, Verdict, judge},
    expect::{Expected, Flavour, Task},
    history::{
        Answer, Descriptors, Entry, Event, Exit, History, How, LeftKey, Leftovers, Network, Parameters,
        RedisKind, Role,
    },
};

const SEED: u64 = 7;
/// When the run began, in milliseconds since 1970.
const BEGAN: u64 = 1_000_000;

/// Acknowledged and delivered.
pub(super) const SAFE: &str = "mixed-000001";
/// Unclear, and never created.
pub(super) const UNCLEAR: &str = "mixed-000002";
/// Refused.
pub(super) const REFUSED: &str = "mixed-000003";
/// One task ends its executor.
pub(super) const POISON: &str = "poison-000004";
/// Submitted by the rig itself, and delivered.
pub(super) const PLAIN: &str = "mixed-000005";
/// Submitted twice, delivered once.
pub(super) const TWICE: &str = "slow-000006";
/// Without tasks.
pub(super) const EMPTY: &str = "mixed-000007";

/// All that the checker is given.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) history: History,
    pub(super) ledger: Ledger,
    pub(super) executions: HashMap<String, u64>,
    pub(super) deliveries: Vec<Delivery>,
}

pub(super) fn expected(id: &str) -> Expected {
    let count = if id == EMPTY { 0 } else { 20 };
    Expected::new(SEED, id, count).unwrap()
}

pub(super) fn life(states: &[&str]) -> Life {
    Life {
        states: states.iter().map(|&state| state.to_owned()).collect(),
        is_over: true,
        departures: 0,
        created: 1,
        born: "subm=20".to_owned(),
        uploaded: states.contains(&"uploaded").then_some(2),
    }
}

impl Run {
    pub(super) fn right() -> Self {
        let mut run = Self {
            history: History::default(),
            ledger: Ledger::default(),
            executions: HashMap::new(),
            deliveries: Vec::new(),
        };
        run.push(0, Event::Opened { unix_ms: BEGAN });
        run.push(0, Event::Began(parameters()));
        run.start("executor-1", Role::Executor);
        run.start("watcher-1", Role::Watcher);
        let ids = [SAFE, UNCLEAR, REFUSED, POISON, PLAIN, TWICE, EMPTY];
        for (number, id) in (1..).zip(ids) {
            run.submit(number, id);
        }
        run.answer(1, SAFE, Answer::Acknowledged);
        run.answer(3, REFUSED, Answer::Refused { why: why() });
        run.answer(4, POISON, Answer::Acknowledged);
        run.answer(5, PLAIN, Answer::Unclear { why: why() });
        run.answer(6, TWICE, Answer::Acknowledged);
        run.answer(7, EMPTY, Answer::Acknowledged);
        run.submit(8, TWICE);
        run.answer(8, TWICE, Answer::Before);
        for id in [SAFE, POISON, PLAIN, TWICE, EMPTY] {
            run.deliver(id);
        }
        run.fault_and_end();
        run
    }

    pub(super) fn judge(self) -> Verdict {
        let evidence = Evidence {
            history: &self.history,
            ledger: &self.ledger,
            executions: &self.executions,
        };
        judge(&evidence, self.deliveries)
    }

    fn fault_and_end(&mut self) {
        let fault = Event::FaultBegan {
            number: 1,
            kind: "kill-watcher".to_owned(),
            targets: vec!["watcher-1".to_owned()],
            detail: String::new(),
        };
        self.push(20_000, fault);
        self.push(
            20_000,
            Event::ProcessKilled {
                name: "watcher-1".to_owned(),
            },
        );
        self.exit("watcher-1", Exit::Signal(9));
        self.start("watcher-1", Role::Watcher);
        self.exit("executor-1", Exit::Signal(6));
        self.start("executor-1", Role::Executor);
        self.push(29_000, Event::FaultEnded { number: 1 });
        self.push(30_000, Event::FaultsOver);
        self.push(31_000, Event::Settled { after_ms: 1_000 });
        for name in ["executor-1", "watcher-1"] {
            self.push(
                32_000,
                Event::ProcessStopped {
                    name: name.to_owned(),
                },
            );
            self.exit(name, Exit::Status(0));
        }
        self.push(33_000, Event::Left(leftovers()));
        self.push(34_000, Event::Ended);
    }

    /// Appends an event, stamped no earlier than the last one.
    pub(super) fn push(&mut self, at_ms: u64, event: Event) {
        let at_ms = at_ms.max(self.history.end_ms());
        self.history.entries.push(Entry { at_ms, event });
    }

    /// Inserts an event before the last fault is over.
    pub(super) fn during(&mut self, event: Event) {
        self.at(25_000, event);
    }

    /// Inserts an event at that time.
    pub(super) fn at(&mut self, at_ms: u64, event: Event) {
        let entries = &mut self.history.entries;
        let place = entries.partition_point(|entry| entry.at_ms <= at_ms);
        entries.insert(place, Entry { at_ms, event });
    }

    /// Removes the events that are so.
    pub(super) fn remove(&mut self, is_it: impl Fn(&Event) -> bool) {
        let entries = &mut self.history.entries;
        let before = entries.len();
        entries.retain(|entry| !is_it(&entry.event));
        assert!(entries.len() < before);
    }

    pub(super) fn left(&mut self) -> &mut Leftovers {
        let mut events = self.history.entries.iter_mut().map(|entry| &mut entry.event);
        let left = events.find_map(|event| match event {
            Event::Left(left) => Some(left),
            _ => None,
        });
        left.unwrap()
    }

    pub(super) fn file(&mut self, id: &str) -> &mut Delivery {
        self.deliveries
            .iter_mut()
            .find(|delivery| delivery.id == id)
            .unwrap()
    }

    pub(super) fn lines(&mut self, id: &str) -> &mut Vec<Delivered> {
        self.file(id).lines.as_mut().unwrap()
    }

    pub(super) fn lives(&mut self, id: &str) -> &mut Vec<Life> {
        self.ledger.jobs.entry(id.to_owned()).or_default()
    }

    /// Makes as if a job had come to be and had gone through these states, and was not delivered.
    pub(super) fn undeliver(&mut self, id: &str, states: &[&str]) {
        self.deliveries.retain(|delivery| delivery.id != id);
        *self.lives(id) = vec![life(states)];
    }

    pub(super) fn submit(&mut self, submission: u64, id: &str) {
        let event = Event::Submitting {
            submission,
            id: id.to_owned(),
            queue: "default".to_owned(),
            count: expected(id).count(),
            by: "submitter-1".to_owned(),
            how: match (id, submission) {
                (PLAIN, _) => How::Plain,
                (_, 8..) => How::Resubmission,
                _ => How::Once,
            },
            group: None,
        };
        self.push(submission * 1_000, event);
    }

    pub(super) fn answer(&mut self, submission: u64, id: &str, answer: Answer) {
        let event = Event::Answered {
            submission,
            id: id.to_owned(),
            answer,
        };
        self.push(0, event);
    }

    /// Replaces what the first submission of a job was told.
    pub(super) fn answer_instead(&mut self, id: &str, instead: Answer) {
        let mut events = self.history.entries.iter_mut().map(|entry| &mut entry.event);
        let answer = events.find_map(|event| match event {
            Event::Answered {
                id: answered, answer, ..
            } if answered == id => Some(answer),
            _ => None,
        });
        *answer.unwrap() = instead;
    }

    fn start(&mut self, name: &str, role: Role) {
        let event = Event::ProcessStarted {
            name: name.to_owned(),
            role,
            pid: 1,
            incarnation: 0,
        };
        self.push(0, event);
    }

    fn exit(&mut self, name: &str, exit: Exit) {
        self.push(
            0,
            Event::ProcessExited {
                name: name.to_owned(),
                exit,
            },
        );
    }

    /// Makes as if a job had been created, run and delivered.
    pub(super) fn deliver(&mut self, id: &str) {
        *self.lives(id) = vec![life(&["subm", "prcd", "uploaded"])];
        let expected = expected(id);
        for index in 0..expected.count() {
            let times = if expected.is_deadly(index) { 5 } else { 1 };
            self.executions.insert(expected.payload(index), times);
        }
        self.deliveries.push(Delivery {
            queue: "default".to_owned(),
            id: id.to_owned(),
            unix_ms: BEGAN + 15_000,
            lines: Ok((0..expected.count())
                .map(|index| line(&expected, index))
                .collect()),
            sha256: "5a5a".to_owned(),
            told: Ok("5a5a".to_owned()),
        });
    }
}

pub(super) fn why() -> String {
    "redis stayed unreachable".to_owned()
}

pub(super) fn given_up() -> Result<Vec<u8>, String> {
    Err("given up: 5 executors died while they ran this task".to_owned())
}

fn line(expected: &Expected, index: u64) -> Delivered {
    let payload = expected.payload(index);
    let outcome = match expected.task(index) {
        Task::Echo => Ok(payload.clone().into_bytes()),
        Task::Fail => Err(payload["fail ".len()..].to_owned()),
        Task::Say => Ok(payload.as_bytes()["say ".len()..].to_vec()),
        Task::Sleep(_) => Ok(b"slept".to_vec()),
        Task::Abort | Task::Hang | Task::Bloat | Task::Wild(_) => given_up(),
    };
    Delivered {
        index,
        task: payload.into_bytes(),
        outcome,
        attempts: None,
    }
}

fn parameters() -> Parameters {
    Parameters {
        seed: SEED,
        minutes: 1,
        nemeses: vec!["kill-watcher".to_owned()],
        redis: RedisKind::Aof,
        network: Network::Loopback,
        session_timeout_ms: 3_000,
        settle_bound_ms: 60_000,
        poison_after: 5,
        root: "/distjob".to_owned(),
        prefix: "distjob:".to_owned(),
        daemons: vec!["executor-1".to_owned(), "watcher-1".to_owned()],
        command: "cargo xtask faults --minutes 1 --seed 7".to_owned(),
    }
}

/// What may be left after a right run.
fn leftovers() -> Leftovers {
    let key = |key: &str, is_tombstone, ttl_ms| LeftKey {
        key: key.to_owned(),
        is_tombstone,
        ttl_ms,
    };
    Leftovers {
        keys: vec![
            key("distjob:ledger", false, None),
            key(&format!("distjob:{{{SAFE}}}:meta"), true, Some(1_000)),
            key(&format!("distjob:{{{REFUSED}}}:in:abc"), false, Some(1_000)),
        ],
        descriptors: vec![Descriptors {
            process: "executor-1".to_owned(),
            at_start: 20,
            at_end: 21,
        }],
        ..Leftovers::default()
    }
}

/// A flavour for an id that nobody submitted.
pub(super) fn stranger() -> String {
    Flavour::Mixed.id(99)
}
