//! One request of each method is lost or late, or its reply is; the method ends with what is the case.

use std::time::Duration;

use anyhow::ensure;
use distjob_core::{JobId, JobState};
use distjob_runtime::zk::{Created, JobRead, Ledger, Session, SessionSettings, Written};
use futures::future::join_all;
use harness::{Effect, Fault, Proxy, Trigger, eventually};

use crate::fixture::{SOON, Site, data, entry, id, locked, token};

// `ZooDefs.OpCode`.
const DELETE: i32 = 2;
const SET: i32 = 5;
pub(crate) const MULTI: i32 = 14;
const MULTI_READ: i32 = 22;

const EFFECTS: [Effect; 4] = [
    Effect::LoseReply,
    Effect::LoseRequest,
    Effect::HoldReply,
    Effect::HoldRequest,
];

/// The next request of this kind that names this path.
pub(crate) fn request(opcode: i32, path: String) -> Trigger {
    Trigger::when(move |request| {
        request.get(8..12) == Some(&opcode.to_be_bytes()[..])
            && request
                .windows(path.len())
                .any(|window| window == path.as_bytes())
    })
}

/// A ledger behind a proxy, impatient with replies, and a job of its own.
pub(crate) struct Rig {
    proxy: Proxy,
    pub(crate) ledger: Ledger,
    pub(crate) id: JobId,
    pub(crate) effect: Effect,
}

impl Rig {
    async fn new(site: &Site, effect: Effect) -> Self {
        let proxy = site.proxy().await;
        let settings = SessionSettings {
            // Gives a silent connection up after two fifths of this, and then begins another one.
            session_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_millis(400),
            ..site.settings(proxy.addr())
        };
        let session = Session::open(&settings).await.unwrap();
        Self {
            proxy,
            ledger: Ledger::new(session),
            id: id(&format!("{effect:?}-{}", harness::unique())),
            effect,
        }
    }

    pub(crate) fn arm(&self, trigger: Trigger) -> Fault {
        self.proxy.arm(self.effect, trigger)
    }

    /// Lets go what is held and returns when it has come as far as it ever will.
    pub(crate) async fn late(&self, fault: Fault) {
        fault.fired(SOON).await.unwrap();
        fault.release();
        eventually("the connections but the last one end", SOON, async || {
            let open = self.proxy.connection_count();
            ensure!(open == 1, "{open} are open after {:?}", self.effect);
            Ok(())
        })
        .await;
        // What the server has read it has done before it answers this.
        self.ledger.read_fresh(&self.id).await.unwrap();
    }
}

/// Runs `test` with each effect, all at once: most of the time is waiting.
pub(crate) async fn with_every_effect(test: impl AsyncFn(&Site, Rig)) {
    let site = Site::shared().await;
    join_all(EFFECTS.map(async |effect| test(&site, Rig::new(&site, effect).await).await)).await;
}

#[tokio::test]
async fn a_create_is_settled_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let wanted = data(&format!("subm=3;from={}", token()));
        let fault = rig.arm(Trigger::creating(&site.layout.job(&rig.id)));
        let mut created = rig.ledger.create(&rig.id, &wanted).await.unwrap();
        if rig.effect == Effect::LoseRequest {
            assert_eq!(created, Created::Absent);
        }
        if created == Created::Absent {
            created = rig.ledger.create(&rig.id, &wanted).await.unwrap();
        }
        rig.late(fault).await;
        let now = entry(&rig.ledger, &rig.id).await;
        assert_eq!(created, Created::Yes(now.clone()), "{:?}", rig.effect);
        assert_eq!((now.data, now.version), (wanted, 0));
    })
    .await;
}

#[tokio::test]
async fn a_change_takes_effect_once_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let before = site.put(&rig.id, "subm=3").await;
        let fault = rig.arm(request(SET, site.layout.job(&rig.id)));
        let written = rig.ledger.set(&rig.id, &before, &data("prcd=3")).await.unwrap();
        assert_eq!(written, Written::Yes, "{:?}", rig.effect);
        rig.late(fault).await;
        let now = entry(&rig.ledger, &rig.id).await;
        assert_eq!((now.data.state, now.version), (JobState::Processed, 1));
    })
    .await;
}

#[tokio::test]
async fn a_change_that_another_one_overtook_while_it_was_lost_is_void() {
    with_every_effect(async |site, rig| {
        let before = site.put(&rig.id, "subm=3").await;
        let fault = rig.arm(request(SET, site.layout.job(&rig.id)));
        let wanted = data("prcd=3");
        // Whoever lost the connection has another one only after the change.
        rig.proxy.refuse().await;
        let (written, ()) = tokio::join!(rig.ledger.set(&rig.id, &before, &wanted), async {
            fault.fired(SOON).await.unwrap();
            site.change(&rig.id, "cncl=3").await;
            rig.proxy.accept().await.unwrap();
        });
        assert!(
            matches!(written, Ok(Written::Overtaken(JobRead::Job(now))) if now.data.state == JobState::Cancelled)
        );
        rig.late(fault).await;
        assert_eq!(site.data(&rig.id).await.as_deref(), Some("cncl=3"));
    })
    .await;
}

#[tokio::test]
async fn a_lock_is_taken_once_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let before = site.put(&rig.id, "prcd=3").await;
        let fault = rig.arm(Trigger::creating(&site.layout.lock(&rig.id)));
        let lock = locked(&rig.ledger, &rig.id, &before).await;
        rig.late(fault).await;
        let owner = site.lock_owner(&rig.id).await;
        assert_eq!(owner, Some(rig.ledger.session().id()), "{:?}", rig.effect);
        rig.ledger.unlock(lock).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_change_under_a_lock_takes_effect_once_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let before = site.put(&rig.id, "prcd=3").await;
        let lock = locked(&rig.ledger, &rig.id, &before).await;
        let fault = rig.arm(request(MULTI, site.layout.job(&rig.id)));
        let written = rig.ledger.set_locked(&lock, &before, &data("uploaded=3")).await;
        assert_eq!(written, Ok(Written::Yes), "{:?}", rig.effect);
        rig.late(fault).await;
        let now = entry(&rig.ledger, &rig.id).await;
        assert_eq!((now.data.state, now.version), (JobState::Uploaded, 1));
        rig.ledger.unlock(lock).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_deletion_takes_the_lock_along_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let before = site.put(&rig.id, "uploaded=3").await;
        let lock = locked(&rig.ledger, &rig.id, &before).await;
        let fault = rig.arm(request(MULTI, site.layout.job(&rig.id)));
        let written = rig.ledger.delete_locked(&lock, &before).await;
        assert_eq!(written, Ok(Written::Yes), "{:?}", rig.effect);
        // The id begins another life, in the same version; nothing late may touch it.
        site.put(&rig.id, "uploaded=4").await;
        rig.late(fault).await;
        assert_eq!(site.data(&rig.id).await.as_deref(), Some("uploaded=4"));
        assert_eq!(site.lock_owner(&rig.id).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_lock_is_given_back_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let before = site.put(&rig.id, "prcd=3").await;
        let lock = locked(&rig.ledger, &rig.id, &before).await;
        let fault = rig.arm(request(DELETE, site.layout.lock(&rig.id)));
        rig.ledger.unlock(lock).await.unwrap();
        assert_eq!(site.lock_owner(&rig.id).await, None, "{:?}", rig.effect);
        rig.late(fault).await;
    })
    .await;
}

#[tokio::test]
async fn whose_a_lock_is_becomes_clear_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let before = site.put(&rig.id, "prcd=3").await;
        let lock = locked(&rig.ledger, &rig.id, &before).await;
        let fault = rig.arm(request(MULTI_READ, site.layout.lock(&rig.id)));
        assert_eq!(rig.ledger.holds(&lock).await, Ok(true), "{:?}", rig.effect);
        rig.late(fault).await;
        rig.ledger.unlock(lock).await.unwrap();
    })
    .await;
}
