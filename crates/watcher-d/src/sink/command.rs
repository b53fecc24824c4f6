//! The command sink: a program that takes each result.
//!
//! No shell reads its arguments. Its environment is cleared, but for a list, and for `DISTJOB_PATH`, `DISTJOB_MANIFEST`,
//! `DISTJOB_NAME`, `DISTJOB_JOB`, `DISTJOB_QUEUE`, `DISTJOB_CONCLUSION` and `DISTJOB_KEY`. Exit status 0 says that it has the
//! result, which it must have made durable by itself; with any other the delivery has failed, with the end of what it wrote
//! to stderr as the reason, and is repeated. The files are only there while it runs.
//!
//! It leads a process group of its own. Nothing that it does stops the watcher: after the sink's timeout the group gets TERM,
//! then KILL; what it left running is killed when it ends.

mod group;
mod tail;

use std::{
    env,
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use distjob_runtime::environment::environment;
use futures::future::BoxFuture;
use tokio::{process, time::timeout};

use self::{group::Group, tail::Tail};
use super::{Location, Parcel, Sink, SinkError};
use crate::{
    config::{CommandConfig, Placeholder},
    files::blocking,
};

/// Runs a program for each result. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct CommandSink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: CommandConfig,
    timeout: Duration,
}

impl CommandSink {
    /// A sink as it is configured. The program may run as long as `timeout`.
    pub(super) fn new(config: &CommandConfig, timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            config: config.clone(),
            timeout,
        }))
    }

    async fn run(&self, parcel: Arc<Parcel>) -> Result<Location, SinkError> {
        let writer = Arc::clone(&parcel);
        let manifest = blocking(move || writer.write_manifest()).await?;
        let words = Words::new(&parcel, manifest.path());
        let Inner {
            config,
            timeout: limit,
        } = &*self.0;
        let argv: Vec<OsString> = config
            .argv
            .iter()
            .map(|argument| {
                OsString::from_vec(argument.fill(|place| words.of(place).as_bytes().to_vec().into()))
            })
            .collect();
        let Some((program, arguments)) = argv.split_first() else {
            return Err(SinkError::new("run a program: command.argv names none"));
        };
        let what = || format!("hand the result to {}", program.display());
        let mut command = process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(environment(
                &config.environment,
                env::vars_os(),
                words.variables(),
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| SinkError::new(what()).because(error))?;
        let mut tail = Tail::new(child.stderr.take());
        let group =
            Group::new(child, config.kill_after).map_err(|error| SinkError::new(what()).because(error))?;
        match timeout(*limit, tail.while_reading(group.exited())).await {
            Ok(()) => {
                let status = group
                    .reap()
                    .await
                    .map_err(|error| SinkError::new(what()).because(error))?;
                tail.read_rest().await;
                judge(status, &tail).map_err(|why| SinkError::new(what()).because(why))?;
            }
            Err(_) => {
                let ended = tail.while_reading(group.end()).await;
                ended.map_err(|error| SinkError::new(what()).because(error))?;
                return Err(SinkError::new(what()).because(tail.told(&format!("still ran after {limit:?}"))));
            }
        }
        Ok(Location::new(format!(
            "{} {}",
            program.display(),
            parcel.result_name()
        )))
    }
}

impl Sink for CommandSink {
    fn deliver(&self, parcel: Arc<Parcel>) -> BoxFuture<'static, Result<Location, SinkError>> {
        let sink = self.clone();
        Box::pin(async move { sink.run(parcel).await })
    }
}

/// What the status says, if it is no success.
fn judge(status: ExitStatus, tail: &Tail) -> Result<(), String> {
    match status.success() {
        true => Ok(()),
        false => Err(tail.told(&status.to_string())),
    }
}

/// What stands for the places in arguments, and in the environment.
struct Words([(Placeholder, &'static str, OsString); 7]);

impl Words {
    fn new(parcel: &Parcel, manifest: &Path) -> Self {
        let Parcel { job, queue, .. } = parcel;
        Self([
            (Placeholder::Path, "DISTJOB_PATH", parcel.path.clone().into()),
            (Placeholder::Manifest, "DISTJOB_MANIFEST", manifest.into()),
            (Placeholder::Name, "DISTJOB_NAME", parcel.result_name().into()),
            (Placeholder::Id, "DISTJOB_JOB", job.as_str().into()),
            (Placeholder::Queue, "DISTJOB_QUEUE", queue.as_str().into()),
            (
                Placeholder::Conclusion,
                "DISTJOB_CONCLUSION",
                parcel.manifest.conclusion.as_str().into(),
            ),
            (Placeholder::Key, "DISTJOB_KEY", parcel.idempotency_key().into()),
        ])
    }

    fn of(&self, place: Placeholder) -> OsString {
        let found = self.0.iter().find(|(known, ..)| *known == place);
        found.map(|(_, _, word)| word.clone()).unwrap_or_default()
    }

    fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.0
            .iter()
            .map(|(_, name, word)| ((*name).into(), word.clone()))
    }
}
