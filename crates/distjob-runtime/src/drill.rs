//! Named points at which a test can stop or end a program. Debug builds only: a release build has none.
//!
//! `DISTJOB_TEST_POINTS=locked=stop,before-rename=kill` makes the process stop itself (SIGSTOP) when it first reaches
//! the point `locked`, and kill itself (SIGKILL) at `before-rename`. Each point acts once a process.

/// Marks a place that tests can name.
#[cfg(not(debug_assertions))]
pub fn point(_name: &str) {}

/// Marks a place that tests can name.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    if let Some(signal) = points::take(name) {
        tracing::warn!(point = name, ?signal, "a test asked for this");
        if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), signal) {
            tracing::error!(%error, "the process could not signal itself");
        }
        // Another thread may take the signal, and this one would run on for a moment, past the point.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[cfg(debug_assertions)]
mod points {
    use std::{
        collections::HashMap,
        sync::{Mutex, OnceLock, PoisonError},
    };

    use rustix::process::Signal;

    static POINTS: OnceLock<Mutex<HashMap<String, Signal>>> = OnceLock::new();

    fn parse(text: &str) -> HashMap<String, Signal> {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs
            .filter_map(|(name, action)| match action {
                "stop" => Some((name.to_owned(), Signal::STOP)),
                "kill" => Some((name.to_owned(), Signal::KILL)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn take(name: &str) -> Option<Signal> {
        let points = POINTS
            .get_or_init(|| Mutex::new(parse(&std::env::var("DISTJOB_TEST_POINTS").unwrap_or_default())));
        points.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }
}
