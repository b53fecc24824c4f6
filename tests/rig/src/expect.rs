//! The tasks of every job of a run, and their right outcomes: functions of the seed, the job's id and the index.
//!
//! A job's id begins with its [`Flavour`], so that whoever sees a delivered file knows what belongs in it, without asking
//! who submitted it. A payload names seed, job and index: no two tasks of a run are alike, and executions can be counted
//! for each. All are printable ASCII and at most [`PAYLOAD_MAX`] bytes, for ids of at most [`ID_MAX`].

mod steps;
mod wild;

use std::fmt;

use sha2::{Digest as _, Sha256};

pub use self::steps::{ARCHIVED, HOOKED, Part, STEPS, STORED, Step, tables, value_of};
pub use self::wild::{ATTEMPTS, Wild};

/// All queues: that of the handler for drills, those of programs, and those of [workflows](Step).
pub const QUEUES: [&str; 9] = [
    "default", "commands", "workers", "flow-a", "flow-b", "flow-c", "flow-d", "parts", "whole",
];

/// The longest id, in bytes, whose payloads are at most [`PAYLOAD_MAX`].
pub const ID_MAX: usize = 24;

/// The longest payload, in bytes: executors note that much of each in their lists of executions.
pub const PAYLOAD_MAX: usize = 64;

/// What kind of tasks a job has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flavour {
    /// Tasks that echo, one in eight fails, one in sixteen sleeps shortly.
    Mixed,
    /// Tasks that sleep for 5 to 200 ms.
    Slow,
    /// As mixed, but one task aborts its executor each time.
    Poison,
    /// As mixed, but one task never ends: somebody must end its executor.
    Hang,
    /// As mixed, but one task wants a value of [`BLOAT_BYTES`], which ends its executor.
    Bloat,
    /// Tasks of a program that is started for each, a third of which it runs badly.
    Command,
    /// Tasks of a program that stays, likewise.
    Worker,
    /// Tasks whose values and errors are those of the jobs that follow.
    Flow,
    /// As mixed, and a member of a group.
    Part,
}

/// The size of the value of a task that bloats: more memory than the rig lets an executor have.
pub const BLOAT_BYTES: usize = 1 << 30;

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Its value is its payload.
    Echo,
    /// Its value is its payload but for the first word.
    Say,
    /// Its handler reports an error.
    Fail,
    /// It takes so many milliseconds.
    Sleep(u64),
    /// It aborts its process.
    Abort,
    /// It never ends.
    Hang,
    /// It asks for too much memory, which aborts its process.
    Bloat,
    /// What a program does with it.
    Wild(Wild),
}

impl Flavour {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Mixed,
        Self::Slow,
        Self::Poison,
        Self::Hang,
        Self::Bloat,
        Self::Command,
        Self::Worker,
        Self::Flow,
        Self::Part,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Slow => "slow",
            Self::Poison => "poison",
            Self::Hang => "hang",
            Self::Bloat => "bloat",
            Self::Command => "command",
            Self::Worker => "worker",
            Self::Flow => "flow",
            Self::Part => "part",
        }
    }

    /// The id of the `number`th job of a run.
    #[must_use]
    pub fn id(self, number: u64) -> String {
        format!("{self}-{number:06}")
    }

    /// The flavour of the job with that id; `None` when it is no id of a run.
    #[must_use]
    pub fn of(id: &str) -> Option<Self> {
        let (name, number) = id.split_once('-')?;
        let flavour = Self::ALL.into_iter().find(|flavour| flavour.name() == name)?;
        (flavour.id(number.parse().ok()?) == id).then_some(flavour)
    }

    /// The queue of its jobs.
    #[must_use]
    pub const fn queue(self) -> &'static str {
        match self {
            Self::Command => "commands",
            Self::Worker => "workers",
            Self::Flow => "flow-a",
            Self::Part => "parts",
            Self::Mixed | Self::Slow | Self::Poison | Self::Hang | Self::Bloat => "default",
        }
    }

    /// Whether its special task aborts the process that runs it.
    #[must_use]
    pub const fn aborts(self) -> bool {
        matches!(self, Self::Poison | Self::Bloat)
    }

    /// The task of which there is one in each job of this flavour, if there is.
    const fn special(self) -> Option<Task> {
        match self {
            Self::Mixed | Self::Slow | Self::Command | Self::Worker | Self::Flow | Self::Part => None,
            Self::Poison => Some(Task::Abort),
            Self::Hang => Some(Task::Hang),
            Self::Bloat => Some(Task::Bloat),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The job of that id, in a run of that seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    seed: u64,
    id: String,
    count: u64,
    flavour: Flavour,
}

impl Expected {
    /// The job `id` with `count` tasks; `None` when the id is none of a run.
    #[must_use]
    pub fn new(seed: u64, id: &str, count: u64) -> Option<Self> {
        Flavour::of(id).map(|flavour| Self {
            seed,
            id: id.to_owned(),
            count,
            flavour,
        })
    }

    /// How many tasks it has.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The queue that it is submitted to.
    #[must_use]
    pub const fn queue(&self) -> &'static str {
        self.flavour.queue()
    }

    /// Whether the task at `index` ends its executor, or makes somebody end it.
    #[must_use]
    pub fn is_deadly(&self, index: u64) -> bool {
        matches!(self.task(index), Task::Abort | Task::Hang | Task::Bloat)
    }

    /// Whether the task at `index` may be run more than once where nothing is broken.
    #[must_use]
    pub fn may_repeat(&self, index: u64) -> bool {
        // One that ends a process takes others along that were asked of it.
        self.is_deadly(index) || matches!(self.flavour, Flavour::Command | Flavour::Worker)
    }

    /// Whether the task at `index` may be recorded after so many attempts.
    #[must_use]
    pub fn may_take(&self, index: u64, attempts: u64) -> bool {
        match self.task(index) {
            Task::Wild(wild) => wild.may_take(attempts),
            _ => (1..=ATTEMPTS).contains(&attempts),
        }
    }

    /// What the task at `index` does.
    #[must_use]
    pub fn task(&self, index: u64) -> Task {
        let special = self.flavour.special();
        // Not the first one: tasks before it are in the same range and must come out of it unharmed.
        if let (Some(task), true) = (special, index == self.count / 2) {
            return task;
        }
        let draw = self.draw(index);
        match self.flavour {
            Flavour::Slow => Task::Sleep(5 + draw % 196),
            Flavour::Command | Flavour::Worker => {
                let wild = usize::try_from(draw % 27)
                    .ok()
                    .and_then(|place| Wild::ALL.get(place));
                wild.map_or(Task::Echo, |wild| Task::Wild(*wild))
            }
            _ if draw.is_multiple_of(8) => Task::Fail,
            Flavour::Flow => Task::Say,
            _ if draw % 16 == 1 => Task::Sleep(1 + draw / 16 % 20),
            _ => Task::Echo,
        }
    }

    /// The payload of the task at `index`.
    #[must_use]
    pub fn payload(&self, index: u64) -> String {
        let tag = self.tag(index);
        match self.task(index) {
            Task::Echo => tag,
            Task::Say => format!("say say {tag}"),
            Task::Fail => format!("fail {tag}"),
            Task::Sleep(ms) => format!("sleep {ms} {tag}"),
            Task::Abort => format!("abort {tag}"),
            Task::Hang => format!("hang {tag}"),
            Task::Bloat => format!("bloat {BLOAT_BYTES} {tag}"),
            Task::Wild(wild) => format!("{wild} {tag}"),
        }
    }

    /// All payloads, in order.
    pub fn payloads(&self) -> impl Iterator<Item = String> {
        (0..self.count).map(|index| self.payload(index))
    }

    /// Whether `outcome` may be what the task at `index` came to, by itself: a value, or the error of its handler.
    #[must_use]
    pub fn is_right(&self, index: u64, outcome: Result<&[u8], &str>) -> bool {
        match (self.task(index), outcome) {
            (Task::Echo, Ok(value)) => value == self.tag(index).as_bytes(),
            (Task::Say, Ok(value)) => value == format!("say {}", self.tag(index)).as_bytes(),
            (Task::Fail, Err(error)) => error == self.tag(index),
            (Task::Sleep(_), Ok(value)) => value == b"slept",
            (Task::Abort | Task::Hang | Task::Bloat, Err(error)) => is_given_up(error),
            (Task::Wild(wild), outcome) => wild.is_right(&self.tag(index), outcome),
            _ => false,
        }
    }

    fn tag(&self, index: u64) -> String {
        // 6 hex digits of the seed show a file of another run; the rest of it shows in the tasks that are drawn.
        format!("{}.{index}.{:06x}", self.id, self.seed & 0xff_ffff)
    }

    fn draw(&self, index: u64) -> u64 {
        // The standard library's hasher may change with a release, and kept runs are judged again later.
        let hash = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(index.to_be_bytes())
            .chain_update(&self.id)
            .finalize();
        hash.iter()
            .take(8)
            .fold(0, |draw, &byte| draw << 8 | u64::from(byte))
    }
}

/// The job's id and the index that `payload` names, whether or not it is that task's.
#[must_use]
pub fn named_in(payload: &str) -> Option<(&str, u64)> {
    let mut parts = payload.rsplit(' ').next()?.split('.');
    let (id, index) = (parts.next()?, parts.next()?);
    Some((id, index.parse().ok()?))
}

/// What executors note of a payload when they execute it.
#[must_use]
pub fn noted(payload: &[u8]) -> String {
    let visible = payload.iter().take(PAYLOAD_MAX).map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    });
    visible.collect()
}

/// Whether this is the error of a task that was given up because executors died while they ran it.
#[must_use]
pub fn is_given_up(error: &str) -> bool {
    error.starts_with("given up: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_flavour_and_no_other_text_is_one() {
        for flavour in Flavour::ALL {
            assert_eq!(Flavour::of(&flavour.id(1_234_567)), Some(flavour));
            assert!(flavour.id(u64::from(u32::MAX)).len() <= ID_MAX);
        }
        for foreign in [
            "",
            "mixed",
            "mixed-1",
            "mixed-00000x",
            "other-000001",
            "mixed-+00001",
        ] {
            assert_eq!(Flavour::of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn payloads_are_short_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for flavour in Flavour::ALL {
            let job = Expected::new(u64::MAX, &flavour.id(u64::from(u32::MAX)), 2_000).unwrap();
            for payload in job.payloads() {
                assert!(payload.len() <= PAYLOAD_MAX, "{payload}");
                assert!(
                    payload.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                    "{payload}"
                );
                assert_eq!(named_in(&payload).map(|(id, _)| id), Some(job.id.as_str()));
                assert!(seen.insert(payload));
            }
        }
    }

    #[test]
    fn a_job_of_each_flavour_has_its_special_task_once() {
        for flavour in Flavour::ALL {
            let job = Expected::new(7, &flavour.id(1), 100).unwrap();
            let special = (0..100).filter(|&index| Some(job.task(index)) == flavour.special());
            assert_eq!(
                special.count(),
                usize::from(flavour.special().is_some()),
                "{flavour}"
            );
        }
    }

    #[test]
    fn another_seed_makes_another_job() {
        let one = Expected::new(1, "mixed-000001", 100).unwrap();
        let two = Expected::new(2, "mixed-000001", 100).unwrap();
        assert!(one.payloads().zip(two.payloads()).all(|(one, two)| one != two));
        assert_eq!(one, one.clone());
    }

    #[test]
    fn only_the_right_outcome_is_right() {
        let job = Expected::new(7, "mixed-000001", 100).unwrap();
        let echo = (0..100).find(|&index| job.task(index) == Task::Echo).unwrap();
        let payload = job.payload(echo);
        assert!(job.is_right(echo, Ok(payload.as_bytes())));
        assert!(!job.is_right(echo, Ok(b"other")));
        assert!(!job.is_right(echo, Err(&payload)));
        assert!(!job.is_right(echo, Err("given up: 5 executors died while they ran this task")));
        let poison = Expected::new(7, "poison-000001", 3).unwrap();
        assert!(poison.is_right(1, Err("given up: 5 executors died while they ran this task")));
        assert!(!poison.is_right(1, Err("other")));
    }
}
