//! A session's life as a member.

use std::{collections::BTreeMap, time::Duration};

use distjob_core::{MemberInfo, Role, Zxid};
use distjob_runtime::zk::{Session, SessionSettings, Term, TermSettings, ZkError};
use futures::future::join_all;
use harness::{Effect, Trigger};
use tokio::time::timeout;

use crate::fixture::{EPHEMERAL, NEVER, PERSISTENT, SOON, Site, member};

fn info() -> MemberInfo {
    MemberInfo {
        host: "host".to_owned(),
        pid: 1,
        version: "1.0.0".to_owned(),
        queues: Vec::new(),
        slots: 1,
        limits: BTreeMap::new(),
        since: 7,
    }
}

fn settings(site: &Site, role: Role) -> TermSettings {
    TermSettings {
        session: site.settings(site.addr),
        role,
        scrub_every: NEVER,
    }
}

async fn begin(site: &Site, session: Session, name: &str) -> Result<Term, ZkError> {
    Term::begin(session, &settings(site, Role::Executor), member(name), &info()).await
}

#[tokio::test]
async fn a_term_is_over_when_somebody_removes_the_members_znode() {
    let site = Site::shared().await;
    for role in [Role::Executor, Role::Watcher] {
        let session = site.session().await;
        let term = Term::begin(session, &settings(&site, role), member("me"), &info())
            .await
            .unwrap();
        let mut over = Box::pin(term.over());
        assert!(futures::poll!(&mut over).is_pending());
        site.raw
            .delete(&site.layout.member(role, &member("me")), None)
            .await
            .unwrap();
        let why = timeout(SOON, over).await.unwrap();
        assert_eq!(why, "this member's znode was removed");
        // Also for who asks only now.
        timeout(SOON, term.over()).await.unwrap();
    }
}

#[tokio::test]
async fn a_term_is_over_when_its_session_is() {
    let site = Site::shared().await;
    let (proxy, session) = site.proxied().await;
    let term = begin(&site, session.clone(), "me").await.unwrap();
    site.expire(&proxy, &session).await;
    let why = timeout(SOON, term.over()).await.unwrap();
    assert_eq!(why, "the zookeeper session is over");
    assert!(session.is_over());
    // Nothing panics or hangs that is asked of it now.
    assert_eq!(session.connected().await, Err(ZkError::SessionOver));
    assert_eq!(term.ledger().list().await, Err(ZkError::SessionOver));
    timeout(SOON, term.leave().await.wait(SOON)).await.unwrap();
    let again = begin(&site, site.session().await, "me-again").await.unwrap();
    assert!(again.holder().born > Zxid::default());
}

#[tokio::test]
async fn who_leaves_is_gone_at_once() {
    let site = Site::shared().await;
    let term = begin(&site, site.session().await, "me").await.unwrap();
    let path = site.layout.member(Role::Executor, &member("me"));
    assert!(site.raw.check_stat(&path).await.unwrap().is_some());
    let settlement = term.leave().await;
    assert_eq!(site.raw.check_stat(&path).await.unwrap(), None);
    timeout(SOON, settlement.wait(NEVER)).await.unwrap();
}

#[tokio::test]
async fn a_registration_is_one_znode_with_its_true_birth_whatever_gets_lost() {
    let effects = [
        Effect::LoseReply,
        Effect::LoseRequest,
        Effect::HoldReply,
        Effect::HoldRequest,
    ];
    let site = Site::shared().await;
    let site = &site;
    join_all(effects.map(|effect| async move {
        let proxy = site.proxy().await;
        let impatient = SessionSettings {
            session_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_millis(400),
            ..site.settings(proxy.addr())
        };
        let session = Session::open(&impatient).await.unwrap();
        let name = format!("{effect:?}");
        let path = site.layout.member(Role::Executor, &member(&name));
        let fault = proxy.arm(effect, Trigger::creating(&path));
        let term = begin(site, session, &name).await.unwrap();
        fault.fired(SOON).await.unwrap();
        fault.release();
        term.ledger().list().await.unwrap();
        let stat = site.raw.check_stat(&path).await.unwrap().unwrap();
        assert_eq!(term.holder().born, Zxid::from(stat.czxid), "{effect:?}");
        assert_eq!(stat.ephemeral_owner, term.session().id());
    }))
    .await;
}

#[tokio::test]
async fn a_name_is_not_taken_from_another_session() {
    let site = Site::shared().await;
    let path = site.layout.member(Role::Executor, &member("taken"));
    site.raw.create(&path, b"", &EPHEMERAL).await.unwrap();
    let refused = begin(&site, site.session().await, "taken").await;
    assert!(matches!(refused, Err(ZkError::NodeExists)));
}

#[tokio::test]
async fn a_member_makes_the_directories_that_it_needs() {
    let site = Site::shared().await;
    site.raw
        .delete(&site.layout.members(Role::Executor), None)
        .await
        .unwrap();
    let term = begin(&site, site.session().await, "me").await.unwrap();
    assert!(term.holder().born > Zxid::default());
    // Making sure of what is there already changes nothing.
    site.raw
        .create(&site.layout.directory("more"), b"", &PERSISTENT)
        .await
        .unwrap();
    term.session().ensure_directories().await.unwrap();
}
