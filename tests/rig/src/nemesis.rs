//! The faults themselves: each begins, lasts, and ends, and what it did is undone then.
//!
//! What cannot be begun or undone is an error of the rig, which ends the run: nothing is left half broken in silence.

mod disk;
mod handlers;
mod links;
mod members;
mod outlets;
mod redis;
mod zookeeper;

use anyhow::{Context as _, Result};

use crate::history::Event;
use crate::plan::{Nemesis, Step, Victim};
use crate::run::Stage;

/// Lets one fault happen, from its record to the end of all that it did. How soon others take over from a daemon that it
/// kills is recorded when it `is_measured`.
///
/// # Errors
/// When it could not be begun or undone.
pub(crate) async fn happen(stage: &Stage, step: &Step, is_measured: bool) -> Result<()> {
    let (number, nemesis) = (u64::from(step.number), &step.nemesis);
    if let Some(why) = impossible(stage, nemesis) {
        eprintln!("fault {number} is left out: {nemesis}: {why}");
        return Ok(());
    }
    stage.recorder.record(Event::FaultBegan {
        number,
        kind: nemesis.kind().name().to_owned(),
        targets: nemesis.targets(),
        detail: nemesis.detail(),
    });
    let happened = match *nemesis {
        Nemesis::Kill(Victim::Submitter(host)) | Nemesis::Freeze(Victim::Submitter(host), _) => {
            members::harm_submitters(stage, step, host).await;
            Ok(())
        }
        Nemesis::Kill(victim) => members::kill(stage, step, victim, is_measured).await,
        Nemesis::Stop(victim) => members::stop(stage, step, victim).await,
        Nemesis::Freeze(victim, _) => members::freeze(stage, step, victim).await,
        Nemesis::FreezeExecutors => {
            members::freeze_executors(stage, step).await;
            Ok(())
        }
        Nemesis::Ambush { point, freeze, .. } => {
            let what = if freeze.is_some() { "stop" } else { "kill" };
            members::ambush(stage, step, &format!("{point}={what}"), is_measured).await
        }
        Nemesis::Expire(victim) => members::expire(stage, step, victim).await,
        Nemesis::MoveClock(victim, by_s) => members::move_clock(stage, step, victim, by_s).await,
        Nemesis::Churn => members::churn(stage, step).await,
        Nemesis::CutOff { victim, from, way } => links::cut_off(stage, step, victim, (from, way)).await,
        Nemesis::SplitServers { server, way } => links::split_servers(stage, step, server, way).await,
        Nemesis::SlowLinks { delay_ms, jitter_ms } => links::slow(stage, step, delay_ms, jitter_ms).await,
        Nemesis::LossyLinks { per_mille } => links::lose(stage, step, per_mille).await,
        Nemesis::CutConnections(victim) => links::cut_connections(stage, step, victim).await,
        Nemesis::KillLeader => zookeeper::kill_leader(stage, step).await,
        Nemesis::LoseQuorum => zookeeper::lose_quorum(stage, step).await,
        Nemesis::RollingRestart => zookeeper::rolling_restart(stage).await,
        Nemesis::KillRedis => redis::kill(stage, step).await,
        Nemesis::CutTail { bytes } => redis::cut_tail(stage, step, bytes).await,
        Nemesis::PromoteReplica => redis::promote(stage, step).await,
        Nemesis::PauseRedis => redis::pause(stage, step).await,
        Nemesis::FlushScripts => redis::flush_scripts(stage, step).await,
        Nemesis::LimitMemory => redis::limit_memory(stage, step).await,
        Nemesis::FillDisk => disk::fill(stage, step).await,
        Nemesis::Vex(mood) => {
            outlets::vex(stage, step, mood).await;
            Ok(())
        }
        Nemesis::Abort => handlers::abort(stage).await,
        Nemesis::Hang => handlers::hang(stage).await,
        Nemesis::Bloat => handlers::bloat(stage).await,
    };
    happened.with_context(|| format!("let fault {number} happen: {nemesis}"))?;
    stage.recorder.record(Event::FaultEnded { number });
    Ok(())
}

/// Why a fault cannot happen where everything runs on loopback addresses, if it cannot.
fn impossible(stage: &Stage, nemesis: &Nemesis) -> Option<&'static str> {
    let can = stage.cluster.fabric().capabilities();
    match nemesis {
        Nemesis::SplitServers { .. } if !can.servers_among_themselves => {
            Some("nothing stands between the servers on loopback addresses")
        }
        Nemesis::LossyLinks { .. } if !can.loss => Some("nothing is lost on loopback addresses"),
        Nemesis::FillDisk if !stage.cluster.sink().can_be_filled() => Some("the disk is not the rig's own"),
        _ => None,
    }
}
