//! What every program did to the ledger, held against the table of transitions.

use harness::World;
use harness::audit::{Ledger, transactions};

/// Replays the ledger of a world with its own ZooKeeper.
///
/// # Panics
/// When a transition is not in the table, or was made without the lock that it needs. So a job of this ledger went to
/// `uploaded` once at most in each life: nothing but its end comes after.
pub(crate) fn audit(world: &World) -> Ledger {
    let data = world.zookeeper().unwrap().dir().join("data");
    let ledger = Ledger::replay(&world.root(), &transactions::read(&data).unwrap());
    assert!(
        ledger.violations.is_empty(),
        "the ledger was written against its rules:\n{}",
        ledger.violations.join("\n")
    );
    ledger
}

/// A job in a ledger of its own, without any daemon.
async fn job(world: &World) -> String {
    let id = world.job_id("audited");
    world.create_job(&id, "subm=1").await.unwrap();
    world.path(&format!("jobs/{id}"))
}

#[tokio::test]
#[should_panic(expected = "from subm to uploaded")]
async fn a_transition_that_is_not_in_the_table_is_seen() {
    let world = World::private().await.unwrap();
    let path = job(&world).await;
    let zk = world.zk().await.unwrap();
    zk.set_data(&path, b"uploaded=1", None).await.unwrap();
    audit(&world);
}

#[tokio::test]
#[should_panic(expected = "from prcd to uploaded without the lock")]
async fn a_transition_without_the_lock_that_it_needs_is_seen() {
    let world = World::private().await.unwrap();
    let path = job(&world).await;
    let zk = world.zk().await.unwrap();
    zk.set_data(&path, b"prcd=1", None).await.unwrap();
    zk.set_data(&path, b"uploaded=1", None).await.unwrap();
    audit(&world);
}

#[tokio::test]
#[should_panic(expected = "deleted as subm without the lock")]
async fn a_job_that_was_deleted_before_its_end_is_seen() {
    let world = World::private().await.unwrap();
    let path = job(&world).await;
    world.zk().await.unwrap().delete(&path, None).await.unwrap();
    audit(&world);
}
