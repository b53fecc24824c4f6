//! Starting processes.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write as _},
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::ensure;
use rustix::io::Errno;
use thiserror::Error;
use tokio::net::unix::pipe;

use super::{Bounds, cgroup::Leaf, group::Group, keeper, launched::Launched};
use crate::launcher::{self, Orders};

/// So much is in a pipe without anybody reading it, however scarce pipes are: `PIPE_BUF`.
const FITS_INTO_A_PIPE: usize = 4096;

/// Why there is no process.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    /// The task makes arguments that no program can have.
    #[error("the task does not fit into the program's arguments: {0}")]
    Arguments(&'static str),
    /// The program is not there or cannot be executed, or the machine has no room for another process: no task's fault.
    #[error("cannot start {program}: {source}")]
    Program {
        /// Its name.
        program: String,
        /// What is wrong.
        source: io::Error,
    },
}

/// What a process finds on its standard input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    /// Nothing.
    Empty,
    /// These bytes and then the end. What does not fit into the pipe is left for [`Child::finish`] to write.
    Bytes(&'a [u8]),
    /// What is written to [`Child::stdin`].
    Pipe,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Child {
    /// It, and what it starts.
    pub(crate) group: Group,
    /// To write to it, with [`Input::Pipe`] or more bytes than a pipe takes.
    pub(crate) stdin: Option<pipe::Sender>,
    /// What of its input did not fit into the pipe.
    pub(super) unfed: Vec<u8>,
    /// Its standard output.
    pub(crate) stdout: pipe::Receiver,
    /// Its standard error.
    pub(crate) stderr: pipe::Receiver,
}

/// Starts the processes of a queue.
#[derive(Clone, Debug)]
pub(crate) struct Spawner {
    bounds: Bounds,
}

impl Spawner {
    /// Of processes with these bounds.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds }
    }

    /// As [`new`](Self::new), for a program that does not know yet what it can.
    ///
    /// # Errors
    /// When limits are wanted and `main` does not begin with [`launcher::run_if_asked`].
    pub(crate) fn checked(bounds: Bounds) -> anyhow::Result<Self> {
        let needs_launcher = !bounds.orders.is_empty() || bounds.cgroup;
        ensure!(
            launcher::is_ready() || !needs_launcher,
            "processes cannot have limits, a user or a cgroup here: the main function of this executor has to begin with \
             distjob_executor::launcher::run_if_asked()"
        );
        Ok(Self::new(bounds))
    }

    /// The bounds.
    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Starts `argv`, with `variables` in its environment besides those of the bounds. Takes as long as it takes the
    /// operating system to load a program, about a millisecond.
    ///
    /// # Errors
    /// When it could not be started. Most failures of the [`launcher`] show later, see
    /// [`launcher::failure`].
    pub(crate) fn start(
        &self,
        argv: &[impl AsRef<OsStr>],
        variables: &[(&str, OsString)],
        input: Input<'_>,
    ) -> Result<Child, StartError> {
        let launched = self.launch(argv, variables, input)?;
        let name = argv.first().map_or(OsStr::new(""), AsRef::as_ref);
        launched.watched().map_err(|error| judge(name, error))
    }

    /// As [`start`](Self::start), for a program that may end in a moment, and is only to be
    /// [finished](Launched::finish).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(crate) fn launch(
        &self,
        argv: &[impl AsRef<OsStr>],
        variables: &[(&str, OsString)],
        input: Input<'_>,
    ) -> Result<Launched, StartError> {
        let Some(name) = argv.first().map(AsRef::as_ref) else {
            return Err(StartError::Arguments("there are none"));
        };
        self.try_launch(name, argv, variables, input)
            .map_err(|error| judge(name, error))
    }

    fn try_launch(
        &self,
        name: &OsStr,
        argv: &[impl AsRef<OsStr>],
        variables: &[(&str, OsString)],
        input: Input<'_>,
    ) -> io::Result<Launched> {
        let bounds = &self.bounds;
        let program = bounds.find(name)?;
        let cgroup = if bounds.cgroup {
            Leaf::make(bounds.orders.memory_max)?
        } else {
            None
        };
        let mut command = self.command(&program, name, cgroup.as_ref());
        command
            .args(&argv[1..])
            .env_clear()
            .envs(bounds.variables.iter().map(|(name, value)| (name, value)))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            // Makes that the signals which end it reach what it starts, too, and that those from a terminal do not.
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(directory) = &bounds.directory {
            command.current_dir(directory);
        }
        let (stdin, unfed) = supply(&mut command, input)?;
        keeper::prepare();
        let mut process = command.spawn()?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let group = Group::new(process, bounds.kill_after, cgroup)?;
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(io::Error::other("no pipes"));
        };
        Ok(Launched {
            group,
            stdin,
            unfed,
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    /// The command without its arguments: the program itself, which the standard library then starts without copying
    /// this process, or the launcher in front of it.
    fn command(&self, program: &Path, name: &OsStr, cgroup: Option<&Leaf>) -> Command {
        let orders = &self.bounds.orders;
        match cgroup {
            None if orders.is_empty() => {
                let mut command = Command::new(program);
                command.arg0(name);
                command
            }
            None => launcher::command(orders, program, name),
            Some(cgroup) => {
                let orders = Orders {
                    cgroup: Some(cgroup.directory().to_owned()),
                    ..orders.clone()
                };
                launcher::command(&orders, program, name)
            }
        }
    }
}

/// Prepares the standard input; our end of it, if there is one, and what is still to be written there.
fn supply(command: &mut Command, input: Input<'_>) -> io::Result<(Option<OwnedFd>, Vec<u8>)> {
    if let Input::Empty | Input::Bytes([]) = input {
        command.stdin(Stdio::null());
        return Ok((None, Vec::new()));
    }
    let (reader, mut writer) = io::pipe()?;
    command.stdin(reader);
    Ok(match input {
        Input::Bytes(bytes) if bytes.len() <= FITS_INTO_A_PIPE => {
            writer.write_all(bytes)?;
            (None, Vec::new())
        }
        Input::Bytes(bytes) => (Some(writer.into()), bytes.to_vec()),
        _ => (Some(writer.into()), Vec::new()),
    })
}

fn judge(program: &OsStr, error: io::Error) -> StartError {
    match error.kind() {
        io::ErrorKind::InvalidInput => StartError::Arguments("it has a NUL byte"),
        _ if Errno::from_io_error(&error) == Some(Errno::TOOBIG) => StartError::Arguments("it is too large"),
        _ => StartError::Program {
            program: program.display().to_string(),
            source: error,
        },
    }
}
