//! What is read of a group to join it, and how its znodes are taken away.

use distjob_core::{GroupEntry, GroupName, JobId};

use super::{GroupRead, Ledger};
use crate::{
    drill,
    zk::{ZkError, client::Op},
};

/// So many znodes are deleted, or asked for, at once.
const AT_ONCE: usize = 200;

impl Ledger {
    /// The members that are done, in the order of their ids, after the server has heard of all that happened before. What
    /// is no id is left out.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn done_members(&self, name: &GroupName) -> Result<Vec<JobId>, ZkError> {
        let mut ids: Vec<_> = self
            .children(&self.session.layout().all_done(name))
            .await?
            .into_iter()
            .filter_map(|child| JobId::new(child).ok())
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// What was said of these done members, in their order; nothing of one that is not there. Asks for some hundreds at a
    /// time, each of at most [`DONE_BYTES_MAX`](distjob_core::group::DONE_BYTES_MAX) bytes.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn done_data(&self, name: &GroupName, ids: &[JobId]) -> Result<Vec<Option<Vec<u8>>>, ZkError> {
        let mut all = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let paths: Vec<_> = some
                .iter()
                .map(|id| self.session.layout().done(name, id))
                .collect();
            let found = self.session.until_clear(|| async {
                // All are sent before the first answer is waited for.
                let requests: Vec<_> = paths
                    .iter()
                    .map(|path| self.session.client().get_data(path))
                    .collect();
                let mut found = Vec::with_capacity(requests.len());
                for request in requests {
                    found.push(match self.session.reply(request).await {
                        Ok((data, _)) => Some(data),
                        Err(ZkError::NoNode) => None,
                        Err(error) => return Err(error),
                    });
                }
                Ok(found)
            });
            all.extend(found.await?);
        }
        Ok(all)
    }

    /// Takes the znodes of a joined group away: its done members, some hundreds a transaction, and then all the rest at
    /// once. Several may do so at the same time. A group of the name that is not joined, or another one, is left alone.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn remove_group(&self, name: &GroupName, joined: &GroupEntry) -> Result<(), ZkError> {
        loop {
            let is_same = |now: &GroupEntry| now.life == joined.life && now.version == joined.version;
            match self.group(name).await? {
                GroupRead::Group(now) if is_same(&now) => {}
                _ => return Ok(()),
            }
            self.session
                .until_clear(|| self.remove_once(name, joined))
                .await?;
        }
    }

    /// Everything once; what somebody else has removed meanwhile ends it without an error.
    async fn remove_once(&self, name: &GroupName, joined: &GroupEntry) -> Result<(), ZkError> {
        let layout = self.session.layout();
        let (group, pending, done) = (
            layout.group(name),
            layout.all_pending(name),
            layout.all_done(name),
        );
        // The version says that it is joined. Another group of this name comes to that only when it is joined, too.
        let check = Op::Check {
            path: &group,
            version: joined.version,
        };
        for directory in [&done, &pending] {
            let children = self.children(directory).await?;
            for some in children.chunks(AT_ONCE) {
                let paths: Vec<_> = some.iter().map(|child| format!("{directory}/{child}")).collect();
                let deletes = paths.iter().map(|path| Op::Delete { path, version: 0 });
                self.remove_all(&[check].into_iter().chain(deletes).collect::<Vec<_>>())
                    .await?;
            }
        }
        drill::point("group-emptied");
        let rest = [
            Op::Delete {
                path: &pending,
                version: 0,
            },
            Op::Delete {
                path: &done,
                version: 0,
            },
            Op::Delete {
                path: &group,
                version: joined.version,
            },
        ];
        self.remove_all(&rest).await
    }

    async fn remove_all(&self, ops: &[Op<'_>]) -> Result<(), ZkError> {
        match self.session.reply(self.session.client().multi(ops)).await {
            // Somebody else is at it: the next look tells how far.
            Err(ZkError::NoNode | ZkError::BadVersion | ZkError::NotEmpty) => Ok(()),
            reply => reply,
        }
    }

    /// The names of all groups, as the connected server knows them. One attempt.
    ///
    /// # Errors
    /// [`ZkError::Unclear`], [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn groups(&self) -> Result<Vec<GroupName>, ZkError> {
        let path = self.session.layout().groups();
        let (names, _) = match self
            .session
            .reply(self.session.client().get_children(&path))
            .await
        {
            // Nobody of this version has been here.
            Err(ZkError::NoNode) => return Ok(Vec::new()),
            reply => reply?,
        };
        let mut groups: Vec<_> = names
            .into_iter()
            .filter_map(|name| GroupName::new(name).ok())
            .collect();
        groups.sort();
        Ok(groups)
    }

    /// The members of a group that are not done, in the order of their ids, after the server has heard of all that happened
    /// before.
    ///
    /// # Errors
    /// [`ZkError::Refused`] or [`ZkError::SessionOver`].
    pub async fn pending_members(&self, name: &GroupName) -> Result<Vec<JobId>, ZkError> {
        let children = self.children(&self.session.layout().all_pending(name)).await?;
        let mut ids: Vec<_> = children
            .into_iter()
            .filter_map(|child| JobId::new(child).ok())
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// The names of all children; none of a znode that is not there.
    async fn children(&self, path: &str) -> Result<Vec<String>, ZkError> {
        self.session
            .until_clear(|| async {
                let client = self.session.client();
                let (sync, children) = (client.sync(path), client.get_children(path));
                self.session.reply(sync).await?;
                match self.session.reply(children).await {
                    Ok((names, _)) => Ok(names),
                    Err(ZkError::NoNode) => Ok(Vec::new()),
                    Err(error) => Err(error),
                }
            })
            .await
    }
}
