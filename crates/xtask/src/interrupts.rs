//! Ctrl-C while servers run: the running command is told, its end is awaited, and then this program tidies up.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use tokio::{runtime::Builder, sync::watch};

use crate::{shell::shown, steps::Verdict};

/// SIGINT, SIGTERM and SIGHUP no longer end this process once this exists; they are passed on to the command that runs.
pub(crate) struct Interrupts {
    shared: Arc<Shared>,
}

struct Shared {
    /// The process group of the command that runs.
    group: Mutex<Option<Pid>>,
    caught: watch::Sender<bool>,
}

impl Shared {
    fn group(&self) -> MutexGuard<'_, Option<Pid>> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupts {
    /// Begins to catch them, for the rest of the process's life.
    pub(crate) fn catch() -> Result<Self> {
        let shared = Arc::new(Shared {
            group: Mutex::new(None),
            caught: watch::Sender::new(false),
        });
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("catch signals")?;
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for signal in signals.forever() {
                let group = for_thread.group();
                for_thread.caught.send_replace(true);
                if let (Some(group), Some(signal)) = (*group, Signal::from_named_raw(signal)) {
                    // It may have ended by itself just now.
                    kill_process_group(group, signal).ok();
                }
            }
        });
        Ok(Self { shared })
    }

    /// Runs a command to its end; anything but success is an error that tells how to repeat it.
    pub(crate) fn run(&self, mut command: Command) -> Result<()> {
        if !self.status(&mut command)?.success() {
            bail!("repeat with: {}", shown(&command));
        }
        Ok(())
    }

    /// Runs a command to its end, in a process group of its own so that a terminal's ctrl-C reaches it once, through
    /// here. An error after a signal, whatever the command made of it.
    pub(crate) fn status(&self, command: &mut Command) -> Result<ExitStatus> {
        let mut child = {
            // Held until the group is known: a signal before this is seen here, one after it by the child.
            let mut group = self.shared.group();
            self.check()?;
            let child = command
                .process_group(0)
                .spawn()
                .with_context(|| format!("start {}", shown(command)))?;
            *group = Some(Pid::from_child(&child));
            child
        };
        let status = child.wait();
        *self.shared.group() = None;
        self.check()?;
        status.with_context(|| format!("await {}", shown(command)))
    }

    /// Runs `story` to its end in a runtime of its own, or until a signal is caught: then it is dropped, and with it what
    /// it had started.
    pub(crate) fn play(&self, story: impl Future<Output = Result<Verdict>>) -> Result<Verdict> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.context("start the async runtime")?.block_on(async {
            tokio::select! {
                verdict = story => verdict,
                () = self.caught() => {
                    eprintln!("\ninterrupted: everything that was started is stopped and removed");
                    Ok(Verdict::Failed)
                }
            }
        })
    }

    /// Returns once a signal was caught. Cancellation safe.
    async fn caught(&self) {
        // The sender lives as long as this does, so the wait ends only with a signal.
        self.shared
            .caught
            .subscribe()
            .wait_for(|caught| *caught)
            .await
            .ok();
    }

    /// An error once a signal was caught.
    pub(crate) fn check(&self) -> Result<()> {
        if *self.shared.caught.borrow() {
            bail!("interrupted");
        }
        Ok(())
    }
}
