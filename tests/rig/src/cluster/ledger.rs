//! The ZooKeeper ensemble on its three hosts.

use std::ops::Deref;
use std::path::Path;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use harness::servers::zookeeper::sessions;
use harness::{Ensemble, Wire, ZooKeeper};
use zookeeper_client::SessionId;

use crate::net::{Fabric, Host, Service};

const PORT: u16 = 2181;
const MEMBERS: usize = 3;

/// Three servers, three hosts, numbered alike from 0; hosts are called `zookeeper-1` to `zookeeper-3`.
///
/// Each server can be killed, paused and started again like any [`ZooKeeper`]. With a majority down, start all that are
/// missing at the same time: none serves alone.
#[derive(Debug)]
pub struct Ledger {
    ensemble: Ensemble,
    hosts: Vec<Host>,
}

impl Deref for Ledger {
    type Target = Ensemble;

    fn deref(&self) -> &Ensemble {
        &self.ensemble
    }
}

impl Ledger {
    pub(super) async fn start(fabric: &Fabric, dir: &Path) -> Result<Ledger> {
        let (mut hosts, mut seats) = (Vec::new(), Vec::new());
        for number in 1..=MEMBERS {
            let host = fabric.host(&format!("zookeeper-{number}")).await?;
            seats.push(fabric.seat(&host, PORT)?);
            hosts.push(host);
        }
        let ensemble = Ensemble::start_at(dir, seats).await?;
        Ok(Ledger { ensemble, hosts })
    }

    /// The hosts of the members.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The number of the member that leads. An error while there is none.
    pub async fn leader_number(&self) -> Result<usize> {
        let leader = self.ensemble.leader().await?.addr();
        let found = (self.members().iter()).position(|member| member.addr() == leader);
        found.context("the leader is no member")
    }

    /// Starts all members that do not run, and returns when they serve.
    pub async fn start_missing(&self) -> Result<()> {
        let missing = self.members().iter().filter(|member| !member.is_running());
        // All at the same time.
        try_join_all(missing.map(ZooKeeper::start)).await.map(drop)
    }

    /// Ends a session under its client, see [`sessions::expire`].
    pub async fn expire(&self, session: SessionId) -> Result<()> {
        sessions::expire(self.ensemble.leader().await?.addr(), session).await
    }

    /// What `from` has as its `zookeeper.connect`.
    pub(super) async fn connect_string_for(&self, fabric: &Fabric, from: &Host) -> Result<String> {
        let mut addrs = Vec::new();
        for (member, host) in self.members().iter().zip(&self.hosts) {
            let addr = fabric.address(from, host, service(member)).await?;
            addrs.push(addr.to_string());
        }
        Ok(addrs.join(","))
    }
}

fn service(member: &ZooKeeper) -> Service {
    Service {
        port: member.addr().port(),
        wire: Wire::ZooKeeper,
    }
}
