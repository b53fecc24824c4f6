//! Invariant 8: with one executor and one watcher that can reach both stores long enough, every job ends, and nothing
//! is left: no lock, no list, no key but tombstones.

use crate::{protocol::Protocol, world::World};

/// Whether the calm run from here ends every job.
pub(super) fn holds(protocol: &Protocol, world: &World) -> bool {
    protocol.ends_well(world)
}
