//! Where things stand in ZooKeeper.
//!
//! ```text
//! <root>
//! ├── jobs/<id>        persistent   <state>=<count>[;key=value]…      the ledger
//! ├── executors/<name> ephemeral    JSON: host, pid, version, …       who executes
//! ├── watchers/<name>  ephemeral    JSON likewise                     who watches
//! ├── watchlocks/<id>  ephemeral    the name of the watcher           who delivers this job
//! ├── queues/<queue>   persistent   JSON: paused                      optional
//! └── groups/<group>   persistent   <state>;queue=<queue>[;then=<ids>] see the module `group`
//!     ├── pending/<id> persistent   nothing                           members that are not done
//!     └── done/<id>    persistent   JSON: where its result is         members that are
//! ```
//!
//! One znode per job, and one more per member of a group; never one per task. With root `/` this is the layout of the program that distjob grew from.

use std::fmt;

use crate::{GroupName, JobId, MemberName, QueueName};

/// The directories below the root that every program makes sure of.
pub const DIRECTORIES: [&str; 6] = ["jobs", "executors", "watchers", "watchlocks", "queues", "groups"];

/// What a member is: decides under which directory it registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs tasks; registers under `executors`.
    Executor,
    /// Delivers jobs; registers under `watchers`.
    Watcher,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Executor => "executor",
            Self::Watcher => "watcher",
        })
    }
}

/// Why a path cannot be the root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a root is an absolute ZooKeeper path such as /distjob, or /, not {0:?}")]
pub struct RootError(String);

/// The paths below one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Without a slash at the end; empty for the root `/`.
    base: String,
}

impl Layout {
    /// The layout below `root`.
    ///
    /// # Errors
    /// When `root` is not absolute, ends in a slash, or has an empty or relative part, or a character that ZooKeeper
    /// refuses.
    pub fn new(root: &str) -> Result<Self, RootError> {
        if root == "/" {
            return Ok(Self { base: String::new() });
        }
        // ZooKeeper's servers refuse surrogates, too: whatever is beyond U+FFFF.
        let is_refused = |c: char| c.is_control() || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..);
        let fits = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(is_refused);
        match root.strip_prefix('/') {
            Some(rest) if rest.split('/').all(fits) => Ok(Self {
                base: root.to_owned(),
            }),
            _ => Err(RootError(root.to_owned())),
        }
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &str {
        if self.base.is_empty() { "/" } else { &self.base }
    }

    /// The directory of that name, see [`DIRECTORIES`].
    #[must_use]
    pub fn directory(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// The directory of all jobs.
    #[must_use]
    pub fn jobs(&self) -> String {
        self.directory("jobs")
    }

    /// One job.
    #[must_use]
    pub fn job(&self, id: &JobId) -> String {
        format!("{}/jobs/{id}", self.base)
    }

    /// The directory of all members of a role.
    #[must_use]
    pub fn members(&self, role: Role) -> String {
        self.directory(match role {
            Role::Executor => "executors",
            Role::Watcher => "watchers",
        })
    }

    /// One member.
    #[must_use]
    pub fn member(&self, role: Role, name: &MemberName) -> String {
        format!("{}/{name}", self.members(role))
    }

    /// The directory of all locks.
    #[must_use]
    pub fn locks(&self) -> String {
        self.directory("watchlocks")
    }

    /// The directory of all queues' switches.
    #[must_use]
    pub fn queues(&self) -> String {
        self.directory("queues")
    }

    /// The switches of one queue, see [`queue`](crate::queue).
    #[must_use]
    pub fn queue(&self, name: &QueueName) -> String {
        format!("{}/queues/{name}", self.base)
    }

    /// The directory of all groups.
    #[must_use]
    pub fn groups(&self) -> String {
        self.directory("groups")
    }

    /// One group.
    #[must_use]
    pub fn group(&self, name: &GroupName) -> String {
        format!("{}/groups/{name}", self.base)
    }

    /// The directory of the group's members that are not done.
    #[must_use]
    pub fn all_pending(&self, group: &GroupName) -> String {
        format!("{}/pending", self.group(group))
    }

    /// One of them.
    #[must_use]
    pub fn pending(&self, group: &GroupName, id: &JobId) -> String {
        format!("{}/pending/{id}", self.group(group))
    }

    /// The directory of the group's members that are done.
    #[must_use]
    pub fn all_done(&self, group: &GroupName) -> String {
        format!("{}/done", self.group(group))
    }

    /// One of them.
    #[must_use]
    pub fn done(&self, group: &GroupName, id: &JobId) -> String {
        format!("{}/done/{id}", self.group(group))
    }

    /// The lock on one job.
    #[must_use]
    pub fn lock(&self, id: &JobId) -> String {
        format!("{}/watchlocks/{id}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_below_the_root() {
        let id = JobId::new("a").unwrap();
        let layout = Layout::new("/some/where").unwrap();
        assert_eq!(layout.job(&id), "/some/where/jobs/a");
        assert_eq!(layout.lock(&id), "/some/where/watchlocks/a");
        let queue = QueueName::new("q").unwrap();
        assert_eq!(layout.queue(&queue), "/some/where/queues/q");
        assert_eq!(layout.members(Role::Executor), "/some/where/executors");
        let group = GroupName::new("g").unwrap();
        assert_eq!(layout.pending(&group, &id), "/some/where/groups/g/pending/a");
        assert_eq!(layout.done(&group, &id), "/some/where/groups/g/done/a");
        let plain = Layout::new("/").unwrap();
        assert_eq!((plain.root(), plain.jobs()), ("/", "/jobs".to_owned()));
    }

    #[test]
    fn a_root_must_be_a_path() {
        for root in [
            "",
            "x",
            "/x/",
            "//",
            "/x//y",
            "/./x",
            "/x/..",
            "/x\n",
            "/\u{1f980}",
            "/\u{e000}",
            "/\u{feff}x\u{ffff}",
        ] {
            assert!(Layout::new(root).is_err(), "{root:?}");
        }
        assert!(Layout::new("/wörk").is_ok());
    }
}
