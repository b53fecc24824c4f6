//! A name under which daemons run, one after the other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::cluster::{Cluster, Daemon, clear_away, left_behind};
use crate::history::{Descriptors, Event, Recorder, Role};
use crate::stores::{Member, Stores};
use crate::workload::exit_of;

/// How long a daemon may take to leave after SIGTERM: its grace period, and what a busy machine adds.
const LEAVES_WITHIN: Duration = Duration::from_secs(20);
/// At this age a daemon that is ready, or was, has all the descriptors that it needs.
const GROWN_UP: Duration = Duration::from_secs(5);

/// An executor or a watcher, whichever process it is at present. Its name, its host and its files stay.
#[derive(Debug)]
pub(crate) struct Post {
    role: Role,
    name: String,
    cluster: Arc<Cluster>,
    recorder: Arc<Recorder>,
    now: Mutex<Option<Now>>,
}

#[derive(Debug)]
struct Now {
    daemon: Daemon,
    since: Instant,
    descriptors: Option<u64>,
    /// Whether its end is known already.
    has_ended: bool,
    /// Whether it will end by itself, which is somebody's plan.
    is_ambushed: bool,
}

impl Post {
    /// A post at which nobody stands yet.
    pub(super) fn new(role: Role, name: String, cluster: Arc<Cluster>, recorder: Arc<Recorder>) -> Self {
        Self {
            role,
            name,
            cluster,
            recorder,
            now: Mutex::default(),
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Starts a new daemon. The last one must have ended.
    pub(crate) async fn start(&self) -> Result<()> {
        let mut now = self.now.lock().await;
        self.start_in(&mut now, "").await
    }

    /// Starts a watcher to which something happens at a point of its work, see [`Cluster::ambushed_watcher`].
    pub(crate) async fn start_ambushed(&self, points: &str) -> Result<()> {
        let mut now = self.now.lock().await;
        self.start_in(&mut now, points).await?;
        if points.ends_with("=kill") {
            self.recorder.record(Event::ProcessKilled {
                name: self.name.clone(),
            });
        }
        Ok(())
    }

    /// Whether it has come to where it was ambushed: it is dead, or it sleeps.
    pub(crate) async fn is_caught(&self) -> bool {
        let mut now = self.now.lock().await;
        let Some(now) = now.as_mut() else { return false };
        if now.daemon.exit_status().is_some() {
            self.note_end(now).await;
            return true;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", now.daemon.pid()));
        status.is_ok_and(|status| status.contains("State:\tT"))
    }

    /// Starts a new daemon if none runs.
    pub(super) async fn start_if_down(&self) -> Result<()> {
        let mut now = self.now.lock().await;
        match &*now {
            Some(now) if now.daemon.exit_status().is_none() => Ok(()),
            _ => self.start_in(&mut now, "").await,
        }
    }

    async fn start_in(&self, now: &mut MutexGuard<'_, Option<Now>>, points: &str) -> Result<()> {
        // Nobody may hold its files when the next one is started.
        **now = None;
        let daemon = match self.role {
            Role::Watcher => self.cluster.ambushed_watcher(&self.name, points).await?,
            _ => self.cluster.executor(&self.name).await?,
        };
        self.recorder.record(Event::ProcessStarted {
            name: self.name.clone(),
            role: self.role,
            pid: daemon.pid(),
            incarnation: daemon.incarnation(),
        });
        **now = Some(Now {
            daemon,
            since: Instant::now(),
            descriptors: None,
            has_ended: false,
            is_ambushed: !points.is_empty(),
        });
        Ok(())
    }

    /// SIGKILL, and its end. Ended already is fine.
    pub(crate) async fn kill(&self) -> Result<()> {
        let mut now = self.now.lock().await;
        let Some(now) = now.as_mut().filter(|now| !now.has_ended) else {
            return Ok(());
        };
        self.recorder.record(Event::ProcessKilled {
            name: self.name.clone(),
        });
        now.daemon.kill().await?;
        self.note_end(now).await;
        Ok(())
    }

    /// SIGTERM, and its end; SIGKILL when it is still there after its grace period and more, which the record shows.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.stop_within(LEAVES_WITHIN).await
    }

    /// SIGTERM, and SIGKILL after `patience`, as a service manager does.
    pub(crate) async fn stop_within(&self, patience: Duration) -> Result<()> {
        let mut now = self.now.lock().await;
        let Some(now) = now.as_mut().filter(|now| !now.has_ended) else {
            return Ok(());
        };
        self.recorder.record(Event::ProcessStopped {
            name: self.name.clone(),
        });
        if now.daemon.terminate().is_err() || now.daemon.wait(patience).await.is_ok() {
            self.note_end(now).await;
            return Ok(());
        }
        self.recorder.record(Event::ProcessKilled {
            name: self.name.clone(),
        });
        now.daemon.kill().await?;
        self.note_end(now).await;
        Ok(())
    }

    /// A signal that ends nothing, such as SIGSTOP. One that has ended hears nothing, which is fine.
    pub(crate) async fn signal(&self, signal: Signal) {
        if let Some(now) = self.now.lock().await.as_ref() {
            let _ = now.daemon.signal(signal);
        }
    }

    /// Moves its clock to so many seconds after the right time.
    pub(crate) async fn shift_clock(&self, seconds: i64) -> Result<()> {
        let now = self.now.lock().await;
        let clock = now.as_ref().and_then(|now| now.daemon.clock());
        clock.context("its clock is the machine's")?.shift(seconds)
    }

    /// The member of the cluster that it is at present; none while it is not registered, and while ZooKeeper is away.
    pub(crate) async fn member(&self, stores: &Stores) -> Option<Member> {
        let pid = self.now.lock().await.as_ref()?.daemon.pid();
        let directory = if self.role == Role::Watcher {
            "watchers"
        } else {
            "executors"
        };
        stores.member_of(directory, pid).await.ok()?
    }

    /// How often `payload` was begun here, by all that stood here. 0 of a watcher.
    pub(crate) async fn executions_of(&self, payload: &str) -> Result<usize> {
        let now = self.now.lock().await;
        let Some(file) = now.as_ref().and_then(|now| now.daemon.executions()) else {
            return Ok(0);
        };
        let lines = std::fs::read(file).unwrap_or_default();
        Ok(lines
            .split(|byte| *byte == b'\n')
            .filter(|line| *line == payload.as_bytes())
            .count())
    }

    /// Notes an end that nobody asked for, and starts a new one, as a service manager does. Also counts descriptors, once.
    pub(super) async fn supervise(&self) -> Result<()> {
        // Held by whoever ends it or starts it: then it is not the supervisor's turn.
        let Ok(mut guard) = self.now.try_lock() else {
            return Ok(());
        };
        let Some(now) = guard.as_mut() else { return Ok(()) };
        if now.has_ended || now.is_ambushed {
            return Ok(());
        }
        if now.daemon.exit_status().is_some() {
            self.note_end(now).await;
            return self.start_in(&mut guard, "").await;
        }
        // On a busy machine age alone says nothing.
        let is_grown_up = || now.since.elapsed() > GROWN_UP && now.daemon.stderr().contains("health: ready");
        if now.descriptors.is_none() && is_grown_up() {
            now.descriptors = now.daemon.descriptors().ok().map(|count| count as u64);
        }
        Ok(())
    }

    /// How many descriptors it had when it was young, and has now; none of one that is too young.
    pub(super) async fn descriptors(&self) -> Option<Descriptors> {
        let now = self.now.lock().await;
        let now = now.as_ref()?;
        let at_end = now.daemon.descriptors().ok()? as u64;
        Some(Descriptors {
            process: self.name.clone(),
            at_start: now.descriptors?,
            at_end,
        })
    }

    /// Its process id, if it runs.
    pub(super) async fn running(&self) -> Option<u32> {
        let now = self.now.lock().await;
        now.as_ref()
            .filter(|now| now.daemon.exit_status().is_none())
            .map(|now| now.daemon.pid())
    }

    async fn note_end(&self, now: &mut Now) {
        if now.has_ended {
            return;
        }
        now.has_ended = true;
        let Some(exit) = now.daemon.exit_status().map(exit_of) else {
            return;
        };
        self.recorder.record(Event::ProcessExited {
            name: self.name.clone(),
            exit,
        });
        let Some(executions) = now.daemon.executions() else {
            return;
        };
        // One that leaves takes its programs along; those of one that dies are ended by its keeper.
        let left = left_behind(executions).await;
        if !left.is_empty() {
            let pids = left.iter().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
            self.recorder.record(Event::Orphaned {
                name: self.name.clone(),
                processes: pids.collect(),
            });
        }
        clear_away(executions).await;
    }
}
