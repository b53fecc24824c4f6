//! The live view of the members.

use std::{collections::BTreeMap, sync::Arc};

use distjob_core::{Holder, MemberInfo, Role, Roster, Zxid};
use distjob_runtime::zk::RosterView;
use tokio::time::timeout;
use zookeeper_client::{Acls, Client, CreateMode};

use crate::fixture::{EPHEMERAL, NEVER, SOON, Site, disconnect, member};

fn info(slots: u32) -> MemberInfo {
    MemberInfo {
        host: "host".to_owned(),
        pid: 1,
        version: "1.0.0".to_owned(),
        queues: Vec::new(),
        slots,
        limits: BTreeMap::new(),
        since: 7,
    }
}

/// Registers an executor past distjob's code.
async fn join(site: &Site, client: &Client, name: &str) -> Holder {
    let path = site.layout.member(Role::Executor, &member(name));
    let data = serde_json::to_vec(&info(3)).unwrap();
    let (stat, _) = client.create(&path, &data, &EPHEMERAL).await.unwrap();
    Holder {
        born: Zxid::from(stat.czxid),
        name: member(name),
    }
}

async fn follow(site: &Site) -> RosterView {
    RosterView::follow(site.session().await, Role::Executor, NEVER)
}

/// The first list that is as wanted.
async fn sees(view: &RosterView, wanted: impl Fn(&Roster) -> bool) -> Arc<Roster> {
    let mut lists = view.subscribe();
    let seen = timeout(SOON, lists.wait_for(|roster| wanted(roster))).await;
    let Ok(Ok(roster)) = seen else {
        panic!("not seen, only {:?}", view.roster())
    };
    Arc::clone(&roster)
}

#[tokio::test]
async fn members_come_and_go_and_only_those_who_went_are_proven_dead() {
    let site = Site::shared().await;
    let view = follow(&site).await;
    let other = harness::servers::zookeeper::connect(&site.addr.to_string())
        .await
        .unwrap();
    let stays = join(&site, &site.raw, "stays").await;
    let goes = join(&site, &other, "goes").await;
    let both = sees(&view, |roster| roster.members.len() == 2).await;
    assert_eq!(both.members[&member("stays")], Some(info(3)));
    assert_eq!(both.as_of, goes.born);
    assert!(!both.proves_dead(&stays) && !both.proves_dead(&goes));
    drop(other);
    let after = sees(&view, |roster| roster.members.len() == 1).await;
    assert!(after.proves_dead(&goes) && !after.proves_dead(&stays));
    let (_, stat) = site
        .raw
        .get_children(&site.layout.members(Role::Executor))
        .await
        .unwrap();
    assert_eq!(after.as_of, Zxid::from(stat.pzxid));
    assert!(
        !both.proves_dead(&goes),
        "an older list proves no more than it did"
    );
}

#[tokio::test]
async fn a_member_that_cannot_be_read_is_a_member() {
    let site = Site::shared().await;
    let view = follow(&site).await;
    let directory = site.layout.members(Role::Executor);
    let odd = format!("{directory}/odd");
    site.raw.create(&odd, b"no json", &EPHEMERAL).await.unwrap();
    site.raw
        .create(&format!("{directory}/a name"), b"", &EPHEMERAL)
        .await
        .unwrap();
    let secretive = harness::servers::zookeeper::connect(&site.addr.to_string())
        .await
        .unwrap();
    secretive.auth("digest", b"somebody:secret").await.unwrap();
    let private = CreateMode::Ephemeral.with_acls(Acls::creator_all());
    secretive
        .create(&format!("{directory}/secret"), b"{}", &private)
        .await
        .unwrap();
    let clear = join(&site, &site.raw, "clear").await;
    let roster = sees(&view, |roster| roster.members.len() == 3).await;
    assert_eq!(roster.members[&member("odd")], None);
    assert_eq!(roster.members[&member("secret")], None);
    assert_eq!(roster.members[&member("clear")], Some(info(3)));
    assert!(!roster.proves_dead(&clear));
}

#[tokio::test]
async fn a_list_that_was_never_read_proves_nothing() {
    let site = Site::shared().await;
    let session = site.session().await;
    let dead = Holder {
        born: Zxid::new(1),
        name: member("dead"),
    };
    let view = RosterView::follow(session, Role::Watcher, NEVER);
    // Nothing has run since, so nothing was read.
    assert!(!view.roster().proves_dead(&dead));
}

#[tokio::test]
async fn who_joined_or_left_while_the_view_was_cut_off_is_seen_afterwards() {
    let site = Site::shared().await;
    let (proxy, session) = site.proxied().await;
    let view = RosterView::follow(session.clone(), Role::Executor, NEVER);
    let other = harness::servers::zookeeper::connect(&site.addr.to_string())
        .await
        .unwrap();
    join(&site, &other, "leaves").await;
    sees(&view, |roster| roster.members.len() == 1).await;
    for round in 0..5 {
        disconnect(&proxy, &session).await;
        let name = format!("joins-{round}");
        join(&site, &site.raw, &name).await;
        proxy.accept().await.unwrap();
        sees(&view, |roster| roster.members.contains_key(&member(&name))).await;
    }
    drop(other);
    sees(&view, |roster| !roster.members.contains_key(&member("leaves"))).await;
}
