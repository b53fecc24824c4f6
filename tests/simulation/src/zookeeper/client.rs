//! The client of a session, as the one over the network behaves.
//!
//! It answers with connection loss what it had sent when its connection went, and keeps what it was asked to send
//! meanwhile for the next one, whoever waits for it still. It pings a server that it has nothing to tell, gives one up
//! that says nothing for two fifths of the session timeout, and takes its session for over after seven fifths without
//! any.

mod core;
mod states;
mod watched;

use std::{
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use distjob_runtime::zk::{
    ZkError,
    client::{
        Connect, Mode, NodeRead, OnceWatch, Op, Reply as Answered, SessionClient, SessionState,
        SessionStates, Stat, WatchEvent,
    },
};
use futures::{FutureExt as _, stream::BoxStream};

pub(super) use self::core::Core;
use self::core::Heard;
use super::{
    Ensemble,
    message::{Reply, Request},
    tree::Write,
};
use crate::network::Process;

/// Opens the sessions of one process.
#[derive(Debug)]
pub(super) struct Connector {
    ensemble: Ensemble,
    process: Process,
}

impl Connector {
    pub(super) fn new(ensemble: Ensemble, process: Process) -> Self {
        Self { ensemble, process }
    }
}

impl Connect for Connector {
    fn connect<'a>(
        &'a self,
        servers: &'a str,
        session_timeout: Duration,
    ) -> Answered<'a, Arc<dyn SessionClient>> {
        async move {
            let core = Core::new(self.ensemble.clone(), self.process, servers, session_timeout);
            core.open().await?;
            tokio::spawn(Arc::clone(&core).live());
            Ok(Arc::new(Client { core }) as Arc<dyn SessionClient>)
        }
        .boxed()
    }
}

/// What a daemon holds of a session: the last one to be dropped closes it.
struct Client {
    core: Arc<Core>,
}

impl Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.core.let_go();
    }
}

impl Client {
    /// Sends a request now; `read` picks what is expected out of the answer.
    fn ask<T: 'static>(&self, request: Request, read: fn(Heard) -> Option<T>) -> Answered<'static, T> {
        let answer = self.core.ask(request);
        async move {
            let odd = || ZkError::Unclear("an answer to another question".to_owned());
            read(answer.await?).ok_or_else(odd)
        }
        .boxed()
    }

    /// Writes one znode, and hears how it stands then.
    fn write_one(&self, write: Write) -> Answered<'static, Stat> {
        self.ask(Request::Write(vec![write]), |heard| match heard.reply {
            Reply::Stat(stat) => stat,
            _ => None,
        })
    }
}

impl SessionClient for Client {
    fn session_id(&self) -> i64 {
        self.core.session_id()
    }

    fn state(&self) -> SessionState {
        self.core.state()
    }

    fn states(&self) -> Box<dyn SessionStates> {
        Box::new(self.core.states())
    }

    fn check_stat<'a>(&'a self, path: &'a str) -> Answered<'a, Option<Stat>> {
        self.ask(Request::Stat(path.to_owned()), |heard| match heard.reply {
            Reply::Stat(stat) => Some(stat),
            _ => None,
        })
    }

    fn get_data<'a>(&'a self, path: &'a str) -> Answered<'a, (Vec<u8>, Stat)> {
        self.ask(Request::Data(path.to_owned()), |heard| match heard.reply {
            Reply::Data(data, stat) => Some((data.to_vec(), stat)),
            _ => None,
        })
    }

    fn get_data_of_all<'a>(&'a self, paths: &[String]) -> Answered<'a, Vec<NodeRead>> {
        if paths.is_empty() {
            return std::future::ready(Ok(Vec::new())).boxed();
        }
        self.ask(Request::DataOfAll(paths.to_vec()), |heard| match heard.reply {
            Reply::DataOfAll(found) => Some(found.into_iter().map(node_read).collect()),
            _ => None,
        })
    }

    fn get_and_watch_data<'a>(&'a self, path: &'a str) -> Answered<'a, (Vec<u8>, Stat, OnceWatch)> {
        self.ask(Request::WatchData(path.to_owned()), |heard| {
            match (heard.reply, heard.once) {
                (Reply::Data(data, stat), Some(watch)) => Some((data.to_vec(), stat, watch)),
                _ => None,
            }
        })
    }

    fn get_children<'a>(&'a self, path: &'a str) -> Answered<'a, (Vec<String>, Stat)> {
        self.ask(Request::Children(path.to_owned()), |heard| match heard.reply {
            Reply::Children(names, stat) => Some((names, stat)),
            _ => None,
        })
    }

    fn get_and_watch_children<'a>(&'a self, path: &'a str) -> Answered<'a, (Vec<String>, Stat, OnceWatch)> {
        self.ask(Request::WatchChildren(path.to_owned()), |heard| {
            match (heard.reply, heard.once) {
                (Reply::Children(names, stat), Some(watch)) => Some((names, stat, watch)),
                _ => None,
            }
        })
    }

    fn watch_recursively<'a>(&'a self, path: &'a str) -> Answered<'a, BoxStream<'static, WatchEvent>> {
        self.ask(Request::WatchRecursively(path.to_owned()), |heard| {
            heard.recursive
        })
    }

    fn sync<'a>(&'a self, _path: &'a str) -> Answered<'a, ()> {
        self.ask(Request::Sync, |_| Some(()))
    }

    fn create<'a>(&'a self, path: &'a str, data: &[u8], mode: Mode) -> Answered<'a, Stat> {
        let data = Bytes::copy_from_slice(data);
        let path = path.to_owned();
        self.write_one(Write::Create { path, data, mode })
    }

    fn set_data<'a>(&'a self, path: &'a str, data: &[u8], version: Option<i32>) -> Answered<'a, Stat> {
        let data = Bytes::copy_from_slice(data);
        let path = path.to_owned();
        self.write_one(Write::Set { path, data, version })
    }

    fn delete<'a>(&'a self, path: &'a str, version: Option<i32>) -> Answered<'a, ()> {
        let path = path.to_owned();
        self.ask(
            Request::Write(vec![Write::Delete { path, version }]),
            |_| Some(()),
        )
    }

    fn multi<'a>(&'a self, ops: &[Op<'_>]) -> Answered<'a, ()> {
        self.ask(
            Request::Write(ops.iter().map(Write::from).collect()),
            |_| Some(()),
        )
    }
}

fn node_read(found: Option<(Bytes, Stat)>) -> NodeRead {
    found
        .map(|(data, stat)| (data.to_vec(), stat))
        .ok_or(ZkError::NoNode)
}
