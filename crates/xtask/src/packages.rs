//! Debian packages that the suites and the demo need: real servers, Python's clients of them, and what examples run in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::shell::{answers, command, on_path, run, shown};

/// A package and how to see, on any distribution, that what it brings is there already.
pub(crate) struct Package {
    name: &'static str,
    what: &'static str,
    is_there: fn() -> bool,
}

/// The ZooKeeper server; the package brings the Java runtime along.
pub(crate) const ZOOKEEPER: Package = Package {
    name: "zookeeper",
    what: "the ZooKeeper server",
    is_there: || Path::new("/usr/share/java/zookeeper.jar").exists() && on_path("java").is_some(),
};
/// The Redis server.
pub(crate) const REDIS: Package = Package {
    name: "redis-server",
    what: "the Redis server",
    is_there: || on_path("redis-server").is_some(),
};
/// Python's ZooKeeper client, for the test of plain submission from another language.
pub(crate) const PYTHON_KAZOO: Package = Package {
    name: "python3-kazoo",
    what: "Python's ZooKeeper client",
    is_there: || imports("kazoo"),
};
/// Python's Redis client, for the same test.
pub(crate) const PYTHON_REDIS: Package = Package {
    name: "python3-redis",
    what: "Python's Redis client",
    is_there: || imports("redis"),
};

/// Python's virtual environments with pip in them, for the S3 server that suites upload to.
pub(crate) const PYTHON_VENV: Package = Package {
    name: "python3-venv",
    what: "Python's venv",
    is_there: || imports("ensurepip") && imports("venv"),
};

/// Node, for the example of a worker in JavaScript.
pub(crate) const NODE: Package = Package {
    name: "nodejs",
    what: "Node",
    is_there: || on_path("node").is_some(),
};
/// Node's package manager, for a peer of the benchmark. Some packages of Node bring it along.
pub(crate) const NPM: Package = Package {
    name: "npm",
    what: "npm",
    is_there: || on_path("npm").is_some(),
};
/// A peer of the benchmark, with Ruby.
pub(crate) const RUBY_SIDEKIQ: Package = Package {
    name: "ruby-sidekiq",
    what: "Sidekiq",
    is_there: || Path::new("/usr/bin/sidekiq").exists(),
};
/// The Redis client with which Sidekiq is fastest.
pub(crate) const RUBY_HIREDIS: Package = Package {
    name: "ruby-hiredis",
    what: "Ruby's hiredis",
    is_there: || answers(command("/usr/bin/ruby", ["-e", "require 'hiredis'"])),
};
/// JSON for shell scripts, for the example of a worker in shell.
pub(crate) const JQ: Package = Package {
    name: "jq",
    what: "jq",
    is_there: || on_path("jq").is_some(),
};
/// What reads an archive of the kind zip, to see that anybody can.
pub(crate) const UNZIP: Package = Package {
    name: "unzip",
    what: "unzip",
    is_there: || on_path("unzip").is_some(),
};
/// What reads one of the kind zstd, for the same.
pub(crate) const ZSTD: Package = Package {
    name: "zstd",
    what: "zstd",
    is_there: || on_path("zstd").is_some(),
};

/// The commands that make network namespaces and rule their links, for the fault rig.
pub(crate) const IPROUTE: Package = Package {
    name: "iproute2",
    what: "ip and ss",
    is_there: || on_path("ip").is_some() && on_path("ss").is_some(),
};
/// The library that gives a process a clock of its own, for the fault rig.
pub(crate) const LIBFAKETIME: Package = Package {
    name: "libfaketime",
    what: "libfaketime",
    is_there: || libfaketime().is_some(),
};

/// Where Debian puts it: below a directory of the machine's architecture.
fn libfaketime() -> Option<PathBuf> {
    let libraries = fs::read_dir("/usr/lib").ok()?;
    libraries
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.exists())
}

/// Debian's own Python, not one that a version manager put in front of it: packages install for that one.
fn imports(module: &str) -> bool {
    answers(command("/usr/bin/python3", ["-c", &format!("import {module}")]))
}

/// Runs as root with the packages' names as arguments. Debian starts a server as soon as it is installed and at every
/// boot, neither of which a test run should leave behind: a policy file forbids the first for as long as the
/// installation lasts, unless the machine has a policy of its own.
const INSTALL: &str = r#"set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
apt-get install -qq -y --no-install-recommends "$@"
case " $* " in *" redis-server "*)
    if command -v systemctl >/dev/null; then systemctl disable --quiet redis-server.service || true; fi
esac"#;

/// Installs those of `packages` that are missing, with sudo when not root.
///
/// # Errors
///
/// Where it cannot: the message tells what to install by hand.
pub(crate) fn ensure(packages: &[&Package]) -> Result<()> {
    let missing = packages
        .iter()
        .filter(|package| !(package.is_there)())
        .collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|package| package.name).collect::<Vec<_>>();
    for package in &missing {
        eprintln!(
            "    {} is missing (Debian package {})",
            package.what, package.name
        );
    }
    if on_path("apt-get").is_none() {
        bail!(
            "install what Debian calls {} with this system's package manager, then repeat",
            names.join(" ")
        );
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", names.join(" "));
    let Some(mut install) = as_root() else {
        bail!("this is not root and there is no sudo; let root run `{by_hand}`, then repeat");
    };
    eprintln!(
        "    installing; nothing is started by it, now or at boot: {} {by_hand}",
        shown(&install)
    );
    install
        .args(["sh", "-c", INSTALL, "install"])
        .args(&names)
        .stdin(std::process::Stdio::inherit());
    if run(install).is_err() {
        bail!("the packages could not be installed; let root run `{by_hand}`, then repeat");
    }
    match missing.iter().find(|package| !(package.is_there)()) {
        None => Ok(()),
        Some(package) => bail!(
            "{} was installed, but {} is still not found",
            package.name,
            package.what
        ),
    }
}

/// The front of a command that runs as root; `env` where this process is root already.
fn as_root() -> Option<Command> {
    const NOTHING: [&str; 0] = [];
    if rustix::process::geteuid().is_root() {
        return Some(command("env", NOTHING));
    }
    on_path("sudo").map(|sudo| command(sudo, NOTHING))
}
