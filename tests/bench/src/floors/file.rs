//! A small file, durable: what no program that answers for a result can do without.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

const LINE: &[u8] = b"{\"index\":0,\"task\":\"17\",\"outcome\":\"ok\",\"value\":\"true\"}\n";

/// Writes a file under a temporary name, syncs it, renames it, and syncs its directory. Returns how long that took.
pub(crate) async fn make_durable(directory: &Path) -> Result<Duration> {
    let directory = directory.to_owned();
    tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        write(&directory).with_context(|| format!("make a file durable in {}", directory.display()))?;
        Ok(begun.elapsed())
    })
    .await?
}

fn write(directory: &Path) -> std::io::Result<()> {
    let (partial, whole) = (directory.join("floor.partial"), directory.join("floor"));
    let mut file = File::create(&partial)?;
    file.write_all(LINE)?;
    file.sync_data()?;
    fs::rename(&partial, &whole)?;
    File::open(directory)?.sync_all()
}
