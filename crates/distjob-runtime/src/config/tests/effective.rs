//! What is in force: printed, masked, reloaded.

use super::*;

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
        (
            "https://h/make?size=9&api_key=a@b&Token=t",
            "https://h/make?size=9&api_key=***&Token=***",
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
