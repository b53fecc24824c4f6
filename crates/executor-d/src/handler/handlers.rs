//! Which handler works on which queue.

use std::{collections::BTreeMap, sync::Arc};

use distjob_core::QueueName;

#[cfg(debug_assertions)]
use super::Drill;
use super::{Handler, OnThread, Prime};

/// The handler of each queue.
#[derive(Clone, Debug, Default)]
pub struct Handlers {
    by_queue: BTreeMap<QueueName, Arc<dyn Handler>>,
}

impl Handlers {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One handler for all of these queues.
    #[must_use]
    pub fn for_all<'a>(queues: impl IntoIterator<Item = &'a QueueName>, handler: &Arc<dyn Handler>) -> Self {
        let by_queue = queues
            .into_iter()
            .map(|queue| (queue.clone(), Arc::clone(handler)));
        Self {
            by_queue: by_queue.collect(),
        }
    }

    /// These, with `handler` for `queue`, whatever it had before.
    #[must_use]
    pub fn with(mut self, queue: QueueName, handler: impl Handler) -> Self {
        self.by_queue.insert(queue, Arc::new(handler));
        self
    }

    /// The handler of a queue.
    #[must_use]
    pub fn of(&self, queue: &QueueName) -> Option<&Arc<dyn Handler>> {
        self.by_queue.get(queue)
    }

    /// What the configuration names for each queue that is served. In a debug build, tests can make [`Prime`] a
    /// [`Drill`].
    #[must_use]
    pub fn built_in(queues: &[QueueName]) -> Self {
        #[cfg(debug_assertions)]
        if let Some(drill) = Drill::from_environment() {
            let drill: Arc<dyn Handler> = Arc::new(OnThread::new(drill));
            return Self::for_all(queues, &drill);
        }
        let prime: Arc<dyn Handler> = Arc::new(OnThread::new(Prime));
        Self::for_all(queues, &prime)
    }
}
