//! One session's life as a member.

use std::time::Duration;

use distjob_core::{Holder, MemberInfo, MemberName, Role, Zxid, attention::Attention, board::Interest};
use tokio::time::sleep;

use super::{
    Audience, JobsView, Ledger, QueuesView, RosterView, Session, SessionSettings, ZkError, client::Mode,
    session::Settlement,
};

/// What a daemon needs to become a member.
#[derive(Clone, Debug)]
pub struct TermSettings {
    /// How to reach the ensemble.
    pub session: SessionSettings,
    /// As what to register.
    pub role: Role,
    /// How often the views are compared with what ZooKeeper lists, in case a watch got lost.
    pub scrub_every: Duration,
}

/// Everything that lives and dies with one ZooKeeper session: the registration, the name under which leases are held,
/// the right to write locked jobs, and the views.
///
/// When the session is over, or somebody removed the member's znode, the term is over: the daemon forgets what it
/// held, drops the term and begins a new one, under a new name.
#[derive(Debug)]
pub struct Term {
    role: Role,
    holder: Holder,
    ledger: Ledger,
    /// The executors.
    pub executors: RosterView,
    /// The watchers.
    pub watchers: RosterView,
    /// The jobs.
    pub jobs: JobsView,
    /// What is switched off.
    pub queues: QueuesView,
}

impl Term {
    /// Registers `info` under the fresh `name` in `session`, and begins to follow the others.
    ///
    /// # Errors
    /// [`ZkError::SessionOver`] or [`ZkError::Refused`], or [`ZkError::NodeExists`] when another session has the name:
    /// begin again with a new session and another name.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the registration behind until the session ends.
    pub async fn begin(
        session: Session,
        settings: &TermSettings,
        name: MemberName,
        info: &MemberInfo,
    ) -> Result<Self, ZkError> {
        let born = register(&session, settings.role, &name, info).await?;
        let ledger = Ledger::new(session.clone());
        let roster = |role| RosterView::follow(session.clone(), role, settings.scrub_every);
        let (executors, watchers) = (roster(Role::Executor), roster(Role::Watcher));
        let (interest, colleagues) = match settings.role {
            Role::Executor => {
                let queues = info.queues.iter().cloned().collect();
                (Interest::Execution(queues), executors.subscribe())
            }
            Role::Watcher => (Interest::Delivery, watchers.subscribe()),
        };
        let audience = Audience::member(Attention::new(name.clone(), interest), colleagues);
        Ok(Self {
            role: settings.role,
            holder: Holder { born, name },
            executors,
            watchers,
            jobs: JobsView::follow(ledger.clone(), audience, settings.scrub_every),
            queues: QueuesView::follow(session.clone(), settings.scrub_every),
            ledger,
        })
    }

    /// The member's name, with its birth.
    #[must_use]
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// The ledger, as this session may write it.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        self.ledger.session()
    }

    /// Waits until the term is over, and says why. Cancel safe.
    pub async fn over(&self) -> &'static str {
        let mut roster = match self.role {
            Role::Executor => self.executors.subscribe(),
            Role::Watcher => self.watchers.subscribe(),
        };
        let removed = async {
            if roster
                .wait_for(|roster| roster.proves_dead(&self.holder))
                .await
                .is_err()
            {
                // The view ended before the session did; the other branch will tell.
                std::future::pending::<()>().await;
            }
        };
        let session = self.session().clone();
        tokio::select! {
            biased;
            () = session.over() => "the zookeeper session is over",
            () = removed => "this member's znode was removed",
        }
    }

    /// Removes the registration, so that the others hear of it at once, and lets go of the session.
    ///
    /// One attempt: the end of the session removes the znode, too.
    pub async fn leave(self) -> Settlement {
        let session = self.session().clone();
        let path = session.layout().member(self.role, &self.holder.name);
        drop(self);
        if let Err(error) = session.reply(session.client().delete(&path, None)).await {
            tracing::debug!(%error, "the registration was not removed, the end of the session will do it");
        }
        session.close()
    }
}

/// Creates the member's znode and returns its creation zxid, however often the replies get lost.
async fn register(
    session: &Session,
    role: Role,
    name: &MemberName,
    info: &MemberInfo,
) -> Result<Zxid, ZkError> {
    let path = session.layout().member(role, name);
    let data = serde_json::to_vec(info).unwrap_or_default();
    loop {
        session.connected().await?;
        match session
            .reply(session.client().create(&path, &data, Mode::Ephemeral))
            .await
        {
            Ok(stat) => return Ok(Zxid::from(stat.czxid)),
            Err(ZkError::NoNode) => session.until_clear(|| session.ensure_directories()).await?,
            Err(ZkError::NodeExists | ZkError::Unclear(_)) => {
                match session.until_clear(|| session.fresh_stat(&path)).await? {
                    Some(stat) if stat.ephemeral_owner == session.id() => return Ok(Zxid::from(stat.czxid)),
                    Some(_) => return Err(ZkError::NodeExists),
                    None => {}
                }
            }
            Err(error) => return Err(error),
        }
        sleep(Duration::from_millis(100)).await;
    }
}
