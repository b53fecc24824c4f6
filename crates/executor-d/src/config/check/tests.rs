use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use distjob_runtime::config::{CommonArgs, load};
use tempfile::TempDir;

use crate::config::Config;

/// What is wrong with a file of this text, with `DIR` for a directory and `FILE` for the file itself.
fn problems(text: &str) -> Vec<String> {
    let directory = TempDir::new().unwrap();
    let shown = directory.path().display().to_string();
    let file = directory.path().join("executor-d.toml");
    fs::write(&file, text.replace("DIR", &shown)).unwrap();
    fs::write(directory.path().join("data"), "").unwrap();
    symlink("/bin/true", directory.path().join("program")).unwrap();
    let args = CommonArgs {
        config: Some(file),
        ..CommonArgs::default()
    };
    match load::<Config>("executor-d", crate::EMBEDDED_CONFIG, &args) {
        Ok(_) => Vec::new(),
        Err(error) => error
            .messages()
            .iter()
            .map(|message| {
                message
                    .replace(&shown, "DIR")
                    .replace("DIR/executor-d.toml", "FILE")
            })
            .collect(),
    }
}

/// The same of a table of a queue that is served.
fn of_queue(table: &str) -> Vec<String> {
    problems(&format!("[executor]\nqueues = [\"q\"]\n[queues.q]\n{table}"))
}

/// Whether there is one problem, that of line `line` which says `message`.
#[track_caller]
fn assert_one(found: &[String], line: usize, message: &str) {
    assert_eq!(found, [format!("FILE:{line}: {message}")]);
}

#[test]
fn a_handler_that_lacks_what_it_needs_says_what() {
    let found = of_queue("handler = \"command\"");
    assert_one(
        &found,
        4,
        "`queues.q.handler` is \"command\", which needs queues.q.command.argv: the program and its arguments, such as \
         [\"/usr/local/bin/thumbnail\", \"--job={job}\", \"-\"]",
    );
    let found = of_queue("handler = \"worker\"");
    assert_one(
        &found,
        4,
        "`queues.q.handler` is \"worker\", which needs queues.q.worker.argv: the program and its arguments, such as \
         [\"python3\", \"/opt/workers/thumbnail.py\"]",
    );
    let found = of_queue("handler = \"http\"");
    assert_one(
        &found,
        4,
        "`queues.q.handler` is \"http\", which needs queues.q.http.url, such as \"https://thumbs.internal/make\"",
    );
    let found = of_queue("handler = \"shell\"");
    assert_one(
        &found,
        4,
        "`queues.q.handler`: found the string \"shell\", expected one of `prime`, `command`, `worker`, `http`",
    );
}

#[test]
fn a_handler_of_all_queues_that_lacks_something_is_named_by_each_queue() {
    let found = problems("[queue]\nhandler = \"http\"\n[queues.primes]\nhttp.url = \"http://h\"");
    assert_one(
        &found,
        2,
        "`queues.default.handler` is \"http\", which needs queues.default.http.url, such as \
         \"https://thumbs.internal/make\"",
    );
}

#[test]
fn what_a_program_needs_must_be_on_this_machine() {
    let command =
        |argv: &str, more: &str| of_queue(&format!("handler = \"command\"\ncommand.argv = {argv}\n{more}"));
    assert_eq!(command("[\"DIR/program\", \"{task}\"]", ""), [] as [&str; 0]);
    assert_eq!(
        command("[\"./program\"]", "bounds.directory = \"DIR\""),
        [] as [&str; 0]
    );
    assert_eq!(
        command("[\"program\"]", "variables.PATH = \"DIR\""),
        [] as [&str; 0]
    );
    assert_one(
        &command("[\"no-such-program\"]", ""),
        5,
        "`queues.q.command.argv` names the program no-such-program, which is not there in the PATH that it would have: \
         install it, or give its full path",
    );
    assert_one(
        &command("[\"sh\"]", "variables.PATH = \"DIR\""),
        5,
        "`queues.q.command.argv` names the program sh, which is not there in the PATH that it would have: install it, or \
         give its full path",
    );
    assert_one(
        &command("[\"DIR/data\"]", ""),
        5,
        "`queues.q.command.argv` names the program DIR/data, which cannot be executed: it needs the right to (chmod +x)",
    );
    assert_one(
        &command("[\"{task}\"]", ""),
        5,
        "`queues.q.command.argv` must begin with the name of a program, without placeholders in it",
    );
    assert_one(
        &command("[\"true\"]", "bounds.directory = \"DIR/none\""),
        6,
        "`queues.q.bounds.directory` is DIR/none, where there is no directory: create it, or name another",
    );
    assert_one(
        &command("[\"true\"]", "bounds.directory = \"here\""),
        6,
        "`queues.q.bounds.directory` must be an absolute path, or empty",
    );
}

#[test]
fn an_unknown_user_is_named() {
    let found =
        of_queue("handler = \"command\"\ncommand.argv = [\"true\"]\nbounds.user = \"nobody-of-that-name\"");
    let message = "FILE:6: `queues.q.bounds.user` cannot be used: there is no user nobody-of-that-name";
    assert!(found.iter().any(|found| found == message), "{found:?}");
    let needs_root = found
        .iter()
        .any(|found| found.contains("needs an executor that runs as root"));
    assert_eq!(needs_root, !rustix::process::geteuid().is_root());
}

#[test]
fn placeholders_that_cannot_be_filled_are_named() {
    assert_one(
        &of_queue("handler = \"command\"\ncommand.argv = [\"true\", \"{typo}\"]"),
        5,
        "`queues.q.command.argv`: \"{typo}\" has the unknown placeholder {typo}; there are {task}, {job}, {index}, \
         {attempt}, {queue} and {key}, and {{typo}} stands for the word in braces",
    );
    assert_one(
        &of_queue(
            "handler = \"command\"\ncommand.argv = [\"true\", \"{queue}{key}\"]\ncommand.tasks_per_process = 10",
        ),
        5,
        "`queues.q.command.argv` has {key}, which one task has and 10 at once have not: set command.tasks_per_process to \
         1, or take it out",
    );
    assert_one(
        &of_queue("handler = \"worker\"\nworker.argv = [\"true\", \"{queue}\", \"{job}\"]"),
        5,
        "`queues.q.worker.argv` has {job}, but a worker gets many tasks: only {queue} is known when it starts",
    );
}

#[test]
fn places_and_headers_that_cannot_be_used_are_named() {
    let http = |more: &str| of_queue(&format!("handler = \"http\"\n{more}"));
    assert_eq!(http("http.url = \"https://h/x?y=1\""), [] as [&str; 0]);
    assert_one(
        &http("http.url = \"ftp://h\""),
        5,
        "`queues.q.http.url` must begin with http:// or https://",
    );
    let found = http("http.url = \"http://h\"\nhttp.headers = { \"a b\" = \"x\" }");
    assert_one(
        &found,
        6,
        "`queues.q.http.headers` cannot be sent: \"a b\" is no name of a header",
    );
    let found = http("http.url = \"http://h\"\nhttp.ca_file = \"DIR/none\"");
    assert!(
        found[0].starts_with("FILE:6: `queues.q.http.ca_file` cannot be used: "),
        "{found:?}"
    );
    let found = http("http.url = \"http://h\"\nhttp.expected = [\"2xx\"]");
    assert_one(
        &found,
        6,
        "`queues.q.http.expected`: \"2xx\" is no status such as \"404\" and no range such as \"200-299\", from 100 to 599",
    );
    let found = http("http.url = \"http://h\"\nhttp.expected = [\"200\", \"404\"]");
    assert_one(
        &found,
        6,
        "`queues.q.http.expected` names 404, which http.final names, too",
    );
}

#[test]
fn values_out_of_range_are_named_of_all_queues_and_of_one() {
    for (key, value, message) in [
        ("weight", "0", "must be from 1 to 1000"),
        ("weight", "1001", "must be from 1 to 1000"),
        ("priority", "101", "must be from -100 to 100"),
        ("concurrency", "2000", "must be from 0 to 1024"),
        (
            "attempts",
            "0",
            "must be at least 1, which is one attempt and no other",
        ),
        ("retry_max", "\"10ms\"", "must be at least retry_initial"),
        ("bounds.kill_after", "\"2h\"", "must be at most 1h"),
        ("bounds.output_max", "\"0B\"", "must be from 1B to 64MiB"),
        ("bounds.stderr_max", "\"1GiB\"", "must be at most 1MiB"),
        (
            "bounds.memory_max",
            "\"1MiB\"",
            "must be 0B, for no bound, or at least 4MiB: in less hardly a program starts; many need 100MiB of \
             addresses, and some that reserve more than they use need several GiB",
        ),
        (
            "bounds.files_max",
            "3",
            "must be 0, for no bound, or at least 8: stdin, stdout, stderr, and a few to load libraries",
        ),
        (
            "bounds.environment",
            "[\"*_ALL\"]",
            "names \"*_ALL\", which is no variable such as \"LANG\", and no beginning such as \"LC_*\"",
        ),
        (
            "variables",
            "{ \"A=B\" = \"1\" }",
            "sets \"A=B\", which is no name of a variable",
        ),
        (
            "variables",
            "{ A = \"\\u0000\" }",
            "sets A to what has a zero byte in it",
        ),
        (
            "command.tasks_per_process",
            "0",
            "must be at least 1, which is a process for each task",
        ),
        (
            "command.success",
            "[]",
            "must name a status: with none, no task would ever succeed",
        ),
        (
            "command.final",
            "[1, 0]",
            "names 0, which command.success names, too",
        ),
        ("worker.in_flight", "0", "must be from 1 to 1024"),
        (
            "http.expected",
            "[]",
            "must name a status: with none, no task would ever succeed",
        ),
        ("http.connect_timeout", "\"0s\"", "must be more than nothing"),
    ] {
        let found = problems(&format!("[queue]\n{key} = {value}"));
        assert_one(&found, 2, &format!("`queue.{key}` {message}"));
        let found = of_queue(&format!("{key} = {value}"));
        assert_one(&found, 4, &format!("`queues.q.{key}` {message}"));
    }
}

#[test]
fn words_that_cannot_be_read_say_what_is_expected() {
    for (key, value, message) in [
        (
            "rate",
            "\"0/s\"",
            "\"0/s\" would let no task begin; `distjobctl pause` stops a queue",
        ),
        (
            "rate",
            "\"5/d\"",
            "\"5/d\" is no rate such as \"100/s\", \"30/min\" or \"5/h\", nor \"unlimited\"",
        ),
        (
            "abort_after",
            "\"150%\"",
            "\"150%\" is no share such as \"5%\" or \"2.5%\", from \"0%\" to \"100%\", with at most two decimals",
        ),
        ("command.success", "[256]", "found signed int `256`, expected u8"),
        ("weighs", "1", "unknown key"),
    ] {
        let found = of_queue(&format!("{key} = {value}"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("FILE:4: ") && found[0].contains(message),
            "{found:?}"
        );
    }
}

#[test]
fn a_queue_that_is_not_served_is_named() {
    assert_one(
        &problems("[queues.thumbs]\nweight = 2"),
        2,
        "`queues.thumbs` has no effect: `executor.queues` names default, primes and not thumbs; name it there, or remove \
         this",
    );
}

#[test]
fn what_is_not_executable_for_a_directory_on_the_way_is_no_program() {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let argv = format!("[\"{}\"]", directory.path().display());
    let found = of_queue(&format!("handler = \"command\"\ncommand.argv = {argv}"));
    assert!(found[0].contains("which cannot be executed"), "{found:?}");
}
