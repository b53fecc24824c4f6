//! Hosts that are network namespaces, on one switch.
//!
//! A namespace has no name and no file: it is held by one small process, which dies with the rig, and ends with the last
//! process in it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::Child;
use harness::child::mortal;
use tappers::Tap;

use super::frame::mac_of;
use super::private::{inside, run};
use super::switch::Switch;
use super::{Host, Rule};

/// The rig's own address; hosts follow.
const FIRST: [u8; 4] = [10, 77, 0, 1];
const HOSTS_MAX: u8 = 250;
const HELD_WITHIN: Duration = Duration::from_secs(10);
/// The interface of each host; the rig's own is called so, too.
const INTERFACE: &str = "eth0";

/// All hosts of a run. Dropping it ends them.
#[derive(Debug)]
pub struct Namespaces {
    dir: PathBuf,
    switch: Switch,
    holders: Mutex<HashMap<Ipv4Addr, Holder>>,
    given: Mutex<u8>,
    /// Where each address that wanders is.
    names: Mutex<HashMap<Ipv4Addr, Ipv4Addr>>,
}

/// What holds a host's namespace: a process; none for the rig itself.
#[derive(Debug)]
struct Holder(Option<Child>);

impl Holder {
    fn prefix(&self) -> Vec<OsString> {
        let Some(child) = &self.0 else {
            return Vec::new();
        };
        let namespace = format!("--net=/proc/{}/ns/net", child.pid());
        ["nsenter", &namespace, "--"].map(OsString::from).to_vec()
    }

    /// A command line without quotes, inside.
    fn command(&self, line: &str) -> Command {
        let mut words = self
            .prefix()
            .into_iter()
            .chain(line.split(' ').map(OsString::from));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

impl Namespaces {
    /// Makes the switch and the rig's own interface on it. `dir` gets the holders' log files, `seed` chooses the frames
    /// that a lossy link loses. An error outside of namespaces that are the rig's alone.
    pub(super) fn open(dir: &Path, seed: u64) -> Result<Namespaces> {
        ensure!(inside(), "not inside namespaces of its own");
        let namespaces = Namespaces {
            dir: dir.to_owned(),
            switch: Switch::start(seed)?,
            holders: Mutex::default(),
            given: Mutex::new(0),
            names: Mutex::default(),
        };
        namespaces.connect(namespaces.free_address()?, Holder(None))?;
        Ok(namespaces)
    }

    pub(super) fn rig(&self) -> Host {
        Host {
            name: "rig".into(),
            ip: FIRST.into(),
        }
    }

    pub(super) async fn host(&self, name: &str) -> Result<Host> {
        let ip = self.free_address()?;
        let mut command = mortal("unshare");
        command.args(["--net", "--", "sh", "-c", "echo held; exec sleep infinity"]);
        let child = Child::spawn(&format!("host-{name}"), command, &self.dir)?;
        child.stdout().wait("held", HELD_WITHIN).await?;
        self.connect(ip, Holder(Some(child)))
            .with_context(|| format!("connect the host {name}"))?;
        Ok(Host {
            name: name.into(),
            ip,
        })
    }

    /// An address that no host has: of a host to come, or one that wanders.
    pub(super) fn free_address(&self) -> Result<Ipv4Addr> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(*given < HOSTS_MAX, "more than {HOSTS_MAX} hosts");
        *given += 1;
        let [a, b, c, _] = FIRST;
        Ok(Ipv4Addr::new(a, b, c, *given))
    }

    fn connect(&self, ip: Ipv4Addr, holder: Holder) -> Result<()> {
        let mut tap = Tap::new().context("make a TAP device")?;
        tap.set_nonblocking(true)
            .context("make a TAP device nonblocking")?;
        let device = tap.name().context("ask a TAP device for its name")?.name();
        if let Some(child) = &holder.0 {
            let mut moving = Command::new("ip");
            moving.args(["link", "set", "dev"]).arg(&device);
            moving.arg("netns").arg(child.pid().to_string());
            run(moving)?;
        }
        let mac = mac_of(ip).map(|byte| format!("{byte:02x}")).join(":");
        let device = device.to_string_lossy();
        let steps = [
            "ip link set dev lo up".to_owned(),
            format!("ip link set dev {device} address {mac} mtu 9000 name {INTERFACE}"),
            format!("ip addr add {ip}/24 dev {INTERFACE}"),
            format!("ip link set dev {INTERFACE} up"),
        ];
        for step in steps {
            run(holder.command(&step))?;
        }
        self.switch.plug(ip, tap);
        (self.holders.lock().unwrap_or_else(PoisonError::into_inner)).insert(ip, holder);
        Ok(())
    }

    pub(super) fn prefix(&self, host: &Host) -> Result<Vec<OsString>> {
        self.with_holder(host.ip, Holder::prefix)
    }

    pub(super) fn rule(&self, from: &Host, to: &Host, rule: Rule) {
        self.switch.rule(from.ip, to.ip, rule);
    }

    pub(super) fn heal(&self) {
        self.switch.heal();
    }

    /// Lets the address of `name` be one of `to`, and of nobody else.
    pub(super) fn point(&self, name: &Host, to: &Host) -> Result<()> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let before = names.insert(name.ip, to.ip);
        if before == Some(to.ip) {
            return Ok(());
        }
        if let Some(before) = before {
            self.run_at(before, &format!("ip addr del {}/32 dev {INTERFACE}", name.ip))?;
        }
        self.run_at(to.ip, &format!("ip addr add {}/32 dev {INTERFACE}", name.ip))?;
        self.switch.point(name.ip, to.ip);
        Ok(())
    }

    /// Breaks all TCP connections of a host, and tells their other ends, where links allow it.
    pub(super) fn reset(&self, host: &Host) -> Result<()> {
        self.run_at(host.ip, "ss -K -t state established")
    }

    /// The processes on a host, its holder left out.
    pub(super) fn processes(&self, host: &Host) -> Result<Vec<u32>> {
        let holder = self
            .with_holder(host.ip, |holder| holder.0.as_ref().map(Child::pid))?
            .with_context(|| format!("{host} is no host of its own"))?;
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let here = namespace(holder).with_context(|| format!("{host} is gone"))?;
        let all = fs::read_dir("/proc").context("list all processes")?;
        Ok(all
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != holder && namespace(*pid).as_ref() == Some(&here))
            .collect())
    }

    fn run_at(&self, host: Ipv4Addr, line: &str) -> Result<()> {
        let command = self.with_holder(host, |holder| holder.command(line))?;
        run(command).map(drop)
    }

    fn with_holder<T>(&self, host: Ipv4Addr, ask: impl FnOnce(&Holder) -> T) -> Result<T> {
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let holder = holders.get(&host).with_context(|| format!("no host {host}"))?;
        Ok(ask(holder))
    }
}
