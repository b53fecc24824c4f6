//! The command line.

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum, error::ErrorKind};
use distjob_core::{GroupName, JobId, JobState, QueueName, SinkName};
use distjob_runtime::config::CommonArgs;
use humantime_serde::re::humantime;

/// Shows and steers distjob.
#[derive(Debug, Parser)]
#[command(name = "distjobctl", version)]
pub struct Args {
    /// The flags of all programs.
    #[command(flatten)]
    pub common: CommonArgs,
    /// The flags of all commands.
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The flags of all commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// Write one JSON object instead of text for people
    #[arg(long, global = true)]
    pub json: bool,

    /// Give up, with status 69, when a store does not answer for so long [default: 10s]; for wait, stop waiting after so
    /// long, with status 1 [default: never]
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Show members, jobs by state, progress, and who watches what
    Status,
    /// List the jobs, oldest first
    Jobs {
        /// Only those in this state
        #[arg(long)]
        state: Option<State>,
        /// Only those of this queue
        #[arg(long)]
        queue: Option<QueueName>,
    },
    /// Show all that is known of one job: who works on which of its tasks, what is left, what it follows and what follows it
    Show {
        /// The job
        id: JobId,
    },
    /// Draw jobs and what follows them as a chart in Mermaid's language
    Graph(Of),
    /// List the groups of jobs that are not joined yet
    Groups,
    /// Let a job be done although a sink does not have its result
    ///
    /// For a sink that will never take it: the watchers go on without it, and the manifest in the other sinks says so.
    Skip {
        /// The job
        id: JobId,
        /// The sink's name in the watchers' configuration; the one of the table `[sink]` is called default
        sink: SinkName,
    },
    /// Wait until the jobs are delivered; the status tells success
    ///
    /// Ends with status 0 when every job succeeded, now or before; with 3 when one of them is partly failed, by the policy
    /// of its queue (tolerate and failed_from of the watchers); and with 1 when one failed, was lost or cancelled, never
    /// was, or is not done when --timeout is over. A job that ended is remembered for the watchers' tombstone_ttl; of
    /// one that ended longer ago nobody can tell, and the status is 1.
    Wait {
        /// The jobs
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Give jobs up: what was not delivered by then never is
    ///
    /// A job whose result a watcher is just putting in its place may leave it there: the whole result, never a part.
    Cancel {
        /// The jobs
        #[arg(required = true)]
        ids: Vec<JobId>,
    },
    /// Submit the failed tasks of a finished job again, as a job of their own
    ///
    /// They are in the same queue and in the order that they had. The new job's id follows from the old one: to ask twice
    /// makes one job. Failed tasks are kept for the watchers' tombstone_ttl.
    Retry {
        /// The finished job
        id: JobId,
    },
    /// List the queues: their jobs, the tasks that wait, and who serves them
    Queues,
    /// Let executors begin no more tasks of queues; what runs ends, and jobs may be submitted all the same
    ///
    /// Holds until resume, also for executors that come later.
    Pause {
        /// The queues
        #[arg(required = true)]
        queues: Vec<QueueName>,
    },
    /// Let executors go on with queues
    Resume {
        /// The queues
        #[arg(required = true)]
        queues: Vec<QueueName>,
    },
    /// Put a lost job back, after its data was restored in Redis
    Restore {
        /// The job
        id: JobId,
    },
    /// Drop data in Redis whose job is gone for good, as a restored backup can bring it back
    Gc {
        /// Only show what would be dropped
        #[arg(long)]
        dry_run: bool,
    },
    /// Vouch that this Redis belongs to this ledger, and that what it lacks is lost for good
    AcceptStore,
}

/// Of what a chart is.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Of {
    /// All that this job follows, and that follows it
    pub id: Option<JobId>,
    /// The members of this group, and what follows them
    #[arg(long, value_name = "NAME")]
    pub group: Option<GroupName>,
    /// All jobs of the ledger
    #[arg(long)]
    pub all: bool,
}

/// A state of a job, as the ledger calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Executors work on it
    Subm,
    /// A watcher is to look at it
    Prcd,
    /// Its archive is durable
    Zpd,
    /// It is delivered, and is being cleaned up
    Uploaded,
    /// It was given up, and is being cleaned up
    Cncl,
    /// Its data is lost
    Lost,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Subm => Self::Submitted,
            State::Prcd => Self::Processed,
            State::Zpd => Self::Zipped,
            State::Uploaded => Self::Uploaded,
            State::Cncl => Self::Cancelled,
            State::Lost => Self::Lost,
        }
    }
}

impl Args {
    /// What to do.
    ///
    /// # Errors
    /// When nothing was said, although there is nothing to do without it.
    pub fn command(&self) -> Result<Command, clap::Error> {
        match &self.command {
            Some(command) => Ok(command.clone()),
            // The start ends the program before the command counts.
            None if self.common.check_config || self.common.print_config => Ok(Command::Status),
            None => Err(Self::nothing_said()),
        }
    }

    fn nothing_said() -> clap::Error {
        <Self as clap::CommandFactory>::command().error(
            ErrorKind::MissingSubcommand,
            "say what to do, as in: distjobctl status; see distjobctl --help",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<(Command, Options), String> {
        Args::try_parse_from(line.split_whitespace())
            .and_then(|args| Ok((args.command()?, args.options)))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn flags_of_all_commands_may_stand_anywhere() {
        for line in [
            "distjobctl --json jobs --state lost --timeout 3s",
            "distjobctl --timeout 3s jobs --state lost --json",
        ] {
            let (command, options) = command(line).unwrap();
            assert_eq!(
                command,
                Command::Jobs {
                    state: Some(State::Lost),
                    queue: None
                }
            );
            assert_eq!(
                options,
                Options {
                    json: true,
                    timeout: Some(Duration::from_secs(3))
                }
            );
        }
    }

    #[test]
    fn mistakes_of_usage_name_the_rule() {
        for (line, reason) in [
            ("distjobctl", "say what to do"),
            ("distjobctl show a/b", "a job id consists of"),
            ("distjobctl wait", "required"),
            ("distjobctl graph", "required"),
            ("distjobctl graph a --all", "cannot be used with"),
            ("distjobctl skip a", "<SINK>"),
            ("distjobctl skip a b/c", "a sink name consists of"),
            ("distjobctl jobs --state done", "possible values: subm, prcd, zpd"),
            ("distjobctl --timeout 10 status", "time unit needed"),
        ] {
            let error = command(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn every_state_has_its_word_on_the_command_line() {
        for state in State::value_variants() {
            let word = state.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(word.as_deref(), Some(JobState::from(*state).as_str()));
        }
    }
}
