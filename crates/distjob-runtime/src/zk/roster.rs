//! The live view of the members of one role.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    mem,
    sync::Arc,
    time::Duration,
};

use distjob_core::{MemberInfo, MemberName, Role, Roster, Zxid};
use tokio::{sync::watch, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Session, ZkError,
    client::{NodeRead, OnceWatch},
};

/// Znodes that are read with one request.
const BATCH_MAX: usize = 64;

/// A list of the members of one role that follows ZooKeeper for as long as its session lives.
///
/// Each value stems from one reply to "get children", so that it can prove deaths. The list is read again when a
/// member comes or goes, after every reconnect, and now and then in case a watch got lost.
#[derive(Debug)]
pub struct RosterView {
    receiver: watch::Receiver<Arc<Roster>>,
    _task: AbortOnDropHandle<()>,
}

impl RosterView {
    /// Follows the members of `role`. The first value is an empty list that proves nothing.
    #[must_use]
    pub fn follow(session: Session, role: Role, scrub_every: Duration) -> Self {
        let (sender, receiver) = watch::channel(Arc::new(Roster::default()));
        let follower = Follower {
            session,
            role,
            scrub_every,
            infos: BTreeMap::new(),
            born: BTreeMap::new(),
            strangers: BTreeSet::new(),
            batch_max: BATCH_MAX,
        };
        Self {
            receiver,
            _task: AbortOnDropHandle::new(tokio::spawn(follower.run(sender))),
        }
    }

    /// The newest list.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        self.receiver.borrow().clone()
    }

    /// A receiver of all later lists.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Roster>> {
        self.receiver.clone()
    }
}

struct Follower {
    session: Session,
    role: Role,
    scrub_every: Duration,
    /// What is known of those who are listed. A member's data never changes.
    infos: BTreeMap<MemberName, Option<MemberInfo>>,
    /// When they registered.
    born: BTreeMap<MemberName, Zxid>,
    /// Listed znodes that are no members, or do not say what a member says, and have been reported.
    strangers: BTreeSet<String>,
    /// How many members are read with one request: fewer after one that failed, down to a single one, so that nothing that
    /// somebody put among them can keep others from being read.
    batch_max: usize,
}

impl Follower {
    async fn run(mut self, sender: watch::Sender<Arc<Roster>>) {
        let mut states = self.session.client().states();
        while self.session.connected().await.is_ok() {
            states.newest();
            let changed = match self.read().await {
                Ok((roster, changed)) => {
                    sender.send_replace(Arc::new(roster));
                    changed
                }
                Err(ZkError::SessionOver) => return,
                Err(error) => {
                    tracing::warn!(role = %self.role, %error, "the list of members could not be read, trying again");
                    sleep(Duration::from_millis(500)).await;
                    continue;
                }
            };
            // A state other than "connected" leads to a wait above and a new list after it: watches that were set
            // before a reconnect are not relied upon.
            tokio::select! {
                biased;
                () = changed.fired() => {}
                _ = states.changed() => {}
                () = sleep(self.scrub_every) => {}
            }
        }
    }

    async fn read(&mut self) -> Result<(Roster, OnceWatch), ZkError> {
        let directory = self.session.layout().members(self.role);
        let listed = self.session.client().get_and_watch_children(&directory);
        let (names, stat, watcher) = self.session.reply(listed).await?;
        self.strangers.retain(|stranger| names.contains(stranger));
        let (mut known, mut unknown) = (mem::take(&mut self.infos), Vec::new());
        for child in names {
            match MemberName::new(&*child) {
                Ok(name) => match known.remove(&name).flatten() {
                    Some(info) => _ = self.infos.insert(name, Some(info)),
                    None => unknown.push(name),
                },
                Err(error) => self.report(&child, &error),
            }
        }
        self.read_infos(&directory, unknown).await?;
        let infos = &self.infos;
        self.born.retain(|name, _| infos.contains_key(name));
        Ok((
            Roster {
                as_of: Zxid::from(stat.pzxid),
                members: infos.clone(),
                born: self.born.clone(),
            },
            watcher,
        ))
    }

    /// Reads what these members say of themselves, many of them with one request.
    async fn read_infos(&mut self, directory: &str, names: Vec<MemberName>) -> Result<(), ZkError> {
        let mut left = names.as_slice();
        while !left.is_empty() {
            let (batch, behind) = left.split_at(self.batch_max.min(left.len()));
            let paths: Vec<String> = batch.iter().map(|name| format!("{directory}/{name}")).collect();
            let reads = self.session.client().get_data_of_all(&paths);
            let reads = self.session.reply(reads).await.inspect_err(|_| {
                self.batch_max = (self.batch_max / 2).max(1);
            })?;
            if reads.len() != batch.len() {
                return Err(ZkError::Unclear("an answer too few".to_owned()));
            }
            for (name, read) in batch.iter().zip(reads) {
                let info = self.understand(name, read)?;
                self.infos.insert(name.clone(), info);
            }
            left = behind;
        }
        self.batch_max = BATCH_MAX;
        Ok(())
    }

    /// What a member says of itself, if that can be told.
    fn understand(&mut self, name: &MemberName, read: NodeRead) -> Result<Option<MemberInfo>, ZkError> {
        let data = match read {
            Ok((data, stat)) => {
                self.born.insert(name.clone(), Zxid::from(stat.czxid));
                data
            }
            // It left in between; the watch has fired, and the next list will lack it.
            Err(ZkError::NoNode) => return Ok(None),
            // That it is there is known, and is what counts.
            Err(error @ ZkError::Refused(_)) => {
                self.report(name.as_str(), &error);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match serde_json::from_slice(&data) {
            Ok(info) => Ok(Some(info)),
            Err(error) => {
                self.report(name.as_str(), &error);
                Ok(None)
            }
        }
    }

    /// Says once that a znode among the members is not like theirs.
    fn report(&mut self, znode: &str, error: &dyn Display) {
        if self.strangers.insert(znode.to_owned()) {
            tracing::warn!(role = %self.role, znode, %error, "a znode among the members does not say what a member says");
        }
    }
}
