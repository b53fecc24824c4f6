//! What is done to the ensemble.

use anyhow::{bail, ensure};
use distjob_rig::history::RedisKind;
use distjob_rig::net::Rule;
use harness::eventually;
use zookeeper_client::SessionId;

use crate::inside::inside;
use crate::{Rig, SOON};

async fn an_ensemble_without_a_majority_comes_back() {
    let rig = Rig::start(RedisKind::Aof).await;
    let ledger = rig.cluster.ledger();
    rig.works("before").await;
    let leader = ledger.leader_number().await.unwrap();
    let follower = (leader + 1) % 3;
    ledger.members()[leader].kill().await.unwrap();
    ledger.members()[follower].kill().await.unwrap();
    eventually("nobody leads", SOON, async || {
        ensure!(ledger.leader_number().await.is_err(), "somebody leads");
        Ok(())
    })
    .await;
    ledger.start_missing().await.unwrap();
    rig.works("after").await;
}

/// A leader that hears nobody, and is heard by nobody, does not hold the others up.
async fn a_leader_that_is_cut_off_is_replaced() {
    let rig = Rig::start(RedisKind::Aof).await;
    let (ledger, fabric) = (rig.cluster.ledger(), rig.cluster.fabric());
    rig.works("before").await;
    let leader = ledger.leader_number().await.unwrap();
    let others = (0..3).filter(|number| *number != leader);
    for other in others.clone() {
        fabric.rule_both(&ledger.hosts()[leader], &ledger.hosts()[other], Rule::DOWN);
    }
    eventually("another leads", SOON, async || {
        for other in others.clone() {
            let answer = ledger.members()[other].four_letters("srvr").await?;
            if answer.contains("Mode: leader") {
                return Ok(());
            }
        }
        bail!("none of the others leads")
    })
    .await;
    rig.works("without").await;
    fabric.heal_all();
    eventually("it follows", SOON, async || {
        let answer = ledger.members()[leader].four_letters("srvr").await?;
        ensure!(answer.contains("Mode: follower"), "{answer}");
        Ok(())
    })
    .await;
    rig.works("with-it").await;
}

async fn an_expired_session_makes_an_executor_register_anew() {
    let rig = Rig::start(RedisKind::Aof).await;
    let registered = "registered member=";
    rig.executor.wait_log(registered, SOON).await.unwrap();
    let line = rig
        .executor
        .wait_log("session established: 0x", SOON)
        .await
        .unwrap();
    let (_, id) = line.split_once("established: 0x").unwrap();
    let id = id.split(' ').next().unwrap();
    let session = SessionId(u64::from_str_radix(id, 16).unwrap().cast_signed());

    let mark = rig.executor.stderr().mark();
    rig.cluster.ledger().expire(session).await.unwrap();
    let again = rig.executor.stderr().wait_after(mark, registered, SOON);
    again.await.unwrap();
    rig.works("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_an_ensemble_without_a_majority_comes_back() {
    if inside() {
        an_ensemble_without_a_majority_comes_back().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_namespaces_a_leader_that_is_cut_off_is_replaced() {
    if inside() {
        a_leader_that_is_cut_off_is_replaced().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_an_expired_session_makes_an_executor_register_anew() {
    an_expired_session_makes_an_executor_register_anew().await;
}
