//! A network and a mount namespace for the rig alone, in which it may name hosts and mount file systems as it likes.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

/// Set in the environment of a process that runs inside.
const INSIDE: &str = "DISTJOB_RIG_INSIDE";
/// Debian's packages `util-linux` and `iproute2`.
const PROGRAMS: [&str; 4] = ["unshare", "nsenter", "ip", "ss"];

/// Whether this process has namespaces of its own.
pub fn inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Why this process cannot have namespaces of its own; an error that says what is missing.
pub fn possible() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "only root may make network namespaces"
    );
    for program in PROGRAMS {
        let found =
            env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file());
        ensure!(
            found,
            "{program} is missing: install Debian's packages util-linux and iproute2"
        );
    }
    File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .context("open /dev/net/tun")?;
    let trial = Command::new("unshare")
        .args(["--net", "--mount", "--", "true"])
        .stdin(Stdio::null())
        .output()
        .context("run unshare")?;
    ensure!(
        trial.status.success(),
        "no namespaces: {}",
        String::from_utf8_lossy(&trial.stderr).trim()
    );
    Ok(())
}

/// The command that runs this program with `args` inside namespaces of its own, which end with it.
pub fn again<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Command> {
    let program: PathBuf = env::current_exe().context("find this executable")?;
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--"])
        .arg(program)
        .args(args)
        .env(INSIDE, "1");
    Ok(command)
}

/// Becomes this very command line inside namespaces of its own, with the same process id. Returns at once when it is
/// inside already, and with the reason when that cannot be; the rig then makes do with loopback addresses.
pub fn enter() -> Result<()> {
    if inside() {
        return Ok(());
    }
    possible()?;
    let error = again(env::args_os().skip(1))?.exec();
    Err(anyhow!(error).context("run unshare"))
}

/// Runs `command` to its end; an error that quotes it and its last words when it fails.
pub(crate) fn run(mut command: Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
