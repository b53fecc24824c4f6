//! Workflows: which jobs follow the jobs of a run, and what their tasks are.
//!
//! ```text
//! flow-a ──next, values──► flow-b ──last, values──► flow-c, zipped, and in a store of objects
//!    │                     told to a webhook
//!    └────amend, errors──► flow-d
//! parts of a group ──join, one task each──► whole
//! ```
//!
//! A task of `flow-a` is `say say TAG`, whose value `say TAG` is a task of `flow-b`, whose value `TAG` is a task of `flow-c`,
//! which is its own value. Or it is `fail TAG`, and `TAG` is a task of `flow-d`. So no payload is run in two stages.

use harness::Delivered;

/// Which tasks of a job become tasks of one that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The values.
    Values,
    /// The errors.
    Errors,
    /// One task that says where the result is, of each job of a group.
    Archive,
}

/// Which job follows the jobs of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Their queue.
    pub from: &'static str,
    /// The step's name.
    pub name: &'static str,
    /// The queue of what follows.
    pub to: &'static str,
    /// What its tasks are.
    pub part: Part,
}

/// The queue whose results are archived, so that its jobs go through the state `zpd`.
pub const ARCHIVED: &str = "flow-c";
/// The queue whose results a webhook is told of, too.
pub const HOOKED: &str = "flow-b";
/// The queue whose results are also brought to the store of objects.
pub const STORED: &str = ARCHIVED;

/// All steps. No two lead to the same queue.
pub const STEPS: [Step; 4] = [
    Step::new("flow-a", "next", "flow-b", Part::Values),
    Step::new("flow-a", "amend", "flow-d", Part::Errors),
    Step::new("flow-b", "last", "flow-c", Part::Values),
    Step::new("parts", "join", "whole", Part::Archive),
];

impl Step {
    const fn new(from: &'static str, name: &'static str, to: &'static str, part: Part) -> Self {
        Self { from, name, to, part }
    }

    /// Whether it follows a whole group.
    #[must_use]
    pub fn is_join(self) -> bool {
        self.part == Part::Archive
    }

    /// The step that leads to the jobs of a queue.
    #[must_use]
    pub fn to(queue: &str) -> Option<Self> {
        STEPS.into_iter().find(|step| step.to == queue)
    }

    /// The tasks that follow from the lines of a result, in order; none for a join, which has one for the whole of it.
    #[must_use]
    pub fn tasks(self, lines: &[Delivered]) -> Vec<Vec<u8>> {
        let outcomes = lines.iter().map(|line| &line.outcome);
        match self.part {
            Part::Values => outcomes.filter_map(|outcome| outcome.clone().ok()).collect(),
            Part::Errors => outcomes
                .filter_map(|outcome| outcome.clone().err().map(String::into_bytes))
                .collect(),
            Part::Archive => Vec::new(),
        }
    }
}

/// The value of a task of a job that follows another.
#[must_use]
pub fn value_of(task: &[u8]) -> &[u8] {
    task.strip_prefix(b"say ").unwrap_or(task)
}

/// The tables of the watchers' queues that say all this.
#[must_use]
pub fn tables() -> String {
    let table = |step: Step| {
        let what = match step.part {
            Part::Values => "results = \"ok\"\npayload = \"value\"",
            Part::Errors => "results = \"err\"\npayload = \"value\"",
            Part::Archive => "results = \"all\"\npayload = \"archive\"\njoin = true",
        };
        let Step { from, name, to, .. } = step;
        format!("[queues.{from}.then.{name}]\nqueue = {to:?}\n{what}\n")
    };
    let steps: String = STEPS.into_iter().map(table).collect();
    format!(
        "{steps}[queues.{ARCHIVED}]\narchive = \"zip\"\nsinks = [\"default\", \"objects\"]\n\
         [queues.{HOOKED}]\nsinks = [\"default\", \"hook\"]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::QUEUES;

    fn line(index: u64, outcome: Result<&str, &str>) -> Delivered {
        Delivered {
            index,
            task: Vec::new(),
            outcome: outcome
                .map(|value| value.as_bytes().to_vec())
                .map_err(str::to_owned),
            attempts: None,
        }
    }

    #[test]
    fn every_queue_of_a_workflow_is_served_and_one_step_leads_to_it() {
        for step in STEPS {
            assert!(
                QUEUES.contains(&step.from) && QUEUES.contains(&step.to),
                "{step:?}"
            );
            assert_eq!(Step::to(step.to), Some(step));
        }
        assert_eq!(Step::to("default"), None);
    }

    #[test]
    fn the_tasks_of_what_follows_are_values_or_errors_in_order() {
        let lines = [line(0, Ok("say a")), line(1, Err("b")), line(2, Ok("say c"))];
        assert_eq!(STEPS[0].tasks(&lines), [b"say a".to_vec(), b"say c".to_vec()]);
        assert_eq!(STEPS[1].tasks(&lines), [b"b".to_vec()]);
        assert_eq!((value_of(b"say a"), value_of(b"a")), (&b"a"[..], &b"a"[..]));
    }
}
