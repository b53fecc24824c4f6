//! The live view of all jobs.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque, hash_map::Entry},
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use distjob_core::{JobEntry, JobId};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use zookeeper_client::{AddWatchMode, EventType, PersistentWatcher, SessionState, WatchedEvent};

use super::{JobRead, Ledger, ZkError};

/// Reads of znodes that are under way at once.
const READS_MAX: usize = 256;

/// Znodes that a scrub reads again although nothing was heard of them.
const SCRUB_READS_MAX: usize = 1000;

/// What happened to a job since it was last asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobChange {
    /// It is there and looks like this.
    Seen(JobEntry),
    /// It is gone, or what stands there is no job (which has been reported).
    Gone,
}

/// A picture of all jobs that follows ZooKeeper for as long as its session lives.
///
/// One recursive persistent watch tells what changes; each change is answered by one read of that znode. After every
/// reconnect the watch is set again, all names are listed and all jobs are read again: the server forgets persistent
/// watches when it restarts, and the client does not repeat them. A slow scrub does the same bit by bit, in case
/// anything else gets lost.
///
/// Changes are kept per job until they are fetched: a slow reader sees fewer of them, never an old one, and memory
/// is bounded by the number of jobs.
#[derive(Debug)]
pub struct JobsView {
    shared: Arc<Shared>,
    listed: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    changes: Mutex<HashMap<JobId, JobChange>>,
    arrived: Notify,
}

impl Shared {
    fn publish(&self, id: JobId, change: JobChange) {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, change);
        self.arrived.notify_one();
    }

    fn take(&self) -> HashMap<JobId, JobChange> {
        std::mem::take(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for JobsView {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl JobsView {
    /// Follows the jobs of `ledger`.
    #[must_use]
    pub fn follow(ledger: Ledger, scrub_every: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let (listed_sender, listed) = watch::channel(false);
        let follower = Follower {
            ledger,
            shared: shared.clone(),
            listed: listed_sender,
            scrub_every,
            scrub_from: None,
            known: BTreeMap::new(),
            strangers: HashSet::new(),
            waiting: VecDeque::new(),
            requested: HashMap::new(),
            reads: FuturesUnordered::new(),
        };
        Self {
            shared,
            listed,
            task: tokio::spawn(follower.run()),
        }
    }

    /// Waits until something changed, and takes all changes since the last call: the newest picture of each job.
    ///
    /// Cancel safe: changes that were not returned are returned by the next call. For one caller at a time.
    pub async fn changes(&self) -> HashMap<JobId, JobChange> {
        loop {
            let changes = self.shared.take();
            if !changes.is_empty() {
                return changes;
            }
            self.shared.arrived.notified().await;
        }
    }

    /// Waits until all jobs that were there at the start have been read. Cancel safe.
    pub async fn complete(&mut self) {
        if self.listed.wait_for(|listed| *listed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether a read of a job is waiting or under way, and whether another one must follow it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    Waiting,
    UnderWay,
    Again,
}

struct Follower {
    ledger: Ledger,
    shared: Arc<Shared>,
    listed: watch::Sender<bool>,
    scrub_every: Duration,
    scrub_from: Option<JobId>,
    /// What was last published of each job.
    known: BTreeMap<JobId, JobEntry>,
    /// Znodes that are no jobs and have been reported.
    strangers: HashSet<String>,
    waiting: VecDeque<JobId>,
    requested: HashMap<JobId, Request>,
    reads: FuturesUnordered<BoxFuture<'static, (JobId, Result<JobRead, ZkError>)>>,
}

impl Follower {
    async fn run(mut self) {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.follow_connection().await {
                Err(ZkError::SessionOver) => return,
                Err(error) => tracing::warn!(%error, "the list of jobs could not be read, trying again"),
                Ok(()) => pause = Duration::from_millis(50),
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Watches, lists, and follows events until the connection is lost.
    async fn follow_connection(&mut self) -> Result<(), ZkError> {
        let session = self.ledger.session().clone();
        session.connected().await?;
        let directory = session.layout().jobs();
        let watching = session
            .client()
            .watch(&directory, AddWatchMode::PersistentRecursive);
        let mut watcher = session.reply(watching).await?;
        self.list(Scope::All).await?;
        let mut scrub_at = Instant::now() + self.scrub_every;
        loop {
            self.start_reads();
            if self.requested.is_empty() && !*self.listed.borrow() {
                self.listed.send_replace(true);
            }
            tokio::select! {
                event = next_event(&mut watcher) => match event {
                    Event::Node(event) => self.hear(&directory, &event),
                    Event::Connected => {}
                    Event::Disconnected => return Ok(()),
                    Event::Over => return Err(ZkError::SessionOver),
                },
                Some((id, read)) = self.reads.next() => self.see(id, read)?,
                () = sleep_until(scrub_at) => {
                    self.list(Scope::Slice).await?;
                    scrub_at = Instant::now() + self.scrub_every;
                }
            }
        }
    }

    fn hear(&mut self, directory: &str, event: &WatchedEvent) {
        let Some(child) = event
            .path
            .strip_prefix(directory)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return;
        };
        let Some(id) = self.job_id(child) else { return };
        match (event.event_type, self.requested.contains_key(&id)) {
            // No read is under way whose older reply could bring it back.
            (EventType::NodeDeleted, false) => self.gone(id),
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
                    self.shared.publish(id, JobChange::Seen(entry));
                }
            }
            Ok(JobRead::Unreadable(_, error)) => {
                if self.strangers.insert(id.to_string()) {
                    tracing::warn!(job.id = %id, %error, "skipping a znode among the jobs whose data is no job's");
                }
                self.gone_stranger(id);
            }
            Ok(JobRead::Gone) => self.gone(id),
            Err(error) => {
                self.request(id);
                return Err(error);
            }
        }
        Ok(())
    }

    fn gone(&mut self, id: JobId) {
        self.strangers.remove(id.as_str());
        self.gone_stranger(id);
    }

    fn gone_stranger(&mut self, id: JobId) {
        if self.known.remove(&id).is_some() {
            self.shared.publish(id, JobChange::Gone);
        }
    }

    /// Lists the children and asks for a read of what is new, gone, or in `scope`.
    async fn list(&mut self, scope: Scope) -> Result<(), ZkError> {
        let (names, _) = self.ledger.list().await?;
        let listed: HashSet<JobId> = names.iter().filter_map(|name| self.job_id(name)).collect();
        let vanished: Vec<JobId> = self
            .known
            .keys()
            .filter(|id| !listed.contains(*id))
            .cloned()
            .collect();
        vanished.into_iter().for_each(|id| self.request(id));
        let reread: Vec<JobId> = match scope {
            Scope::All => listed.into_iter().collect(),
            Scope::Slice => {
                let slice = self.slice();
                let is_new =
                    |id: &JobId| !self.known.contains_key(id) && !self.strangers.contains(id.as_str());
                listed.into_iter().filter(is_new).chain(slice).collect()
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

enum Event {
    Node(WatchedEvent),
    Connected,
    Disconnected,
    Over,
}

/// Cancel safe, as [`PersistentWatcher::changed`] is. Not to be called again after [`Event::Over`].
async fn next_event(watcher: &mut PersistentWatcher) -> Event {
    let event = watcher.changed().await;
    match (event.event_type, event.session_state) {
        (EventType::Session, SessionState::SyncConnected) => Event::Connected,
        (EventType::Session, state) if state.is_terminated() => Event::Over,
        (EventType::Session, _) => Event::Disconnected,
        _ => Event::Node(event),
    }
}
