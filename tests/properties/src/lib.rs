//! What every parser of distjob promises about any input.
//!
//! Each function takes arbitrary bytes and panics when a promise is broken. `tests/fuzz` calls them with inputs that
//! grow by what they reach in the code, the tests beside this crate with proptest's inputs: one text of the
//! promises, so that the two cannot drift apart.

#![expect(clippy::unwrap_used, reason = "a property panics when it does not hold")]

mod configuration;
mod job;
mod member;
mod names;
mod outcomes;
mod replies;

pub use configuration::configuration;
pub use job::job;
pub use member::member;
pub use names::names;
pub use outcomes::outcomes;
pub use replies::replies;

/// A property: it returns when it holds for these bytes, and panics when not.
pub type Property = fn(&[u8]);

/// All properties by name. A fuzz target and a directory of seeds have the same name.
pub const ALL: [(&str, Property); 6] = [
    ("configuration", configuration),
    ("job", job),
    ("member", member),
    ("names", names),
    ("outcomes", outcomes),
    ("replies", replies),
];
