//! A process as a future: it stands still while it is paused, and is no more when it is killed.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures::future::BoxFuture;

use crate::network::{Network, Process};

/// Polls what a process does, but not while it is paused.
pub(super) struct Alive {
    network: Network,
    process: Process,
    /// Ends when the process goes on.
    awake: Option<BoxFuture<'static, ()>>,
    work: BoxFuture<'static, ()>,
}

impl Alive {
    pub(super) fn new(network: Network, process: Process, work: BoxFuture<'static, ()>) -> Self {
        Self {
            network,
            process,
            awake: None,
            work,
        }
    }
}

impl Future for Alive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.network.is_paused(self.process) && self.awake.is_none() {
            let (network, process) = (self.network.clone(), self.process);
            self.awake = Some(Box::pin(async move { network.awake(process).await }));
        }
        if let Some(awake) = &mut self.awake {
            if awake.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.awake = None;
        }
        self.work.as_mut().poll(context)
    }
}
