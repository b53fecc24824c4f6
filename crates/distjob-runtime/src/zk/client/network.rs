//! Sessions with real servers: nothing but a translation to and from the client crate.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use zookeeper_client::{
    Acls, AddWatchMode, Client, CreateMode, CreateOptions, Error, EventType, MultiReadResult,
    MultiWriteError, MultiWriter, OneshotWatcher, PersistentWatcher, StateWatcher, WatchedEvent,
};

use super::{
    Connect, Mode, NodeEvent, NodeRead, OnceWatch, Op, Reply, SessionClient, SessionState, SessionStates,
    Stat, WatchEvent,
};
use crate::zk::ZkError;

/// Opens sessions with the servers that the address names, over the network.
#[must_use]
pub fn over_network() -> Arc<dyn Connect> {
    Arc::new(Network)
}

#[derive(Debug)]
struct Network;

impl Connect for Network {
    fn connect<'a>(
        &'a self,
        servers: &'a str,
        session_timeout: Duration,
    ) -> Reply<'a, Arc<dyn SessionClient>> {
        async move {
            let connector = Client::connector().with_session_timeout(session_timeout);
            match connector.connect(&with_resolution(servers)).await {
                Ok(client) => Ok(Arc::new(client) as Arc<dyn SessionClient>),
                Err(error) => Err(ZkError::Unclear(error.to_string())),
            }
        }
        .boxed()
    }
}

/// The servers with each numeric address written such that it has to be resolved: IPv4 as one number, IPv6 with a zone.
///
/// The client crate (0.11.2) looks at its deadline only while a connection attempt waits for something. Where a host has
/// no route to a server, as before its network is up, connecting to a numeric address fails at once, and past the
/// deadline the crate would go round for ever without yielding: no time-out, no signal could end that. Resolving waits.
fn with_resolution(servers: &str) -> String {
    let (hosts, chroot) = servers.split_at(servers.find('/').unwrap_or(servers.len()));
    let hosts: Vec<_> = hosts.split(',').map(resolved_later).collect();
    hosts.join(",") + chroot
}

fn resolved_later(server: &str) -> String {
    let bracketed = server.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    if let Some((host, port)) = bracketed
        && host.parse::<Ipv6Addr>().is_ok()
    {
        return format!("[{host}%0]{port}");
    }
    let (host, port) = server.split_at(server.find(':').unwrap_or(server.len()));
    match host.parse::<Ipv4Addr>() {
        Ok(address) => format!("{}{port}", address.to_bits()),
        Err(_) => server.to_owned(),
    }
}

impl SessionClient for Client {
    fn session_id(&self) -> i64 {
        Self::session_id(self).0
    }

    fn state(&self) -> SessionState {
        Self::state(self).into()
    }

    fn states(&self) -> Box<dyn SessionStates> {
        Box::new(self.state_watcher())
    }

    fn check_stat<'a>(&'a self, path: &'a str) -> Reply<'a, Option<Stat>> {
        reply(Self::check_stat(self, path), |stat| stat.map(Into::into))
    }

    fn get_data<'a>(&'a self, path: &'a str) -> Reply<'a, (Vec<u8>, Stat)> {
        reply(Self::get_data(self, path), |(data, stat)| (data, stat.into()))
    }

    fn get_data_of_all<'a>(&'a self, paths: &[String]) -> Reply<'a, Vec<NodeRead>> {
        let mut multi = self.new_multi_reader();
        match paths.iter().try_for_each(|path| multi.add_get_data(path)) {
            Ok(()) => reply(multi.commit(), |results| {
                results.into_iter().map(node_read).collect()
            }),
            Err(error) => futures::future::err(error.into()).boxed(),
        }
    }

    fn get_and_watch_data<'a>(&'a self, path: &'a str) -> Reply<'a, (Vec<u8>, Stat, OnceWatch)> {
        reply(Self::get_and_watch_data(self, path), |(data, stat, watcher)| {
            (data, stat.into(), watcher.into())
        })
    }

    fn get_children<'a>(&'a self, path: &'a str) -> Reply<'a, (Vec<String>, Stat)> {
        reply(Self::get_children(self, path), |(names, stat)| {
            (names, stat.into())
        })
    }

    fn get_and_watch_children<'a>(&'a self, path: &'a str) -> Reply<'a, (Vec<String>, Stat, OnceWatch)> {
        reply(
            Self::get_and_watch_children(self, path),
            |(names, stat, watcher)| (names, stat.into(), watcher.into()),
        )
    }

    fn watch_recursively<'a>(&'a self, path: &'a str) -> Reply<'a, BoxStream<'static, WatchEvent>> {
        reply(self.watch(path, AddWatchMode::PersistentRecursive), events)
    }

    fn sync<'a>(&'a self, path: &'a str) -> Reply<'a, ()> {
        reply(Self::sync(self, path), |()| ())
    }

    fn create<'a>(&'a self, path: &'a str, data: &[u8], mode: Mode) -> Reply<'a, Stat> {
        reply(Self::create(self, path, data, &options(mode)), |(stat, _)| {
            stat.into()
        })
    }

    fn set_data<'a>(&'a self, path: &'a str, data: &[u8], version: Option<i32>) -> Reply<'a, Stat> {
        reply(Self::set_data(self, path, data, version), Into::into)
    }

    fn delete<'a>(&'a self, path: &'a str, version: Option<i32>) -> Reply<'a, ()> {
        reply(Self::delete(self, path, version), |()| ())
    }

    fn multi<'a>(&'a self, ops: &[Op<'_>]) -> Reply<'a, ()> {
        let mut multi = self.new_multi_writer();
        match ops.iter().try_for_each(|op| add(&mut multi, op)) {
            Ok(()) => multi
                .commit()
                .map(|reply| {
                    reply
                        .map(drop)
                        .map_err(|error: MultiWriteError| Error::from(error).into())
                })
                .boxed(),
            Err(error) => futures::future::err(error.into()).boxed(),
        }
    }
}

/// Boxes a reply and translates it.
fn reply<'a, T, U: 'a>(
    reply: impl Future<Output = Result<T, Error>> + Send + 'a,
    translate: impl FnOnce(T) -> U + Send + 'a,
) -> Reply<'a, U> {
    reply.map_ok(translate).map_err(ZkError::from).boxed()
}

fn node_read(result: MultiReadResult) -> NodeRead {
    match result {
        MultiReadResult::Data { data, stat } => Ok((data, stat.into())),
        MultiReadResult::Error { err } => Err(err.into()),
        other => Err(ZkError::Unclear(format!(
            "an answer to another question: {other:?}"
        ))),
    }
}

fn add(multi: &mut MultiWriter<'_>, op: &Op<'_>) -> Result<(), Error> {
    match *op {
        Op::Check { path, version } => multi.add_check_version(path, version),
        Op::Create { path, data, mode } => multi.add_create(path, data, &options(mode)),
        Op::Set { path, data, version } => multi.add_set_data(path, data, Some(version)),
        Op::Delete { path, version } => multi.add_delete(path, Some(version)),
    }
}

const fn options(mode: Mode) -> CreateOptions<'static> {
    let mode = match mode {
        Mode::Persistent => CreateMode::Persistent,
        Mode::Ephemeral => CreateMode::Ephemeral,
    };
    mode.with_acls(Acls::anyone_all())
}

impl SessionStates for StateWatcher {
    fn newest(&mut self) -> SessionState {
        self.state().into()
    }

    fn changed(&mut self) -> BoxFuture<'_, SessionState> {
        Self::changed(self).map(Into::into).boxed()
    }
}

impl From<zookeeper_client::SessionState> for SessionState {
    fn from(state: zookeeper_client::SessionState) -> Self {
        match state {
            zookeeper_client::SessionState::SyncConnected => Self::Connected,
            state if state.is_terminated() => Self::Over,
            _ => Self::Disconnected,
        }
    }
}

impl From<zookeeper_client::Stat> for Stat {
    fn from(stat: zookeeper_client::Stat) -> Self {
        Self {
            czxid: stat.czxid,
            pzxid: stat.pzxid,
            ctime: stat.ctime,
            version: stat.version,
            cversion: stat.cversion,
            children: stat.num_children,
            ephemeral_owner: stat.ephemeral_owner,
        }
    }
}

impl From<OneshotWatcher> for OnceWatch {
    fn from(watcher: OneshotWatcher) -> Self {
        Self::new(async move {
            watcher.changed().await;
        })
    }
}

/// Ends with the session: the watcher panics when it is asked after that.
fn events(watcher: PersistentWatcher) -> BoxStream<'static, WatchEvent> {
    stream::unfold(Some(watcher), |watcher| async {
        let mut watcher = watcher?;
        let event = translated(watcher.changed().await);
        let next = (event != WatchEvent::Over).then_some(watcher);
        Some((event, next))
    })
    .boxed()
}

fn translated(event: WatchedEvent) -> WatchEvent {
    let what = match event.event_type {
        EventType::Session => {
            return match event.session_state.into() {
                SessionState::Connected => WatchEvent::Connected,
                SessionState::Disconnected => WatchEvent::Disconnected,
                SessionState::Over => WatchEvent::Over,
            };
        }
        EventType::NodeCreated => NodeEvent::Created,
        EventType::NodeDeleted => NodeEvent::Deleted,
        EventType::NodeDataChanged | EventType::NodeChildrenChanged => NodeEvent::Changed,
    };
    WatchEvent::Node(what, event.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_addresses_are_written_as_names_and_nothing_else_is() {
        assert_eq!(
            with_resolution("127.0.0.1:2181,zk2.example:2181,10.0.0.1,[::1]:2182,[fe80::1]/some/1.2.3.4"),
            "2130706433:2181,zk2.example:2181,167772161,[::1%0]:2182,[fe80::1%0]/some/1.2.3.4"
        );
        for other in ["", "localhost", "1.2.3:2181", "[not an address]:1", "[::1"] {
            assert_eq!(with_resolution(other), other);
        }
    }

    /// Connecting to the loopback device's broadcast address fails as it does without a network: at once.
    #[tokio::test]
    async fn without_a_route_to_any_server_opening_a_session_ends() {
        let session_timeout = Duration::from_millis(300);
        let opened = Network.connect("127.255.255.255:2181", session_timeout).await;
        assert!(matches!(opened, Err(ZkError::Unclear(_))), "{opened:?}");
    }
}
