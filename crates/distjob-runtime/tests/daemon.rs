//! A daemon as its surroundings see it: signals, exit status, service manager, admin listener.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Long enough for any machine; nothing here takes so long when it works.
const PATIENCE: Duration = Duration::from_secs(30);

/// Cargo builds examples beside the test binaries, but tells nobody where.
fn program() -> Command {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples/minimal-daemon");
    assert!(
        path.exists(),
        "no example was built; run the tests of the package without --test"
    );
    let mut command = Command::new(path);
    command.env_clear();
    command
}

fn output(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A running daemon with a service manager that watches it.
struct Daemon {
    child: Child,
    stderr: BufReader<ChildStderr>,
    manager: UnixDatagram,
    directory: TempDir,
}

impl Daemon {
    fn start(config: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let manager = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        fs::write(directory.path().join("config.toml"), config).unwrap();
        let mut child = program()
            .arg("--config")
            .arg(directory.path().join("config.toml"))
            .env("NOTIFY_SOCKET", directory.path().join("notify"))
            .env("WATCHDOG_USEC", "300000")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            stderr,
            manager,
            directory,
        }
    }

    fn ready(config: &str) -> Self {
        let daemon = Self::start(config);
        daemon.expect("READY=1");
        daemon
    }

    /// Receives until the service manager is told `message`.
    fn expect(&self, message: &str) {
        let mut buffer = [0; 4096];
        loop {
            let length = self.manager.recv(&mut buffer).unwrap();
            if text(&buffer[..length]).lines().any(|line| line == message) {
                return;
            }
        }
    }

    /// Reads the log up to a line that holds `part`, which it returns.
    fn log_line(&mut self, part: &str) -> String {
        let mut line = String::new();
        while self.stderr.read_line(&mut line).unwrap() > 0 {
            if line.contains(part) {
                return line;
            }
            line.clear();
        }
        panic!("the log ended without {part:?}");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A test that failed leaves it running; after one that passed there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_good_configuration_is_valid_and_is_printed() {
    let checked = output(&["--check-config"]);
    assert_eq!(
        (checked.status.code(), text(&checked.stdout).as_str()),
        (Some(0), "configuration is valid\n")
    );
    let printed = output(&["--print-config", "--set", "minimal.work=1m"]);
    assert_eq!(printed.status.code(), Some(0));
    assert!(
        text(&printed.stdout).contains("work = \"1m\"  # flag --set minimal.work\n"),
        "{printed:?}"
    );
}

#[test]
fn a_bad_configuration_ends_with_78_and_every_message() {
    let bad = output(&[
        "--check-config",
        "--set",
        "minimal.wrok=1m",
        "--set",
        "log.level=a=b=c",
    ]);
    assert_eq!((bad.status.code(), text(&bad.stdout).as_str()), (Some(78), ""));
    let stderr = text(&bad.stderr);
    assert!(
        stderr.contains("minimal-daemon: flag --set minimal.wrok: unknown key"),
        "{stderr}"
    );
    assert!(
        stderr.contains("minimal-daemon: flag --set log.level: `log.level` must be"),
        "{stderr}"
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    assert_eq!(output(&["--set", "nonsense"]).status.code(), Some(2));
}

#[test]
fn an_admin_address_in_use_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed = output(&["--set", &format!("admin.listen={address}")]);
    assert_eq!(failed.status.code(), Some(1));
    let stderr = text(&failed.stderr);
    assert!(
        stderr.contains(&format!("bind the admin listener to {address}")),
        "{stderr}"
    );
    assert!(stderr.contains("Address already in use"), "{stderr}");
}

#[test]
fn the_first_signal_drains_and_the_service_manager_hears_of_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::ready("[minimal]\nwork = \"10ms\"\n");
        daemon.expect("WATCHDOG=1");
        daemon.signal(signal);
        daemon.expect("STOPPING=1");
        daemon.expect("STATUS=stopping");
        assert_eq!(daemon.exit_code(), Some(0));
    }
}

#[test]
fn a_drain_lasts_no_longer_than_its_grace_period() {
    let mut daemon = Daemon::ready("[minimal]\nwork = \"1h\"\ngrace_period = \"10ms\"\n");
    daemon.signal(Signal::TERM);
    daemon.log_line("the grace period is over");
    assert_eq!(daemon.exit_code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut daemon = Daemon::ready("[minimal]\nwork = \"1h\"\ngrace_period = \"1h\"\n");
    daemon.signal(Signal::TERM);
    daemon.expect("STOPPING=1");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.exit_code(), Some(1));
}

#[test]
fn a_reload_takes_over_what_can_change_and_says_what_cannot() {
    let mut daemon = Daemon::ready("[minimal]\nwork = \"1h\"\n");
    let file = daemon.directory.path().join("config.toml");
    fs::write(&file, "[minimal]\nwork = \"2h\"\ngrace_period = \"10ms\"\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.expect("RELOADING=1");
    daemon.expect("READY=1");
    daemon.log_line("configuration reloaded: minimal.grace_period: \"30s\" -> \"10ms\"");
    daemon.log_line("only after a restart: minimal.work: \"1h\" -> \"2h\"");
    daemon.log_line("the loop has seen the new configuration");

    fs::write(&file, "[minimal]\nwrok = \"2h\"\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.log_line("unknown key `minimal.wrok`");
    daemon.log_line("the old one stays");

    daemon.signal(Signal::TERM);
    assert_eq!(
        daemon.exit_code(),
        Some(0),
        "it drains by the grace period of the reload"
    );
}

#[test]
fn the_log_tells_where_the_admin_listener_is() {
    let mut daemon = Daemon::start("");
    let line = daemon.log_line("admin listener on ");
    daemon.expect("READY=1");
    let address = line.trim_end().rsplit(' ').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(
        reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("ready\n"),
        "{reply}"
    );
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.exit_code(), Some(0));
}
