//! How a daemon becomes a member, and when it stands still.
//!
//! A daemon lives in *terms*, one ZooKeeper session each. A term begins only when Redis answers and belongs to the
//! ledger; [`Doorman::begin_term`] waits for that, says on the way what is missing, and registers. Whoever finds later
//! that the store does not belong to the ledger any more stands still until [`Doorman::belongs`] says otherwise.

use std::{collections::BTreeMap, time::Duration};

use distjob_core::{MemberInfo, MemberName, QueueName, belonging::Belonging};
use tokio::time::sleep;

use crate::{
    chance,
    health::{Condition, Heartbeat, Readiness, Told},
    shutdown::Stop,
    store::{JobStore, StoreError},
    zk::{Session, Term, TermSettings, ZkError},
};

/// The conditions without which a daemon is not ready.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// The ZooKeeper session has a connection.
    pub zookeeper: Condition,
    /// Redis answers.
    pub redis: Condition,
    /// The store belongs to the ledger.
    pub ledger: Condition,
    /// The member's znode is there.
    pub registered: Condition,
}

impl Conditions {
    /// Names all of them, none met.
    #[must_use]
    pub fn require(readiness: &Readiness) -> Self {
        let [zookeeper, redis, ledger, registered] =
            readiness.require(["zookeeper", "redis", "ledger", "registered"]);
        Self {
            zookeeper,
            redis,
            ledger,
            registered,
        }
    }
}

/// Why it is not known whether store and ledger belong together.
#[derive(Debug, thiserror::Error)]
pub enum BelongingError {
    /// ZooKeeper did not answer.
    #[error("read the ledger's identity: {0}")]
    ZooKeeper(#[from] ZkError),
    /// Redis did not answer.
    #[error("read the ledger mark: {0}")]
    Redis(#[from] StoreError),
}

/// Whether `store` belongs to the ledger of `session`, as both say right now. A store without a mark is marked when
/// the ledger has no past. Never answers [`Belonging::Unclaimed`].
///
/// # Errors
/// When one of them does not answer clearly. Cancel safe.
pub async fn belonging(session: &Session, store: &JobStore) -> Result<Belonging, BelongingError> {
    let (ledger, is_unused) = session.ledger_identity().await?;
    let judged = Belonging::judge(store.ledger_mark().await?, ledger, is_unused);
    if judged != Belonging::Unclaimed {
        return Ok(judged);
    }
    let mark = store.mark_ledger(ledger).await?;
    Ok(Belonging::judge(Some(mark), ledger, false))
}

/// Waits for `work` while the daemon's main loop would be beating. Cancel safe when `work` is.
pub async fn beating<F: Future>(heartbeat: &Heartbeat, work: F) -> F::Output {
    let mut work = std::pin::pin!(work);
    loop {
        heartbeat.beat();
        tokio::select! {
            biased;
            output = &mut work => return output,
            () = heartbeat.due() => {}
        }
    }
}

/// What a member offers to do.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The queues that it serves; none: all.
    pub queues: Vec<QueueName>,
    /// How many tasks or jobs it works on at once.
    pub slots: u32,
    /// Where it works on fewer of one queue.
    pub limits: BTreeMap<QueueName, u32>,
}

/// Lets a daemon in.
#[derive(Clone, Debug)]
pub struct Doorman {
    /// How to become a member.
    pub settings: TermSettings,
    /// The store that must belong to the ledger.
    pub store: JobStore,
    /// What the daemon needs to be ready.
    pub conditions: Conditions,
}

/// How long to wait before asking again whether store and ledger belong together.
pub const BELONGING_PAUSE: Duration = Duration::from_secs(2);

impl Doorman {
    /// Waits until both stores answer and belong together, and registers in a fresh session under a fresh name.
    /// `None` when the request to stop comes first.
    pub async fn begin_term(&self, stop: &Stop, heartbeat: &Heartbeat, offer: &Offer) -> Option<Term> {
        stop.unless_requested(beating(heartbeat, self.enter(offer))).await
    }

    async fn enter(&self, offer: &Offer) -> Term {
        self.conditions.registered.unmet("waiting for both stores");
        loop {
            let session = Session::open_persistently(&self.settings.session, |error| {
                tracing::warn!(%error, connect = self.settings.session.connect, "failed to open a zookeeper session, trying again");
                self.conditions.zookeeper.unmet(error.to_string());
            })
            .await;
            self.conditions.zookeeper.met();
            if !self.settle(&session).await {
                continue;
            }
            let (name, info) = introduce(offer);
            match Term::begin(session, &self.settings, name, &info).await {
                Ok(term) => {
                    tracing::info!(member = %term.holder().name, "registered");
                    self.conditions.registered.met();
                    return term;
                }
                Err(error) => tracing::warn!(%error, "failed to register, beginning again"),
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until the store answers and belongs to the ledger; `false` when the session ended first.
    async fn settle(&self, session: &Session) -> bool {
        loop {
            if self.belongs(session).await {
                return true;
            }
            tokio::select! {
                biased;
                () = session.over() => return false,
                () = sleep(BELONGING_PAUSE) => {}
            }
        }
    }

    /// Whether the store belongs to the ledger, with the conditions set accordingly. An answer that cannot be had
    /// counts as no. Cancel safe.
    pub async fn belongs(&self, session: &Session) -> bool {
        let answer = belonging(session, &self.store).await;
        match &answer {
            Ok(belonging) => {
                self.conditions.zookeeper.met();
                self.conditions.redis.met();
                match belonging.complaint() {
                    None => self.conditions.ledger.met(),
                    Some(complaint) => {
                        if self.conditions.ledger.unmet(complaint.as_str()) == Told::News {
                            tracing::error!("standing still: {complaint}");
                        }
                    }
                }
            }
            Err(error @ BelongingError::Redis(_)) => {
                if self.conditions.redis.unmet(error.to_string()) == Told::News {
                    tracing::warn!(%error, "redis does not answer, trying again");
                }
            }
            Err(error @ BelongingError::ZooKeeper(_)) => {
                if self.conditions.zookeeper.unmet(error.to_string()) == Told::News {
                    tracing::warn!(%error, "zookeeper does not answer, trying again");
                }
            }
        }
        matches!(answer, Ok(Belonging::Ours))
    }
}

/// A fresh name, and what to say of this process.
fn introduce(offer: &Offer) -> (MemberName, MemberInfo) {
    let (host, pid) = chance::whereabouts();
    let name = MemberName::fresh(&host, &format!("{pid}-{}", chance::hex(12)))
        .expect("digits and hexadecimal digits make a name");
    let info = MemberInfo {
        host,
        pid,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queues: offer.queues.clone(),
        slots: offer.slots,
        limits: offer.limits.clone(),
        since: u64::try_from(chance::since_1970().as_millis()).unwrap_or(u64::MAX),
    };
    (name, info)
}
