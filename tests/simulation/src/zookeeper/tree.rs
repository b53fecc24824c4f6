//! What one server knows: the znodes, and how a transaction changes them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use distjob_runtime::zk::{
    ZkError,
    client::{Mode, NodeEvent, Op, Stat},
};

use super::Flaw;

/// A znode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Znode {
    /// What it says.
    pub data: Bytes,
    /// What a server says of it.
    pub stat: Stat,
    /// The transaction that last set its data, or created it.
    pub mzxid: i64,
    children: BTreeSet<String>,
}

/// One of the effects of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which znode.
    pub path: String,
    /// What happened to it.
    pub what: NodeEvent,
    /// The transaction that created it: two lives of one path differ in it.
    pub life: i64,
    /// The session that it goes with, or 0.
    pub ephemeral_owner: i64,
    /// What it said before; nothing when it was created.
    pub before: Option<Bytes>,
    /// What it says now; nothing when it was deleted.
    pub after: Option<Bytes>,
}

/// A write that waits to be done.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Check {
        path: String,
        version: i32,
    },
    Create {
        path: String,
        data: Bytes,
        mode: Mode,
    },
    Set {
        path: String,
        data: Bytes,
        version: Option<i32>,
    },
    Delete {
        path: String,
        version: Option<i32>,
    },
}

impl From<&Op<'_>> for Write {
    fn from(op: &Op<'_>) -> Self {
        match *op {
            Op::Check { path, version } => Self::Check {
                path: path.to_owned(),
                version,
            },
            Op::Create { path, data, mode } => Self::Create {
                path: path.to_owned(),
                data: Bytes::copy_from_slice(data),
                mode,
            },
            Op::Set { path, data, version } => Self::Set {
                path: path.to_owned(),
                data: Bytes::copy_from_slice(data),
                version: Some(version),
            },
            Op::Delete { path, version } => Self::Delete {
                path: path.to_owned(),
                version: Some(version),
            },
        }
    }
}

/// When and as what something is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) zxid: i64,
    /// Milliseconds since 1970.
    pub(super) date_ms: i64,
    pub(super) session: i64,
}

/// All znodes of one server.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    flaw: Option<Flaw>,
    znodes: BTreeMap<String, Znode>,
}

impl Tree {
    pub(super) fn new(flaw: Option<Flaw>) -> Self {
        let root = Znode {
            data: Bytes::new(),
            stat: Stat::default(),
            mzxid: 0,
            children: BTreeSet::new(),
        };
        Self {
            flaw,
            znodes: BTreeMap::from([("/".to_owned(), root)]),
        }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Znode> {
        self.znodes.get(path)
    }

    pub(super) fn znodes(&self) -> &BTreeMap<String, Znode> {
        &self.znodes
    }

    /// The children's names and their parent's stat.
    pub(super) fn children(&self, path: &str) -> Option<(Vec<String>, Stat)> {
        let znode = self.znodes.get(path)?;
        Some((znode.children.iter().cloned().collect(), znode.stat))
    }

    /// What goes when the session does.
    pub(super) fn ephemerals(&self, session: i64) -> Vec<String> {
        let is_its = |znode: &Znode| znode.stat.ephemeral_owner == session;
        let its = self.znodes.iter().filter(|(_, znode)| is_its(znode));
        its.map(|(path, _)| path.clone()).collect()
    }

    /// Does all of `writes` or none, and tells what changed.
    ///
    /// # Errors
    /// Why the first one that cannot be done cannot be.
    pub(super) fn transact(&mut self, writes: &[Write], stamp: Stamp) -> Result<Vec<Change>, ZkError> {
        let mut changes = Vec::new();
        let mut undo: Vec<(String, Option<Znode>)> = Vec::new();
        let sets = |write: &Write| matches!(write, Write::Set { .. });
        let is_torn = self.flaw == Some(Flaw::TornWrites) && writes.iter().any(sets);
        let is_left_out = |write: &&Write| is_torn && matches!(write, Write::Create { .. });
        for write in writes.iter().filter(|write| !is_left_out(write)) {
            match self.judge(write, stamp) {
                Ok(None) => {}
                Ok(Some(change)) => {
                    for path in [change.path.as_str(), parent(&change.path)] {
                        undo.push((path.to_owned(), self.znodes.get(path).cloned()));
                    }
                    self.apply(&change, stamp);
                    changes.push(change);
                }
                Err(error) => {
                    for (path, znode) in undo.into_iter().rev() {
                        match znode {
                            Some(znode) => self.znodes.insert(path, znode),
                            None => self.znodes.remove(&path),
                        };
                    }
                    return Err(error);
                }
            }
        }
        Ok(changes)
    }

    /// What a write would change now.
    fn judge(&self, write: &Write, stamp: Stamp) -> Result<Option<Change>, ZkError> {
        let existing = |path: &str, version: Option<i32>| {
            let znode = self.znodes.get(path).ok_or(ZkError::NoNode)?;
            match version {
                Some(version) if version != znode.stat.version && self.flaw != Some(Flaw::BlindWrites) => {
                    Err(ZkError::BadVersion)
                }
                _ => Ok(znode),
            }
        };
        let changed = |path: &str, znode: &Znode, what, after| Change {
            path: path.to_owned(),
            what,
            life: znode.stat.czxid,
            ephemeral_owner: znode.stat.ephemeral_owner,
            before: Some(znode.data.clone()),
            after,
        };
        Ok(match write {
            Write::Check { path, version } => existing(path, Some(*version)).map(|_| None)?,
            Write::Create { path, data, mode } => {
                let above = self.znodes.get(parent(path)).ok_or(ZkError::NoNode)?;
                if self.znodes.contains_key(path) {
                    return Err(ZkError::NodeExists);
                }
                if above.stat.ephemeral_owner != 0 {
                    return Err(ZkError::Refused("an ephemeral has no children".to_owned()));
                }
                Some(Change {
                    path: path.clone(),
                    what: NodeEvent::Created,
                    life: stamp.zxid,
                    ephemeral_owner: match mode {
                        Mode::Persistent => 0,
                        Mode::Ephemeral => stamp.session,
                    },
                    before: None,
                    after: Some(data.clone()),
                })
            }
            Write::Set { path, data, version } => {
                let znode = existing(path, *version)?;
                Some(changed(path, znode, NodeEvent::Changed, Some(data.clone())))
            }
            Write::Delete { path, version } => {
                let znode = existing(path, *version)?;
                if !znode.children.is_empty() {
                    return Err(ZkError::NotEmpty);
                }
                Some(changed(path, znode, NodeEvent::Deleted, None))
            }
        })
    }

    /// Does what a leader has found to be right.
    pub(super) fn apply(&mut self, change: &Change, stamp: Stamp) {
        let name = change.path.rsplit('/').next().unwrap_or_default().to_owned();
        let data = change.after.clone().unwrap_or_default();
        match change.what {
            NodeEvent::Created => {
                let stat = Stat {
                    czxid: stamp.zxid,
                    pzxid: stamp.zxid,
                    ctime: stamp.date_ms,
                    ephemeral_owner: change.ephemeral_owner,
                    ..Stat::default()
                };
                let znode = Znode {
                    data,
                    stat,
                    mzxid: stamp.zxid,
                    children: BTreeSet::new(),
                };
                self.znodes.insert(change.path.clone(), znode);
                self.change_parent(&change.path, stamp.zxid, |children| children.insert(name));
            }
            NodeEvent::Changed => {
                if let Some(znode) = self.znodes.get_mut(&change.path) {
                    znode.data = data;
                    znode.stat.version += 1;
                    znode.mzxid = stamp.zxid;
                }
            }
            NodeEvent::Deleted => {
                self.znodes.remove(&change.path);
                self.change_parent(&change.path, stamp.zxid, |children| children.remove(&name));
            }
        }
    }

    fn change_parent(&mut self, path: &str, zxid: i64, change: impl FnOnce(&mut BTreeSet<String>) -> bool) {
        if let Some(above) = self.znodes.get_mut(parent(path)) {
            change(&mut above.children);
            above.stat.cversion += 1;
            above.stat.children = i32::try_from(above.children.len()).unwrap_or(i32::MAX);
            above.stat.pzxid = zxid;
        }
    }
}

/// The path above.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}
