//! `redis-cli --pipe`: the fastest way into a list of Redis that everybody has.

use std::{
    fs::File,
    io::{BufWriter, Write as _, copy},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use harness::{Program, World};

use crate::stage::LIMIT;

/// Writes what `redis-cli --pipe` reads: commands in Redis' own protocol that push `values` to a list, so many in each.
pub(crate) fn write_pushes(path: &Path, key: &str, values: &[String], in_each: usize) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut commands = BufWriter::new(file);
    let mut write = || -> std::io::Result<()> {
        for chunk in values.chunks(in_each) {
            write!(commands, "*{}\r\n", chunk.len() + 2)?;
            let words = ["RPUSH", key].into_iter().chain(chunk.iter().map(String::as_str));
            for word in words {
                write!(commands, "${}\r\n{word}\r\n", word.len())?;
            }
        }
        commands.flush()
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// `redis-cli --pipe`, to be [fed](feed) with what [`write_pushes`] wrote.
pub(crate) fn redis_cli(world: &World) -> Result<Program> {
    let port = world.redis_server()?.addr().port().to_string();
    Ok(Program::at("redis-cli").args(["-p", &port, "--pipe"]))
}

/// Runs a program with a file fed through a pipe to its standard input: how long that took, from its start to its end, and
/// the lines that it printed.
pub(crate) async fn feed(
    world: &World,
    program: Program,
    name: &str,
    file: &Path,
) -> Result<(Duration, Vec<String>)> {
    let mut file = File::open(file).with_context(|| format!("open {}", file.display()))?;
    let begun = Instant::now();
    let process = world.start(program.stdin_pipe(), name)?;
    let mut pipe = process.take_stdin().context("no pipe")?;
    let fed = tokio::task::spawn_blocking(move || copy(&mut file, &mut pipe));
    let printed = process.succeeded(LIMIT).await?;
    let took = begun.elapsed();
    fed.await?.with_context(|| format!("feed {name}"))?;
    Ok((took, printed))
}
