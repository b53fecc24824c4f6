//! Groups: members come in with their jobs, each is done once, and the group is joined once.

use distjob_core::group::GroupStep;
use distjob_core::{GroupEntry, GroupName, JobData, JobId, QueueName};
use distjob_runtime::zk::{
    Created, GroupLook, GroupRead, JobRead, Joining, Ledger, Lock, Membership, Seat, Settling, ZkError,
};

use crate::fixture::{Site, data, entry, id, locked, token};
use crate::mishaps::{MULTI, request, with_every_effect};

fn group(text: &str) -> GroupName {
    GroupName::new(text).unwrap()
}

fn queue() -> QueueName {
    QueueName::new("words").unwrap()
}

fn member_data(group: &GroupName) -> JobData {
    data(&format!("subm=3;queue=words;from={};group={group}", token()))
}

async fn opened(ledger: &Ledger, name: &GroupName) -> GroupEntry {
    let read = ledger.open_group(name, &queue()).await.unwrap();
    read.into_group().unwrap()
}

async fn look(ledger: &Ledger, name: &GroupName) -> GroupLook {
    ledger.look_at_group(name).await.unwrap().unwrap()
}

/// Adds a job to the group.
async fn add(ledger: &Ledger, name: &GroupName, id: &JobId, seat: Seat) {
    let group = opened(ledger, name).await;
    let data = member_data(name);
    let membership = ledger.create_in_group(id, &data, name, &group, seat).await;
    let now = entry(ledger, id).await;
    assert_eq!(membership, Ok(Membership::Job(Created::Yes(now))));
}

/// Takes a member's lock, as it is now.
async fn lock(ledger: &Ledger, id: &JobId) -> Lock {
    let before = entry(ledger, id).await;
    locked(ledger, id, &before).await
}

/// Adds a job to the group, and moves it to done.
async fn add_done(ledger: &Ledger, name: &GroupName, id: &JobId, seat: Seat) -> Lock {
    add(ledger, name, id, seat).await;
    let lock = lock(ledger, id).await;
    let settled = ledger.settle_in_group(&lock, name, id.as_str().as_bytes()).await;
    assert_eq!(settled, Ok(Settling::Done));
    lock
}

fn follow_up(name: &GroupName, group: &GroupEntry) -> [(JobId, JobData); 1] {
    let text = format!("subm=2;queue=merge;from={};depth=1;joins={name}", token());
    [(name.joined(group.life, "merge"), data(&text))]
}

#[tokio::test]
async fn a_group_goes_from_its_first_job_to_the_one_that_joins_it() {
    let site = Site::shared().await;
    let (ledger, g) = (site.ledger().await, group("g"));
    assert_eq!(ledger.group(&g).await, Ok(GroupRead::Gone));
    assert_eq!(ledger.look_at_group(&g).await, Ok(None));
    add(&ledger, &g, &id("b"), Seat::Another).await;
    add(&ledger, &g, &id("a"), Seat::Last).await;
    assert_eq!(ledger.groups().await, Ok(vec![g.clone()]));
    assert_eq!(ledger.pending_members(&g).await, Ok(vec![id("a"), id("b")]));

    let first = lock(&ledger, &id("b")).await;
    assert_eq!(ledger.settle_in_group(&first, &g, b"B").await, Ok(Settling::Done));
    let seen = look(&ledger, &g).await;
    assert_eq!((seen.pending, seen.done, seen.step()), (1, 1, GroupStep::Leave));
    let last = lock(&ledger, &id("a")).await;
    assert_eq!(ledger.settle_in_group(&last, &g, b"A").await, Ok(Settling::Done));
    let seen = look(&ledger, &g).await;
    assert_eq!((seen.pending, seen.done, seen.step()), (0, 2, GroupStep::Join));

    let done = ledger.done_members(&g).await.unwrap();
    assert_eq!(done, [id("a"), id("b")]);
    let told = ledger.done_data(&g, &done).await.unwrap();
    assert_eq!(told, [Some(b"A".to_vec()), Some(b"B".to_vec())]);
    let then = follow_up(&g, &seen.group);
    assert_eq!(
        ledger.join_group(&last, &g, &seen.group, &then).await,
        Ok(Joining::Done)
    );
    let joined = look(&ledger, &g).await;
    assert_eq!(joined.step(), GroupStep::CleanUp);
    assert_eq!(joined.group.data.then, [then[0].0.clone()]);
    assert_eq!(entry(&ledger, &then[0].0).await.data, then[0].1);
    ledger.remove_group(&g, &joined.group).await.unwrap();
    assert_eq!(ledger.group(&g).await, Ok(GroupRead::Gone));
    assert_eq!(ledger.groups().await, Ok(vec![]));
}

#[tokio::test]
async fn a_closed_group_takes_no_job_and_one_that_was_closed_meanwhile_neither() {
    let site = Site::shared().await;
    let (ledger, g) = (site.ledger().await, group("g"));
    let open = opened(&ledger, &g).await;
    add(&ledger, &g, &id("a"), Seat::Last).await;
    let closed = opened(&ledger, &g).await;
    for seen in [open, closed.clone()] {
        let membership = ledger
            .create_in_group(&id("b"), &member_data(&g), &g, &seen, Seat::Another)
            .await;
        let found = GroupRead::Group(closed.clone());
        assert_eq!(membership, Ok(Membership::Overtaken(found)));
    }
    assert_eq!(site.data(&id("b")).await, None);
    assert_eq!(ledger.pending_members(&g).await, Ok(vec![id("a")]));
}

#[tokio::test]
async fn a_job_that_is_there_already_is_no_member_of_a_second_group() {
    let site = Site::shared().await;
    let (ledger, g) = (site.ledger().await, group("g"));
    let before = site.put(&id("a"), "subm=3;queue=words").await;
    let open = opened(&ledger, &g).await;
    let membership = ledger
        .create_in_group(&id("a"), &member_data(&g), &g, &open, Seat::Last)
        .await;
    assert_eq!(
        membership,
        Ok(Membership::Job(Created::Exists(JobRead::Job(before))))
    );
    assert_eq!(look(&ledger, &g).await.group, open);
    assert_eq!(ledger.pending_members(&g).await, Ok(vec![]));
}

#[tokio::test]
async fn a_job_whose_znode_somebody_took_away_can_be_a_member_again() {
    let site = Site::shared().await;
    let (ledger, g) = (site.ledger().await, group("g"));
    add(&ledger, &g, &id("a"), Seat::Another).await;
    site.remove(&id("a")).await;
    add(&ledger, &g, &id("a"), Seat::Last).await;
    // Also when an earlier job of this id was done long ago.
    let first = lock(&ledger, &id("a")).await;
    assert_eq!(ledger.settle_in_group(&first, &g, b"1").await, Ok(Settling::Done));
    site.raw
        .create(
            &site.layout.pending(&g, &id("a")),
            b"",
            &crate::fixture::PERSISTENT,
        )
        .await
        .unwrap();
    assert_eq!(ledger.settle_in_group(&first, &g, b"2").await, Ok(Settling::Done));
    assert_eq!(ledger.pending_members(&g).await, Ok(vec![]));
    let told = ledger.done_data(&g, &[id("a")]).await.unwrap();
    assert_eq!(told, [Some(b"2".to_vec())]);
}

#[tokio::test]
async fn a_member_that_is_done_stays_so_and_one_of_another_group_of_the_name_is_a_stranger() {
    let site = Site::shared().await;
    let (ledger, g) = (site.ledger().await, group("g"));
    let lock = add_done(&ledger, &g, &id("a"), Seat::Last).await;
    assert_eq!(
        ledger.settle_in_group(&lock, &g, b"again").await,
        Ok(Settling::Done)
    );
    let told = ledger.done_data(&g, &[id("a")]).await.unwrap();
    assert_eq!(told, [Some(b"a".to_vec())]);

    let closed = look(&ledger, &g).await.group;
    assert_eq!(
        ledger.join_group(&lock, &g, &closed, &[]).await,
        Ok(Joining::Done)
    );
    let joined = look(&ledger, &g).await.group;
    ledger.remove_group(&g, &joined).await.unwrap();
    assert_eq!(
        ledger.settle_in_group(&lock, &g, b"late").await,
        Ok(Settling::Stranger)
    );
    add(&ledger, &g, &id("b"), Seat::Last).await;
    assert_eq!(
        ledger.settle_in_group(&lock, &g, b"late").await,
        Ok(Settling::Stranger)
    );
    // Nor may it join what it is no member of, although both groups came to the same version.
    let next = look(&ledger, &g).await.group;
    assert_eq!((next.version, &next.data), (closed.version, &closed.data));
    let then = follow_up(&g, &closed);
    let joining = ledger.join_group(&lock, &g, &closed, &then).await;
    assert_eq!(joining, Ok(Joining::Overtaken(GroupRead::Group(next.clone()))));
    assert_eq!(site.data(&then[0].0).await, None);
    // And who cleans up after the first leaves the second alone.
    ledger.remove_group(&g, &joined).await.unwrap();
    assert_eq!(look(&ledger, &g).await.group, next);
}

#[tokio::test]
async fn of_two_watchers_that_find_a_group_complete_one_joins_it() {
    let site = Site::shared().await;
    let (one, other) = tokio::join!(site.ledger(), site.ledger());
    for round in 0..20 {
        let g = group(&format!("g{round}"));
        let (a, b) = (id(&format!("a{round}")), id(&format!("b{round}")));
        let left = add_done(&one, &g, &a, Seat::Another).await;
        let right = add_done(&other, &g, &b, Seat::Last).await;
        let closed = look(&one, &g).await.group;
        let (mine, theirs) = (follow_up(&g, &closed), follow_up(&g, &closed));
        let (one_did, other_did) = tokio::join!(
            one.join_group(&left, &g, &closed, &mine),
            other.join_group(&right, &g, &closed, &theirs)
        );
        let joined = GroupRead::Group(look(&one, &g).await.group);
        let winner = match (one_did.unwrap(), other_did.unwrap()) {
            (Joining::Done, Joining::Overtaken(found)) => {
                assert_eq!(found, joined);
                &mine
            }
            (Joining::Overtaken(found), Joining::Done) => {
                assert_eq!(found, joined);
                &theirs
            }
            neither => panic!("{neither:?}"),
        };
        assert_eq!(entry(&one, &winner[0].0).await.data, winner[0].1);
        // Both clean up, at once.
        let joined = joined.into_group().unwrap();
        let (one_did, other_did) =
            tokio::join!(one.remove_group(&g, &joined), other.remove_group(&g, &joined));
        assert_eq!((one_did, other_did), (Ok(()), Ok(())));
        assert_eq!(one.group(&g).await, Ok(GroupRead::Gone));
    }
}

#[tokio::test]
async fn without_its_lock_a_member_is_not_done_and_joins_nothing() {
    let site = Site::shared().await;
    let (one, other) = tokio::join!(site.ledger(), site.ledger());
    let g = group("g");
    add(&one, &g, &id("a"), Seat::Last).await;
    let held = lock(&one, &id("a")).await;
    let settling = other.settle_in_group(&held, &g, b"a").await;
    assert_eq!(settling, Ok(Settling::LockLost));
    let copy = held.clone();
    one.unlock(held).await.unwrap();
    assert_eq!(one.settle_in_group(&copy, &g, b"a").await, Ok(Settling::LockLost));
    assert_eq!(one.pending_members(&g).await, Ok(vec![id("a")]));

    let held = lock(&other, &id("a")).await;
    assert_eq!(other.settle_in_group(&held, &g, b"a").await, Ok(Settling::Done));
    other.unlock(held).await.unwrap();
    let closed = look(&one, &g).await.group;
    let then = follow_up(&g, &closed);
    assert_eq!(
        one.join_group(&copy, &g, &closed, &then).await,
        Ok(Joining::LockLost)
    );
    assert_eq!(look(&one, &g).await.group, closed);
    assert_eq!(site.data(&then[0].0).await, None);
}

#[tokio::test]
async fn a_group_with_hundreds_of_members_is_read_and_taken_away_whole() {
    let site = Site::shared().await;
    let (ledger, g) = (site.ledger().await, group("g"));
    let held = add_done(&ledger, &g, &id("last"), Seat::Last).await;
    let mut ids: Vec<_> = (0..450).map(|number| id(&format!("m{number:04}"))).collect();
    for id in &ids {
        let path = site.layout.done(&g, id);
        site.raw
            .create(&path, id.as_str().as_bytes(), &crate::fixture::PERSISTENT)
            .await
            .unwrap();
    }
    ids.insert(0, id("last"));
    assert_eq!(ledger.done_members(&g).await.as_ref(), Ok(&ids));
    let told = ledger.done_data(&g, &ids).await.unwrap();
    assert!(
        told.iter()
            .zip(&ids)
            .all(|(told, id)| told.as_deref() == Some(id.as_str().as_bytes()))
    );
    let closed = look(&ledger, &g).await;
    assert_eq!((closed.pending, closed.done), (0, 451));
    let group = closed.group;
    assert_eq!(ledger.join_group(&held, &g, &group, &[]).await, Ok(Joining::Done));
    let joined = look(&ledger, &g).await.group;
    ledger.remove_group(&g, &joined).await.unwrap();
    assert_eq!(ledger.group(&g).await, Ok(GroupRead::Gone));
}

#[tokio::test]
async fn a_follow_up_of_a_group_whose_id_is_taken_leaves_everything_as_it_is() {
    let site = Site::shared().await;
    let (ledger, g) = (site.ledger().await, group("g"));
    let held = add_done(&ledger, &g, &id("a"), Seat::Last).await;
    let closed = look(&ledger, &g).await.group;
    let then = follow_up(&g, &closed);
    site.put(&then[0].0, "subm=9").await;
    let joining = ledger.join_group(&held, &g, &closed, &then).await;
    assert_eq!(joining, Err(ZkError::NodeExists));
    assert_eq!(look(&ledger, &g).await.group, closed);
}

#[tokio::test]
async fn a_member_comes_in_once_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let g = group(&format!("g-{}", rig.id));
        let open = opened(&rig.ledger, &g).await;
        let wanted = member_data(&g);
        let fault = rig.arm(request(MULTI, site.layout.job(&rig.id)));
        let create = async || {
            let created = rig
                .ledger
                .create_in_group(&rig.id, &wanted, &g, &open, Seat::Last)
                .await;
            created.unwrap()
        };
        let mut created = create().await;
        if created == Membership::Job(Created::Absent) {
            created = create().await;
        }
        rig.late(fault).await;
        let now = entry(&rig.ledger, &rig.id).await;
        assert_eq!(
            created,
            Membership::Job(Created::Yes(now.clone())),
            "{:?}",
            rig.effect
        );
        assert_eq!((now.data, now.version), (wanted, 0));
        let seen = look(&rig.ledger, &g).await;
        assert_eq!((seen.pending, seen.group.version), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_member_is_done_once_and_its_group_is_joined_once_whatever_gets_lost() {
    with_every_effect(async |site, rig| {
        let g = group(&format!("g-{}", rig.id));
        add(&rig.ledger, &g, &rig.id, Seat::Last).await;
        let held = lock(&rig.ledger, &rig.id).await;
        let fault = rig.arm(request(MULTI, site.layout.pending(&g, &rig.id)));
        let settled = rig.ledger.settle_in_group(&held, &g, b"about").await;
        assert_eq!(settled, Ok(Settling::Done), "{:?}", rig.effect);
        rig.late(fault).await;
        let seen = look(&rig.ledger, &g).await;
        assert_eq!((seen.pending, seen.done), (0, 1), "{:?}", rig.effect);

        let then = follow_up(&g, &seen.group);
        let fault = rig.arm(request(MULTI, site.layout.job(&then[0].0)));
        let joining = rig.ledger.join_group(&held, &g, &seen.group, &then).await;
        rig.late(fault).await;
        let joined = look(&rig.ledger, &g).await.group;
        // Whose it was is not known where the reply got lost.
        let expected = [
            Joining::Done,
            Joining::Overtaken(GroupRead::Group(joined.clone())),
        ];
        assert!(expected.contains(&joining.unwrap()), "{:?}", rig.effect);
        assert_eq!((joined.version, joined.data.then.len()), (2, 1));
        let now = entry(&rig.ledger, &then[0].0).await;
        assert_eq!((&now.data, now.version), (&then[0].1, 0));

        let fault = rig.arm(request(MULTI, site.layout.done(&g, &rig.id)));
        rig.ledger.remove_group(&g, &joined).await.unwrap();
        rig.late(fault).await;
        assert_eq!(
            rig.ledger.group(&g).await,
            Ok(GroupRead::Gone),
            "{:?}",
            rig.effect
        );
        rig.ledger.unlock(held).await.unwrap();
    })
    .await;
}
