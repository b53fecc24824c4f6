//! A whole run: the cluster starts, jobs flow, faults happen as planned, everything is healed and comes to its end.
//!
//! Reading order: [`Settings`] says what is asked for, [`run`] is the story, [`Stage`] is what all its parts share.

mod end;
mod post;
mod recovery;
mod sampler;
mod settings;
mod stage;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use harness::within;
use tokio::time::{Instant, sleep, sleep_until};

pub(crate) use self::post::Post;
pub use self::settings::Settings;
pub(crate) use self::stage::Stage;
use crate::history::Event;
use crate::nemesis;
use crate::plan::{Plan, Scene, Step, Thing};

/// So many jobs are delivered before the first fault.
const WARM_JOBS: usize = 5;
/// In which time they have to be.
const WARM_WITHIN: Duration = Duration::from_secs(60);

/// Runs what `settings` ask for to its end, and leaves its history, its files and its logs in the directory that it
/// answers.
///
/// # Errors
/// When the rig could not do what it had to; what the project did wrong is the checker's matter.
pub async fn run(settings: &Settings) -> Result<()> {
    let plan = settings.plan();
    let stage = Stage::set(settings).await?;
    stage.recorder.record(Event::Began(settings.parameters(&stage)));
    let workload = Arc::clone(&stage.workload);
    let submitting = tokio::spawn(async move { workload.run().await });
    let played = async {
        let healed = play(&stage, &plan).await?;
        stage.workload.stop();
        submitting.await.context("await the workload")??;
        stage.workload.close_groups().await?;
        end::settle(&stage, healed).await
    };
    tokio::select! {
        played = played => played?,
        failed = sampler::sample(&stage) => match failed? {},
        failed = supervisor::supervise(&stage) => match failed? {},
    }
    end::leave(&stage).await?;
    stage.recorder.record(Event::Ended);
    stage.recorder.check()
}

/// Warms up, lets the faults happen, heals everything, and answers when that was.
async fn play(stage: &Stage, plan: &Plan) -> Result<Instant> {
    warm_up(stage).await?;
    let deadline = Instant::now() + stage.length;
    for scene in &plan.scenes {
        if Instant::now() + scene.quiet + scene.lasts() > deadline {
            break;
        }
        sleep(scene.quiet).await;
        perform(stage, scene).await?;
    }
    sleep_until(deadline).await;
    stage.heal().await?;
    stage.recorder.record(Event::FaultsOver);
    Ok(Instant::now())
}

/// Lets the faults of a scene happen, each in its time.
async fn perform(stage: &Stage, scene: &Scene) -> Result<()> {
    let happening = scene.steps.iter().map(async |step| {
        sleep(step.lag).await;
        nemesis::happen(stage, step, is_measured(scene, step)).await
    });
    try_join_all(happening).await.map(drop)
}

/// Whether how soon others take over is to be measured: nothing else may stand in their way at the same time.
fn is_measured(scene: &Scene, step: &Step) -> bool {
    let others = scene.steps.iter().filter(|other| other.number != step.number);
    let mut seized = others.map(|other| other.nemesis.kind().seizes());
    seized.all(|thing| thing == Thing::Submitters)
}

/// Returns when the first jobs were delivered: from here on faults harm something.
async fn warm_up(stage: &Stage) -> Result<()> {
    let warm = within(WARM_WITHIN, async || {
        let delivered = stage.delivered()?.len();
        ensure!(delivered >= WARM_JOBS, "{delivered} jobs were delivered");
        Ok(())
    });
    warm.await.context("warm up")?;
    stage.is_warm()
}
