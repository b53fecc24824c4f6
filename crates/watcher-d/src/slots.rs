//! How many jobs are read, packed and sent at the same time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// A number of places that changes while they are asked for.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Semaphore,
    sizes: Mutex<Sizes>,
}

#[derive(Debug, Default)]
struct Sizes {
    /// How many there are, free or not.
    made: usize,
    /// How many there are to be.
    wanted: usize,
}

/// A place that is had until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Slots {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self {
            free: Semaphore::new(0),
            sizes: Mutex::default(),
        }
    }

    /// Lets there be so many. One too many that is in use goes when it is given back, before all who wait.
    pub(crate) fn fit(&self, wanted: usize) {
        let mut sizes = self.sizes();
        sizes.wanted = wanted;
        let more = wanted.saturating_sub(sizes.made);
        let fewer = sizes.made.saturating_sub(wanted);
        self.free.add_permits(more);
        sizes.made = sizes.made + more - self.free.forget_permits(fewer);
    }

    /// Waits for a place, in turn. `None` when there will be no more. Cancel safe.
    pub(crate) async fn take(self: Arc<Self>) -> Option<Slot> {
        self.free.acquire().await.ok()?.forget();
        Some(Slot(self))
    }

    /// Turns away all who wait, and will.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut sizes = self.0.sizes();
        // A permit that is added goes to who waits for it, and is never seen free.
        match sizes.made > sizes.wanted {
            true => sizes.made -= 1,
            false => self.0.free.add_permits(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn there_are_fewer_slots_from_when_they_are_given_back_however_many_wait() {
        let slots = Arc::new(Slots::new());
        slots.fit(3);
        let first = slots.clone().take().await;
        let (second, third) = (slots.clone().take().await, slots.clone().take().await);
        let mut waiting = Box::pin(slots.clone().take());
        assert!(waiting.as_mut().now_or_never().is_none());
        slots.fit(1);
        drop(first);
        drop(second);
        assert!(waiting.as_mut().now_or_never().is_none(), "one is still in use");
        drop(third);
        assert!(waiting.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn slots_come_and_go_while_none_is_in_use() {
        let slots = Arc::new(Slots::new());
        for wanted in [4, 0, 2] {
            slots.fit(wanted);
            let taken: Vec<_> = (0..5)
                .filter_map(|_| slots.clone().take().now_or_never())
                .collect();
            assert_eq!(taken.len(), wanted);
        }
        slots.close();
        assert!(slots.take().await.is_none());
    }
}
