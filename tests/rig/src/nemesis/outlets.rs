//! A webhook and a store of objects that do not take what is brought to them.

use tokio::time::sleep;

use crate::cluster::Mood;
use crate::plan::Step;
use crate::run::Stage;

/// They are in that mood, then well again.
pub(super) async fn vex(stage: &Stage, step: &Step, mood: Mood) {
    stage.cluster.outlets().set_mood(mood);
    sleep(step.lasts).await;
    stage.cluster.outlets().set_mood(Mood::Well);
}
