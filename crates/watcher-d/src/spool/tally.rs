//! What is counted while a result is put together.

use distjob_core::{Outcome, watcher::Row};

/// What is in a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks with a value.
    pub ok: u64,
    /// Tasks with an error.
    pub err: u64,
    /// How often tasks were run; once each where nobody kept count.
    pub attempts: u64,
    /// Bytes of the result, as it is delivered.
    pub bytes: u64,
}

impl Tally {
    /// Counts one task, but not its bytes in the result.
    pub fn count(&mut self, row: &Row<'_>) {
        match row.outcome {
            Outcome::Ok(_) => self.ok += 1,
            Outcome::Err(_) => self.err += 1,
        }
        self.attempts += row.account.map_or(1, |account| u64::from(account.attempts));
    }
}
