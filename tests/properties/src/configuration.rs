//! The programs' configuration files.

use std::cell::RefCell;
use std::fmt::Debug;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use distjob_runtime::config::{CommonArgs, Settings, load};
use tempfile::NamedTempFile;

thread_local! {
    /// The file that is read, again and again.
    static FILE: RefCell<NamedTempFile> = RefCell::new(file());
}

/// In memory where there is such a directory: a fuzzer writes it some thousand times a second.
fn file() -> NamedTempFile {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        NamedTempFile::new_in(memory).unwrap()
    } else {
        NamedTempFile::new().unwrap()
    }
}

/// The first byte chooses a program, the rest is its file, which is read as the program reads it. What is refused is
/// refused with a place or a key; what is taken can be printed and read again, and no duration in it overflows a clock.
pub fn configuration(bytes: &[u8]) {
    let Some((program, toml)) = bytes.split_first() else {
        return;
    };
    FILE.with_borrow_mut(|file| {
        let path = file.path().to_owned();
        let file = file.as_file_mut();
        match program % 4 {
            0 => {
                let config = reads::<distjob_executor::Config>(
                    "executor-d",
                    distjob_executor::EMBEDDED_CONFIG,
                    file,
                    &path,
                    toml,
                );
                config.iter().for_each(|config| {
                    let executor = &config.executor;
                    fit_a_clock(&[
                        executor.grace_period,
                        executor.claim_target,
                        executor.commit_every,
                        executor.help_after,
                        executor.scrub_every,
                        executor.store_patience,
                    ]);
                    for name in &executor.queues {
                        let queue = config.queue(name);
                        fit_a_clock(&[
                            queue.timeout,
                            queue.retry_initial,
                            queue.retry_max,
                            queue.bounds.kill_after,
                            queue.bounds.cpu_max,
                            queue.http.connect_timeout,
                        ]);
                    }
                });
            }
            1 => {
                let config =
                    reads::<watcher_d::Config>("watcher-d", watcher_d::EMBEDDED_CONFIG, file, &path, toml);
                let watcher = config.map(|config| config.watcher);
                watcher.iter().for_each(|config| {
                    fit_a_clock(&[
                        config.grace_period,
                        config.help_after,
                        config.tombstone_ttl,
                        config.scrub_every,
                        config.retry_initial,
                        config.retry_max,
                    ]);
                });
            }
            2 => drop(reads::<submitter::Config>(
                "submitter",
                submitter::EMBEDDED_CONFIG,
                file,
                &path,
                toml,
            )),
            _ => drop(reads::<distjobctl::Config>(
                "distjobctl",
                distjobctl::EMBEDDED_CONFIG,
                file,
                &path,
                toml,
            )),
        }
    });
}

/// Reads `toml` as the file of the program `name`; none when it is refused.
fn reads<T: Settings + Debug + Clone>(
    name: &'static str,
    embedded: &'static str,
    file: &mut File,
    path: &Path,
    toml: &[u8],
) -> Option<T> {
    write(file, toml);
    let args = CommonArgs {
        config: Some(path.to_owned()),
        ..CommonArgs::default()
    };
    let loaded = match load::<T>(name, embedded, &args) {
        Ok(loaded) => loaded,
        Err(error) => {
            let messages = error.messages();
            assert!(!messages.is_empty());
            for message in messages {
                assert!(
                    names_a_key(message) || names_a_place(message, path),
                    "{message:?}"
                );
            }
            return None;
        }
    };
    let settings = T::clone(&loaded.settings);
    let printed = loaded.to_toml();
    // A masked password does not come back.
    if !printed.contains("***") {
        write(file, printed.as_bytes());
        match load::<T>(name, embedded, &args) {
            Ok(again) => assert_eq!(format!("{:?}", again.settings), format!("{settings:?}")),
            Err(error) => panic!("what it prints it does not read: {error}\n{printed}"),
        }
    }
    Some(settings)
}

fn write(file: &mut File, text: &[u8]) {
    file.set_len(0).unwrap();
    file.rewind().unwrap();
    file.write_all(text).unwrap();
}

fn names_a_key(message: &str) -> bool {
    message.matches('`').count() >= 2
}

/// Whether the message begins with the file's name, and a line, or that the file cannot be read as text at all.
fn names_a_place(message: &str, path: &Path) -> bool {
    let rest = message.strip_prefix(&path.display().to_string());
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix(':')) else {
        return false;
    };
    let line = rest.split(':').next().unwrap_or_default();
    line.parse::<usize>().is_ok() || rest.starts_with(" cannot read: ")
}

fn fit_a_clock(durations: &[Duration]) {
    for duration in durations {
        let later = Instant::now().checked_add(*duration);
        assert!(later.is_some(), "{duration:?} overflows a clock");
    }
}
