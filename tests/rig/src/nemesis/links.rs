//! Faults of the network. Links are ruled one by one, so that two faults do not undo one another.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use crate::net::{Host, Rule};
use crate::plan::{From, Step, Victim, Way};
use crate::run::Stage;

/// Silence between a process and one or all servers of a store.
pub(super) async fn cut_off(
    stage: &Stage,
    step: &Step,
    victim: Victim,
    (from, way): (From, Way),
) -> Result<()> {
    let one = stage.host(victim).await?;
    let others = match from {
        From::Server(number) => vec![server(stage, number)?],
        From::Servers => stage.cluster.ledger().hosts().to_vec(),
        From::Redis => stage.cluster.store().hosts().to_vec(),
    };
    silence(stage, step, &one, &others, way).await;
    Ok(())
}

/// Silence between a ZooKeeper server and the other ones.
pub(super) async fn split_servers(stage: &Stage, step: &Step, number: u32, way: Way) -> Result<()> {
    let one = server(stage, number)?;
    let servers = stage.cluster.ledger().hosts().iter();
    let others: Vec<_> = servers.filter(|host| **host != one).cloned().collect();
    silence(stage, step, &one, &others, way).await;
    Ok(())
}

fn server(stage: &Stage, number: u32) -> Result<Host> {
    let place = usize::try_from(number)?
        .checked_sub(1)
        .context("servers count from 1")?;
    stage
        .cluster
        .ledger()
        .hosts()
        .get(place)
        .cloned()
        .with_context(|| format!("there is no server {number}"))
}

async fn silence(stage: &Stage, step: &Step, one: &Host, others: &[Host], way: Way) {
    let rule_all = |rule: Rule| {
        for other in others {
            if way != Way::In {
                stage.cluster.fabric().rule(one, other, rule);
            }
            if way != Way::Out {
                stage.cluster.fabric().rule(other, one, rule);
            }
        }
    };
    rule_all(Rule::DOWN);
    sleep(step.lasts).await;
    rule_all(Rule::PERFECT);
}

/// Everything takes longer.
pub(super) async fn slow(stage: &Stage, step: &Step, delay_ms: u32, jitter_ms: u32) -> Result<()> {
    let ms = |ms| Duration::from_millis(u64::from(ms));
    everywhere(stage, step, Rule::slow(ms(delay_ms), ms(jitter_ms))).await
}

/// A share of everything is lost.
pub(super) async fn lose(stage: &Stage, step: &Step, per_mille: u32) -> Result<()> {
    everywhere(stage, step, Rule::lossy(f64::from(per_mille) / 1_000.0)).await
}

async fn everywhere(stage: &Stage, step: &Step, rule: Rule) -> Result<()> {
    let hosts = stage.hosts().await?;
    let rule_all = |rule: Rule| {
        for one in &hosts {
            for other in hosts.iter().filter(|other| *other != one) {
                stage.cluster.fabric().rule(one, other, rule);
            }
        }
    };
    rule_all(rule);
    sleep(step.lasts).await;
    rule_all(Rule::PERFECT);
    Ok(())
}

/// All connections of a process, or all to Redis, are reset, twice.
pub(super) async fn cut_connections(stage: &Stage, step: &Step, victim: Option<Victim>) -> Result<()> {
    for _ in 0..2 {
        match victim {
            Some(victim) => stage.cluster.fabric().reset(&stage.host(victim).await?)?,
            // It may be away, which cuts them as well.
            None => drop(stage.cluster.store().kill_clients().await),
        }
        sleep(step.lasts / 2).await;
    }
    Ok(())
}
