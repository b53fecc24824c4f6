//! `[then]`, with what `[queues.<queue>.then.<step>]` says instead: which jobs follow the jobs of a queue.

use std::collections::{BTreeMap, BTreeSet};

use distjob_core::{Conclusion, JobId, QueueName, job::FOLLOW_UPS_MAX};
use distjob_runtime::config::Problems;
use serde::{Deserialize, Serialize};

/// The follow-ups of the jobs of one queue, by the names of their steps.
pub type Steps = BTreeMap<String, StepConfig>;

/// One step: how the results of a job become the tasks of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// The queue of the follow-up; nothing only in the template.
    #[serde(with = "queue")]
    pub queue: Option<QueueName>,
    /// Which tasks of the job have a part in it.
    pub results: Results,
    /// What becomes a task of the follow-up.
    pub payload: Payload,
    /// What the job must have come to.
    pub when: Vec<When>,
    /// Whether one follow-up is made of all jobs of a group, rather than one of each job.
    pub join: bool,
}

/// Which tasks of a job have a part in its follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Results {
    /// Those with a value.
    Ok,
    /// Those with an error.
    Err,
    /// All of them.
    All,
}

/// What becomes a task of a follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// The value of a task, or its error.
    Value,
    /// The line about a task that a result in JSON Lines has.
    Line,
    /// The payload that a task had.
    Task,
    /// Where the whole result is: one task a job.
    Archive,
}

/// What a delivered job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Enough of its tasks have a value.
    Succeeded,
    /// Neither enough nor too few.
    PartlyFailed,
    /// Too few.
    Failed,
}

impl When {
    const fn is(self, conclusion: Conclusion) -> bool {
        matches!(
            (self, conclusion),
            (Self::Succeeded, Conclusion::Succeeded)
                | (Self::PartlyFailed, Conclusion::PartlyFailed)
                | (Self::Failed, Conclusion::Failed)
        )
    }
}

impl StepConfig {
    /// Whether it follows a job that came to that.
    #[must_use]
    pub fn follows(&self, conclusion: Conclusion) -> bool {
        self.when.iter().any(|when| when.is(conclusion))
    }

    fn check(&self, table: &str, problems: &mut Problems<'_>) {
        problems.require(
            &format!("{table}.when"),
            !self.when.is_empty(),
            "must name at least one of succeeded, partly-failed and failed",
        );
        problems.require(
            &format!("{table}.payload"),
            !self.join || self.payload == Payload::Archive,
            "must be archive where join is true: the results of a group stay where they were delivered to",
        );
    }
}

/// Reports what is wrong with the steps of one queue, beside [cycles](check_cycles).
pub(super) fn check(queue: &QueueName, steps: &Steps, problems: &mut Problems<'_>) {
    let table = format!("queues.{queue}.then");
    problems.require(
        &table,
        steps.len() <= FOLLOW_UPS_MAX,
        format_args!("has {} steps, which may be {FOLLOW_UPS_MAX} at most", steps.len()),
    );
    for (name, step) in steps {
        let table = format!("{table}.{name}");
        problems.require(
            &table,
            // What holds for ids holds for all names.
            JobId::new(name.as_str()).is_ok(),
            "has a name that is none: it consists of A-Z, a-z, 0-9, '_' and '-', at most 64 of them",
        );
        problems.require(
            &format!("{table}.queue"),
            step.queue.is_some(),
            "must name the queue of the follow-up",
        );
        step.check(&table, problems);
    }
}

/// Reports each cycle of queues whose jobs would follow each other for ever, where its first queue in the order of names
/// says so.
pub(super) fn check_cycles<'a>(
    queues: impl Iterator<Item = (&'a QueueName, &'a Steps)>,
    problems: &mut Problems<'_>,
) {
    let queues: BTreeMap<_, _> = queues.collect();
    let mut walk = Walk {
        queues: &queues,
        path: Vec::new(),
        done: BTreeSet::new(),
    };
    for queue in queues.keys() {
        walk.visit(queue, problems);
    }
}

/// Goes from each queue to those that follow, and looks whether it was there before.
struct Walk<'a> {
    queues: &'a BTreeMap<&'a QueueName, &'a Steps>,
    /// The steps on the way here: each with the queue that it leaves.
    path: Vec<(&'a QueueName, &'a str)>,
    /// Queues behind which everything was looked at.
    done: BTreeSet<&'a QueueName>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, queue: &'a QueueName, problems: &mut Problems<'_>) {
        if let Some(start) = self.path.iter().position(|(before, _)| *before == queue) {
            self.report(start, problems);
        } else if !self.done.contains(queue) {
            for (name, step) in self.queues.get(queue).copied().into_iter().flatten() {
                if let Some(next) = &step.queue {
                    self.path.push((queue, name));
                    self.visit(next, problems);
                    self.path.pop();
                }
            }
            self.done.insert(queue);
        }
    }

    fn report(&self, start: usize, problems: &mut Problems<'_>) {
        let cycle = &self.path[start..];
        let Some(((first, _), (last, name))) = cycle.first().zip(cycle.last()) else {
            return;
        };
        let shown: Vec<_> = cycle.iter().map(|(queue, _)| queue.as_str()).collect();
        problems.report(
            &format!("queues.{last}.then.{name}.queue"),
            format_args!(
                "makes jobs follow each other for ever: {} -> {first}",
                shown.join(" -> ")
            ),
        );
    }
}

/// A queue as its name, or none as an empty text.
mod queue {
    use distjob_core::QueueName;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde hands the field over like this")]
    pub(super) fn serialize<S: Serializer>(
        queue: &Option<QueueName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(queue.as_ref().map_or("", QueueName::as_str))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<QueueName>, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.is_empty() {
            true => Ok(None),
            false => QueueName::new(text).map(Some).map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use distjob_runtime::config::{CommonArgs, load};
    use tempfile::NamedTempFile;

    use super::*;
    use crate::Config;

    /// The steps of queue `a`, or what is wrong with the file, without its name.
    fn steps(text: &str) -> Result<Steps, Vec<String>> {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let args = CommonArgs {
            config: Some(file.path().to_owned()),
            ..CommonArgs::default()
        };
        let place = format!("{}:", file.path().display());
        load::<Config>("watcher-d", crate::EMBEDDED_CONFIG, &args)
            .map(|loaded| loaded.settings.steps(&QueueName::new("a").unwrap()).clone())
            .map_err(|error| {
                let messages = error.messages().iter();
                messages.map(|message| message.replace(&place, "")).collect()
            })
    }

    #[test]
    fn a_step_says_what_differs_from_what_a_step_is() {
        let steps = steps(
            "[then]\nresults = \"all\"\n[queues.a.then.merge]\nqueue = \"m\"\n\
             [queues.a.then.dead]\nqueue = \"d\"\nresults = \"err\"\npayload = \"task\"\nwhen = [\"failed\"]",
        )
        .unwrap();
        let (merge, dead) = (&steps["merge"], &steps["dead"]);
        assert_eq!((merge.results, merge.payload), (Results::All, Payload::Value));
        assert_eq!((dead.results, dead.payload), (Results::Err, Payload::Task));
        let follows = |step: &StepConfig| {
            let mut conclusions = Conclusion::ALL.into_iter();
            conclusions
                .by_ref()
                .filter(|is| step.follows(*is))
                .collect::<Vec<_>>()
        };
        assert_eq!(follows(merge), Conclusion::ALL[..3]);
        assert_eq!(follows(dead), [Conclusion::Failed]);
    }

    #[test]
    fn steps_that_make_no_sense_are_refused() {
        for (text, message) in [
            (
                "[queues.a.then.x]\nresults = \"ok\"",
                "embedded default: `queues.a.then.x.queue` must name the queue of the follow-up",
            ),
            (
                "[queues.a.then.x]\nqueue = \"b c\"",
                "2: `queues.a.then.x.queue`: a queue name consists of A-Z, a-z, 0-9, '_' and '-', this one has ' ' at \
                 position 1",
            ),
            (
                "[queues.a.then.x]\nqueue = \"b\"\nwhen = []",
                "3: `queues.a.then.x.when` must name at least one of succeeded, partly-failed and failed",
            ),
            (
                "[queues.a.then.x]\nqueue = \"b\"\nresult = \"err\"",
                "3: unknown key `queues.a.then.x.result`; the nearest known key is `queues.a.then.x.results`",
            ),
            (
                "[queues.a.then.x]\nqueue = \"b\"\nresults = \"bad\"",
                "3: `queues.a.then.x.results`: found the string \"bad\", expected one of `ok`, `err`, `all`",
            ),
            (
                "[queues.a.then.x]\nqueue = \"b\"\njoin = true",
                "embedded default: `queues.a.then.x.payload` must be archive where join is true: the results of a group \
                 stay where they were delivered to",
            ),
        ] {
            assert_eq!(steps(text).unwrap_err(), [message], "{text}");
        }
    }

    #[test]
    fn more_steps_than_fit_into_a_ledger_are_refused() {
        let text = |count: usize| -> String {
            (0..count)
                .map(|n| format!("[queues.a.then.s{n}]\nqueue = \"b\"\n"))
                .collect()
        };
        assert_eq!(steps(&text(FOLLOW_UPS_MAX)).unwrap().len(), FOLLOW_UPS_MAX);
        let problems = steps(&text(FOLLOW_UPS_MAX + 1)).unwrap_err();
        assert!(
            problems[0].ends_with("`queues.a.then` has 9 steps, which may be 8 at most"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_cycle_is_refused_and_told_and_a_queue_that_two_lead_to_is_none() {
        let then =
            |from: &str, name: &str, to: &str| format!("[queues.{from}.then.{name}]\nqueue = \"{to}\"\n");
        let diamond = [("a", "x", "b"), ("a", "y", "c"), ("b", "x", "d"), ("c", "x", "d")];
        let text = |steps: &[(&str, &str, &str)]| -> String {
            steps
                .iter()
                .map(|(from, name, to)| then(from, name, to))
                .collect()
        };
        assert_eq!(steps(&text(&diamond)).unwrap().len(), 2);
        let mut cyclic = diamond.to_vec();
        cyclic.push(("d", "again", "b"));
        assert_eq!(
            steps(&text(&cyclic)).unwrap_err(),
            ["10: `queues.d.then.again.queue` makes jobs follow each other for ever: b -> d -> b"]
        );
        assert_eq!(
            steps(&then("a", "x", "a")).unwrap_err(),
            ["2: `queues.a.then.x.queue` makes jobs follow each other for ever: a -> a"]
        );
    }
}
