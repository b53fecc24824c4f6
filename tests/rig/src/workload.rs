//! The jobs of a run: submitted in every way at a rate that keeps the cluster busy, and what each submission was told.
//!
//! [`Orders`] says what is submitted when, a [`Workload`] does it: each order is a task of its own, so that one that has
//! to wait for a store holds up no other one, up to a bound.

mod answer;
mod order;
mod submission;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

pub use self::answer::answer_of;
pub use self::order::{Manner, Order, Orders};
pub(crate) use self::submission::exit_of;
use crate::cluster::Cluster;
use crate::expect::{Expected, Flavour};
use crate::history::{Answer, Recorder};
use crate::stores::Stores;

/// Submissions that are under way at once. With a store away each of them waits for it.
const AT_ONCE: usize = 16;
/// How often a group is closed in vain, with everything healed: servers may still come back.
const CLOSING_TRIES: u32 = 4;
/// The points of a submitter at which it may be harmed; builds for development know them.
const POINTS: [&str; 4] = ["first-push", "pushed", "created", "opened"];

/// What befalls the submitters of a host at some point of their work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// SIGKILL.
    Kill,
    /// SIGSTOP for so long.
    Freeze(Duration),
}

/// The jobs of a run, and all that submits them.
#[derive(Debug)]
pub struct Workload {
    cluster: Arc<Cluster>,
    stores: Arc<Stores>,
    recorder: Arc<Recorder>,
    seed: u64,
    /// For tasks files and what submitters write.
    dir: PathBuf,
    orders: Mutex<Orders>,
    submissions: AtomicU64,
    mischief: Mutex<BTreeMap<u32, Mischief>>,
    /// How many tasks each job has that may exist.
    counts: Mutex<BTreeMap<String, u64>>,
    /// Plain lists for which there may never be a job.
    loose_lists: Mutex<Vec<String>>,
    /// Groups that may not be closed, each with its last member.
    open_groups: Mutex<BTreeMap<u64, String>>,
    /// The first thing that the rig itself could not do.
    failure: Mutex<Option<anyhow::Error>>,
    stop: Notify,
}

impl Workload {
    /// The workload of the run with this seed, from so many hosts of submitters.
    #[must_use]
    pub fn new(
        cluster: Arc<Cluster>,
        stores: Arc<Stores>,
        recorder: Arc<Recorder>,
        (seed, hosts): (u64, u32),
    ) -> Self {
        let dir = cluster.settings().logs();
        Self {
            cluster,
            stores,
            recorder,
            seed,
            dir,
            orders: Mutex::new(Orders::new(seed, hosts)),
            submissions: AtomicU64::new(0),
            mischief: Mutex::default(),
            counts: Mutex::default(),
            loose_lists: Mutex::default(),
            open_groups: Mutex::default(),
            failure: Mutex::default(),
            stop: Notify::new(),
        }
    }

    /// Submits until [`Workload::stop`], and returns when every submission was answered.
    ///
    /// # Errors
    /// What the rig itself could not do, such as to start a submitter.
    pub async fn run(self: &Arc<Self>) -> Result<()> {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let mut under_way = JoinSet::new();
        loop {
            let Some((pause, order)) = lock(&self.orders).next() else {
                break;
            };
            let next = async {
                tokio::time::sleep(pause).await;
                Arc::clone(&slots).acquire_owned().await
            };
            let slot = tokio::select! {
                () = self.stop.notified() => break,
                slot = next => slot,
            };
            let this = Arc::clone(self);
            under_way.spawn(async move {
                let _slot = slot;
                this.note(this.carry_out(order).await);
            });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
        lock(&self.failure).take().map_or(Ok(()), Err)
    }

    /// Lets [`Workload::run`] come to its end.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Harms each submitter that starts on this host from now on; `None`: no more.
    pub fn harm(&self, host: u32, mischief: Option<Mischief>) {
        let mut all = lock(&self.mischief);
        match mischief {
            Some(mischief) => all.insert(host, mischief),
            None => all.remove(&host),
        };
    }

    /// Submits one more job of this flavour, plainly, and returns its id and how many tasks it has.
    ///
    /// # Errors
    /// When the rig cannot write down or start something.
    pub async fn submit_extra(&self, flavour: Flavour, count: u64) -> Result<(String, u64)> {
        let id = lock(&self.orders).fresh_id(flavour);
        self.submit(&id, count, Manner::Plain).await?;
        Ok((id, count))
    }

    /// How many tasks a job has; `None` for an id that was never submitted.
    #[must_use]
    pub fn count_of(&self, id: &str) -> Option<u64> {
        lock(&self.counts).get(id).copied()
    }

    /// The tasks of a job that was submitted.
    #[must_use]
    pub fn expected(&self, id: &str) -> Option<Expected> {
        Expected::new(self.seed, id, self.count_of(id)?)
    }

    /// Submits the last members of groups again that may not be closed, as whoever submitted them has to. To be called when
    /// nothing is broken any more.
    ///
    /// # Errors
    /// When one cannot be closed.
    pub async fn close_groups(&self) -> Result<()> {
        let groups = std::mem::take(&mut *lock(&self.open_groups));
        for (group, last) in groups {
            let manner = Manner::Member {
                host: 1,
                group,
                is_last: true,
            };
            let count = self.count_of(&last).unwrap_or(0);
            let mut answer = None;
            for _ in 0..CLOSING_TRIES {
                answer = Some(self.submit(&last, count, manner).await?);
                if answer.as_ref().is_some_and(is_settled) {
                    break;
                }
            }
            ensure!(
                answer.as_ref().is_some_and(is_settled),
                "group {group} cannot be closed: {answer:?}"
            );
        }
        Ok(())
    }

    async fn submit_group(&self, group: u64, members: &[(String, u64)], host: u32) -> Result<()> {
        for (position, (id, count)) in (1..).zip(members) {
            let is_last = position == members.len();
            if is_last {
                lock(&self.open_groups).insert(group, id.clone());
            }
            let manner = Manner::Member { host, group, is_last };
            let answer = self.submit(id, *count, manner).await?;
            if is_last && is_settled(&answer) {
                lock(&self.open_groups).remove(&group);
            }
        }
        Ok(())
    }

    /// Removes the lists of plain submissions that came to nothing, as their submitter has to. To be called when no job is
    /// left.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn tidy(&self) -> Result<()> {
        let lists = std::mem::take(&mut *lock(&self.loose_lists));
        for id in lists {
            self.stores.remove_list(&id).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, order: Order) -> Result<()> {
        match order {
            Order::Submit { id, count, manner } => self.submit(&id, count, manner).await.map(drop),
            Order::Cancel { id } => self.cancel(&id).await,
            Order::Group {
                group,
                members,
                host,
                is_first_cancelled,
            } => {
                self.submit_group(group, &members, host).await?;
                match members.first().filter(|_| is_first_cancelled) {
                    Some((id, _)) => self.cancel(id).await,
                    None => Ok(()),
                }
            }
        }
    }

    fn note(&self, done: Result<()>) {
        if let Err(error) = done {
            lock(&self.failure).get_or_insert(error);
        }
    }

    /// The number of the next submission, from 1.
    fn number(&self) -> u64 {
        self.submissions.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Whether there is, or was, such a job.
fn is_settled(answer: &Answer) -> bool {
    matches!(answer, Answer::Acknowledged | Answer::Before)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
