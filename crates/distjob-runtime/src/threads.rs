//! The threads that a program runs on.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Most pieces of work that hold a thread each at the same time because they may block: files, lookups of names, handlers that
/// compute. Whatever a program bounds such work by must leave room below this, as what hangs may never end.
///
/// Nothing is set aside for it: a thread is made when there is work for it, and goes after ten seconds without.
pub const BLOCKING_MAX: usize = 8192;

/// A runtime that has one thread, the program's first, and [others](BLOCKING_MAX) for what blocks or computes.
///
/// What a program does between two waits takes microseconds; to wake another thread for it costs more than that, and comes
/// later. So the loop, its tasks and all connections share a thread, and what was woken together is done together. Files,
/// handlers that compute, packing and hashing go to `spawn_blocking`: nothing else may keep the thread for long.
///
/// Tokio's own bound of 512 others is less than the jobs that a watcher may have in hand: on a disk that hangs they would keep
/// everything else from its thread, the lookup of a server's name for one.
///
/// # Errors
/// When the system refuses.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_MAX)
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use futures::future::join_all;
    use tokio::task::spawn_blocking;

    use super::*;

    #[test]
    fn two_thousand_pieces_of_work_that_hang_leave_threads_for_others() {
        /// As many as a watcher has jobs in hand at most, each on its way to two directories.
        const HUNG: usize = 2000;
        static ALL_RUN: Barrier = Barrier::new(HUNG + 1);
        let runtime = runtime().unwrap();
        runtime.block_on(async {
            let hung: Vec<_> = (0..HUNG)
                .map(|_| spawn_blocking(|| ALL_RUN.wait().is_leader()))
                .collect();
            // Ends only when all of them have a thread, and it has one, too.
            spawn_blocking(|| ALL_RUN.wait()).await.unwrap();
            join_all(hung).await;
        });
    }
}
