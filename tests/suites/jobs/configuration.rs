//! What each program says of its configuration.

use std::path::Path;

use harness::{Process, Program};
use tempfile::TempDir;

use crate::SOON;

const BAD_CONFIGURATION: i32 = 78;

/// Each program, with what tells it to do something, a key of its own that cannot be mistaken for another, and one of
/// its durations.
const PROGRAMS: [(&str, &[&str], &str, &str); 3] = [
    ("executor-d", &[], "executor.slots", "executor.commit_every"),
    ("watcher-d", &[], "watcher.pipelines", "watcher.retry_initial"),
    (
        "submitter",
        &["once"],
        "submitter.push_max_tasks",
        "submitter.timeout",
    ),
];

fn start(binary: &str, dir: &Path, adapt: impl FnOnce(Program) -> Program) -> Process {
    let program = Program::of_workspace(binary).unwrap();
    adapt(program).start(binary, dir).unwrap()
}

/// Its standard error, after it ended as one does whose configuration is bad.
async fn refusal(process: &Process) -> String {
    let status = process.wait(SOON).await.unwrap();
    let said = process.stderr().tail(100);
    assert_eq!(status.code(), Some(BAD_CONFIGURATION), "{said}");
    assert_eq!(process.stdout().lines(), [""; 0], "it has said so on stderr");
    for line in said.lines() {
        assert!(line.starts_with(&format!("{}: ", process.name())), "{line}");
    }
    said
}

/// TOML with one key in a table of its own, and the line on which the key stands.
fn toml(key: &str, value: &str) -> String {
    let (table, key) = key.split_once('.').unwrap();
    format!("# a comment\n[{table}]\n{key} = {value}\n")
}

#[tokio::test]
async fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_key() {
    for (binary, args, own, _) in PROGRAMS {
        let dir = TempDir::new().unwrap();
        for near in [own, "redis.url", "zookeeper.session_timeout"] {
            let slip = format!("{near}x");
            let file = start(binary, dir.path(), |program| {
                program.config(toml(&slip, "1")).args(args)
            });
            let said = refusal(&file).await;
            let place = dir.path().join(format!("{binary}.toml"));
            assert!(said.contains(&format!("{}:3:", place.display())), "{said}");
            assert!(
                said.contains(&format!(
                    "unknown key `{slip}`; the nearest known key is `{near}`"
                )),
                "{said}"
            );

            let variable = format!("DISTJOB_{}", slip.to_uppercase().replace('.', "__"));
            let environment = start(binary, dir.path(), |program| {
                program.config("").args(args).env(&variable, "1")
            });
            let said = refusal(&environment).await;
            assert!(
                said.contains(&variable) && said.contains(&format!("`{near}`")),
                "{said}"
            );
        }
    }
}

#[tokio::test]
async fn wrong_types_and_values_are_all_told_at_once() {
    for (binary, args, own, duration) in PROGRAMS {
        let dir = TempDir::new().unwrap();
        let (table, own) = own.split_once('.').unwrap();
        let (_, duration) = duration.split_once('.').unwrap();
        let config = format!(
            "[{table}]\n{own} = \"many\"\n{duration} = 5\n\n[redis]\nurl = \"http://nowhere\"\n\n\
             [zookeeper]\nroot = \"no/slash\"\nsession_timeout = \"10 parsecs\"\n\n[log]\nformat = \"xml\"\n"
        );
        let process = start(binary, dir.path(), |program| program.config(config).args(args));
        let said = refusal(&process).await;
        for (line, key) in [
            (2, format!("{table}.{own}")),
            (3, format!("{table}.{duration}")),
            (6, "redis.url".to_owned()),
            (9, "zookeeper.root".to_owned()),
            (10, "zookeeper.session_timeout".to_owned()),
            (13, "log.format".to_owned()),
        ] {
            let about = said.lines().find(|said| said.contains(&format!("`{key}`")));
            let about = about.unwrap_or_else(|| panic!("nothing about {key}:\n{said}"));
            assert!(about.contains(&format!("{binary}.toml:{line}:")), "{about}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_missing_or_no_toml_is_an_error_and_never_a_default() {
    for (binary, args, ..) in PROGRAMS {
        let dir = TempDir::new().unwrap();
        let missing = start(binary, dir.path(), |program| {
            program.args(["--config", "/no/such/file.toml"]).args(args)
        });
        let said = refusal(&missing).await;
        assert!(said.contains("/no/such/file.toml"), "{said}");
        let broken = start(binary, dir.path(), |program| {
            program.config("[redis]\nurl = \n").args(args)
        });
        let said = refusal(&broken).await;
        assert!(said.contains(&format!("{binary}.toml:2:")), "{said}");
    }
}

#[tokio::test]
async fn check_config_tells_good_from_bad_without_reaching_for_any_store() {
    for (binary, args, own, _) in PROGRAMS {
        let dir = TempDir::new().unwrap();
        // Nobody listens there.
        let good = start(binary, dir.path(), |program| {
            (program.config(toml(own, "7")).args(args))
                .arg("--check-config")
                .zookeeper_at("127.0.0.1:1")
                .redis_at("127.0.0.1:1")
        });
        assert_eq!(good.succeeded(SOON).await.unwrap(), ["configuration is valid"]);
        let bad = start(binary, dir.path(), |program| {
            program.config(toml(own, "-7")).args(args).arg("--check-config")
        });
        let said = refusal(&bad).await;
        assert!(said.contains(own), "{said}");
    }
}

/// Printed lines without the comments that say where each value comes from.
fn values(printed: &[String]) -> Vec<&str> {
    let value = |line| str::split(line, "  # ").next().unwrap_or_default();
    printed.iter().map(|line| value(line)).collect()
}

#[tokio::test]
async fn print_config_shows_what_is_in_force_and_can_be_read_again() {
    for (binary, args, own, duration) in PROGRAMS {
        let dir = TempDir::new().unwrap();
        let secret = "[redis]\nurl = \"redis://user:hush-hush@example.org:6379/0\"\n";
        let variable = |key: &str| format!("DISTJOB_{}", key.to_uppercase().replace('.', "__"));
        let (_, own_key) = own.split_once('.').unwrap();
        let (_, duration_key) = duration.split_once('.').unwrap();
        // The file says 7 and 11s, the environment 8 and 12s, and a flag 9.
        let first = start(binary, dir.path(), |program| {
            (program.config(toml(own, "7") + &format!("{duration_key} = \"11s\"\n\n") + secret))
                .env(&variable(own), "8")
                .env(&variable(duration), "12s")
                .args(args)
                .args(["--print-config", "--set", &format!("{own}=9")])
        });
        let printed = first.succeeded(SOON).await.unwrap();
        let text = printed.join("\n");
        assert!(
            !text.contains("hush-hush") && text.contains("example.org"),
            "{text}"
        );
        let in_force = values(&printed);
        for line in [format!("{own_key} = 9"), format!("{duration_key} = \"12s\"")] {
            assert!(in_force.contains(&&*line), "no {line}:\n{text}");
        }
        assert!(
            text.contains("# flag --set") && text.contains("# environment variable"),
            "{text}"
        );

        let again = start(binary, dir.path(), |program| {
            program.config(text).args(args).arg("--print-config")
        });
        assert_eq!(values(&again.succeeded(SOON).await.unwrap()), in_force);
    }
}

#[tokio::test]
async fn a_mistake_of_usage_is_status_2_and_the_version_is_that_of_the_workspace() {
    for (binary, ..) in PROGRAMS {
        let dir = TempDir::new().unwrap();
        let slip = start(binary, dir.path(), |program| program.arg("--no-such-flag"));
        assert_eq!(slip.wait(SOON).await.unwrap().code(), Some(2));
        let version = start(binary, dir.path(), |program| program.arg("--version"));
        let expected = format!("{binary} {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(version.succeeded(SOON).await.unwrap(), [expected]);
    }
}
