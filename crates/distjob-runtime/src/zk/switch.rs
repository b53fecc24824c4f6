//! Changing what is switched off.

use distjob_core::{QueueName, QueueSwitches};
use tokio::time::sleep;

use super::{
    Session, ZkError,
    client::{Mode, Stat},
    session::PAUSE_MAX,
};
use crate::store::backoff;

/// What became of a change of a queue's switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switched {
    /// They are as wanted, and were not before.
    Done {
        /// What stood there and could not be understood, which is gone now.
        replaced: Option<String>,
    },
    /// They were as wanted before.
    Already,
}

/// What stands there.
struct Found {
    switches: QueueSwitches,
    /// Nothing without a znode.
    version: Option<i32>,
    /// Why the data could not be understood.
    nonsense: Option<String>,
}

impl Session {
    /// Changes the switches of `queue`, whether anybody serves it or not. What `change` leaves alone is kept. Switches
    /// that say nothing any more are removed.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the change unclear. Made again it does no harm.
    pub async fn switch(
        &self,
        queue: &QueueName,
        change: impl Fn(&mut QueueSwitches),
    ) -> Result<Switched, ZkError> {
        let path = self.layout().queue(queue);
        let mut attempt = 0;
        // Why the data that a write of unclear outcome was to replace could not be understood.
        let mut replaced = None;
        loop {
            let found = self.until_clear(|| self.read_switches(&path)).await?;
            let mut wanted = found.switches.clone();
            change(&mut wanted);
            if wanted == found.switches && found.nonsense.is_none() {
                return Ok(match attempt {
                    0 => Switched::Already,
                    _ => Switched::Done { replaced },
                });
            }
            replaced = found.nonsense;
            match self.write_switches(&path, found.version, &wanted).await {
                Ok(()) => return Ok(Switched::Done { replaced }),
                Err(error @ (ZkError::Refused(_) | ZkError::SessionOver)) => return Err(error),
                // The directory, or a znode that somebody removed; making sure of the one does the other no harm.
                Err(ZkError::NoNode) => self.until_clear(|| self.ensure_directories()).await?,
                // Overtaken, or unclear: what stands there now decides.
                Err(_) => {}
            }
            sleep(backoff(attempt, PAUSE_MAX)).await;
            attempt += 1;
        }
    }

    /// One attempt, as the leader knows them.
    async fn read_switches(&self, path: &str) -> Result<Found, ZkError> {
        self.reply(self.client().sync(path)).await?;
        let (data, version) = match self.reply(self.client().get_data(path)).await {
            Ok((data, Stat { version, .. })) => (data, Some(version)),
            Err(ZkError::NoNode) => (Vec::new(), None),
            Err(error) => return Err(error),
        };
        let parsed = QueueSwitches::parse(&data);
        Ok(Found {
            nonsense: parsed.as_ref().err().map(ToString::to_string),
            switches: parsed.unwrap_or_default(),
            version,
        })
    }

    /// One attempt.
    async fn write_switches(
        &self,
        path: &str,
        version: Option<i32>,
        wanted: &QueueSwitches,
    ) -> Result<(), ZkError> {
        let data = wanted.to_data();
        match version {
            None => {
                let created = self.client().create(path, &data, Mode::Persistent);
                self.reply(created).await.map(|_| ())
            }
            Some(_) if wanted.is_default() => self.reply(self.client().delete(path, version)).await,
            Some(_) => {
                let set = self.client().set_data(path, &data, version);
                self.reply(set).await.map(|_| ())
            }
        }
    }
}
