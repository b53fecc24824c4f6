use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;

use super::*;

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
# Level.
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
# Grace.
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
        read(Sources {
            name: "toy",
            embedded: EMBEDDED,
            args: self.args.clone(),
            environment: self.environment.clone(),
            directory: self.directory.path().to_owned(),
        })
    }

    fn slots(&self) -> u16 {
        self.read().unwrap().settings.executor.slots
    }

    fn problems(&self) -> Vec<String> {
        let directory = self.directory.path().display().to_string();
        let error = self.read().unwrap_err();
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
fn a_named_file_that_is_not_there_is_an_error() {
    let mut layers = Layers::new();
    layers.args.config = Some("/nonexistent/x.toml".into());
    let problems = layers.problems();
    assert!(
        problems[0].starts_with("/nonexistent/x.toml: cannot read: No such file"),
        "{problems:?}"
    );
}

#[test]
fn unknown_keys_are_named_with_their_place_and_the_nearest_key() {
    let problems = Layers::new()
        .file("[executor]\nslots = 1\nslot = 2\n[redsi]\nurl = \"x\"\n[empty]\n")
        .variable("DISTJOB_REDIS__PERFIX", "x")
        .variable("DISTJOB_EXECUTOR__CONNECT", "x")
        .variable("DISTJOB_OTHER__TABLE", "x")
        .flag("log.levle=debug")
        .problems();
    let expected = [
        "/etc/distjob/toy.toml:6: unknown key `empty`; the nearest known key is `redis.url`",
        "/etc/distjob/toy.toml:3: unknown key `executor.slot`; the nearest known key is `executor.slots`",
        "/etc/distjob/toy.toml:5: unknown key `redsi.url`; the nearest known key is `redis.url`",
        "environment variable DISTJOB_EXECUTOR__CONNECT: unknown key `executor.connect`; the nearest known key is \
         `zookeeper.connect`",
        "environment variable DISTJOB_OTHER__TABLE: unknown key `other.table`; the nearest known key is `",
        "environment variable DISTJOB_REDIS__PERFIX: unknown key `redis.perfix`; the nearest known key is \
         `redis.prefix`",
        "flag --set log.levle: unknown key `log.levle`; the nearest known key is `log.level`",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}\nis not\n{expected}");
    }
}

#[test]
fn wrong_types_say_what_was_found_and_what_is_expected() {
    let problems = Layers::new()
        .file("[executor]\nqueues = \"primes\"\ngrace_period = 30\nmax_bytes = \"lots\"\n")
        .variable("DISTJOB_EXECUTOR__SLOTS", "many")
        .flag("executor.slots=-1")
        .flag("log.format=xml")
        .flag("admin.listen=here")
        .flag("redis=redis://localhost")
        .problems();
    assert_eq!(
        problems,
        [
            "/etc/distjob/toy.toml:3: `executor.grace_period`: found the integer 30, expected a string such as \"30s\"",
            "/etc/distjob/toy.toml:4: `executor.max_bytes`: \"lots\" is no size such as \"64MiB\" or \"256KiB\": \
             couldn't parse \"lots\" into a ByteSize, cannot parse float from empty string",
            "/etc/distjob/toy.toml:2: `executor.queues`: found the string \"primes\", expected a list such as \
             [\"default\", \"primes\"]",
            "environment variable DISTJOB_EXECUTOR__SLOTS: `executor.slots`: found the string \"many\", expected an \
             integer such as 0",
            "flag --set executor.slots: `executor.slots`: invalid value: integer `-1`, expected u16",
            "flag --set log.format: `log.format`: unknown variant `xml`, expected `text` or `json`",
            "flag --set admin.listen: `admin.listen`: \"here\" is no address such as \"127.0.0.1:9464\", nor \"off\"",
            "flag --set redis: `redis`: found the string \"redis://localhost\", expected a table",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_reported_with_its_line() {
    let problems = Layers::new().file("[log]\nlevel = \n").problems();
    assert!(
        problems[0].starts_with("/etc/distjob/toy.toml:2: "),
        "{problems:?}"
    );
}

#[test]
fn values_that_make_no_sense_are_all_reported_with_their_place() {
    let problems = Layers::new()
        .file("[zookeeper]\nsession_timeout = \"500ms\"\nroot = \"distjob\"\nconnect = \"a:b\"")
        .variable("DISTJOB_REDIS__PREFIX", "a{b}")
        .variable("DISTJOB_EXECUTOR__QUEUES", "")
        .flag("redis.url=http://localhost")
        .flag("log.level=a=b=c")
        .problems();
    let places: Vec<_> = problems
        .iter()
        .map(|problem| problem.split_inclusive('`').take(2).collect::<String>())
        .collect();
    assert_eq!(
        places,
        [
            "/etc/distjob/toy.toml:4: `zookeeper.connect`",
            "/etc/distjob/toy.toml:3: `zookeeper.root`",
            "/etc/distjob/toy.toml:2: `zookeeper.session_timeout`",
            "flag --set redis.url: `redis.url`",
            "environment variable DISTJOB_REDIS__PREFIX: `redis.prefix`",
            "flag --set log.level: `log.level`",
            "environment variable DISTJOB_EXECUTOR__QUEUES: `executor.queues`",
        ]
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
fn what_is_printed_is_read_back_the_same() {
    let layers = Layers::new()
        .file("[executor]\nslots = 7\nmax_bytes = \"1500B\"\nqueues = ['a\"b', 'c']")
        .flag("executor.grace_period=90s");
    let printed = layers.read().unwrap().to_toml();
    assert!(printed.contains("slots = 7  # "), "{printed}");
    assert!(printed.contains("toy.toml:2\n"), "{printed}");
    assert!(
        printed.contains("grace_period = \"1m 30s\"  # flag --set executor.grace_period\n"),
        "{printed}"
    );
    assert!(
        printed.contains("[log]\nformat = \"text\"\nlevel = \"info\"\n"),
        "{printed}"
    );
    let again = Layers::new().file(&printed).read().unwrap();
    assert_eq!(layers.read().unwrap().changes(&again), []);
}

#[test]
fn passwords_are_never_printed() {
    let loaded = Layers::new()
        .flag("redis.url=redis://me:s3cr/t@host:1/0")
        .flag("executor.queues=[\"redis://:s3cret@a\"]")
        .read();
    // Whatever the client thinks of that URL, the message must not hold it either.
    let shown = match loaded {
        Ok(loaded) => format!("{} {:?}", loaded.to_toml(), loaded.settings.redis),
        Err(error) => error.to_string(),
    };
    assert!(!shown.contains("s3cr"), "{shown}");
}

#[test]
fn masking_leaves_all_but_the_password() {
    for (text, masked) in [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://u:p@h:1/0", "redis://u:***@h:1/0"),
        ("redis://:p@h", "redis://:***@h"),
        ("redis://u@h", "redis://u@h"),
        (
            "rediss://u:a@b/c@h/0?protocol=resp3",
            "rediss://u:***@h/0?protocol=resp3",
        ),
        (
            "redis+unix:///run/r.sock?db=1&pass=p&user=u",
            "redis+unix:///run/r.sock?db=1&pass=***&user=u",
        ),
        ("a plain text", "a plain text"),
    ] {
        assert_eq!(mask_secrets(text), masked);
    }
}

#[test]
fn a_reload_takes_over_what_can_change_and_lists_what_waits_for_a_restart() {
    let layers = Layers::new().file("[executor]\nslots = 1\n");
    let loaded = layers.read().unwrap();
    let layers = layers.file(
        "[executor]\nslots = 2\ngrace_period = \"5s\"\n[log]\nlevel = \"debug\"\n[redis]\nurl = \"redis://:p@h\"\n",
    );
    let reload = loaded.reload().unwrap();
    let listed = |changes: &[Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        listed(&reload.applied),
        [
            "executor.grace_period: \"30s\" -> \"5s\"",
            "log.level: \"info\" -> \"debug\""
        ]
    );
    let pending = [
        "executor.slots: 1 -> 2",
        "redis.url: \"redis://127.0.0.1:6379/0\" -> \"redis://:***@h\"",
    ];
    assert_eq!(listed(&reload.pending), pending);
    let settings = &reload.loaded.settings;
    assert_eq!(
        (settings.executor.slots, settings.executor.grace_period.as_secs()),
        (1, 5)
    );

    let again = reload.loaded.reload().unwrap();
    assert_eq!(again.applied, []);
    assert_eq!(
        listed(&again.pending),
        pending,
        "what waits for a restart is not forgotten"
    );
    drop(layers);
}

#[test]
fn a_bad_new_configuration_changes_nothing() {
    let layers = Layers::new();
    let loaded = layers.read().unwrap();
    let _layers = layers.file("[executor]\nslots = \"x\"");
    assert!(loaded.reload().is_err());
    assert_eq!(loaded.settings.executor.slots, 0);
}

#[test]
fn an_embedded_default_with_an_unknown_or_a_missing_key_is_an_error() {
    for (text, expected) in [
        (
            EMBEDDED.replace("slots = 0", "slots = 0\nslits = 1"),
            "unknown key `executor.slits`",
        ),
        (EMBEDDED.replace("slots = 0", ""), "missing field `slots`"),
    ] {
        let error = check::embedded::<Toy>("toy", &text).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn connect_strings_are_checked() {
    let check = |connect: &str| {
        Layers::new()
            .flag(&format!("zookeeper.connect={connect}"))
            .read()
            .is_ok()
    };
    for good in [
        "h",
        "h:1",
        "a:1,b:2/chroot",
        "[::1]:2181",
        "[::1]",
        "tcp://h:1,tcp+tls://h",
    ] {
        assert!(check(good), "{good}");
    }
    for bad in ["", "h:", "h:99999", "a,,b", ":2181", "h :1"] {
        assert!(!check(bad), "{bad}");
    }
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
