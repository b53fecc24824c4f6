//! A host for every process, and rules for the links between them.
//!
//! ```text
//!   executor-1        watcher-1         zookeeper-1       redis-1, and the name redis
//!   10.77.0.7         10.77.0.9         10.77.0.2         10.77.0.5, 10.77.0.4
//!      eth0              eth0              eth0              eth0     one network namespace each
//!       │                 │                 │                 │
//!      TAP               TAP               TAP               TAP      their files are the rig's
//!       └─────────────────┴──── switch ─────┴─────────────────┘       one thread of the rig
//!                                  │
//!                            the rig's eth0                           never ruled: it observes
//! ```
//!
//! The kernel need not know how to delay or to lose a frame: the [switch](Fabric::rule) does. All of it happens inside a
//! network namespace that is the rig's alone ([`private`]), and ends with the rig, however that ends.
//!
//! Where that is not possible, all processes share 127.0.0.1, and proxies stand between them and the servers;
//! [`Fabric::capabilities`] tells what is missing then.

mod frame;
mod loopback;
mod namespaces;
pub mod private;
mod rule;
mod switch;

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use harness::{Place, Seat, Wire};

pub use self::loopback::Loopback;
pub use self::namespaces::Namespaces;
pub use self::rule::Rule;

/// A host: of one process, of several, or only a name ([`Fabric::name`]). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    name: Arc<str>,
    ip: Ipv4Addr,
}

impl Host {
    /// Its name, such as `executor-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address. On loopback all hosts have the same.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    fn socket(&self, port: u16) -> SocketAddr {
        (self.ip, port).into()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a server serves.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Where it listens.
    pub port: u16,
    /// What is spoken there.
    pub wire: Wire,
}

/// What can be done to the links of a [`Fabric`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Rules hold among servers also.
    pub servers_among_themselves: bool,
    /// [`Rule::loss`] has an effect.
    pub loss: bool,
}

/// All hosts of a run and the links between them. Dropping it ends the hosts; stop what runs there before.
#[derive(Debug)]
pub enum Fabric {
    /// A network namespace for each host.
    Namespaces(Namespaces),
    /// One address for all, and proxies.
    Loopback(Loopback),
}

impl Fabric {
    /// Namespaces inside of [`private`] namespaces, loopback elsewhere. `dir` gets log files of the hosts; `seed` chooses
    /// the frames that a lossy link loses.
    pub fn open(dir: &Path, seed: u64) -> Result<Fabric> {
        if private::inside() {
            Namespaces::open(dir, seed).map(Fabric::Namespaces)
        } else {
            Ok(Fabric::Loopback(Loopback::default()))
        }
    }

    /// `namespaces` or `loopback`.
    pub fn kind(&self) -> &'static str {
        match self {
            Fabric::Namespaces(_) => "namespaces",
            Fabric::Loopback(_) => "loopback",
        }
    }

    /// What can be done here.
    pub fn capabilities(&self) -> Capabilities {
        let real = matches!(self, Fabric::Namespaces(_));
        Capabilities {
            servers_among_themselves: real,
            loss: real,
        }
    }

    /// The host that this process is. Give its links no rules: it sees everything.
    pub fn rig(&self) -> Host {
        match self {
            Fabric::Namespaces(namespaces) => namespaces.rig(),
            Fabric::Loopback(_) => Loopback::host("rig"),
        }
    }

    /// A new host, some 20 ms of work. It lives as long as the fabric; there may be about 250, so use them again.
    pub async fn host(&self, name: &str) -> Result<Host> {
        match self {
            Fabric::Namespaces(namespaces) => namespaces.host(name).await,
            Fabric::Loopback(_) => Ok(Loopback::host(name)),
        }
    }

    /// A name with an address that is nobody's yet, see [`Fabric::point`].
    pub fn name(&self, name: &str) -> Result<Host> {
        let ip = match self {
            Fabric::Namespaces(namespaces) => namespaces.free_address()?,
            Fabric::Loopback(_) => Ipv4Addr::LOCALHOST,
        };
        Ok(Host {
            name: name.into(),
            ip,
        })
    }

    /// Lets `name` be the server at `port` of `to` from now on. What was connected to another host by that name breaks
    /// with its next request.
    pub fn point(&self, name: &Host, to: &Host, port: u16) -> Result<()> {
        match self {
            Fabric::Namespaces(namespaces) => namespaces.point(name, to),
            Fabric::Loopback(loopback) => {
                loopback.point(name, to, port);
                Ok(())
            }
        }
    }

    /// What to put before a program and its arguments so that it runs on `host`: for [`harness::Program::within`] and
    /// [`harness::child::within`]. An error for what is only a name.
    pub fn prefix(&self, host: &Host) -> Result<Vec<OsString>> {
        match self {
            Fabric::Namespaces(namespaces) => namespaces.prefix(host),
            Fabric::Loopback(_) => Ok(Vec::new()),
        }
    }

    /// Where a server on `host` may listen: at this port, or at any free one where hosts share an address.
    pub fn place(&self, host: &Host, port: u16) -> Result<Place> {
        match self {
            Fabric::Namespaces(namespaces) => Ok(Place::at(host.socket(port), namespaces.prefix(host)?)),
            Fabric::Loopback(_) => Place::reserve(),
        }
    }

    /// As [`Fabric::place`], for a member of a ZooKeeper ensemble.
    pub fn seat(&self, host: &Host, port: u16) -> Result<Seat> {
        match self {
            Fabric::Namespaces(_) => self.place(host, port).map(Seat::at),
            Fabric::Loopback(_) => Seat::reserve(),
        }
    }

    /// What `from` must dial to reach `service` of `to`. The same answer as long as the fabric lives.
    pub async fn address(&self, from: &Host, to: &Host, service: Service) -> Result<SocketAddr> {
        match self {
            Fabric::Namespaces(_) => Ok(to.socket(service.port)),
            Fabric::Loopback(loopback) if *from == self.rig() => Ok(loopback.plain_address(to, service.port)),
            Fabric::Loopback(loopback) => loopback.address(from, to, service).await,
        }
    }

    /// The ids of all processes on `host`, whoever started them; empty on loopback, where nobody can tell.
    pub fn processes(&self, host: &Host) -> Result<Vec<u32>> {
        match self {
            Fabric::Namespaces(namespaces) => namespaces.processes(host),
            Fabric::Loopback(_) => Ok(Vec::new()),
        }
    }

    /// Rules one direction of the link between two hosts from now on. What is on its way already arrives.
    pub fn rule(&self, from: &Host, to: &Host, rule: Rule) {
        match self {
            Fabric::Namespaces(namespaces) => namespaces.rule(from, to, rule),
            Fabric::Loopback(loopback) => loopback.rule(from, to, rule),
        }
    }

    /// [`Fabric::rule`] in both directions.
    pub fn rule_both(&self, one: &Host, other: &Host, rule: Rule) {
        self.rule(one, other, rule);
        self.rule(other, one, rule);
    }

    /// Makes all links perfect.
    pub fn heal_all(&self) {
        match self {
            Fabric::Namespaces(namespaces) => namespaces.heal(),
            Fabric::Loopback(loopback) => loopback.heal(),
        }
    }

    /// Breaks all connections that `host` has at present; both ends are told where links allow it.
    pub fn reset(&self, host: &Host) -> Result<()> {
        if *host == self.rig() {
            bail!("the rig does not cut itself off");
        }
        match self {
            Fabric::Namespaces(namespaces) => namespaces.reset(host),
            Fabric::Loopback(loopback) => {
                loopback.reset(host);
                Ok(())
            }
        }
    }
}
