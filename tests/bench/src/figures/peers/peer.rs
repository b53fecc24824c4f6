//! One peer: where it is installed, and how it is run.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use harness::{Program, World};
use serde::Deserialize;

/// What each is measured with; none needs so long on any machine.
const LIMIT: Duration = Duration::from_secs(90);

/// The peers' database of Redis: what they leave behind is thrown away without touching ours.
const DATABASE: u8 = 1;

/// Another queue over Redis.
#[derive(Debug)]
pub(super) struct Peer {
    name: &'static str,
    /// Its directory in `tests/bench/peers`.
    directory: &'static str,
    language: Language,
    /// After the URL of Redis and the number of tasks.
    setting: Option<&'static str>,
    /// So many that it takes some seconds.
    pub(super) tasks: usize,
}

/// What a peer's script is run by.
#[derive(Debug, Clone, Copy)]
enum Language {
    JavaScript,
    Ruby,
    Python,
    Rust,
}

/// All of them, in the order of the table.
pub(super) const PEERS: &[Peer] = &[
    Peer {
        name: "BullMQ",
        directory: "bullmq",
        language: Language::JavaScript,
        setting: None,
        tasks: 50_000,
    },
    Peer {
        name: "Sidekiq",
        directory: "sidekiq",
        language: Language::Ruby,
        setting: None,
        tasks: 80_000,
    },
    Peer {
        name: "Celery",
        directory: "celery",
        language: Language::Python,
        setting: None,
        tasks: 5_000,
    },
    Peer {
        name: "Celery, results kept",
        directory: "celery",
        language: Language::Python,
        setting: Some("results"),
        tasks: 4_000,
    },
    Peer {
        name: "RQ",
        directory: "rq",
        language: Language::Python,
        setting: None,
        tasks: 2_000,
    },
    Peer {
        name: "apalis-redis",
        directory: "apalis",
        language: Language::Rust,
        setting: None,
        tasks: 150_000,
    },
    Peer {
        name: "apalis-redis, no locks",
        directory: "apalis",
        language: Language::Rust,
        setting: Some("unlocked"),
        tasks: 200_000,
    },
];

/// What a peer prints.
#[derive(Deserialize)]
struct Printed {
    seconds: f64,
    tasks: usize,
}

impl Peer {
    /// Whether what it needs is there: below `peers`, where `cargo xtask bench` installs it, or from Debian's packages.
    pub(super) fn is_installed(&self, peers: &Path) -> bool {
        match self.language {
            Language::JavaScript => modules(peers).join("bullmq").is_dir(),
            Language::Ruby => Path::new("/usr/bin/sidekiq").is_file(),
            Language::Python => python(peers).is_file(),
            Language::Rust => binary(peers).is_file(),
        }
    }

    /// When it is only tried: the slowest does no more in a second.
    pub(super) fn tasks_quick(&self) -> usize {
        self.tasks / 100
    }

    /// How long it takes for so many tasks. Starts and ends its workers, and empties its database.
    pub(super) async fn run(&self, peers: &Path, world: &World, tasks: usize) -> Result<Duration> {
        let url = format!("{}/{DATABASE}", world.redis_url());
        let program = self
            .program(peers)
            .args([url, tasks.to_string()])
            .args(self.setting);
        let lines = world.start(program, self.directory)?.succeeded(LIMIT).await;
        empty(world).await?;
        let printed: Printed = serde_json::from_str(lines?.last().context("it prints nothing")?)
            .context("read what it prints")?;
        ensure!(printed.tasks == tasks, "it did {} tasks", printed.tasks);
        Duration::try_from_secs_f64(printed.seconds).context("read its time")
    }

    fn program(&self, peers: &Path) -> Program {
        let script = |name: &str| scripts().join(self.directory).join(name);
        match self.language {
            Language::JavaScript => Program::at("node")
                .arg(script("bench.js"))
                .env("NODE_PATH", modules(peers)),
            Language::Ruby => Program::at("/usr/bin/ruby").arg(script("bench.rb")),
            Language::Python => Program::at(python(peers))
                .arg(script("bench.py"))
                // Nothing is written beside the scripts.
                .env("PYTHONDONTWRITEBYTECODE", "1"),
            Language::Rust => Program::at(binary(peers)),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn scripts() -> PathBuf {
    crate::root().join("tests/bench/peers")
}

fn modules(peers: &Path) -> PathBuf {
    peers.join("bullmq/node_modules")
}

fn python(peers: &Path) -> PathBuf {
    peers.join("python/bin/python3")
}

fn binary(peers: &Path) -> PathBuf {
    peers.join("apalis/release/apalis-peer")
}

async fn empty(world: &World) -> Result<()> {
    let mut redis = world.redis().await?;
    redis::pipe()
        .cmd("SELECT")
        .arg(DATABASE)
        .ignore()
        .cmd("FLUSHDB")
        .ignore()
        .query_async(&mut redis)
        .await
        .context("empty the peers' database")
}
