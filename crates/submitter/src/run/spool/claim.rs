//! A file in hand: taken out of everybody's reach by a rename, and not forgotten whatever happens.
//!
//! A claim is a directory below `.work`. What is to become of the file stands in its `plan.json`, written before the
//! file is moved in; so a claim that a dead process left is gone on with as it was begun, even when the configuration has
//! changed since. The ids of the jobs that are safe are appended to `jobs`: those are not looked at again.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use distjob_core::{JobId, QueueName};
use distjob_runtime::chance;
use serde::{Deserialize, Serialize};

use super::place::{Found, Place};
use crate::{
    digest::{Sum, hex},
    pieces::{Empty, JobCut},
};

/// What is to become of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The subdirectory that it came from; none: the directory itself.
    pub(super) from: Option<QueueName>,
    /// The queue of its jobs.
    pub(super) queue: QueueName,
    /// Most tasks in a job.
    pub(super) max_tasks: u64,
    /// Most bytes in a job.
    pub(super) max_bytes: u64,
    /// SHA-256 of queue, name and content in hexadecimal digits, once that is known; the id begins it.
    pub(super) sum: Option<String>,
}

impl Plan {
    /// How the file is cut into jobs.
    pub(super) const fn cut(&self) -> JobCut {
        JobCut {
            tasks: self.max_tasks,
            bytes: self.max_bytes,
            empty: Empty::IsAJob,
        }
    }
}

/// A file in hand.
#[derive(Debug)]
pub(super) struct Claim {
    directory: PathBuf,
    /// Where it came from.
    pub(super) found: Found,
    pub(super) plan: Plan,
}

impl Claim {
    /// Takes a file that was found; `None` when somebody else did, or took it away.
    ///
    /// # Errors
    /// When the file system does not let it; the file is where it was.
    pub(super) fn take(place: &Place, found: &Found, plan: Plan) -> io::Result<Option<Self>> {
        let claim = Self {
            directory: place.work().join(chance::fresh_id()),
            found: found.clone(),
            plan,
        };
        let taken = claim.fill(&place.path(found));
        if taken.is_err() {
            // What cannot be removed now is removed at the next start.
            let _ = claim.end();
        }
        match taken {
            Ok(()) => Ok(Some(claim)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn fill(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(self.directory.join("file"))?;
        self.write_plan()?;
        fs::rename(path, self.file())
    }

    /// What a process left that is no more; `None` when it had not taken the file yet, or was done with it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn adopt(directory: PathBuf) -> io::Result<Option<Self>> {
        let name = match first_entry(&directory.join("file")) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(name) = name else {
            remove(&directory)?;
            return Ok(None);
        };
        let plan = fs::read(directory.join("plan.json"))?;
        let plan: Plan = serde_json::from_slice(&plan)?;
        Ok(Some(Self {
            found: Found {
                queue: plan.from.clone(),
                name,
            },
            plan,
            directory,
        }))
    }

    /// Where the file is now.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join("file").join(&self.found.name)
    }

    /// Keeps in mind what the content comes to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn settle(&mut self, sum: &Sum) -> io::Result<()> {
        self.plan.sum = Some(hex(sum));
        self.write_plan()
    }

    /// Keeps in mind that a job is safe.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn note(&self, job: &JobId) -> io::Result<()> {
        let mut jobs = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("jobs"))?;
        jobs.write_all(format!("{job}\n").as_bytes())
    }

    /// The jobs that are known to be safe.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn noted(&self) -> io::Result<Vec<JobId>> {
        let text = match fs::read_to_string(self.directory.join("jobs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text?,
        };
        // A line that was cut off in the middle of its writing is no note.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        Ok(whole.lines().filter_map(|line| JobId::new(line).ok()).collect())
    }

    /// Forgets the claim. Its file must have been moved.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn end(&self) -> io::Result<()> {
        remove(&self.directory)
    }

    fn write_plan(&self) -> io::Result<()> {
        let (fresh, plan) = (self.directory.join("plan.new"), self.directory.join("plan.json"));
        fs::write(&fresh, serde_json::to_vec(&self.plan)?)?;
        fs::rename(fresh, plan)
    }
}

/// Removes a claim that has no file any more. One that has is left as it is.
fn remove(directory: &Path) -> io::Result<()> {
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    // First, because it fails when there is something in it.
    gone(fs::remove_dir(directory.join("file")))?;
    for name in ["plan.new", "jobs", "plan.json"] {
        gone(fs::remove_file(directory.join(name)))?;
    }
    gone(fs::remove_dir(directory))
}

fn first_entry(directory: &Path) -> io::Result<Option<OsString>> {
    let entry = fs::read_dir(directory)?.next().transpose()?;
    Ok(entry.map(|entry| entry.file_name()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    fn plan() -> Plan {
        Plan {
            from: None,
            queue: QueueName::default_queue(),
            max_tasks: 7,
            max_bytes: 70,
            sum: None,
        }
    }

    fn world(name: &[u8]) -> (tempfile::TempDir, Place, Found) {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::make(directory.path()).unwrap();
        let name = std::ffi::OsStr::from_bytes(name).to_owned();
        fs::write(directory.path().join(&name), "1\n").unwrap();
        (directory, place, Found { queue: None, name })
    }

    fn claims(place: &Place) -> Vec<PathBuf> {
        let entries = fs::read_dir(place.work()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn what_a_dead_process_had_in_hand_is_gone_on_with_as_it_was_begun() {
        let (_directory, place, found) = world(b"a\n\xffb");
        let mut claim = Claim::take(&place, &found, plan()).unwrap().unwrap();
        assert!(!place.path(&found).exists());
        claim.settle(&[7; 32]).unwrap();
        claim.note(&JobId::new("one").unwrap()).unwrap();
        OpenOptions::new()
            .append(true)
            .open(claim.directory.join("jobs"))
            .unwrap()
            .write_all(b"tw")
            .unwrap();

        let adopted = Claim::adopt(claims(&place).remove(0)).unwrap().unwrap();
        assert_eq!((&adopted.found, &adopted.plan), (&found, &claim.plan));
        assert_eq!(adopted.noted().unwrap(), [JobId::new("one").unwrap()]);
        assert_eq!(fs::read(adopted.file()).unwrap(), b"1\n");
    }

    #[test]
    fn a_file_is_claimed_once() {
        let (_directory, place, found) = world(b"a");
        assert!(Claim::take(&place, &found, plan()).unwrap().is_some());
        assert!(Claim::take(&place, &found, plan()).unwrap().is_none());
        assert_eq!(claims(&place).len(), 1);
    }

    #[test]
    fn a_claim_without_its_file_is_swept_and_one_with_it_never_lost() {
        let (_directory, place, found) = world(b"a");
        let claim = Claim::take(&place, &found, plan()).unwrap().unwrap();
        assert!(claim.end().is_err(), "it has a file");
        assert_eq!(claim.noted().unwrap(), []);
        place.keep(&claim.file(), &found).unwrap();
        assert!(Claim::adopt(claims(&place).remove(0)).unwrap().is_none());
        assert_eq!(claims(&place), [""; 0].map(PathBuf::from));
    }
}
