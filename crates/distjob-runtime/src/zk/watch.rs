//! Following single jobs, for somebody who waits for a few of them.

use distjob_core::JobId;

use super::{
    JobRead, Ledger, ZkError,
    client::{OnceWatch, SessionStates},
};

/// Tells when a job may look different from what was read.
#[derive(Debug)]
pub struct JobWatch {
    watch: OnceWatch,
    states: Box<dyn SessionStates>,
}

impl JobWatch {
    /// Waits until the job was changed or deleted, or the connection has come or gone: a watch that was set before is
    /// not relied upon after that. Read it again then.
    pub async fn changed(mut self) {
        tokio::select! {
            biased;
            () = self.watch.fired() => {}
            _ = self.states.changed() => {}
        }
    }
}

impl Ledger {
    /// Reads a job as the connected server knows it, and watches it from then on. There is nothing to watch where no
    /// znode is. One attempt.
    ///
    /// # Errors
    /// [`ZkError::Unclear`], [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn read_and_watch(&self, id: &JobId) -> Result<(JobRead, Option<JobWatch>), ZkError> {
        let session = self.session();
        let path = session.layout().job(id);
        let states = session.client().states();
        match session.reply(session.client().get_and_watch_data(&path)).await {
            Ok((data, stat, watch)) => Ok((JobRead::new(&data, &stat), Some(JobWatch { watch, states }))),
            Err(ZkError::NoNode) => Ok((JobRead::Gone, None)),
            Err(error) => Err(error),
        }
    }
}
