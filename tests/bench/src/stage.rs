//! Servers of a figure's own, and the programs that it starts there.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use harness::{AppendOnly, Process, Program, World};

use crate::{bench::Bench, jobs::Jobs};

/// No measure takes so long on any machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// Long enough for a machine with more to do than it can.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a daemon may take to leave.
const LEAVES_WITHIN: Duration = Duration::from_secs(60);

/// Private servers, and the members that came.
pub(crate) struct Stage {
    // Before the world: fields are dropped in this order.
    members: Vec<Process>,
    world: World,
    bench: Bench,
}

impl Stage {
    /// With nobody on it yet.
    pub(crate) async fn new(bench: &Bench, append_only: AppendOnly) -> Result<Self> {
        let mut world = World::measured(append_only).await?;
        world.set_session_timeout(SESSION_TIMEOUT);
        Ok(Self {
            members: Vec::new(),
            world,
            bench: bench.clone(),
        })
    }

    /// The servers, and a directory.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// For what is to be different from now on, such as the session timeout.
    pub(crate) fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// The members in the order in which they came.
    pub(crate) fn members(&self) -> &[Process] {
        &self.members
    }

    /// Lets an executor enter, with its defaults but for `toml`; returns when it has registered.
    pub(crate) async fn executor(&mut self, toml: &str) -> Result<()> {
        let executor = self.daemon("executor-d", toml);
        self.enter(executor, "executor").await
    }

    /// Lets a watcher enter that delivers to [`World::sink`], with its defaults but for `toml`; returns when it has
    /// registered.
    pub(crate) async fn watcher(&mut self, toml: &str) -> Result<()> {
        let sink = format!("[sink]\ndirectory = {:?}\n\n{toml}", self.world.sink());
        let watcher = self.daemon("watcher-d", &sink);
        self.enter(watcher, "watcher").await
    }

    /// A daemon for this stage, to be started by [`World::start_member`].
    pub(crate) fn daemon(&self, binary: &str, toml: &str) -> Program {
        let config = self.world.config();
        self.bench
            .program(binary)
            .config(format!("{config}[admin]\nlisten = \"127.0.0.1:0\"\n\n{toml}"))
    }

    async fn enter(&mut self, program: Program, role: &str) -> Result<()> {
        let name = format!("{role}-{}", self.members.len() + 1);
        self.members.push(self.world.start_member(program, &name).await?);
        Ok(())
    }

    /// Sends all members home.
    pub(crate) async fn clear(&mut self) -> Result<()> {
        for member in self.members.drain(..) {
            member.stop(LEAVES_WITHIN).await?;
        }
        Ok(())
    }

    /// Begins to hear of jobs.
    pub(crate) async fn jobs(&self) -> Result<Jobs> {
        Jobs::listen(&self.world).await
    }

    /// `submitter once` with these arguments after it.
    pub(crate) fn submitter(&self, args: &[&str]) -> Program {
        self.bench
            .program("submitter")
            .config(self.world.config())
            .arg("once")
            .args(args)
    }

    /// Submits the lines of a file, as jobs of `batch` each; returns their ids.
    pub(crate) async fn submit(&self, queue: &str, tasks: &Path, batch: usize) -> Result<Vec<String>> {
        let program = self
            .submitter(&["--queue", queue, "--batch", &batch.to_string()])
            .arg(tasks);
        self.world.start(program, "submitter")?.succeeded(LIMIT).await
    }

    /// Submits the lines of a file as one job, and returns when it is done: how long both took together.
    pub(crate) async fn run(&self, queue: &str, tasks: &Path) -> Result<Duration> {
        let mut steps = self.jobs().await?;
        let begun = Instant::now();
        let jobs = self.submit(queue, tasks, 10_000_000).await?;
        steps.done(&jobs, LIMIT).await?;
        Ok(begun.elapsed())
    }

    /// A file with these tasks, a line each.
    pub(crate) fn tasks(&self, name: &str, tasks: impl IntoIterator<Item = String>) -> Result<PathBuf> {
        let path = self.world.dir().join(name);
        let text: String = tasks.into_iter().map(|task| task + "\n").collect();
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// How many bytes Redis has taken for what it keeps.
    pub(crate) async fn redis_memory(&self) -> Result<u64> {
        let used = self.redis_info("memory", "used_memory").await?;
        used.parse().context("read used_memory")
    }

    /// How much time of a processor the main thread of Redis has had so far, in its own and the kernel's code.
    pub(crate) async fn redis_cpu(&self) -> Result<Duration> {
        let mut seconds = 0.0;
        for field in ["used_cpu_user_main_thread", "used_cpu_sys_main_thread"] {
            let part: f64 = self
                .redis_info("cpu", field)
                .await?
                .parse()
                .context("read a time")?;
            seconds += part;
        }
        Ok(Duration::from_secs_f64(seconds))
    }

    /// A field of what Redis tells about itself.
    pub(crate) async fn redis_info(&self, section: &str, field: &str) -> Result<String> {
        let lines = self.redis_lines(section).await?;
        let value = lines
            .iter()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("no {field}"))?.to_owned())
    }

    /// What Redis tells about itself, a line each.
    pub(crate) async fn redis_lines(&self, section: &str) -> Result<Vec<String>> {
        let info: String = ::redis::cmd("INFO")
            .arg(section)
            .query_async(&mut self.world.redis().await?)
            .await?;
        Ok(info.lines().map(|line| line.trim().to_owned()).collect())
    }

    /// How many results were delivered of a queue.
    pub(crate) fn delivered(&self, queue: &str) -> Result<usize> {
        let directory = self.world.sink().join(queue);
        let entries = match fs::read_dir(&directory) {
            // The first result makes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries.with_context(|| format!("list {}", directory.display()))?,
        };
        let mut count = 0;
        for entry in entries {
            let name = entry?.file_name();
            count += usize::from(name.to_string_lossy().ends_with(".manifest.json"));
        }
        Ok(count)
    }

    /// An error unless so many results are there of a queue.
    pub(crate) fn ensure_delivered(&self, queue: &str, count: usize) -> Result<()> {
        let delivered = self.delivered(queue)?;
        ensure!(delivered == count, "{delivered} results instead of {count}");
        Ok(())
    }
}
