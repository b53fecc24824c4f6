//! What a submitter asks of Redis.

use harness::{Trigger, World};
use redis::AsyncCommands as _;

use crate::load::{Job, SOON};
use crate::rig::{EFFECTS, Mishap, Rig, both, on};

/// For each effect a job of six tasks, one of whose calls of a script has this mishap: it is submitted once, which is said
/// once.
async fn each_effect(script: &str, skip: u32) {
    let rig = Rig::shared().await;
    let _crew = rig.untroubled_crew().await;
    let mut jobs = Vec::new();
    for effect in EFFECTS {
        let job = Job::echo(&rig.world, script, 6);
        let mishap = Mishap::arm(&rig.redis, effect, || on(script, &job.id).skip(skip));
        let submitter = rig.submitter(&job);
        let (said, ()) = tokio::join!(submitter.succeeded(SOON), mishap.over());
        assert_eq!(said.unwrap(), [job.id.as_str()], "{effect:?}");
        jobs.push(job);
    }
    rig.all_right_and_run_once(&jobs).await;
}

#[tokio::test]
async fn a_first_push_that_is_lost_or_late_puts_its_tasks_there_once() {
    each_effect("push", 0).await;
}

#[tokio::test]
async fn a_push_in_the_middle_that_is_lost_or_late_puts_its_tasks_there_once() {
    each_effect("push", 1).await;
}

#[tokio::test]
async fn a_last_push_that_is_lost_or_late_puts_its_tasks_there_once() {
    each_effect("push", 2).await;
}

#[tokio::test]
async fn the_push_that_makes_sure_that_all_is_there_may_be_lost_or_late() {
    each_effect("touch", 0).await;
}

#[tokio::test]
async fn the_question_whether_the_id_is_in_use_may_be_lost_or_late() {
    each_effect("inspect", 0).await;
}

#[tokio::test]
async fn the_question_whether_the_id_is_still_free_may_be_lost_or_late() {
    each_effect("inspect", 1).await;
}

#[tokio::test]
async fn an_open_of_the_submitter_that_is_lost_or_late_opens_the_job_once() {
    each_effect("open", 0).await;
}

async fn mark(world: &World) -> Option<String> {
    let mut redis = world.redis().await.unwrap();
    redis.get(format!("{}ledger", world.prefix())).await.unwrap()
}

/// Whoever comes first to both stores marks Redis; what becomes of that request must not matter.
#[tokio::test]
async fn the_ledger_mark_is_written_once_whatever_becomes_of_the_reply() {
    for effect in EFFECTS {
        let rig = Rig::shared().await;
        let job = Job::echo(&rig.world, "first", 6);
        let key = format!("{}ledger", rig.world.prefix());
        let marking = || -> Trigger { both("\r\nSET\r\n", &key) };
        let mishap = Mishap::arm(&rig.redis, effect, marking);
        let submitter = rig.submitter(&job);
        let late = mishap.repeated().await;
        let marked = mark(&rig.world).await;
        assert!(marked.is_some(), "{effect:?}");
        assert_eq!(submitter.succeeded(SOON).await.unwrap(), [job.id.as_str()]);
        late.release();
        let _crew = rig.untroubled_crew().await;
        rig.all_right_and_run_once(&[job]).await;
        assert_eq!(mark(&rig.world).await, marked, "{effect:?}");
    }
}
