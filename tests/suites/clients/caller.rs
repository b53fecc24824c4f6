//! The example clients as programs, and daemons for them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::{Process, Program, World, is_prime, unique};

use crate::SOON;

/// Nobody dies in these tests unless they say so: sessions outlive the pauses of a busy machine.
const CALM: Duration = Duration::from_secs(20);

/// In which language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Python,
    Shell,
}

impl Client {
    /// A client in this world, by default at its servers.
    pub(crate) fn program(self, world: &World) -> Program {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/clients");
        let program = match self {
            Client::Python => Program::at("/usr/bin/python3").arg(examples.join("distjob_client.py")),
            Client::Shell => Program::at("/bin/sh").arg(examples.join("distjob-client.sh")),
        };
        program
            .env("REDIS_URL", world.redis_url())
            .env("ZOOKEEPER", world.zookeeper_addr())
            .env("ROOT", world.root())
            .env("PREFIX", world.prefix())
    }

    /// With the arguments that submit the tasks of `input`.
    pub(crate) fn submit(self, program: Program, id: &str, input: &Path) -> Program {
        let program = program.stdin_file(input);
        match self {
            Client::Python => program.args(["submit", "--queue", "primes", "--id", id]),
            Client::Shell => program.args(["submit", "primes", id]),
        }
    }

    /// Starts to submit.
    pub(crate) fn start_to_submit(self, world: &World, id: &str, input: &Path) -> Process {
        start(world, self.submit(self.program(world), id, input))
    }

    /// Submits, and returns what it printed.
    pub(crate) async fn submitted(self, world: &World, id: &str, input: &Path) -> Vec<String> {
        let client = self.start_to_submit(world, id, input);
        client.succeeded(SOON).await.unwrap()
    }

    /// Starts to wait for a job.
    pub(crate) fn start_to_wait(self, world: &World, id: &str) -> Process {
        start(world, self.program(world).args(["wait", id]))
    }

    /// Waits for a job that succeeds.
    pub(crate) async fn waited(self, world: &World, id: &str) -> Vec<String> {
        self.start_to_wait(world, id).succeeded(SOON).await.unwrap()
    }
}

pub(crate) fn start(world: &World, program: Program) -> Process {
    world.start(program, &format!("client-{}", unique())).unwrap()
}

/// A world in which no session ends by accident.
pub(crate) async fn calm_world() -> World {
    calm(World::shared().await.unwrap())
}

/// The same of another world.
pub(crate) fn calm(mut world: World) -> World {
    world.set_session_timeout(CALM);
    world
}

/// Lets a watcher run once, so that the ledger and its mark in the store are there.
pub(crate) async fn found(world: &World) {
    let watcher = world.start_member(world.watcher("").unwrap(), "founder").await;
    watcher.unwrap().stop(SOON).await.unwrap();
}

/// A watcher and an executor.
pub(crate) async fn crew(world: &World) -> [Process; 2] {
    let watcher = world.start_member(world.watcher("").unwrap(), "w").await;
    let executor = world.start_member(world.executor("").unwrap(), "e").await;
    [watcher.unwrap(), executor.unwrap()]
}

/// An input of this many numbers.
pub(crate) fn input(world: &World, count: u64) -> std::path::PathBuf {
    let path = world.dir().join(format!("input-{}", unique()));
    let lines: String = (0..count).map(|number| format!("{number}\n")).collect();
    fs::write(&path, lines).unwrap();
    path
}

/// The job of these numbers was delivered, whole and right.
pub(crate) fn is_whole(world: &World, id: &str, count: u64) {
    let tasks: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    let lines = world.delivered_whole("primes", id, &tasks).unwrap();
    for (line, number) in lines.iter().zip(0..) {
        let expected = is_prime(number).to_string().into_bytes();
        assert_eq!(line.outcome.as_ref(), Ok(&expected), "{number}");
    }
}
