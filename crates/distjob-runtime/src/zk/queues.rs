//! The live view of what an operator has switched off.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::Arc,
    time::Duration,
};

use distjob_core::{QueueName, QueueSwitches, Switchboard};
use futures::{FutureExt as _, StreamExt as _, stream::BoxStream};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Session, ZkError, client::WatchEvent, session::PAUSE_MAX};
use crate::store::backoff;

/// The switches of all queues, which follow ZooKeeper for as long as its session lives.
///
/// They are few and small, so whatever happens to one of them, all are read again: also after every reconnect, when the
/// watch is set anew, and now and then in case that it got lost. While there is no connection the last ones stand.
#[derive(Debug)]
pub struct QueuesView {
    receiver: watch::Receiver<Arc<Switchboard>>,
    _task: AbortOnDropHandle<()>,
}

impl QueuesView {
    /// Follows the switches of the session's root. The first value is [unknown](Switchboard::is_known).
    #[must_use]
    pub fn follow(session: Session, scrub_every: Duration) -> Self {
        let (sender, receiver) = watch::channel(Arc::new(Switchboard::default()));
        let follower = Follower {
            session,
            scrub_every,
            strangers: BTreeSet::new(),
        };
        Self {
            receiver,
            _task: AbortOnDropHandle::new(tokio::spawn(follower.run(sender))),
        }
    }

    /// The newest switches.
    #[must_use]
    pub fn switchboard(&self) -> Arc<Switchboard> {
        self.receiver.borrow().clone()
    }

    /// A receiver of all later ones. They are told only when they differ from the last.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Switchboard>> {
        self.receiver.clone()
    }
}

struct Follower {
    session: Session,
    scrub_every: Duration,
    /// Znodes that say nothing that can be understood, and have been reported.
    strangers: BTreeSet<String>,
}

impl Follower {
    async fn run(mut self, sender: watch::Sender<Arc<Switchboard>>) {
        let mut attempt = 0;
        loop {
            match self.follow_connection(&sender).await {
                Err(ZkError::SessionOver) => return,
                Err(error) => {
                    tracing::warn!(%error, "the switches of the queues could not be read, trying again");
                    attempt += 1;
                }
                Ok(()) => attempt = 0,
            }
            sleep(backoff(attempt, PAUSE_MAX)).await;
        }
    }

    /// Watches, and reads whenever something happened, until the connection is lost.
    async fn follow_connection(&mut self, sender: &watch::Sender<Arc<Switchboard>>) -> Result<(), ZkError> {
        self.session.connected().await?;
        let directory = self.session.layout().queues();
        let watching = self.session.client().watch_recursively(&directory);
        let mut events = self.session.reply(watching).await?;
        loop {
            let switches = Arc::new(Switchboard::new(self.read(&directory).await?));
            sender.send_if_modified(|known| {
                let differs = *known != switches;
                if differs {
                    *known = switches;
                }
                differs
            });
            let scrub_at = Instant::now() + self.scrub_every;
            tokio::select! {
                biased;
                happened = next_change(&mut events) => match happened? {
                    Change::Switches => {}
                    Change::Connection => return Ok(()),
                },
                () = sleep_until(scrub_at) => {}
            }
        }
    }

    /// All switches. Those that cannot be understood are as if they were not there.
    async fn read(&mut self, directory: &str) -> Result<BTreeMap<QueueName, QueueSwitches>, ZkError> {
        let names = match self
            .session
            .reply(self.session.client().get_children(directory))
            .await
        {
            Ok((names, _)) => names,
            // Somebody removed the directory, with all switches.
            Err(ZkError::NoNode) => Vec::new(),
            Err(error @ ZkError::Refused(_)) => {
                self.report(directory, &error);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        self.strangers
            .retain(|stranger| stranger == directory || names.contains(stranger));
        let mut switches = BTreeMap::new();
        for child in names {
            if let Some((name, found)) = self.read_queue(directory, &child).await? {
                self.strangers.remove(&child);
                switches.insert(name, found);
            }
        }
        Ok(switches)
    }

    async fn read_queue(
        &mut self,
        directory: &str,
        child: &str,
    ) -> Result<Option<(QueueName, QueueSwitches)>, ZkError> {
        let name = match QueueName::new(child) {
            Ok(name) => name,
            Err(error) => {
                self.report(child, &error);
                return Ok(None);
            }
        };
        let path = format!("{directory}/{child}");
        let data = match self.session.reply(self.session.client().get_data(&path)).await {
            Ok((data, _)) => data,
            // Removed in between: the watch has told, or will.
            Err(ZkError::NoNode) => return Ok(None),
            Err(error @ ZkError::Refused(_)) => {
                self.report(child, &error);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match QueueSwitches::parse(&data) {
            Ok(switches) => Ok(Some((name, switches))),
            Err(error) => {
                self.report(child, &error);
                Ok(None)
            }
        }
    }

    /// Says once that a znode has no effect.
    fn report(&mut self, znode: &str, error: &dyn Display) {
        if self.strangers.insert(znode.to_owned()) {
            tracing::warn!(znode, %error, "a znode among the queues' switches has no effect");
        }
    }
}

/// What a watch has told of.
enum Change {
    Switches,
    /// It is gone, and what is watched must be watched again.
    Connection,
}

/// Waits for the next event, and takes all that have come with it.
async fn next_change(events: &mut BoxStream<'static, WatchEvent>) -> Result<Change, ZkError> {
    let mut event = events.next().await;
    loop {
        match event {
            Some(WatchEvent::Node(..) | WatchEvent::Connected) => {}
            Some(WatchEvent::Disconnected) => return Ok(Change::Connection),
            Some(WatchEvent::Over) | None => return Err(ZkError::SessionOver),
        }
        match events.next().now_or_never() {
            Some(next) => event = next,
            None => return Ok(Change::Switches),
        }
    }
}
