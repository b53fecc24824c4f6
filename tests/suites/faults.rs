//! Faults: processes that die, freeze and leave, servers that restart, go away and lose data, while jobs flow.

#![expect(clippy::unwrap_used, reason = "tests panic, and so do their helpers")]

#[path = "faults/audit.rs"]
mod audit;
#[path = "faults/blackout.rs"]
mod blackout;
#[path = "faults/churn.rs"]
mod churn;
#[path = "faults/emptied.rs"]
mod emptied;
#[path = "faults/executors.rs"]
mod executors;
#[path = "faults/load.rs"]
mod load;
#[path = "faults/losses.rs"]
mod losses;
#[path = "faults/poison.rs"]
mod poison;
#[path = "faults/recovery.rs"]
mod recovery;
#[path = "faults/redis.rs"]
mod redis_faults;
#[path = "faults/rollback.rs"]
mod rollback;
#[path = "faults/watchers.rs"]
mod watchers;
#[path = "faults/zookeeper.rs"]
mod zookeeper;
