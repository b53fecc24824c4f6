//! Hosts in name only: all processes share 127.0.0.1, and between a process and each server stands a proxy.
//!
//! What servers tell each other does not pass a proxy, and a proxy cannot lose a segment of TCP.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use harness::{Direction, Proxy};

use super::{Host, Rule, Service};

/// The proxies of a run, and the rules for them.
#[derive(Debug, Default)]
pub struct Loopback(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    proxies: HashMap<Way, Proxy>,
    rules: HashMap<(Arc<str>, Arc<str>), Rule>,
    /// Where each name that wanders is.
    names: HashMap<Arc<str>, (Host, u16)>,
}

/// From a client to a server, or to a name that a server has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Way {
    from: Arc<str>,
    to: Arc<str>,
    port: u16,
}

impl Loopback {
    pub(super) fn host(name: &str) -> Host {
        Host {
            name: name.into(),
            ip: Ipv4Addr::LOCALHOST,
        }
    }

    /// What `from` dials to reach `service` of `to`: a proxy of its own.
    pub(super) async fn address(&self, from: &Host, to: &Host, service: Service) -> Result<SocketAddr> {
        let way = Way {
            from: Arc::clone(&from.name),
            to: Arc::clone(&to.name),
            port: service.port,
        };
        let upstream = {
            let state = self.lock();
            if let Some(proxy) = state.proxies.get(&way) {
                return Ok(proxy.addr());
            }
            match state.names.get(&to.name) {
                Some((host, port)) => host.socket(*port),
                None => to.socket(service.port),
            }
        };
        let proxy = Proxy::start(upstream, service.wire)
            .await
            .with_context(|| format!("put a proxy between {} and {}", from.name, to.name))?;
        let mut state = self.lock();
        let addr = state.proxies.entry(way).or_insert(proxy).addr();
        state.apply();
        Ok(addr)
    }

    /// Where a server, or what has its name at present, is without a proxy.
    pub(super) fn plain_address(&self, to: &Host, port: u16) -> SocketAddr {
        match self.lock().names.get(&to.name) {
            Some((host, port)) => host.socket(*port),
            None => to.socket(port),
        }
    }

    pub(super) fn rule(&self, from: &Host, to: &Host, rule: Rule) {
        let mut state = self.lock();
        state
            .rules
            .insert((Arc::clone(&from.name), Arc::clone(&to.name)), rule);
        state.apply();
    }

    pub(super) fn heal(&self) {
        let mut state = self.lock();
        state.rules.clear();
        state.apply();
    }

    pub(super) fn point(&self, name: &Host, to: &Host, port: u16) {
        let mut state = self.lock();
        state.names.insert(Arc::clone(&name.name), (to.clone(), port));
        for (way, proxy) in &state.proxies {
            if way.to == name.name {
                proxy.retarget(to.socket(port));
            }
        }
        state.apply();
    }

    /// Breaks all connections from and to a host.
    pub(super) fn reset(&self, host: &Host) {
        let state = self.lock();
        for (way, proxy) in &state.proxies {
            if way.from == host.name || *state.server(way) == host.name {
                proxy.cut();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The host behind the proxy of `way`.
    fn server<'a>(&'a self, way: &'a Way) -> &'a Arc<str> {
        self.names.get(&way.to).map_or(&way.to, |(host, _)| &host.name)
    }

    fn rule_of(&self, from: &Arc<str>, to: &Arc<str>) -> Rule {
        let key = (Arc::clone(from), Arc::clone(to));
        self.rules.get(&key).copied().unwrap_or_default()
    }

    /// Makes every proxy behave by the rules of now.
    fn apply(&self) {
        for (way, proxy) in &self.proxies {
            let server = self.server(way);
            let there = self.rule_of(&way.from, server);
            let back = self.rule_of(server, &way.from);
            for (rule, direction) in [(there, Direction::Requests), (back, Direction::Replies)] {
                if rule.down {
                    proxy.hold(direction);
                } else {
                    proxy.release(direction);
                }
            }
            // A proxy knows one delay for both directions.
            let delay = |rule: Rule| rule.delay + rule.jitter / 2;
            proxy.delay(delay(there).max(delay(back)));
        }
    }
}
