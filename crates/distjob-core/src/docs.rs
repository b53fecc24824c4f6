//! The project's documents. They live in the crate that they explain, so that their links are checked.
//!
//! * [`architecture`]: the programs, the crates, and what each is not allowed to know
//! * [`protocol`]: the life of a job, who may do what, what happens when something dies
//! * [`invariants`]: what holds at every moment, why, and where it is checked
//! * [`evidence`]: what checks all of that, how to repeat it, and what it found
//! * [`performance`]: where the time goes, what each thing costs, how far one deployment reaches
//! * [`clients`]: submitting and waiting from any language
//! * [`decisions`]: what was decided, against what, for which reason
//!
//! The znodes are described in [`znode`](crate::znode), the Redis keys in [`keys`](crate::keys), the ledger's
//! transitions in [`ledger`](crate::ledger), the scripts in [`store`](crate::store), sharing in
//! [`share`](crate::share), with a table of what it costs.

#[doc = include_str!("docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("docs/protocol.md")]
pub mod protocol {}

#[doc = include_str!("docs/invariants.md")]
pub mod invariants {}

#[doc = include_str!("docs/evidence.md")]
pub mod evidence {}

#[doc = include_str!("docs/performance.md")]
pub mod performance {}

#[doc = include_str!("docs/decisions.md")]
pub mod decisions {}

#[doc = include_str!("docs/clients.md")]
pub mod clients {}
