//! A directory that many bring names to at the same time.

use std::{
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::sync;
use crate::sink::SinkError;

/// A directory that is synced once for all who wait for that.
///
/// ```text
/// round 7 is under way, for who waits in ended[7 % 2]
///         when it ends: all of those go on, and one of those in ended[8 % 2] begins round 8
/// ```
#[derive(Debug)]
pub(crate) struct SharedDirectory {
    path: PathBuf,
    rounds: Mutex<Rounds>,
    /// Who waits for the end of an even or odd round: the one under way, or the next. Nobody is woken in vain.
    ended: [Condvar; 2],
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
            ended: Default::default(),
        }
    }

    /// Brings what the directory holds at the time of the call to the disk. Blocks meanwhile.
    ///
    /// # Errors
    /// When that fails. Everybody who was waiting tries again then, together.
    pub(crate) fn sync(&self) -> Result<(), SinkError> {
        self.sync_by(sync)
    }

    fn sync_by(&self, sync: impl FnOnce(&Path) -> Result<(), SinkError>) -> Result<(), SinkError> {
        let mut rounds = self.rounds();
        while rounds.is_under_way {
            // What is under way may have begun before the names were there.
            let needed = rounds.begun + 1;
            let over = |rounds: &Rounds| match rounds.begun {
                // It is for one of those who wait for it to begin it.
                begun if begun < needed => !rounds.is_under_way,
                begun => begun > needed || !rounds.is_under_way,
            };
            let ended = self.ended(needed);
            while !over(&rounds) {
                rounds = ended.wait(rounds).unwrap_or_else(PoisonError::into_inner);
            }
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
        self.ended(round).notify_all();
        self.ended(round + 1).notify_one();
        outcome
    }

    /// Where to wait for the end of a round.
    fn ended(&self, round: u64) -> &Condvar {
        &self.ended[usize::from(round % 2 == 1)]
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
    fn those_who_wait_for_a_time_that_fails_share_another_one() {
        let directory = SharedDirectory::new(PathBuf::from("d"));
        let tried = AtomicUsize::new(0);
        let fail_once = |_: &Path| match tried.fetch_add(1, Ordering::Relaxed) {
            0 => Err(SinkError::new("sync it")),
            _ => Ok(()),
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
                .map(|_| scope.spawn(|| directory.sync_by(fail_once)))
                .collect();
            end.send(()).unwrap();
            let outcomes = later.into_iter().map(|thread| thread.join().unwrap());
            assert_eq!(outcomes.filter(Result::is_err).count(), 1);
        });
    }

    #[test]
    fn a_failure_is_nobody_elses() {
        let directory = SharedDirectory::new(PathBuf::from("d"));
        let failing = directory.sync_by(|_| Err(SinkError::new("sync it")));
        assert!(failing.is_err());
        directory.sync_by(|_| Ok(())).unwrap();
    }
}
