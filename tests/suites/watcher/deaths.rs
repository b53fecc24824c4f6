//! A watcher that dies, or freezes, at each point of its way: another one resumes.

use std::time::Duration;

use harness::eventually;

use crate::SOON;
use crate::stage::Stage;

/// A watcher kills itself at `point`; the next one brings the job to its end.
async fn dies_at(point: &str) {
    let stage = Stage::new().await;
    let first = stage.watcher_with_point("first", &format!("{point}=kill")).await;
    let job = stage.processed(23).await;
    assert!(!first.wait(SOON).await.unwrap().success());
    let _second = stage.watcher("second").await;
    stage.delivered(&job).await;
}

#[tokio::test]
async fn a_death_with_the_lock_just_taken_is_survived() {
    dies_at("locked").await;
}

#[tokio::test]
async fn a_death_with_all_written_and_not_synced_is_survived() {
    dies_at("collected").await;
}

#[tokio::test]
async fn a_death_before_the_rename_is_survived() {
    dies_at("before-rename").await;
}

#[tokio::test]
async fn a_death_with_the_manifest_written_and_without_its_name_is_survived() {
    dies_at("manifest-written").await;
}

#[tokio::test]
async fn a_death_between_the_manifest_and_the_result_is_survived() {
    dies_at("manifest").await;
}

#[tokio::test]
async fn a_death_after_the_rename_is_survived() {
    dies_at("after-rename").await;
}

#[tokio::test]
async fn a_death_after_uploaded_is_survived() {
    dies_at("uploaded").await;
}

#[tokio::test]
async fn a_death_after_the_drop_is_survived() {
    dies_at("dropped").await;
}

#[tokio::test]
async fn a_death_before_the_deletion_is_survived() {
    dies_at("before-delete").await;
}

/// A watcher freezes at `point` for longer than its session lives; another one delivers; then it goes on, and does no
/// harm.
async fn freezes_at(point: &str) {
    let stage = Stage::new().await;
    let first = stage.watcher_with_point("first", &format!("{point}=stop")).await;
    let before = stage.world.registered(&first).await.unwrap();
    let job = stage.processed(23).await;
    eventually("the first watcher freezes with the lock", SOON, async || {
        let locks = stage.world.locks().await?;
        anyhow::ensure!(locks.values().eq([&before.name]), "{locks:?}");
        Ok(())
    })
    .await;
    let _second = stage.watcher("second").await;
    stage.delivered(&job).await;

    first.resume().unwrap();
    let after = eventually("the first watcher is back under a new name", SOON, async || {
        let after = stage.world.registered(&first).await?;
        anyhow::ensure!(after.name != before.name, "still {}", before.name);
        Ok(after)
    })
    .await;
    assert_ne!(after.session, before.session);
    stage.delivered(&job).await;
    let job = stage.processed(5).await;
    stage.delivered(&job).await;
    first.stop(SOON).await.unwrap();
}

#[tokio::test]
async fn a_watcher_that_froze_before_the_rename_publishes_nothing() {
    freezes_at("before-rename").await;
}

#[tokio::test]
async fn a_watcher_that_froze_before_the_deletion_deletes_nothing() {
    freezes_at("before-delete").await;
}

#[tokio::test]
async fn a_watcher_whose_znode_was_removed_registers_anew_and_goes_on() {
    let stage = Stage::new().await;
    let watcher = stage.watcher("w").await;
    let before = stage.world.registered(&watcher).await.unwrap();
    let zk = stage.world.zk().await.unwrap();
    zk.delete(&stage.world.path(&format!("watchers/{}", before.name)), None)
        .await
        .unwrap();
    eventually(
        "the watcher is back under a new name",
        Duration::from_secs(20),
        async || {
            let after = stage.world.registered(&watcher).await?;
            anyhow::ensure!(after.name != before.name, "still {}", before.name);
            Ok(())
        },
    )
    .await;
    let job = stage.processed(5).await;
    stage.delivered(&job).await;
}
