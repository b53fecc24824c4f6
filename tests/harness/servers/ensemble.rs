//! Three ZooKeeper servers that are one.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::ports::Port;
use crate::servers::zookeeper::ZooKeeperKind;
use crate::servers::{Server, ZooKeeper};

const MEMBERS: usize = 3;

/// An ensemble of three servers: one may be down, two make a majority.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<ZooKeeper>,
    /// For votes and for replication, two a member.
    _ports: Vec<Port>,
}

impl Ensemble {
    /// Starts three servers with their files in `dir`, and returns when all of them serve.
    pub async fn start_in(dir: &Path) -> Result<Ensemble> {
        let ports = (0..2 * MEMBERS)
            .map(|_| Port::reserve())
            .collect::<Result<Vec<_>>>()?;
        let ensemble: String = (ports.chunks_exact(2).zip(1..))
            .map(|(ports, id)| {
                format!(
                    "server.{id}=127.0.0.1:{}:{}\n",
                    ports[0].number(),
                    ports[1].number()
                )
            })
            .collect();
        let mut members = Vec::new();
        for id in 1..=MEMBERS {
            let dir = dir.join(id.to_string());
            fs::create_dir_all(dir.join("data")).with_context(|| format!("create {}", dir.display()))?;
            fs::write(dir.join("data/myid"), id.to_string()).context("write myid")?;
            members.push(Server::on_port(
                &dir,
                ZooKeeperKind {
                    ensemble: ensemble.clone(),
                },
                Port::reserve()?,
            ));
        }
        // None serves before a majority runs: launch all, then wait.
        members.iter().try_for_each(Server::launch)?;
        for member in &members {
            member
                .ready()
                .await
                .context("start an ensemble of ZooKeeper servers")?;
        }
        Ok(Ensemble {
            members,
            _ports: ports,
        })
    }

    /// All members, also those that are down. A method that waits until a member serves returns only while there is a
    /// majority.
    pub fn members(&self) -> &[ZooKeeper] {
        &self.members
    }

    /// The member that leads.
    pub async fn leader(&self) -> Result<&ZooKeeper> {
        for member in &self.members {
            if member
                .four_letters("srvr")
                .await
                .is_ok_and(|answer| answer.contains("Mode: leader"))
            {
                return Ok(member);
            }
        }
        bail!("no member leads")
    }

    /// `127.0.0.1:<port>,127.0.0.1:<port>,127.0.0.1:<port>`.
    pub fn connect_string(&self) -> String {
        self.members
            .iter()
            .map(ZooKeeper::connect_string)
            .collect::<Vec<_>>()
            .join(",")
    }
}
