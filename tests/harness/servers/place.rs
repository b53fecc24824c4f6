//! Where a server runs.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use crate::child::within;
use crate::ports::Port;

/// Where a server listens, and what its process runs in.
#[derive(Debug)]
pub struct Place {
    addr: SocketAddr,
    prefix: Vec<OsString>,
    _claim: Option<Port>,
}

impl Place {
    /// A port of 127.0.0.1 that is reserved as long as the place is.
    pub fn reserve() -> Result<Place> {
        let port = Port::reserve()?;
        Ok(Place {
            addr: port.addr(),
            prefix: Vec::new(),
            _claim: Some(port),
        })
    }

    /// An address that is the caller's to give. The server's command line is put behind `prefix`, a program and arguments
    /// that must end by executing it in the same process, such as `nsenter --net=FILE --`.
    pub fn at(addr: SocketAddr, prefix: Vec<OsString>) -> Place {
        Place {
            addr,
            prefix,
            _claim: None,
        }
    }

    /// Where the server listens, and others dial it.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn dress(&self, command: Command) -> Command {
        within(&self.prefix, command)
    }
}
