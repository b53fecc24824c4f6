//! Members, and the proof that one is dead.
//!
//! A member is a live executor or watcher: one ephemeral znode with a name that is fresh for every ZooKeeper session.
//! It holds leases under its [`Holder`] name, which carries the znode's creation zxid.
//!
//! **A death is known, not guessed.** A list of members proves that a holder is dead when it is at least as new as
//! the holder's registration and lacks its name: the name was there, no session will ever use it again, and it is
//! gone. Without the comparison, a reply from a follower that has not yet heard of a fresh member would "prove" the
//! death of somebody who has just been born.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{MemberName, QueueName, Zxid};

/// What the znode of a member says about it, as JSON. For people and for sharing; no rule of correctness reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Name of the machine.
    pub host: String,
    /// Process id there.
    pub pid: u32,
    /// Version of the program.
    pub version: String,
    /// The queues that it serves. Empty for a watcher: it serves all.
    #[serde(default)]
    pub queues: Vec<QueueName>,
    /// How many tasks (executor) or jobs (watcher) it works on at once.
    #[serde(default)]
    pub slots: u32,
    /// The queues of which it works on fewer tasks at once than it has slots, with how many.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<QueueName, u32>,
    /// When it registered, in milliseconds since 1970 by its own clock.
    #[serde(default)]
    pub since: u64,
}

impl MemberInfo {
    /// Whether it serves `queue`.
    #[must_use]
    pub fn serves(&self, queue: &QueueName) -> bool {
        self.queues.is_empty() || self.queues.contains(queue)
    }

    /// How many tasks of `queue` it works on at once, at most. At least one: it may not say.
    #[must_use]
    pub fn slots_for(&self, queue: &QueueName) -> u32 {
        let limit = self.limits.get(queue).copied().unwrap_or(u32::MAX);
        self.slots.min(limit).max(1)
    }
}

/// Under which name an executor holds leases: `<creation zxid of its znode>.<name>`. `H` in the scripts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Creation zxid of the ephemeral znode.
    pub born: Zxid,
    /// The member's name.
    pub name: MemberName,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.born, self.name)
    }
}

/// The text is not `<zxid>.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a holder is written <16 hex digits>.<member name>, not as {0:?}")]
pub struct HolderError(String);

impl FromStr for Holder {
    type Err = HolderError;

    fn from_str(text: &str) -> Result<Self, HolderError> {
        let parse = || {
            let (born, name) = text.split_once('.')?;
            Some(Self {
                born: born.parse().ok()?,
                name: MemberName::new(name).ok()?,
            })
        };
        parse().ok_or_else(|| HolderError(text.chars().take(100).collect()))
    }
}

/// The members of one role, as *one* reply to "get children" showed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The directory's `pzxid` in that same reply: the last change of its children that the reply knows of.
    pub as_of: Zxid,
    /// Names, with what their znodes say where that could be read.
    pub members: BTreeMap<MemberName, Option<MemberInfo>>,
    /// The creation zxids of their znodes, as far as those could be read.
    pub born: BTreeMap<MemberName, Zxid>,
}

impl Roster {
    /// Whether this list proves that `holder` is dead, see [the module](self).
    #[must_use]
    pub fn proves_dead(&self, holder: &Holder) -> bool {
        self.as_of >= holder.born && !self.members.contains_key(&holder.name)
    }

    /// Whom this list proves dead of those who were on the list `before`.
    pub fn departed<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Holder> + 'a {
        let holder = |(name, born): (&MemberName, &Zxid)| Holder {
            born: *born,
            name: name.clone(),
        };
        let holders = before.born.iter().map(holder);
        holders.filter(|holder| self.proves_dead(holder))
    }

    /// How many slots the members that serve `queue` have, together. A member that does not say has one.
    #[must_use]
    pub fn slots_for(&self, queue: &QueueName) -> u64 {
        let infos = self
            .members
            .values()
            .filter(|info| info.as_ref().is_none_or(|info| info.serves(queue)));
        infos
            .map(|info| info.as_ref().map_or(1, |info| u64::from(info.slots_for(queue))))
            .sum()
    }

    /// The members that serve `queue`, sorted by name. A member whose znode could not be read is taken to serve all.
    pub fn serving<'a>(&'a self, queue: &'a QueueName) -> impl Iterator<Item = &'a MemberName> {
        self.members
            .iter()
            .filter(|(_, info)| info.as_ref().is_none_or(|info| info.serves(queue)))
            .map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(born: u64, name: &str) -> Holder {
        Holder {
            born: Zxid::new(born),
            name: MemberName::new(name).unwrap(),
        }
    }

    fn roster(as_of: u64, names: &[&str]) -> Roster {
        let members = names
            .iter()
            .map(|name| (MemberName::new(*name).unwrap(), None))
            .collect();
        Roster {
            as_of: Zxid::new(as_of),
            members,
            born: BTreeMap::new(),
        }
    }

    #[test]
    fn a_list_that_is_older_than_a_member_proves_nothing_about_it() {
        assert!(!roster(9, &["b"]).proves_dead(&holder(10, "a")));
        assert!(roster(10, &["b"]).proves_dead(&holder(10, "a")));
        assert!(!roster(11, &["a", "b"]).proves_dead(&holder(10, "a")));
    }

    #[test]
    fn only_a_newer_list_tells_who_departed() {
        let mut before = roster(10, &["a", "b", "c"]);
        for (name, born) in [("a", 4), ("b", 9)] {
            before
                .born
                .insert(MemberName::new(name).unwrap(), Zxid::new(born));
        }
        let departed = |as_of, names: &[&str]| roster(as_of, names).departed(&before).collect::<Vec<_>>();
        assert_eq!(departed(11, &["a"]), [holder(9, "b")]);
        assert_eq!(departed(11, &[]), [holder(4, "a"), holder(9, "b")]);
        assert_eq!(
            departed(8, &[]),
            [holder(4, "a")],
            "an older reply, which has not heard of b"
        );
    }

    #[test]
    fn a_holder_is_written_and_read() {
        let holder = holder(0xab, "host-1");
        assert_eq!(holder.to_string(), "00000000000000ab.host-1");
        assert_eq!(holder.to_string().parse(), Ok(holder));
        assert!("ab.host".parse::<Holder>().is_err());
        assert!("00000000000000ab.ho.st".parse::<Holder>().is_err());
    }

    #[test]
    fn a_member_serves_the_queues_that_it_names() {
        let info: MemberInfo =
            serde_json::from_str(r#"{"host":"h","pid":1,"version":"0.1.0","queues":["primes"]}"#).unwrap();
        let primes = QueueName::new("primes").unwrap();
        assert!(info.serves(&primes) && !info.serves(&QueueName::default_queue()));
        let mut roster = roster(1, &["a", "b"]);
        roster.members.insert(MemberName::new("a").unwrap(), Some(info));
        let serving = |queue: &QueueName| roster.serving(queue).map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(serving(&primes), ["a", "b"]);
        assert_eq!(serving(&QueueName::default_queue()), ["b"]);
    }

    #[test]
    fn a_queue_has_the_slots_of_those_that_serve_it_as_far_as_they_give_them_to_it() {
        let info = |text| Some(serde_json::from_str(text).unwrap());
        let mut roster = roster(1, &["a", "b", "c"]);
        for (name, text) in [
            (
                "a",
                r#"{"host":"h","pid":1,"version":"1","queues":["primes"],"slots":8,"limits":{"primes":2}}"#,
            ),
            (
                "b",
                r#"{"host":"h","pid":1,"version":"1","slots":4,"limits":{"default":9}}"#,
            ),
        ] {
            roster.members.insert(MemberName::new(name).unwrap(), info(text));
        }
        assert_eq!(roster.slots_for(&QueueName::new("primes").unwrap()), 2 + 4 + 1);
        assert_eq!(roster.slots_for(&QueueName::default_queue()), 4 + 1);
    }
}
