//! What is said about a configuration that is wrong.

use super::*;

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
            "flag --set executor.slots: `executor.slots`: found the integer -1, expected u16",
            "flag --set log.format: `log.format`: found the string \"xml\", expected `text` or `json`",
            "flag --set admin.listen: `admin.listen`: \"here\" is no address such as \"127.0.0.1:9464\", nor \"off\"",
            "flag --set redis: `redis`: found the string \"redis://localhost\", expected a table",
        ]
    );
}

#[test]
fn dates_and_tables_in_one_line_have_their_place_too() {
    let problems = Layers::new()
        .file("log = { level = 1 }\nexecutor.slots = 2020-01-01\nexecutor.since = 2020-01-01\nadmin.queues = [1]\n")
        .flag("executor.slots=1.5")
        .flag("executor.queues=[1]")
        .problems();
    assert_eq!(
        problems,
        [
            "/etc/distjob/toy.toml:4: unknown key `admin.queues`; the nearest known key is `executor.queues`",
            "/etc/distjob/toy.toml:3: unknown key `executor.since`; the nearest known key is `executor.slots`",
            "/etc/distjob/toy.toml:2: `executor.slots`: found a date, expected an integer such as 0",
            "/etc/distjob/toy.toml:1: `log.level`: found the integer 1, expected a string such as \"info\"",
            "flag --set executor.slots: `executor.slots`: found the number 1.5, expected an integer such as 0",
            "flag --set executor.queues: `executor.queues`: invalid type: found signed int `1`, expected a string",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_reported_with_its_line() {
    let problems = Layers::new().file("[log]\nlevel = \n").problems();
    assert_eq!(
        problems,
        ["/etc/distjob/toy.toml:2: invalid string, expected `\"`, `'`"]
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
fn an_embedded_default_with_an_unknown_or_a_missing_key_is_an_error() {
    for (text, expected) in [
        (
            EMBEDDED.replace("slots = 0", "slots = 0\nslits = 1"),
            "unknown key `executor.slits`",
        ),
        (EMBEDDED.replace("slots = 0", ""), "missing field `slots`"),
    ] {
        let error = Known::of::<Toy>("toy", &text).unwrap_err();
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
