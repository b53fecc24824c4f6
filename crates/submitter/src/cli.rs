//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};
use distjob_core::{GroupName, JobId, QueueName, submission::STEM_BYTES_MAX};
use distjob_runtime::config::CommonArgs;
use humantime_serde::re::humantime;

use crate::{deadline::Deadline, random};

/// Makes jobs of tasks.
#[derive(Debug, Parser)]
#[command(name = "submitter", version)]
pub struct Args {
    /// The flags of all programs.
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Submit one input and end
    ///
    /// Each line of the input is a task, as it stands: only the newline is taken off, an empty line is an empty task, and
    /// a last line without its newline counts. The id of each job that was created is printed on a line of its own as
    /// soon as the job is safe.
    ///
    /// Submitting under an --id that was used before changes nothing and is a success: "already submitted" on stderr,
    /// nothing on stdout. That is remembered while the job is there, and afterwards for the watchers' tombstone_ttl.
    Once(Order),
    /// Serve: take tasks in where they arise, and make jobs of them, until asked to stop
    ///
    /// Files that are moved into a directory, lines over a socket, HTTP requests, items of a list or a stream in Redis: what
    /// a place was given to in the tables below `[run]`. What was acknowledged is safe.
    Run,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Submit one input and end.
    Once(Order),
    /// Serve until asked to stop.
    Run,
}

/// What to submit, and how.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Order {
    /// The input, one task a line; - or nothing is stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// The kind of work; the default is the setting submitter.queue
    #[arg(long)]
    pub(crate) queue: Option<QueueName>,

    /// The job's id instead of a fresh one; with --batch ids are ID-0001, ID-0002 and so on
    #[arg(long)]
    pub(crate) id: Option<JobId>,

    /// Make a job of each N tasks; without it the whole input is one job, even when it is empty
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: Option<u64>,

    /// Take the job's id from what is submitted: the same input for the same queue makes one job
    ///
    /// The id is the first 32 digits that sha256sum prints of the queue's name, a zero byte and the input. Input that is no
    /// file is first copied into one, in the directory for temporary files.
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["id", "random_numbers"])]
    pub(crate) id_from: Option<IdFrom>,

    /// Submit only if no other run holds the lock on this file; else end at once, with status 75
    ///
    /// The file is created when it is missing, and stays. The lock is gone with the process, however that ends.
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,

    /// Print one line of JSON at the end, which tells what became of the input, instead of the ids
    #[arg(long)]
    pub(crate) json: bool,

    /// Make the job one of a group: a watcher can let one job follow when all jobs of the group are done
    ///
    /// The group begins with its first job, and all its jobs are of one queue. See --last.
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<GroupName>,

    /// This is the last job of its group; with --batch the last job that the input makes, which may be an empty one
    ///
    /// Until then the group waits for more, and afterwards it takes no more.
    #[arg(long, requires = "group")]
    pub(crate) last: bool,

    /// Until when the tasks of the job may run: so long from now on, as in 10m, or a moment, as in 2030-01-31T18:00:00Z
    ///
    /// Tasks that have not ended by then are stopped, or not begun, and recorded as failed. The job ends all the same,
    /// and is delivered.
    #[arg(long, value_name = "TIME")]
    pub(crate) deadline: Option<Deadline>,

    /// Give up, with status 69, when a store does not answer for so long, as in 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Instead of an input submit K distinct random numbers from 5000 to 90000000
    #[arg(long, value_name = "K", conflicts_with = "file",
        value_parser = clap::value_parser!(u64).range(..=random::NUMBERS))]
    pub(crate) random_numbers: Option<u64>,
}

/// What an id is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum IdFrom {
    /// The queue and the input.
    Content,
}

impl Args {
    /// What to do.
    ///
    /// # Errors
    /// A mistake of usage that no single flag shows.
    pub fn work(&self) -> Result<Work, clap::Error> {
        let usage = |kind, message: String| Err(Self::command().error(kind, message));
        let order = match &self.command {
            Some(Command::Once(order)) => order,
            Some(Command::Run) => return Ok(Work::Run),
            // What is only looked at is the same for all.
            None if self.common.check_config || self.common.print_config => return Ok(Work::Run),
            None => {
                return usage(
                    ErrorKind::MissingSubcommand,
                    "say what to do: submitter once, submitter run, or submitter --help".to_owned(),
                );
            }
        };
        match &order.id {
            Some(id) if order.batch.is_some() && id.as_str().len() > STEM_BYTES_MAX => usage(
                ErrorKind::ValueValidation,
                format!("with --batch an --id has at most {STEM_BYTES_MAX} characters: a number is appended"),
            ),
            _ => Ok(Work::Once(order.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Result<Order, String> {
        match work(line)? {
            Work::Once(order) => Ok(order),
            Work::Run => Err("no order".to_owned()),
        }
    }

    fn work(line: &str) -> Result<Work, String> {
        Args::try_parse_from(line.split_whitespace())
            .and_then(|args| args.work())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_order_is_understood() {
        let order = order("submitter once - --queue primes --id a --batch 7 --timeout 90s").unwrap();
        assert_eq!(order.queue, Some(QueueName::new("primes").unwrap()));
        assert_eq!(order.id, Some(JobId::new("a").unwrap()));
        assert_eq!(
            (order.batch, order.timeout),
            (Some(7), Some(Duration::from_secs(90)))
        );
    }

    #[test]
    fn mistakes_of_usage_are_named() {
        let long = format!("submitter once --batch 7 --id {}", "a".repeat(54));
        for (line, reason) in [
            ("submitter", "submitter once"),
            ("submitter once --id a/b", "a job id consists of"),
            ("submitter once --queue a.b", "a queue name consists of"),
            ("submitter once --batch 0", "0 is not in 1.."),
            (
                "submitter once --random-numbers 89995002",
                "89995002 is not in 0..=89995001",
            ),
            ("submitter once x --random-numbers 1", "cannot be used with"),
            ("submitter once --timeout 10", "time unit needed"),
            ("submitter once --last", "--group <NAME>"),
            ("submitter once --group a/b", "a group name consists of"),
            ("submitter once --id a --id-from content", "cannot be used with"),
            ("submitter once --id-from name", "possible values: content"),
            ("submitter once --deadline soon", "as in 10m"),
            (&long, "at most 53 characters"),
        ] {
            let error = order(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn looking_at_the_configuration_needs_no_order() {
        assert!(work("submitter --check-config").is_ok());
    }
}
