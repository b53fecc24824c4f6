//! How the picture of all jobs follows ZooKeeper.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque, hash_map::Entry},
    fmt::Display,
    mem,
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use distjob_core::{JobEntry, JobId};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{JobChange, Shared};
use crate::{
    store::backoff,
    zk::{
        JobRead, Ledger, ZkError,
        client::{NodeEvent, WatchEvent},
        session::PAUSE_MAX,
    },
};

/// Reads of znodes that are under way at once.
const READS_MAX: usize = 256;

/// Znodes that a scrub reads again although nothing was heard of them.
const SCRUB_READS_MAX: usize = 1000;

/// Whether a read of a job is waiting or under way, and whether another one must follow it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    Waiting,
    UnderWay,
    Again,
}

/// Keeps a view up to date.
pub(super) struct Follower {
    ledger: Ledger,
    shared: Arc<Shared>,
    listed: watch::Sender<bool>,
    scrub_every: Duration,
    scrub_from: Option<JobId>,
    /// What was last published of each job.
    known: BTreeMap<JobId, JobEntry>,
    /// Jobs of the first list that have not been read yet.
    unread: BTreeSet<JobId>,
    /// Znodes that are no jobs and have been reported.
    strangers: BTreeSet<String>,
    waiting: VecDeque<JobId>,
    requested: HashMap<JobId, Request>,
    reads: FuturesUnordered<BoxFuture<'static, (JobId, Result<JobRead, ZkError>)>>,
    /// Reads fail, which has been said.
    is_troubled: bool,
}

impl Follower {
    pub(super) fn new(
        ledger: Ledger,
        shared: Arc<Shared>,
        listed: watch::Sender<bool>,
        scrub_every: Duration,
    ) -> Self {
        Self {
            ledger,
            shared,
            listed,
            scrub_every,
            scrub_from: None,
            known: BTreeMap::new(),
            unread: BTreeSet::new(),
            strangers: BTreeSet::new(),
            waiting: VecDeque::new(),
            requested: HashMap::new(),
            reads: FuturesUnordered::new(),
            is_troubled: false,
        }
    }

    /// Follows until the session is over.
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        loop {
            match self.follow_connection().await {
                Err(ZkError::SessionOver) => return,
                Err(error) => {
                    tracing::warn!(%error, "the list of jobs could not be read, trying again");
                    attempt += 1;
                }
                Ok(()) => attempt = 0,
            }
            sleep(backoff(attempt, PAUSE_MAX)).await;
        }
    }

    /// Watches, lists, and follows events until the connection is lost.
    async fn follow_connection(&mut self) -> Result<(), ZkError> {
        let session = self.ledger.session().clone();
        session.connected().await?;
        let directory = session.layout().jobs();
        let watching = session.client().watch_recursively(&directory);
        let mut events = session.reply(watching).await?;
        self.list(Scope::All).await?;
        let mut scrub_at = Instant::now() + self.scrub_every;
        loop {
            self.start_reads();
            if self.unread.is_empty() && !*self.listed.borrow() {
                self.listed.send_replace(true);
            }
            // The rarest first, so that none waits for ever: events are heard faster than they come, and each read
            // that is seen makes room for one more only.
            tokio::select! {
                biased;
                () = sleep_until(scrub_at) => {
                    self.list(Scope::Slice).await?;
                    scrub_at = Instant::now() + self.scrub_every;
                }
                event = events.next() => match event {
                    Some(WatchEvent::Node(what, path)) => self.hear(&directory, what, &path),
                    Some(WatchEvent::Connected) => {}
                    Some(WatchEvent::Disconnected) => return Ok(()),
                    Some(WatchEvent::Over) | None => return Err(ZkError::SessionOver),
                },
                Some((id, read)) = self.reads.next() => self.see(id, read)?,
            }
        }
    }

    fn hear(&mut self, directory: &str, what: NodeEvent, path: &str) {
        let Some(child) = path
            .strip_prefix(directory)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return;
        };
        let Some(id) = self.job_id(child) else {
            if what == NodeEvent::Deleted {
                self.strangers.remove(child);
            }
            return;
        };
        match (what, self.requested.contains_key(&id)) {
            // No read is under way whose older reply could bring it back.
            (NodeEvent::Deleted, false) => self.gone(&id),
            _ => self.request(id),
        }
    }

    /// Asks for a read of the job that starts after now.
    fn request(&mut self, id: JobId) {
        match self.requested.entry(id) {
            Entry::Vacant(entry) => {
                self.waiting.push_back(entry.key().clone());
                entry.insert(Request::Waiting);
            }
            Entry::Occupied(mut entry) => {
                if *entry.get() == Request::UnderWay {
                    entry.insert(Request::Again);
                }
            }
        }
    }

    fn start_reads(&mut self) {
        while self.reads.len() < READS_MAX {
            let Some(id) = self.waiting.pop_front() else {
                return;
            };
            self.requested.insert(id.clone(), Request::UnderWay);
            let ledger = self.ledger.clone();
            self.reads
                .push(async move { (id.clone(), ledger.read(&id).await) }.boxed());
        }
    }

    fn see(&mut self, id: JobId, read: Result<JobRead, ZkError>) -> Result<(), ZkError> {
        if self.requested.remove(&id) == Some(Request::Again) {
            self.request(id.clone());
        }
        match read {
            Ok(JobRead::Job(entry)) => {
                self.strangers.remove(id.as_str());
                if self.known.get(&id) != Some(&entry) {
                    self.known.insert(id.clone(), entry.clone());
                    self.shared.publish(id.clone(), JobChange::Seen(entry));
                }
            }
            Ok(JobRead::Unreadable(_, error)) => self.skip(&id, &error),
            Ok(JobRead::Gone) => self.gone(&id),
            Err(error @ ZkError::Refused(_)) => self.skip(&id, &error),
            Err(ZkError::SessionOver) => return Err(ZkError::SessionOver),
            Err(error) => {
                // When the connection was lost the watcher tells, and everything is read again.
                if !mem::replace(&mut self.is_troubled, true) {
                    tracing::warn!(job.id = %id, %error, "jobs could not be read, trying again");
                }
                self.request(id);
                return Ok(());
            }
        }
        self.is_troubled = false;
        self.unread.remove(&id);
        Ok(())
    }

    /// Takes a znode for no job, and says so once.
    fn skip(&mut self, id: &JobId, error: &dyn Display) {
        if self.strangers.insert(id.to_string()) {
            tracing::warn!(job.id = %id, %error, "skipping a znode among the jobs that cannot be read as one");
        }
        self.forget(id);
    }

    fn gone(&mut self, id: &JobId) {
        self.strangers.remove(id.as_str());
        self.forget(id);
    }

    fn forget(&mut self, id: &JobId) {
        if self.known.remove(id).is_some() {
            self.shared.publish(id.clone(), JobChange::Gone);
        }
    }

    /// Lists the children and asks for a read of what is new, gone, or in `scope`.
    async fn list(&mut self, scope: Scope) -> Result<(), ZkError> {
        let (names, _) = self.ledger.list().await?;
        let standing: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        self.strangers.retain(|name| standing.contains(name.as_str()));
        let listed: BTreeSet<JobId> = names.iter().filter_map(|name| self.job_id(name)).collect();
        if !*self.listed.borrow() {
            self.unread.clone_from(&listed);
        }
        // A read that is under way may be older than the list, and would bring back what has gone unheard since.
        let vanished: BTreeSet<JobId> = self
            .known
            .keys()
            .chain(self.requested.keys())
            .filter(|id| !listed.contains(*id))
            .cloned()
            .collect();
        vanished.into_iter().for_each(|id| self.request(id));
        let reread: Vec<JobId> = match scope {
            Scope::All => listed.into_iter().collect(),
            Scope::Slice => {
                let slice = self.slice();
                let is_unknown = |id: &JobId| !self.known.contains_key(id);
                listed.into_iter().filter(is_unknown).chain(slice).collect()
            }
        };
        reread.into_iter().for_each(|id| self.request(id));
        Ok(())
    }

    /// The next few known jobs, round and round.
    fn slice(&mut self) -> Vec<JobId> {
        let from = self.scrub_from.take().map_or(Bound::Unbounded, Bound::Excluded);
        let slice: Vec<JobId> = self
            .known
            .range((from, Bound::Unbounded))
            .take(SCRUB_READS_MAX)
            .map(|(id, _)| id.clone())
            .collect();
        self.scrub_from = slice.last().filter(|_| slice.len() == SCRUB_READS_MAX).cloned();
        slice
    }

    fn job_id(&mut self, child: &str) -> Option<JobId> {
        match JobId::new(child) {
            Ok(id) => Some(id),
            Err(error) => {
                if self.strangers.insert(child.to_owned()) {
                    tracing::warn!(znode = child, %error, "skipping a znode among the jobs that has no job's name");
                }
                None
            }
        }
    }
}

/// Which of the known jobs a listing reads again.
#[derive(Clone, Copy)]
enum Scope {
    All,
    Slice,
}
