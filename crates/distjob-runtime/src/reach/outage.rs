//! A store that does not answer: what is known of it, and what was said.

use std::{
    fmt::Display,
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::anyhow;
use tokio::time::timeout;

use super::Say;
use crate::{config::mask_secrets, exit::StoreUnreachable};

/// After so long without an answer somebody who waits should know what for.
const NOTICE_AFTER: Duration = Duration::from_secs(2);

/// What is known, and was said, of one store that does not answer.
pub(super) struct Outage {
    pub(super) store: &'static str,
    place: String,
    limit: Duration,
    /// Why the last attempt failed.
    last: Mutex<Option<String>>,
    is_away: AtomicBool,
    say: Say,
}

impl Outage {
    pub(super) fn new(store: &'static str, place: &str, limit: Duration, say: Say) -> Self {
        Self {
            store,
            place: mask_secrets(place).into_owned(),
            limit,
            last: Mutex::default(),
            is_away: AtomicBool::new(false),
            say,
        }
    }

    /// Whether its last question was not answered.
    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Relaxed)
    }

    /// An attempt failed.
    pub(super) fn lasts(&self, why: &impl Display) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
        self.away(why);
    }

    fn away(&self, why: &impl Display) {
        if !self.is_away.swap(true, Relaxed) {
            let Self {
                store, place, limit, ..
            } = self;
            (self.say)(&format!(
                "{store} at {place} does not answer, trying for {limit:?}: {why}"
            ));
        }
    }

    /// The store answered.
    pub(super) fn ended(&self) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.is_away.swap(false, Relaxed) {
            (self.say)(&format!("{} answers again", self.store));
        }
    }

    /// The error of a store that stayed away.
    pub(super) fn over(&self) -> anyhow::Error {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = last.unwrap_or_else(|| "no answer".to_owned());
        anyhow!("{} within {:?}: {why}", self.place, self.limit).context(StoreUnreachable(self.store))
    }

    /// Waits for `work`, and says so when that takes long.
    pub(super) async fn noticed<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        match timeout(NOTICE_AFTER, &mut work).await {
            Ok(output) => output,
            Err(_) => {
                self.away(&format_args!("no answer for {NOTICE_AFTER:?}"));
                work.await
            }
        }
    }
}

/// The error with its causes in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors say their cause themselves.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::sleep;

    use super::*;

    fn outage() -> (Outage, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&said);
        let say: Say = Arc::new(move |text: &str| hears.lock().unwrap().push(text.to_owned()));
        let outage = Outage::new("redis", "redis://localhost", Duration::from_secs(60), say);
        (outage, said)
    }

    #[test]
    fn a_store_that_goes_and_comes_is_spoken_of_once_each_time() {
        let (outage, said) = outage();
        outage.ended();
        for _ in 0..3 {
            outage.lasts(&"refused");
        }
        outage.ended();
        outage.ended();
        outage.lasts(&"reset");
        assert_eq!(
            *said.lock().unwrap(),
            [
                "redis at redis://localhost does not answer, trying for 60s: refused",
                "redis answers again",
                "redis at redis://localhost does not answer, trying for 60s: reset"
            ]
        );
    }

    #[test]
    fn a_store_that_stays_away_ends_the_program_with_its_own_status_and_the_last_reason() {
        let (outage, _) = outage();
        outage.lasts(&"refused");
        let error = outage.over();
        assert_eq!(crate::exit::Status::of(&error), crate::exit::Status::Unreachable);
        assert_eq!(
            format!("{error:#}"),
            "redis stayed unreachable: redis://localhost within 60s: refused"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_silence_is_noticed_although_nothing_failed() {
        let (outage, said) = outage();
        outage.noticed(sleep(NOTICE_AFTER / 2)).await;
        assert!(said.lock().unwrap().is_empty());
        outage.noticed(sleep(NOTICE_AFTER * 2)).await;
        assert_eq!(said.lock().unwrap().len(), 1);
    }
}
