//! Ports of 127.0.0.1 that no two harness processes take at the same time.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};

use anyhow::{Context as _, Result};

/// Below Linux' default `ip_local_port_range`, so that no outgoing connection takes a port while its server is down.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port reserved until this is dropped, or its process ends however it ends.
///
/// The reservation is an abstract unix socket named after the port: the kernel grants it once in the network namespace
/// that the port belongs to, and takes it back by itself. Programs other than the harness do not know of it, so a server
/// may still find its port taken and must then be started on another one.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: UnixListener,
}

impl Port {
    /// Reserves a free port. An error only when thousands in a row are taken.
    pub fn reserve() -> Result<Port> {
        // Start anywhere: parallel processes that start at the same place would contend for the same ports.
        let start = RandomState::new().hash_one(std::process::id());
        (0..u64::from(COUNT))
            .map(|step| {
                FIRST + u16::try_from(start.wrapping_add(step) % u64::from(COUNT)).unwrap_or_default()
            })
            .find_map(Port::claim)
            .context("no free port on 127.0.0.1")
    }

    fn claim(number: u16) -> Option<Port> {
        let name = UnixAddr::from_abstract_name(format!("distjob-port-{number}")).ok()?;
        let claim = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Port {
            number,
            _claim: claim,
        })
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port on 127.0.0.1.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// A name part that no other process or call uses: 16 hexadecimal digits.
pub fn unique() -> String {
    format!(
        "{:016x}",
        RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()))
    )
}
