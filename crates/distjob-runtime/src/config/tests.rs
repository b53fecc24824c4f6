use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;

use super::*;

mod effective;
mod problems;
mod templates;

const EMBEDDED: &str = r#"
# The ledger.
[zookeeper]
# Servers.
connect = "127.0.0.1:2181"
# Root.
root = "/distjob"
# Session.
session_timeout = "10s"
# Operation.
operation_timeout = "10s"
# The store.
[redis]
# Where.
url = "redis://127.0.0.1:6379/0"
# Keys.
prefix = "distjob:"
# Patience.
response_timeout = "10s"
# Connecting.
connect_timeout = "3s"
# Logs.
[log]
# Level. [reload]
level = "info"
# Format.
format = "text"
# Metrics.
[admin]
# Where.
listen = "127.0.0.1:0"
# The work.
[executor]
# Queues.
queues = ["default", "primes"]
# Slots.
slots = 0
# Bytes.
max_bytes = "256KiB"
# Grace. [reload]
grace_period = "30s"
"#;

#[derive(Debug, Serialize, Deserialize)]
struct Toy {
    zookeeper: ZooKeeperConfig,
    redis: RedisConfig,
    log: LogConfig,
    admin: AdminConfig,
    executor: ToyExecutor,
}

#[derive(Debug, Serialize, Deserialize)]
struct ToyExecutor {
    queues: Vec<String>,
    slots: u16,
    #[serde(with = "size")]
    max_bytes: u64,
    #[serde(with = "duration")]
    grace_period: Duration,
}

impl Settings for Toy {
    const RELOADABLE: &'static [&'static str] = &["executor.grace_period"];

    fn check(&self, problems: &mut Problems<'_>) {
        self.zookeeper.check(problems);
        self.redis.check(problems);
        self.log.check(problems);
        let named = !self.executor.queues.is_empty();
        problems.require("executor.queues", named, "must name a queue");
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
}

/// The layers of one test, in a directory that stands for `/etc/distjob`.
struct Layers {
    directory: TempDir,
    args: CommonArgs,
    environment: Vec<(OsString, OsString)>,
}

impl Layers {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
            args: CommonArgs::default(),
            environment: Vec::new(),
        }
    }

    fn file(self, text: &str) -> Self {
        fs::write(self.path("toy.toml"), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, text: &str) -> Self {
        self.args.set.push(text.parse().unwrap());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self) -> Result<Loaded<Toy>, ConfigError> {
        read(self.sources())
    }

    fn sources(&self) -> Sources {
        Sources {
            name: "toy",
            embedded: EMBEDDED,
            args: self.args.clone(),
            environment: self.environment.clone(),
            directory: self.directory.path().to_owned(),
        }
    }

    fn slots(&self) -> u16 {
        self.read().unwrap().settings.executor.slots
    }

    fn problems(&self) -> Vec<String> {
        self.shown(&self.read().unwrap_err())
    }

    /// The messages, as if the directory were the usual one.
    fn shown(&self, error: &ConfigError) -> Vec<String> {
        let directory = self.directory.path().display().to_string();
        error
            .messages()
            .iter()
            .map(|message| message.replace(&directory, "/etc/distjob"))
            .collect()
    }
}

#[test]
fn the_default_documents_every_key() {
    assert_documents::<Toy>("toy", EMBEDDED);
}

#[test]
#[should_panic(expected = "`executor.slots` has no comment above it")]
fn a_key_without_a_comment_is_found() {
    assert_documents::<Toy>(
        "toy",
        Box::leak(EMBEDDED.replace("# Slots.\n", "").into_boxed_str()),
    );
}

#[test]
fn each_layer_overrides_the_weaker_ones() {
    let layers = Layers::new();
    assert_eq!(layers.slots(), 0);
    let layers = layers.file("[executor]\nslots = 1");
    assert_eq!(layers.slots(), 1);
    let layers = layers.variable("DISTJOB_EXECUTOR__SLOTS", "2");
    assert_eq!(layers.slots(), 2);
    let layers = layers.flag("executor.slots=3");
    assert_eq!(layers.slots(), 3);
    let layers = layers.flag("executor.slots=4");
    assert_eq!(layers.slots(), 4);
}

#[test]
fn a_named_file_takes_the_place_of_the_one_in_etc() {
    let mut layers = Layers::new().file("[executor]\nslots = 1");
    fs::write(layers.path("other.toml"), "[log]\nlevel = \"debug\"").unwrap();
    layers.args.config = Some(layers.path("other.toml"));
    let settings = layers.read().unwrap().settings;
    assert_eq!(
        (settings.executor.slots, settings.log.level.as_str()),
        (0, "debug")
    );
}

#[test]
fn flags_and_variables_need_no_quotes() {
    let settings = Layers::new()
        .variable("DISTJOB_REDIS__PREFIX", "7")
        .variable("DISTJOB_EXECUTOR__QUEUES", "a, b")
        .flag("log.level=\"debug\"")
        .flag("executor.max_bytes=1500")
        .read()
        .unwrap()
        .settings;
    assert_eq!(settings.redis.prefix, "7");
    assert_eq!(settings.executor.queues, ["a", "b"]);
    assert_eq!(settings.log.level, "debug");
    assert_eq!(settings.executor.max_bytes, 1500);
    let settings = Layers::new()
        .flag("executor.queues=[\"x,y\"]")
        .read()
        .unwrap()
        .settings;
    assert_eq!(settings.executor.queues, ["x,y"]);
}

#[test]
fn variables_that_are_no_configuration_of_this_program_are_left_alone() {
    let layers = Layers::new()
        .variable("DISTJOB_HOME", "x")
        .variable("DISTJOB_TEST_STOP__AT", "x")
        .variable("DISTJOB_WATCHER__PIPELINES", "4")
        .variable("OTHER__KEY", "x");
    assert_eq!(layers.slots(), 0);
}

#[test]
fn the_directory_is_looked_at_only_for_the_programs_own_file() {
    let layers = Layers::new();
    fs::write(layers.path("executor-d.toml"), "nonsense").unwrap();
    assert!(layers.read().unwrap().file.is_none());
    let layers = layers.file("");
    assert_eq!(
        layers.read().unwrap().file.as_deref(),
        Some(Path::new(&layers.path("toy.toml")))
    );
}
