//! How the picture of all jobs follows ZooKeeper.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    mem,
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use distjob_core::{
    JobEntry, JobId, Zxid,
    attention::{Known, News},
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    JobChange, Shared,
    agenda::{Agenda, When},
    audience::Audience,
};
use crate::{
    store::backoff,
    zk::{
        JobRead, Ledger, ZkError,
        client::{NodeEvent, WatchEvent},
        session::PAUSE_MAX,
    },
};

/// Znodes that are read with one request.
const BATCH_MAX: usize = 64;

/// Requests that are under way at once, when there are enough jobs to read for each of them.
const BATCHES_MAX: usize = 4;

/// Znodes that a scrub reads again although nothing was heard of them.
const SCRUB_READS_MAX: usize = 1000;

/// What was last published of a job, as far as the view has to know it: life and version stand for all the rest.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    life: Zxid,
    version: i32,
    /// Whether it concerned the audience.
    concerns: bool,
}

/// Some jobs, and what was read of each.
type Batch = (Vec<JobId>, Result<Vec<Result<JobRead, ZkError>>, ZkError>);

/// Keeps a view up to date.
pub(super) struct Follower {
    ledger: Ledger,
    shared: Arc<Shared>,
    listed: watch::Sender<bool>,
    audience: Audience,
    scrub_every: Duration,
    scrub_from: Option<JobId>,
    known: BTreeMap<JobId, Seen>,
    /// Jobs of the first list that have not been read yet.
    unread: BTreeSet<JobId>,
    /// Znodes that are no jobs and have been reported.
    strangers: BTreeSet<String>,
    agenda: Agenda,
    batches: FuturesUnordered<BoxFuture<'static, Batch>>,
    /// How many jobs are read with one request: fewer after one that failed, down to a single one, so that no znode can
    /// keep others from being read.
    batch_max: usize,
    /// Reads fail, which has been said.
    is_troubled: bool,
}

impl Follower {
    pub(super) fn new(
        ledger: Ledger,
        shared: Arc<Shared>,
        listed: watch::Sender<bool>,
        audience: Audience,
        scrub_every: Duration,
    ) -> Self {
        Self {
            ledger,
            shared,
            listed,
            audience,
            scrub_every,
            scrub_from: None,
            known: BTreeMap::new(),
            unread: BTreeSet::new(),
            strangers: BTreeSet::new(),
            agenda: Agenda::default(),
            batches: FuturesUnordered::new(),
            batch_max: BATCH_MAX,
            is_troubled: false,
        }
    }

    /// Follows until the session is over.
    pub(super) async fn run(mut self) {
        let mut attempt = 0;
        loop {
            let followed = self.follow_connection().await;
            self.ledger.own().unfollow();
            match followed {
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
        self.ledger.own().follow();
        self.list(Scope::All).await?;
        let mut scrub_at = Instant::now() + self.scrub_every;
        loop {
            self.start_reads();
            if self.unread.is_empty() && !*self.listed.borrow() {
                self.listed.send_replace(true);
            }
            let due_at = self.agenda.due_at().unwrap_or(scrub_at);
            // The rarest first, so that none waits for ever: events are heard faster than they come, and each batch
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
                Some((ids, reads)) = self.batches.next() => self.see_batch(ids, reads)?,
                () = sleep_until(due_at) => self.agenda.wake(Instant::now()),
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
        if what != NodeEvent::Changed {
            self.ledger.own().doubt(&id);
        }
        let news = match what {
            NodeEvent::Created => News::Created,
            NodeEvent::Changed => News::Changed,
            NodeEvent::Deleted => {
                // A read under way may be older, and would bring it back.
                if self.agenda.cancel(&id) {
                    self.gone(&id);
                    self.unread.remove(&id);
                } else {
                    self.agenda.request(id, When::Now);
                }
                return;
            }
        };
        let known = match self.known.get(&id) {
            _ if self.ledger.own().contains(&id) => Known::Own,
            Some(seen) => Known::Read(seen.concerns),
            None => Known::Nothing,
        };
        let when = match self.audience.patience(&id, news, known) {
            Duration::ZERO => When::Now,
            patience => When::At(Instant::now() + patience),
        };
        self.agenda.request(id, when);
    }

    /// Reads what waits: with one request at a time while that is enough, so that whatever is heard meanwhile goes
    /// together into the next one.
    fn start_reads(&mut self) {
        while self.batches.len() < BATCHES_MAX {
            if !self.batches.is_empty() && self.agenda.waiting() < self.batch_max {
                return;
            }
            let ids = self.agenda.start(self.batch_max);
            if ids.is_empty() {
                return;
            }
            let ledger = self.ledger.clone();
            self.batches.push(
                async move {
                    let reads = ledger.read_all(&ids).await;
                    (ids, reads)
                }
                .boxed(),
            );
        }
    }

    fn see_batch(
        &mut self,
        ids: Vec<JobId>,
        reads: Result<Vec<Result<JobRead, ZkError>>, ZkError>,
    ) -> Result<(), ZkError> {
        let reads = match reads {
            Ok(reads) if reads.len() == ids.len() => {
                self.batch_max = (self.batch_max * 2).min(BATCH_MAX);
                reads
            }
            Ok(_) => vec![Err(ZkError::Unclear("an answer too few".to_owned())); ids.len()],
            Err(error) => {
                self.batch_max = (self.batch_max / 2).max(1);
                vec![Err(error); ids.len()]
            }
        };
        ids.into_iter()
            .zip(reads)
            .try_for_each(|(id, read)| self.see(id, read))
    }

    fn see(&mut self, id: JobId, read: Result<JobRead, ZkError>) -> Result<(), ZkError> {
        self.agenda.finish(&id);
        self.ledger.own().forget(&id);
        match read {
            Ok(JobRead::Job(entry)) => self.publish(&id, entry),
            Ok(JobRead::Unreadable(_, error)) => self.skip(&id, &error),
            Ok(JobRead::Gone) => self.gone(&id),
            Err(error @ ZkError::Refused(_)) => self.skip(&id, &error),
            Err(ZkError::SessionOver) => return Err(ZkError::SessionOver),
            Err(error) => {
                // When the connection was lost the watcher tells, and everything is read again.
                if !mem::replace(&mut self.is_troubled, true) {
                    tracing::warn!(job.id = %id, %error, "jobs could not be read, trying again");
                }
                self.agenda.request(id, When::Now);
                return Ok(());
            }
        }
        self.is_troubled = false;
        self.unread.remove(&id);
        Ok(())
    }

    fn publish(&mut self, id: &JobId, entry: JobEntry) {
        self.strangers.remove(id.as_str());
        let seen = Seen {
            life: entry.life,
            version: entry.version,
            concerns: self.audience.is_concerned_by(&entry),
        };
        if self.known.insert(id.clone(), seen) != Some(seen) {
            self.shared.publish(id.clone(), JobChange::Seen(entry));
        }
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
        self.ledger.own().forget(id);
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
        if !self.strangers.is_empty() {
            let standing: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            self.strangers.retain(|name| standing.contains(name.as_str()));
        }
        let listed: BTreeSet<JobId> = names.into_iter().filter_map(|name| self.job_id(&name)).collect();
        if !*self.listed.borrow() {
            self.unread.clone_from(&listed);
        }
        self.ledger.own().retain(|id| listed.contains(id));
        // A read that is under way may be older than the list, and would bring back what has gone unheard since.
        let vanished: BTreeSet<JobId> = self
            .known
            .keys()
            .chain(self.agenda.ids())
            .filter(|id| !listed.contains(*id))
            .cloned()
            .collect();
        let reread: Vec<JobId> = match scope {
            Scope::All => listed.into_iter().collect(),
            Scope::Slice => {
                let slice = self.slice();
                let is_unknown = |id: &JobId| !self.known.contains_key(id);
                listed.into_iter().filter(is_unknown).chain(slice).collect()
            }
        };
        let to_read = vanished.into_iter().chain(reread);
        to_read.for_each(|id| self.agenda.request(id, When::Now));
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
