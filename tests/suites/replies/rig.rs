//! A world behind proxies, and single requests that something befalls.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use distjob_runtime::store::scripts;
use harness::{Effect, Fault, Process, Program, Proxy, Trigger, World, eventually};
use redis::AsyncCommands as _;

use crate::load::{self, Job, SOON, all_right};

/// All that can befall a request or its reply: lost, or late.
pub(crate) const EFFECTS: [Effect; 4] = [
    Effect::LoseReply,
    Effect::LoseRequest,
    Effect::HoldReply,
    Effect::HoldRequest,
];

/// Nobody dies here unless the test says so: sessions outlive the pauses of a busy machine.
const CALM: Duration = Duration::from_secs(20);

/// What programs write at the level `debug` when they ask ZooKeeper again.
const ASKS_AGAIN: &str = "repeating an unclear zookeeper request";

/// A world whose programs reach both stores through proxies, and do not wait long for a reply.
pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) redis: Proxy,
    pub(crate) zookeeper: Proxy,
}

impl Rig {
    /// On shared servers, where there are some.
    pub(crate) async fn shared() -> Rig {
        Rig::of(World::shared().await.unwrap()).await
    }

    /// On its own servers: [`Rig::all_right`] audits every write to the ledger.
    pub(crate) async fn private() -> Rig {
        Rig::of(World::private().await.unwrap()).await
    }

    async fn of(mut world: World) -> Rig {
        world.set_session_timeout(CALM);
        Rig {
            redis: world.redis_proxy().await.unwrap(),
            zookeeper: world.zookeeper_proxy().await.unwrap(),
            world,
        }
    }

    /// Lets a program take the way through the proxies.
    pub(crate) fn through(&self, program: Program) -> Program {
        program
            .redis_at(self.redis.addr())
            .zookeeper_at(self.zookeeper.addr())
            .env("DISTJOB_REDIS__RESPONSE_TIMEOUT", "500ms")
            .env("DISTJOB_REDIS__CONNECT_TIMEOUT", "1s")
            .env("DISTJOB_ZOOKEEPER__OPERATION_TIMEOUT", "1s")
            .env("DISTJOB_LOG__LEVEL", "info,distjob_runtime=debug")
    }

    /// An executor that counts its executions; on its own way to the stores.
    pub(crate) fn executor(&self, more: &str) -> Program {
        load::executor(&self.world, more).env("DISTJOB_TEST_EXECUTIONS", self.executions_file())
    }

    /// Starts `program`, and returns when it has registered.
    pub(crate) async fn start(&self, program: Program, name: &str) -> Process {
        self.world.start_member(program, name).await.unwrap()
    }

    /// An executor and a watcher, both through the proxies.
    pub(crate) async fn crew(&self) -> [Process; 2] {
        [
            self.start(self.through(self.executor("")), "executor").await,
            self.start(self.through(load::watcher(&self.world, "")), "watcher")
                .await,
        ]
    }

    /// An executor and a watcher that nothing befalls.
    pub(crate) async fn untroubled_crew(&self) -> [Process; 2] {
        [
            self.start(self.executor(""), "executor").await,
            self.start(load::watcher(&self.world, ""), "watcher").await,
        ]
    }

    /// `submitter once` for this job, through the proxies, in batches of two tasks.
    pub(crate) fn submitter(&self, job: &Job) -> Process {
        let file = self.world.dir().join(format!("{}.tasks", job.id));
        let lines: String = job.tasks.iter().map(|task| format!("{task}\n")).collect();
        fs::write(&file, lines).unwrap();
        let program = self
            .world
            .program("submitter", "[submitter]\npush_max_tasks = 2\n")
            .unwrap();
        let program = program.args(["once", "--id", &job.id, "--queue", "default"]);
        let name = format!("submitter-{}", job.id);
        self.world.start(self.through(program.arg(file)), &name).unwrap()
    }

    /// As [`all_right`], and every task was run.
    pub(crate) async fn all_right(&self, jobs: &[Job]) {
        all_right(&self.world, jobs).await;
        let tasks = jobs.iter().map(|job| job.tasks.len() as u64).sum::<u64>();
        assert!(self.executions() >= tasks, "fewer executions than tasks");
    }

    /// As [`Rig::all_right`], and no task was run twice: where no executor dies, none has to be.
    pub(crate) async fn all_right_and_run_once(&self, jobs: &[Job]) {
        all_right(&self.world, jobs).await;
        let tasks = jobs.iter().map(|job| job.tasks.len() as u64).sum::<u64>();
        assert_eq!(self.executions(), tasks, "executions");
    }

    fn executions(&self) -> u64 {
        let listed = fs::read_to_string(self.executions_file()).unwrap();
        listed.lines().count() as u64
    }

    fn executions_file(&self) -> PathBuf {
        self.world.dir().join("executions")
    }

    /// Who holds leases of this job.
    pub(crate) async fn holders(&self, id: &str) -> Vec<String> {
        let key = format!("{}{{{id}}}:leases", self.world.prefix());
        self.world.redis().await.unwrap().hkeys(key).await.unwrap()
    }

    /// Lets a late request go, and returns when Redis has read it, and all after it in its connection.
    pub(crate) async fn arrives(&self, late: &Fault) {
        let before = self.redis.connection_count();
        late.release();
        // Its sender has closed its side long ago, so the connection ends when Redis has answered everything.
        eventually("the connection of a late request ends", SOON, async || {
            let now = self.redis.connection_count();
            ensure!(now < before, "{now} connections of {before}");
            Ok(())
        })
        .await;
    }
}

/// Chooses the calls of a script about a job.
pub(crate) fn on(script: &str, id: &str) -> Trigger {
    let (_, script) = scripts().find(|(name, _)| *name == script).unwrap();
    both(script.get_hash(), &format!("{{{id}}}:"))
}

/// Chooses requests that contain both texts.
pub(crate) fn both(one: &str, other: &str) -> Trigger {
    let texts = [one.to_owned(), other.to_owned()];
    Trigger::when(move |request| texts.iter().all(|text| contains(request, text)))
}

/// Whether a request contains a text.
pub(crate) fn contains(request: &[u8], text: &str) -> bool {
    request
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Something that befalls a request to Redis, until its sender has sent it again.
pub(crate) struct Mishap {
    effect: Effect,
    fault: Fault,
    repeat: Fault,
}

impl Mishap {
    /// Lets `effect` befall the request that `trigger` chooses. What it chooses later is taken to be the same request,
    /// sent again.
    pub(crate) fn arm(proxy: &Proxy, effect: Effect, trigger: impl Fn() -> Trigger) -> Mishap {
        let fault = proxy.arm(effect, trigger());
        // Not held for a moment, but seen. A repeat in the same connection waits behind a reply that is held, and only a
        // later one in another connection is answered.
        let repeat = proxy.arm(Effect::HoldReply, trigger().times(u32::MAX));
        repeat.release();
        Mishap {
            effect,
            fault,
            repeat,
        }
    }

    /// Returns when it has happened, and Redis has answered the same request when it was sent again. What was held
    /// arrives then.
    pub(crate) async fn over(self) {
        self.repeated().await.release();
    }

    /// For what nobody has to repeat once it is done: returns when it has happened, and, when Redis did not do it, has been
    /// repeated. A reply that is held then arrives when the caller drops what is returned, and a request arrives at once.
    pub(crate) async fn over_or_done(self) -> Option<Fault> {
        match self.effect {
            Effect::LoseReply | Effect::HoldReply => {
                self.fault.fired(SOON).await.unwrap();
                Some(self.fault)
            }
            Effect::LoseRequest | Effect::HoldRequest => {
                self.over().await;
                None
            }
        }
    }

    /// As [`Mishap::over`], but what is held arrives when the caller releases it.
    pub(crate) async fn repeated(self) -> Fault {
        self.fault.fired(SOON).await.unwrap();
        self.repeat.fired(SOON).await.unwrap();
        self.fault
    }
}

/// Something befell a request to ZooKeeper; returns when it has, and what was held arrives when its sender, `process`, has
/// given up waiting.
pub(crate) async fn given_up(fault: &Fault, effect: Effect, process: &Process) {
    let mark = process.stderr().mark();
    fault.fired(SOON).await.unwrap();
    if matches!(effect, Effect::HoldReply | Effect::HoldRequest) {
        process.stderr().wait_after(mark, ASKS_AGAIN, SOON).await.unwrap();
    }
    fault.release();
}
