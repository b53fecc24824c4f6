//! Child processes: their output, signals, memory, and that they die with their parent.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use anyhow::ensure;
use harness::child::mortal;
use harness::{Answer, AppendOnly, Child, Process, Program, Redis, eventually};
use rustix::process::Signal;
use tempfile::tempdir;

use crate::SOON;

fn shell(script: &str, dir: &Path) -> Process {
    Program::at("/bin/sh")
        .args(["-c", script])
        .start("shell", dir)
        .expect("start a shell")
}

#[tokio::test]
async fn a_line_is_awaited_wherever_it_is_and_also_after_a_mark() {
    let dir = tempdir().unwrap();
    let process = Program::at("/bin/sh")
        .args([
            "-c",
            "echo one range=3 >&2; read line; echo one range=4 >&2; echo out; exec sleep 100",
        ])
        .stdin_pipe()
        .start("shell", dir.path())
        .unwrap();
    assert_eq!(process.wait_log("ne*=", SOON).await.unwrap(), "one range=3");
    let mark = process.stderr().mark();
    assert!(!process.stderr().contains("range=4"));
    process.take_stdin().unwrap().write_all(b"go on\n").unwrap();
    assert_eq!(
        process.stderr().wait_after(mark, "one", SOON).await.unwrap(),
        "one range=4"
    );
    process.stdout().wait("out", SOON).await.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("shell.out")).unwrap(), "out\n");

    let error = process
        .wait_log("never", Duration::from_millis(50))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("did not write \"never\"") && error.contains("one range=4"),
        "{error}"
    );
    process.kill().await.unwrap();
    let error = process.wait_log("never", SOON).await.unwrap_err().to_string();
    assert!(error.contains("ended without writing"), "{error}");
}

#[tokio::test]
async fn signals_arrive_and_exit_statuses_return() {
    let dir = tempdir().unwrap();
    let process = shell(
        "trap 'echo hup' HUP; trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done",
        dir.path(),
    );
    process.stdout().wait("ready", SOON).await.unwrap();
    process.signal(Signal::HUP).unwrap();
    process.stdout().wait("hup", SOON).await.unwrap();
    process.pause().unwrap();
    process.terminate().unwrap();
    process
        .wait(Duration::from_millis(50))
        .await
        .expect_err("a paused process ended");
    process.resume().unwrap();
    assert_eq!(process.wait(SOON).await.unwrap().code(), Some(3));
    process
        .signal(Signal::HUP)
        .expect_err("a signal to a process that has ended");

    let error = shell("echo no such queue >&2; exit 1", dir.path())
        .succeeded(SOON)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("no such queue"), "{error}");
    assert_eq!(
        shell("echo a; echo b", dir.path()).succeeded(SOON).await.unwrap(),
        ["a", "b"]
    );
}

#[tokio::test]
async fn a_program_gets_its_configuration_and_not_the_settings_of_the_test_run() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("input"), "tasks\n").unwrap();
    let program = Program::at("/usr/bin/env")
        .env("DISTJOB_REDIS__URL", "x")
        .redis_at("host:1")
        .zookeeper_at("host:2");
    let lines = program
        .start("env", dir.path())
        .unwrap()
        .succeeded(SOON)
        .await
        .unwrap();
    let ours: Vec<_> = lines
        .into_iter()
        .filter(|line| line.starts_with("DISTJOB_"))
        .collect();
    assert_eq!(
        ours,
        [
            "DISTJOB_REDIS__URL=redis://host:1",
            "DISTJOB_ZOOKEEPER__CONNECT=host:2"
        ]
    );

    let echo = Program::at("/bin/echo")
        .config("[log]\n")
        .arg("once")
        .start("echo", dir.path())
        .unwrap();
    let config = dir.path().join("echo.toml");
    assert_eq!(
        echo.succeeded(SOON).await.unwrap(),
        [format!("--config {} once", config.display())]
    );
    assert_eq!(fs::read_to_string(config).unwrap(), "[log]\n");

    let cat = Program::at("/bin/cat")
        .stdin_file(dir.path().join("input"))
        .start("cat", dir.path())
        .unwrap();
    assert_eq!(cat.succeeded(SOON).await.unwrap(), ["tasks"]);
}

#[tokio::test]
async fn peak_memory_is_known_after_the_end_when_watched() {
    let dir = tempdir().unwrap();
    // dd holds one block in memory, for as long as it copies all 40 of them.
    let dd = || Program::at("/bin/dd").args(["if=/dev/zero", "of=/dev/null", "bs=50M", "count=40"]);
    let watched = dd().watch_memory().start("watched", dir.path()).unwrap();
    assert!(watched.memory().unwrap() > 0);
    watched.succeeded(SOON).await.unwrap();
    let peak = watched.peak_memory().unwrap();
    assert!((50_000_000..60_000_000).contains(&peak), "{peak}");

    let process = shell("true", dir.path());
    process.succeeded(SOON).await.unwrap();
    process.memory().expect_err("an ended process has no memory");
    process.peak_memory().expect_err("it was not watched");
}

#[tokio::test]
async fn the_admin_listener_is_found_in_the_log_and_asked() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let dir = tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let process = shell(
        &format!("echo '... admin listener on {addr} ...' >&2; exec sleep 100"),
        dir.path(),
    );
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 11];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"GET /readyz");
        stream
            .write_all(b"HTTP/1.0 503 Service Unavailable\r\n\r\nno Redis\n")
            .await
            .unwrap();
        stream.shutdown().await.unwrap();
        // Read to the end: closing with unread bytes would reset the answer away.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(process.admin_get("/readyz"), serve);
    assert_eq!(
        answer.unwrap(),
        Answer {
            status: 503,
            body: "no Redis\n".to_owned()
        }
    );
}

#[test]
fn a_program_that_was_not_built_is_named_with_what_to_do() {
    let error = Program::of_workspace("no-such-program").unwrap_err().to_string();
    assert!(
        error.contains("no-such-program is missing") && error.contains("cargo build --workspace"),
        "{error}"
    );
}

#[tokio::test]
async fn a_dropped_child_is_dead() {
    let dir = tempdir().unwrap();
    let mut command = mortal("sleep");
    command.arg("1000");
    let child = Child::spawn("sleep", command, dir.path()).unwrap();
    let pid = child.pid();
    assert!(is_alive(pid));
    drop(child);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn children_die_with_a_parent_that_is_killed() {
    const VICTIM: &str = "HARNESS_VICTIM_DIR";
    const NAME: &str = "processes::children_die_with_a_parent_that_is_killed";
    if let Some(dir) = env::var_os(VICTIM) {
        // In the victim: start children from a thread that ends, and tell who they are.
        let start = || {
            let dir = Path::new(&dir);
            (Program::at("/bin/sleep").arg("1000").start("sleep", dir)).expect("start a sleeper")
        };
        let sleeper =
            std::thread::scope(|scope| scope.spawn(start).join().expect("the thread that starts it"));
        let redis = Redis::start_in(Path::new(&dir), AppendOnly::No).await.unwrap();
        println!("children: {} {}", sleeper.pid(), redis.child().unwrap().pid());
        std::future::pending::<()>().await;
    }
    let dir = tempdir().unwrap();
    let victim = Program::at(env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(VICTIM, dir.path())
        .start("victim", dir.path())
        .unwrap();
    let line = victim.stdout().wait("children: ", SOON).await.unwrap();
    let children: Vec<u32> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert_eq!(children.len(), 2, "{line}");
    assert!(children.iter().all(|pid| is_alive(*pid)));

    victim.kill().await.unwrap();
    eventually("the children are dead", SOON, async || {
        let alive: Vec<_> = children.iter().filter(|pid| is_alive(**pid)).collect();
        ensure!(alive.is_empty(), "alive: {alive:?}");
        Ok(())
    })
    .await;
}

/// Zombies do not count: who inherits an orphan may be slow to reap it.
fn is_alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && !line.contains("zombie"))
}
