//! One file, from its claim to its end.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use distjob_core::{JobId, QueueName};
use distjob_runtime::{chance, drill};
use rustix::{fs::OFlags, io::Errno};
use tokio::{task::spawn_blocking, time::sleep};
use tracing::{info, warn};

use super::{
    claim::{Claim, Plan},
    place::{Found, Place},
};
use crate::{
    digest::{Sum, Summed, hex, id_of},
    feed::{Input, READ_BYTES},
    lines::{InputError, Lines},
    run::{
        Hall,
        config::Archive,
        desk::{Handed, SubmitError},
        metrics::{FileOutcome, SpoolMetrics},
        stream::Series,
    },
};

/// Between two attempts at something that the file system refused.
const PAUSE: Duration = Duration::from_secs(2);

/// What every file is worked on with.
#[derive(Clone, Debug)]
pub(super) struct Desktop {
    pub(super) hall: Hall,
    pub(super) place: Place,
    pub(super) metrics: SpoolMetrics,
}

/// Why a file is not submitted now.
#[derive(Debug)]
enum Obstacle {
    /// It never will be.
    Bad(String),
    /// The service ends. The file stays in hand, for the next start.
    Ending,
    /// The file system refuses something that it may grant later.
    Refused(io::Error),
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Self::Refused(error)
    }
}

impl Desktop {
    /// Takes a file that was found, and brings it to its end.
    pub(super) async fn take(self, found: Found) {
        let (place, plan, copy) = (self.place.clone(), self.plan(&found), found.clone());
        match blocking(move || begin(&place, &copy, plan)).await {
            Ok(Begun::Claimed(claim)) => self.finish(claim).await,
            Ok(Begun::Nothing) => {}
            Ok(Begun::Rejected(reason)) => self.tell_rejected(&found, &reason),
            // It stays where it is, for the next look.
            Err(error) => warn!(file = %shown(&found), %error, "failed to take a file, trying again later"),
        }
    }

    /// Brings a file in hand to its end.
    pub(super) async fn finish(self, mut claim: Claim) {
        loop {
            match self.attempt(&mut claim).await {
                Ok(()) | Err(Obstacle::Ending) => return,
                Err(Obstacle::Bad(reason)) => match self.reject(&claim, &reason) {
                    Ok(()) => return,
                    Err(error) => {
                        warn!(file = %shown(&claim.found), %error, "failed to reject a file, trying again");
                    }
                },
                Err(Obstacle::Refused(error)) => {
                    warn!(file = %shown(&claim.found), %error, "failed to work on a file, trying again");
                }
            }
            let rest = sleep(chance::upper_half(PAUSE));
            if self.hall.stop.unless_requested(rest).await.is_none() {
                return;
            }
        }
    }

    /// Reads the file once, and then submits it.
    async fn attempt(&self, claim: &mut Claim) -> Result<(), Obstacle> {
        let limit = self.hall.desk.settings.max_task_bytes;
        let (path, words) = (claim.file(), words(claim));
        let sum = blocking(move || Ok(inspect(&path, &words, limit))).await??;
        // Some of it may be a job already: cut anew, under another id, that would come twice.
        if claim.plan.sum.as_ref().is_some_and(|before| *before != hex(&sum)) {
            return Err(Obstacle::Bad("it changed after it was taken in hand".to_owned()));
        }
        claim.settle(&sum)?;
        self.submit(claim, sum).await
    }

    async fn submit(&self, claim: &Claim, sum: Sum) -> Result<(), Obstacle> {
        drill::point("spool-planned");
        let bad = |error: distjob_core::NameError| Obstacle::Bad(error.to_string());
        let stem = id_of(&sum).map_err(bad)?;
        let desk = &self.hall.desk;
        let attempt = || async {
            // In each attempt anew: the one before may have made jobs, and the stores may forget those until they answer
            // again. It also keeps a job from being noted twice.
            let known = claim.noted().map_err(|error| SubmitError::Failed(error.into()))?;
            let series = Series {
                stem: &stem,
                queue: &claim.plan.queue,
                known: &known,
            };
            let file = open(&claim.file()).map_err(|error| match is_passing(&error) {
                true => SubmitError::Failed(error.into()),
                false => SubmitError::Input(InputError::Read(0, error)),
            })?;
            let input = Input::summed_file(file, &words(claim), sum, desk.settings.max_task_bytes);
            let feed = input
                .feed(&desk.settings, claim.plan.cut())
                .map_err(SubmitError::Failed)?;
            let note = |job: &JobId| {
                drill::point("spool-committed");
                if let Err(error) = claim.note(job) {
                    // It saves work, no more: the stores know the job.
                    warn!(job.id = %job, %error, "failed to note a job that is safe");
                }
            };
            desk.submit(series, feed, note).await
        };
        match desk.surely(&stem, attempt).await {
            Ok(handed) => self.archive(claim, &handed),
            Err(SubmitError::Ending) => Err(Obstacle::Ending),
            Err(error) => {
                let mut reason = format!("{:#}", anyhow::Error::new(error));
                let safe = claim.noted()?;
                if let (Some(first), Some(last)) = (safe.first(), safe.last()) {
                    reason = format!(
                        "{reason}; {} jobs were submitted before that: {first} to {last}",
                        safe.len()
                    );
                }
                Err(Obstacle::Bad(reason))
            }
        }
    }

    /// Its tasks are safe: it has had its use.
    fn archive(&self, claim: &Claim, handed: &Handed) -> Result<(), Obstacle> {
        drill::point("spool-submitted");
        let archive = self.hall.settings.borrow().run.spool.archive;
        match archive {
            Archive::Keep => self.place.keep(&claim.file(), &claim.found)?,
            Archive::Remove => std::fs::remove_file(claim.file())?,
        }
        drill::point("spool-archived");
        if let Err(error) = claim.end() {
            warn!(%error, "failed to sweep what a file in hand left, the next start will");
        }
        self.metrics.ended(FileOutcome::Submitted);
        info!(
            file = %shown(&claim.found),
            queue = %claim.plan.queue,
            job.id = handed.jobs.first().map(JobId::as_str),
            jobs = handed.jobs.len(),
            before = handed.before,
            tasks = handed.tasks,
            "a file was submitted"
        );
        Ok(())
    }

    fn reject(&self, claim: &Claim, reason: &str) -> io::Result<()> {
        match self.place.reject(&claim.file(), &claim.found, reason) {
            // Somebody has reached into the work directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            rejected => drop(rejected?),
        }
        self.tell_rejected(&claim.found, reason);
        claim.end()
    }

    fn tell_rejected(&self, found: &Found, reason: &str) {
        self.metrics.ended(FileOutcome::Rejected);
        warn!(file = %shown(found), reason, "a file was rejected");
    }

    fn plan(&self, found: &Found) -> Plan {
        let settings = self.hall.settings.borrow();
        let queue = found.queue.as_ref().unwrap_or(&settings.submitter.queue);
        let limits = settings.of_queue(queue);
        Plan {
            from: found.queue.clone(),
            queue: queue.clone(),
            max_tasks: limits.max_tasks,
            max_bytes: limits.max_bytes,
            sum: None,
        }
    }
}

/// What became of a file that was found.
enum Begun {
    /// It is in hand.
    Claimed(Claim),
    /// It is not there, or not any more.
    Nothing,
    /// It is no file, for this reason, and was put aside.
    Rejected(String),
}

fn begin(place: &Place, found: &Found, plan: Plan) -> io::Result<Begun> {
    let path = place.path(found);
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Begun::Nothing),
        metadata => metadata?,
    };
    if metadata.is_dir() {
        return Ok(Begun::Nothing);
    }
    if !metadata.is_file() {
        let reason = "it is no regular file: links, pipes, sockets and devices are not read".to_owned();
        return match place.reject(&path, found, &reason) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Begun::Nothing),
            rejected => rejected.map(|_| Begun::Rejected(reason)),
        };
    }
    let claim = Claim::take(place, found, plan)?;
    drill::point("spool-claimed");
    Ok(claim.map_or(Begun::Nothing, Begun::Claimed))
}

/// Reads a file once from its beginning to its end, so that nothing of it is submitted when something in it is bad, and
/// its id is known. Blocks.
fn inspect(path: &Path, words: &[Vec<u8>], limit: u64) -> Result<Sum, Obstacle> {
    let opened = open(path).map_err(|error| judge_read(0, error))?;
    let mut summed = Summed::new(opened, words);
    for line in Lines::new(BufReader::with_capacity(READ_BYTES, &mut summed), limit) {
        match line {
            Ok(_) => {}
            Err(InputError::Read(line, error)) => return Err(judge_read(line, error)),
            Err(error) => return Err(Obstacle::Bad(error.to_string())),
        }
    }
    Ok(summed.sum())
}

/// What a file's id follows from, beside its content.
fn words(claim: &Claim) -> [Vec<u8>; 2] {
    [claim.plan.queue.as_str().as_bytes(), claim.found.name.as_bytes()].map(<[u8]>::to_vec)
}

/// Whatever the name has become since it was looked at: nothing else than a file is read.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        )),
    }
}

/// A file that cannot be read is bad, unless that will pass.
fn judge_read(line: u64, error: io::Error) -> Obstacle {
    if is_passing(&error) {
        return Obstacle::Refused(error);
    }
    Obstacle::Bad(match line {
        0 => format!("it cannot be read: {error}"),
        _ => format!("line {line} cannot be read: {error}"),
    })
}

/// Whether it says nothing of the file, but that this process or the machine has too much in hand.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR)
    )
}

/// A file as messages call it: its name may be anything.
fn shown(found: &Found) -> String {
    let mut path = PathBuf::new();
    path.extend(found.queue.as_ref().map(QueueName::as_str));
    path.push(&found.name);
    format!("{}", path.to_string_lossy().escape_debug())
}

/// Runs what blocks on a thread for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
