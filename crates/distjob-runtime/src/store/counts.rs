//! Counting what fails, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::StoreError;

/// How many calls failed, by [`StoreError`], since the start.
#[derive(Debug, Default)]
pub struct StoreCounts {
    unclear: AtomicU64,
    unavailable: AtomicU64,
    rejected: AtomicU64,
    reply: AtomicU64,
}

impl StoreCounts {
    /// Calls that ended [`StoreError::Unclear`].
    pub fn unclear(&self) -> u64 {
        self.unclear.load(Relaxed)
    }

    /// Calls that ended [`StoreError::Unavailable`].
    pub fn unavailable(&self) -> u64 {
        self.unavailable.load(Relaxed)
    }

    /// Calls that ended [`StoreError::Rejected`].
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }

    /// Calls that ended [`StoreError::Reply`].
    pub fn reply(&self) -> u64 {
        self.reply.load(Relaxed)
    }

    pub(super) fn count(&self, error: &StoreError) {
        let counter = match error {
            StoreError::Unclear(_) => &self.unclear,
            StoreError::Unavailable(_) => &self.unavailable,
            StoreError::Rejected(_) => &self.rejected,
            StoreError::Reply(_) => &self.reply,
        };
        counter.fetch_add(1, Relaxed);
    }
}
