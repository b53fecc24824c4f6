//! Both stores, for a program that ends by itself: it waits for them, says so once, and gives up.
//!
//! A daemon waits for ever; a tool that somebody waits for, or that cron starts again, waits for as long as it was
//! told. The time counts for each single question: a run that makes progress is never cut off, however long it takes.

use std::{
    fmt::Display,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use distjob_core::belonging::Belonging;
use tokio::time::{sleep, timeout};

use crate::{
    config::{RedisConfig, ZooKeeperConfig, mask_secrets},
    exit::StoreUnreachable,
    store::{JobStore, StoreError, StoreSettings, retrying},
    zk::{Ledger, Session, SessionSettings, ZkError},
};

/// After so long without an answer somebody who waits should know what for.
const NOTICE_AFTER: Duration = Duration::from_secs(2);

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
        let ReachSettings {
            zookeeper,
            redis,
            limit,
            directories,
            say,
        } = settings;
        let outage = |store, place: &str| Outage {
            store,
            place: mask_secrets(place).into_owned(),
            limit,
            last: Mutex::default(),
            is_away: AtomicBool::new(false),
            say: Arc::clone(&say),
        };
        Ok(Self {
            zookeeper_outage: outage("zookeeper", &zookeeper.connect),
            redis_outage: outage("redis", &redis.url),
            session: SessionSettings::new(&zookeeper)?,
            directories,
            ledger: tokio::sync::Mutex::new(None),
            store: JobStore::new(&StoreSettings::try_from(&redis)?).context("use [redis] url")?,
            limit,
        })
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
        let away = outages.into_iter().find(|outage| outage.is_away.load(Relaxed));
        away.map(|outage| outage.store)
    }

    /// Asks Redis until the answer is clear. `call` must do no harm when it is executed twice, or late.
    ///
    /// # Errors
    /// What Redis rejects, and [`StoreUnreachable`] after the limit: the last attempt may have had its effect.
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
    /// Every definite [`ZkError`], and [`StoreUnreachable`] after the limit: the last attempt may have had its effect.
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
    pub async fn belonging(&self) -> anyhow::Result<(Belonging, distjob_core::Zxid)> {
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

    /// Makes sure that the store belongs to the ledger; one without a mark is marked when the ledger has no past.
    ///
    /// # Errors
    /// As [`Reach::belonging`]; when they do not belong together, with what to do.
    pub async fn ensure_belonging(&self) -> anyhow::Result<()> {
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

/// What is known, and was said, of one store that does not answer.
struct Outage {
    store: &'static str,
    place: String,
    limit: Duration,
    /// Why the last attempt failed.
    last: Mutex<Option<String>>,
    is_away: AtomicBool,
    say: Say,
}

impl Outage {
    /// An attempt failed.
    fn lasts(&self, why: &impl Display) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_string());
        self.away(why);
    }

    fn away(&self, why: &impl Display) {
        if !self.is_away.swap(true, Relaxed) {
            let Self {
                store, place, limit, ..
            } = self;
            (self.say)(&format!(
                "{store} at {place} does not answer, trying for {limit:?}: {why}"
            ));
        }
    }

    /// The store answered.
    fn ended(&self) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.is_away.swap(false, Relaxed) {
            (self.say)(&format!("{} answers again", self.store));
        }
    }

    /// The error of a store that stayed away.
    fn over(&self) -> anyhow::Error {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = last.unwrap_or_else(|| "no answer".to_owned());
        anyhow!("{} within {:?}: {why}", self.place, self.limit).context(StoreUnreachable(self.store))
    }

    /// Waits for `work`, and says so when that takes long.
    async fn noticed<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        match timeout(NOTICE_AFTER, &mut work).await {
            Ok(output) => output,
            Err(_) => {
                self.away(&format_args!("no answer for {NOTICE_AFTER:?}"));
                work.await
            }
        }
    }
}

/// The error with its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors say their cause themselves.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage() -> (Outage, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&said);
        let outage = Outage {
            store: "redis",
            place: "redis://localhost".to_owned(),
            limit: Duration::from_secs(60),
            last: Mutex::default(),
            is_away: AtomicBool::new(false),
            say: Arc::new(move |text: &str| hears.lock().unwrap().push(text.to_owned())),
        };
        (outage, said)
    }

    #[test]
    fn a_store_that_goes_and_comes_is_spoken_of_once_each_time() {
        let (outage, said) = outage();
        outage.ended();
        for _ in 0..3 {
            outage.lasts(&"refused");
        }
        outage.ended();
        outage.ended();
        outage.lasts(&"reset");
        assert_eq!(
            *said.lock().unwrap(),
            [
                "redis at redis://localhost does not answer, trying for 60s: refused",
                "redis answers again",
                "redis at redis://localhost does not answer, trying for 60s: reset"
            ]
        );
    }

    #[test]
    fn a_store_that_stays_away_ends_the_program_with_its_own_status_and_the_last_reason() {
        let (outage, _) = outage();
        outage.lasts(&"refused");
        let error = outage.over();
        assert_eq!(crate::exit::Status::of(&error), crate::exit::Status::Unreachable);
        assert_eq!(
            format!("{error:#}"),
            "redis stayed unreachable: redis://localhost within 60s: refused"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_silence_is_noticed_although_nothing_failed() {
        let (outage, said) = outage();
        outage.noticed(sleep(NOTICE_AFTER / 2)).await;
        assert!(said.lock().unwrap().is_empty());
        outage.noticed(sleep(NOTICE_AFTER * 2)).await;
        assert_eq!(said.lock().unwrap().len(), 1);
    }
}
