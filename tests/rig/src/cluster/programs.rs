//! Programs that misbehave on demand, as handlers of queues of their own, and what is left of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::expect::{ATTEMPTS, QUEUES};

/// The variable that all these processes have, and nothing else has.
const MARK: &str = "RIG_EXECUTIONS";

/// How long a task may take: many times what it takes on a busy machine.
const TIMEOUT: &str = "3s";

/// What has been killed may take a moment to be gone, and more on a busy machine.
const LOOKS: u32 = 100;
/// Between two looks.
const EVERY: Duration = Duration::from_millis(50);

/// Writes the program into `dir`.
pub(super) fn write(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("wild.sh");
    fs::write(&path, include_str!("programs/wild.sh"))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// The tables of an executor's queues that these programs run, and which note executions in that file.
pub(super) fn tables(program: &Path, executions: &Path) -> String {
    let mut tables = format!(
        "[queue]\nattempts = {ATTEMPTS}\nretry_initial = \"100ms\"\nretry_max = \"500ms\"\ntimeout = {TIMEOUT:?}\n\
         [queue.bounds]\nkill_after = \"500ms\"\noutput_max = \"16KiB\"\n[queue.variables]\n{MARK} = {executions:?}\n"
    );
    for (queue, handler, more) in [
        ("commands", "command", "final = [77]"),
        ("workers", "worker", "in_flight = 3"),
    ] {
        debug_assert!(QUEUES.contains(&queue));
        tables += &format!(
            "[queues.{queue}]\nhandler = {handler:?}\n[queues.{queue}.{handler}]\n\
             argv = [\"/bin/sh\", {program:?}, {handler:?}]\n{more}\n"
        );
    }
    tables
}

/// The processes that the executors with this file of executions have left behind.
pub(crate) async fn left_behind(executions: &Path) -> Vec<Pid> {
    let mut left = marked(executions);
    for _ in 0..LOOKS {
        if left.is_empty() {
            break;
        }
        sleep(EVERY).await;
        left = marked(executions);
    }
    left
}

/// Kills what an executor left behind nevertheless, as a service manager does.
pub(crate) async fn clear_away(executions: &Path) {
    loop {
        let left = marked(executions);
        if left.is_empty() {
            return;
        }
        for pid in left {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        sleep(EVERY).await;
    }
}

fn marked(executions: &Path) -> Vec<Pid> {
    let mark = format!("{MARK}={}", executions.display());
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        // A zombie has none.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    })
    .filter_map(Pid::from_raw)
    .collect()
}
