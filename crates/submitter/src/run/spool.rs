//! Files with one task a line, moved into a directory.
//!
//! ```text
//!  inotify ─┐                    ┌ inspect: every line, the id    ┌ done/ or removed
//!  look  ───┴─► claim by rename ─┤ submit: a stream of jobs  ─────┤
//!   now and then   .work/        └ (again and again)              └ rejected/, with the reason
//! ```
//!
//! A claim is on disk, so whoever comes after a death goes on with it; its id follows from queue, name and content, so that
//! it becomes a job once, whatever was done already. One service looks after a directory at a time; another one waits.

mod claim;
mod file;
mod place;
mod scan;
mod watch;

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    os::unix::fs::MetadataExt as _,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};
use tracing::{info, warn};

use self::{
    claim::Claim,
    file::Desktop,
    place::{Found, Place},
    scan::{FILES_MAX, Looked, Patience, look},
    watch::{Note, Watch},
};
use super::{Hall, config::SpoolConfig, metrics::SpoolMetrics};
use crate::lock::Lock;

/// Between two attempts at a lock that another service holds.
const LOCK_PAUSE: Duration = Duration::from_millis(500);

/// The shortest time between two looks that nothing asked for.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The intake of files.
#[derive(Debug)]
pub(super) struct Spool {
    desktop: Desktop,
    config: SpoolConfig,
    watch: Watch,
    /// What may be taken.
    waiting: VecDeque<Found>,
    /// What is being worked on.
    workers: JoinSet<()>,
    /// Files that somebody is writing here, as far as that was heard.
    in_writing: BTreeSet<Found>,
    /// Directories that were complained of.
    strangers: BTreeSet<String>,
    next_look: Instant,
}

impl Spool {
    /// For the directory of the configuration.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) fn new(hall: Hall, config: &SpoolConfig, metrics: SpoolMetrics) -> anyhow::Result<Self> {
        let place = Place::make(&config.directory).with_context(|| {
            format!(
                "failed to make directories in {} (see [run.spool] directory)",
                config.directory.display()
            )
        })?;
        Ok(Self {
            desktop: Desktop { hall, place, metrics },
            config: config.clone(),
            watch: Watch::new(),
            waiting: VecDeque::new(),
            workers: JoinSet::new(),
            in_writing: BTreeSet::new(),
            strangers: BTreeSet::new(),
            next_look: Instant::now(),
        })
    }

    /// Takes files in until the service is asked to stop; then it finishes those in hand.
    ///
    /// # Errors
    /// When the directory cannot be locked.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        let stop = self.desktop.hall.stop.clone();
        let Some(lock) = stop.unless_requested(self.lock()).await.transpose()? else {
            return Ok(());
        };
        info!(directory = %self.desktop.place.root().display(), "taking files");
        for claim in self.left_behind()? {
            self.workers.spawn(self.desktop.clone().finish(claim));
        }
        let gate = self.desktop.hall.desk.gate.clone();
        loop {
            let has_room = self.workers.len() < self.config.files_at_once;
            let may_take = has_room && !self.waiting.is_empty();
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(_) = self.workers.join_next() => {}
                notes = self.watch.next() => self.hear(notes),
                () = sleep_until(self.next_look), if self.waiting.is_empty() => self.look().await,
                () = gate.admit(), if may_take => {
                    if let Some(found) = self.waiting.pop_front() {
                        self.workers.spawn(self.desktop.clone().take(found));
                    }
                }
            }
        }
        while self.workers.join_next().await.is_some() {}
        drop(lock);
        Ok(())
    }

    /// Waits until nobody else looks after the directory.
    async fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.desktop.place.lock();
        let mut is_told = false;
        loop {
            let lock = Lock::take(&path).with_context(|| format!("failed to lock {}", path.display()))?;
            if let Some(lock) = lock {
                return Ok(lock);
            }
            if !is_told {
                is_told = true;
                warn!(directory = %self.desktop.place.root().display(), "another service takes the files here; waiting for its end");
            }
            sleep(LOCK_PAUSE).await;
        }
    }

    /// What a service that is no more had in hand: nobody but the holder of the lock has anything there.
    fn left_behind(&self) -> anyhow::Result<Vec<Claim>> {
        let work = self.desktop.place.work();
        let entries =
            std::fs::read_dir(&work).with_context(|| format!("failed to read {}", work.display()))?;
        let mut claims = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if !path.is_dir() {
                continue;
            }
            match Claim::adopt(path.clone()) {
                Ok(claim) => claims.extend(claim),
                Err(error) => {
                    warn!(claim = %path.display(), %error, "failed to read what was left in hand; it stays");
                }
            }
        }
        if !claims.is_empty() {
            info!(files = claims.len(), "going on with files that were left in hand");
        }
        Ok(claims)
    }

    fn hear(&mut self, notes: Vec<Note>) {
        for note in notes {
            match note {
                Note::Whole(found) => {
                    self.in_writing.remove(&found);
                    self.wait_for(found);
                }
                Note::Begun(found) if self.is_complete(&found) => self.wait_for(found),
                Note::Begun(found) => {
                    if self.in_writing.len() < FILES_MAX {
                        self.in_writing.insert(found);
                    }
                }
                Note::Gone(found) => drop(self.in_writing.remove(&found)),
                Note::Look => self.next_look = Instant::now(),
            }
        }
    }

    /// Puts a file behind those that are to be taken.
    fn wait_for(&mut self, found: Found) {
        if self.waiting.len() < FILES_MAX {
            self.waiting.push_back(found);
        } else {
            self.next_look = Instant::now();
        }
    }

    /// Whether what was created here needs no writer who closes it: a further link to a file, or no file at all.
    fn is_complete(&self, found: &Found) -> bool {
        let metadata = self.desktop.place.path(found).symlink_metadata();
        metadata.is_ok_and(|metadata| !metadata.is_file() || metadata.nlink() > 1)
    }

    async fn look(&mut self) {
        let (scan_every, patience) = {
            let settings = self.desktop.hall.settings.borrow();
            let spool = &settings.run.spool;
            let patience = Patience {
                settle: spool.settle,
                in_writing: self.in_writing.clone(),
            };
            (spool.scan_every, patience)
        };
        // Watched first, so that nothing comes between.
        self.watch.add(&self.desktop.place, None);
        let looked = self.look_once(&patience).await;
        let mut soon = scan_every;
        match looked {
            Ok(looked) => {
                if looked.is_more {
                    soon = patience.settle.max(LOOK_PAUSE).min(scan_every);
                }
                for stranger in looked.strangers {
                    if self.strangers.len() < FILES_MAX && self.strangers.insert(stranger.clone()) {
                        warn!(
                            directory = stranger,
                            "files in here are not taken: its name is no queue's"
                        );
                    }
                }
                self.waiting.extend(looked.files);
            }
            Err(error) => {
                warn!(directory = %self.desktop.place.root().display(), %error, "failed to look for files");
            }
        }
        self.next_look = Instant::now() + soon;
    }

    /// Looks, and once more when it found directories that were not watched yet.
    async fn look_once(&mut self, patience: &Patience) -> io::Result<Looked> {
        let look = |place: Place, patience: Patience| async move {
            spawn_blocking(move || look(&place, &patience))
                .await
                .map_err(io::Error::other)?
        };
        let looked = look(self.desktop.place.clone(), patience.clone()).await?;
        let before = self.watch.len();
        for queue in &looked.queues {
            self.watch.add(&self.desktop.place, Some(queue));
        }
        if self.watch.len() == before {
            return Ok(looked);
        }
        look(self.desktop.place.clone(), patience.clone()).await
    }
}
