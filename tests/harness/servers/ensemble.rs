//! Three ZooKeeper servers that are one.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::ports::Port;
use crate::servers::zookeeper::ZooKeeperKind;
use crate::servers::{Place, Server, ZooKeeper};

const MEMBERS: usize = 3;

/// Where a member of an ensemble runs: where clients reach it, and the ports for replication and for votes at the same
/// address.
#[derive(Debug)]
pub struct Seat {
    place: Place,
    peers: [u16; 2],
    claims: Vec<Port>,
}

impl Seat {
    /// Three free ports of 127.0.0.1.
    pub fn reserve() -> Result<Seat> {
        let claims = vec![Port::reserve()?, Port::reserve()?];
        Ok(Seat {
            place: Place::reserve()?,
            peers: [claims[0].number(), claims[1].number()],
            claims,
        })
    }

    /// A place, and the ports 2888 and 3888 beside it, as the handbook has it. Needs a host for each member.
    pub fn at(place: Place) -> Seat {
        Seat {
            place,
            peers: [2888, 3888],
            claims: Vec::new(),
        }
    }

    fn ip(&self) -> IpAddr {
        self.place.addr().ip()
    }
}

/// An ensemble of three servers: one may be down, two make a majority.
#[derive(Debug)]
pub struct Ensemble {
    members: Vec<ZooKeeper>,
    _claims: Vec<Port>,
}

impl Ensemble {
    /// Starts three servers on 127.0.0.1 with their files in `dir`, and returns when all of them serve.
    pub async fn start_in(dir: &Path) -> Result<Ensemble> {
        let seats = (0..MEMBERS)
            .map(|_| Seat::reserve())
            .collect::<Result<Vec<_>>>()?;
        Ensemble::start_at(dir, seats).await
    }

    /// Starts a server on each seat with its files in `<dir>/<number from 1>`, and returns when all of them serve.
    pub async fn start_at(dir: &Path, seats: Vec<Seat>) -> Result<Ensemble> {
        let ensemble: String = (seats.iter().zip(1..))
            .map(|(seat, id)| format!("server.{id}={}:{}:{}\n", seat.ip(), seat.peers[0], seat.peers[1]))
            .collect();
        let (mut members, mut claims) = (Vec::new(), Vec::new());
        for (seat, id) in seats.into_iter().zip(1..) {
            let dir = dir.join(id.to_string());
            fs::create_dir_all(dir.join("data")).with_context(|| format!("create {}", dir.display()))?;
            fs::write(dir.join("data/myid"), id.to_string()).context("write myid")?;
            let kind = ZooKeeperKind {
                ensemble: ensemble.clone(),
                ..ZooKeeperKind::default()
            };
            members.push(Server::in_place(&dir, kind, seat.place));
            claims.extend(seat.claims);
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
            _claims: claims,
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

    /// `<address>:<port>,<address>:<port>,<address>:<port>`.
    pub fn connect_string(&self) -> String {
        self.members
            .iter()
            .map(ZooKeeper::connect_string)
            .collect::<Vec<_>>()
            .join(",")
    }
}
