//! Both stores, for a program that ends by itself: it waits for them, says so once, and gives up.
//!
//! A daemon waits for ever; a tool that somebody waits for, or that cron starts again, waits for as long as it was
//! told. The time counts for each single question: a run that makes progress is never cut off, however long it takes.

mod outage;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use distjob_core::{Zxid, belonging::Belonging};
use tokio::time::{sleep, timeout};

use self::outage::{Outage, causes};
use crate::{
    config::{RedisConfig, ZooKeeperConfig},
    joint::Joint,
    store::{JobStore, StoreError, StoreSettings, retrying},
    zk::{Ledger, Session, SessionSettings, ZkError},
};

/// What the first session does about directories that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directories {
    /// Creates them.
    Create,
    /// Leaves them alone: a tool for looking must not make a ledger where there is none.
    Expect,
}

/// Takes the sentences about stores that come and go, each without a full stop.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// How to use both stores.
#[derive(Clone)]
pub struct ReachSettings {
    /// The ledger.
    pub zookeeper: ZooKeeperConfig,
    /// The bulk store.
    pub redis: RedisConfig,
    /// For how long a single question is asked again.
    pub limit: Duration,
    /// What to do about missing directories.
    pub directories: Directories,
    /// Who hears of stores that come and go.
    pub say: Say,
}

/// Both stores.
pub struct Reach {
    session: SessionSettings,
    directories: Directories,
    ledger: tokio::sync::Mutex<Option<Ledger>>,
    store: JobStore,
    limit: Duration,
    zookeeper_outage: Outage,
    redis_outage: Outage,
    /// Whether they belong together, for all who ask at the same time.
    belonging: Joint<()>,
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reach")
            .field("session", &self.session)
            .field("store", &self.store)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Reach {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the settings make no sense, which checking the configuration has said before.
    pub fn new(settings: ReachSettings) -> anyhow::Result<Self> {
        let session = SessionSettings::new(&settings.zookeeper)?;
        let store = JobStore::new(&StoreSettings::try_from(&settings.redis)?).context("use [redis] url")?;
        Ok(Self::over(session, store, settings))
    }

    /// With both stores given, whatever they are made of; the settings say only what to call them.
    #[must_use]
    pub fn over(session: SessionSettings, store: JobStore, settings: ReachSettings) -> Self {
        let ReachSettings {
            zookeeper,
            redis,
            limit,
            directories,
            say,
        } = settings;
        let outage = |store, place| Outage::new(store, place, limit, Arc::clone(&say));
        Self {
            zookeeper_outage: outage("zookeeper", &zookeeper.connect),
            redis_outage: outage("redis", &redis.url),
            session,
            directories,
            ledger: tokio::sync::Mutex::new(None),
            store,
            limit,
            belonging: Joint::default(),
        }
    }

    /// The store, for what is to be asked once only.
    #[must_use]
    pub fn store(&self) -> &JobStore {
        &self.store
    }

    /// The store that does not answer at present, as far as somebody has asked.
    #[must_use]
    pub fn away(&self) -> Option<&'static str> {
        let outages = [&self.zookeeper_outage, &self.redis_outage];
        let away = outages.into_iter().find(|outage| outage.is_away());
        away.map(|outage| outage.store)
    }

    /// Asks Redis until the answer is clear. `call` must do no harm when it is executed twice, or late.
    ///
    /// # Errors
    /// What Redis rejects, and [`StoreUnreachable`](crate::exit::StoreUnreachable) after the limit: the last attempt may have had its effect.
    ///
    /// Cancel safe, as `call` is.
    pub async fn redis<T, F>(&self, mut call: impl FnMut() -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let attempts = retrying(sleep(self.limit), || {
            let attempt = call();
            async {
                attempt.await.inspect_err(|error| {
                    if error.is_transient() {
                        self.redis_outage.lasts(&causes(error));
                    }
                })
            }
        });
        match self.redis_outage.noticed(attempts).await {
            Err(error) if error.is_transient() => Err(self.redis_outage.over()),
            reply => {
                self.redis_outage.ended();
                Ok(reply?)
            }
        }
    }

    /// Asks ZooKeeper until the answer is clear, with a new session when the last one is over. `call` must do no harm
    /// when it is executed twice, or late.
    ///
    /// # Errors
    /// Every definite [`ZkError`], and [`StoreUnreachable`](crate::exit::StoreUnreachable) after the limit: the last attempt may have had its effect.
    ///
    /// Cancel safe, as `call` is.
    pub async fn zookeeper<T, F>(&self, mut call: impl FnMut(Ledger) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, ZkError>>,
    {
        let attempts = async {
            loop {
                match self.attempt(&mut call).await {
                    Err(error) if !error.is_definite() => self.zookeeper_outage.lasts(&error),
                    clear => return clear,
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        match timeout(self.limit, self.zookeeper_outage.noticed(attempts)).await {
            Err(_) => Err(self.zookeeper_outage.over()),
            Ok(reply) => {
                self.zookeeper_outage.ended();
                Ok(reply?)
            }
        }
    }

    async fn attempt<T, F>(&self, call: &mut impl FnMut(Ledger) -> F) -> Result<T, ZkError>
    where
        F: Future<Output = Result<T, ZkError>>,
    {
        let ledger = {
            let mut current = self.ledger.lock().await;
            match &*current {
                Some(ledger) if !ledger.session().is_over() => ledger.clone(),
                _ => {
                    let session = Session::open(&self.session).await?;
                    if self.directories == Directories::Create {
                        session.ensure_directories().await?;
                    }
                    current.insert(Ledger::new(session)).clone()
                }
            }
        };
        call(ledger).await
    }

    /// Ends the session, so that the servers need not wait for it. One attempt, a second at most; whoever asks again
    /// gets a new one.
    pub async fn leave(&self) {
        if let Some(ledger) = self.ledger.lock().await.take() {
            let session = ledger.session().clone();
            drop(ledger);
            session.close().wait(Duration::from_secs(1)).await;
        }
    }

    /// How store and ledger stand to each other. A store without a mark is left as it is.
    ///
    /// # Errors
    /// As [`Reach::zookeeper`] and [`Reach::redis`]; when there is no ledger.
    pub async fn belonging(&self) -> anyhow::Result<(Belonging, Zxid)> {
        // First: a mark that comes in between is no surprise, but a ledger that is used and has no mark would be one.
        let identity = self
            .zookeeper(|ledger| async move {
                match ledger.session().ledger_identity().await {
                    Err(ZkError::NoNode) => Ok(None),
                    identity => identity.map(Some),
                }
            })
            .await
            .context("read the ledger's identity")?;
        let Some((ledger, is_unused)) = identity else {
            bail!(
                "there is no ledger at {} in zookeeper {}: check [zookeeper] connect and root",
                self.session.layout.root(),
                self.session.connect
            );
        };
        let mark = self
            .redis(|| self.store.ledger_mark())
            .await
            .context("read the ledger mark")?;
        Ok((Belonging::judge(mark, ledger, is_unused), ledger))
    }

    /// Makes sure that the store belongs to the ledger; one without a mark is marked when the ledger has no past. Those who
    /// ask at the same time are [answered together](Joint).
    ///
    /// # Errors
    /// As [`Reach::belonging`]; when they do not belong together, with what to do.
    pub async fn ensure_belonging(&self) -> anyhow::Result<()> {
        self.belonging.ask(|| self.ask_belonging()).await
    }

    async fn ask_belonging(&self) -> anyhow::Result<()> {
        let (mut belonging, ledger) = self.belonging().await?;
        if belonging == Belonging::Unclaimed {
            let mark = self
                .redis(|| self.store.mark_ledger(ledger))
                .await
                .context("mark the store")?;
            belonging = Belonging::judge(Some(mark), ledger, false);
        }
        belonging
            .complaint()
            .map_or(Ok(()), |complaint| Err(anyhow!(complaint)))
    }
}
