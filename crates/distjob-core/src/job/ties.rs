//! What ties a job to others, and to operators' decisions: nothing, for most.

use std::{
    hash::{Hash, Hasher},
    ops::{Deref, DerefMut},
};

use crate::{GroupName, JobId, SinkName};

/// [`Links`] that take the room of a pointer where there are none: whoever follows all jobs holds many.
///
/// What is looked at through a shared reference takes no more room for that; writing makes room.
#[derive(Clone, Debug, Default)]
pub struct Ties(Option<Box<Links>>);

/// What is known of a job beside its own work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Links {
    /// The job that it follows; of a job that joins a group, the one that found the group complete.
    pub parent: Option<JobId>,
    /// How many jobs it follows, one after the other: 0 of one that a submitter made.
    pub depth: u32,
    /// The group whose results are its tasks.
    pub joins: Option<GroupName>,
    /// The group that it is a member of.
    pub group: Option<GroupName>,
    /// The follow-ups that were created when it became uploaded.
    pub then: Vec<JobId>,
    /// Sinks that count as having it, as an operator decided. At most [`SKIPS_MAX`](super::SKIPS_MAX).
    pub skip: Vec<SinkName>,
}

/// Of a job without any.
static NONE: Links = Links {
    parent: None,
    depth: 0,
    joins: None,
    group: None,
    then: Vec::new(),
    skip: Vec::new(),
};

impl Ties {
    /// None.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// The same with a change.
    #[must_use]
    pub fn with(&self, change: impl FnOnce(&mut Links)) -> Self {
        let mut links = self.0.clone().unwrap_or_default();
        change(&mut links);
        Self((*links != NONE).then_some(links))
    }
}

impl Deref for Ties {
    type Target = Links;

    fn deref(&self) -> &Links {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Ties {
    fn deref_mut(&mut self) -> &mut Links {
        self.0.get_or_insert_default()
    }
}

impl PartialEq for Ties {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Ties {}

impl Hash for Ties {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}
