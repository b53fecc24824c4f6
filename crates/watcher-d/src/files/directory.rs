//! A directory that many bring names to at the same time.

use std::{
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::sync;
use crate::sink::SinkError;

/// A directory that is synced once for all who wait for that.
#[derive(Debug)]
pub(crate) struct SharedDirectory {
    path: PathBuf,
    rounds: Mutex<Rounds>,
    ended: Condvar,
}

/// Each round syncs the directory once. One round is under way at a time.
#[derive(Debug, Default)]
struct Rounds {
    begun: u64,
    /// The last one that succeeded.
    succeeded: u64,
    is_under_way: bool,
}

impl SharedDirectory {
    /// The directory at `path`, which is there.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            rounds: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Brings what the directory holds at the time of the call to the disk. Blocks meanwhile.
    ///
    /// # Errors
    /// When that fails. Everybody who was waiting tries for himself then.
    pub(crate) fn sync(&self) -> Result<(), SinkError> {
        self.sync_by(sync)
    }

    fn sync_by(&self, sync: impl FnOnce(&Path) -> Result<(), SinkError>) -> Result<(), SinkError> {
        let mut rounds = self.rounds();
        // What is under way may have begun before the names were there.
        let needed = rounds.begun + 1;
        while rounds.is_under_way {
            rounds = self.ended.wait(rounds).unwrap_or_else(PoisonError::into_inner);
            if rounds.succeeded >= needed {
                return Ok(());
            }
        }
        rounds.begun += 1;
        rounds.is_under_way = true;
        let round = rounds.begun;
        drop(rounds);
        let outcome = sync(&self.path);
        let mut rounds = self.rounds();
        rounds.is_under_way = false;
        if outcome.is_ok() {
            rounds.succeeded = round;
        }
        self.ended.notify_all();
        outcome
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        thread,
    };

    use super::*;

    #[test]
    fn those_who_come_while_a_directory_is_synced_share_the_next_time() {
        let directory = SharedDirectory::new(PathBuf::from("d"));
        let synced = AtomicUsize::new(0);
        let count = |_: &Path| {
            synced.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let (begun, has_begun) = mpsc::channel();
        let (end, may_end) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let directory = &directory;
            scope.spawn(move || {
                directory.sync_by(|_| {
                    begun.send(()).unwrap();
                    may_end.recv().unwrap();
                    Ok(())
                })
            });
            has_begun.recv().unwrap();
            let later: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| directory.sync_by(count).unwrap()))
                .collect();
            assert_eq!(synced.load(Ordering::Relaxed), 0);
            end.send(()).unwrap();
            for thread in later {
                thread.join().unwrap();
            }
        });
        // Once for all of those who were waiting; who came only then has it synced again.
        assert!((1..=8).contains(&synced.load(Ordering::Relaxed)));
        let before = synced.load(Ordering::Relaxed);
        directory.sync_by(count).unwrap();
        assert_eq!(synced.load(Ordering::Relaxed), before + 1);
    }

    #[test]
    fn a_failure_is_nobody_elses() {
        let directory = SharedDirectory::new(PathBuf::from("d"));
        let failing = directory.sync_by(|_| Err(SinkError::new("sync it")));
        assert!(failing.is_err());
        directory.sync_by(|_| Ok(())).unwrap();
    }
}
