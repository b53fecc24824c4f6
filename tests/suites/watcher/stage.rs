//! A world in which the test submits and executes by itself, through the same client as the programs.

use std::time::Duration;

use anyhow::{Result, ensure};
use distjob_core::store::{Claim, ClaimRequest, CommitRequest, Grant, Isolated, Open, Push, PushRequest};
use distjob_core::submission::Kept;
use distjob_core::{
    Holder, JobData, JobEntry, JobId, JobKeys, JobState, KeyScheme, Layout, MemberName, Outcome, Packed,
    QueueName, Source, Token, Zxid,
};
use distjob_runtime::member::belonging;
use distjob_runtime::store::{JobStore, StoreSettings};
use distjob_runtime::zk::{
    Created, JobRead, Ledger, Session, SessionSettings, Written, client::over_network,
};
use harness::{Process, Program, World, eventually, unique};
use redis::AsyncCommands as _;
use serde_json::{Value, json};

use crate::SOON;

/// The queue of all jobs here.
pub(crate) const QUEUE: &str = "plays";

/// A job that was submitted, and what should come out of it.
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) entry: JobEntry,
    pub(crate) tasks: Vec<Vec<u8>>,
}

impl Job {
    /// What becomes of a task here: every third fails, the others answer their own bytes, reversed.
    pub(crate) fn outcome(index: usize, task: &[u8]) -> Result<Vec<u8>, String> {
        if index % 3 == 2 {
            return Err(format!("task \"{index}\" failed\n"));
        }
        Ok(task.iter().rev().copied().collect())
    }

    /// The payloads of those that fail.
    pub(crate) fn failed_tasks(&self) -> Vec<Vec<u8>> {
        let tasks = self.tasks.iter().enumerate();
        tasks
            .filter(|(index, task)| Self::outcome(*index, task).is_err())
            .map(|(_, task)| task.clone())
            .collect()
    }
}

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) store: JobStore,
    pub(crate) ledger: Ledger,
    executor: Holder,
}

impl Stage {
    /// A stage whose store belongs to its ledger.
    pub(crate) async fn new() -> Self {
        Self::in_world(World::shared().await.unwrap()).await
    }

    pub(crate) async fn in_world(world: World) -> Self {
        let settings = SessionSettings {
            connect: world.zookeeper_addr().to_owned(),
            connector: over_network(),
            layout: Layout::new(&world.root()).unwrap(),
            session_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(10),
        };
        let session = Session::open_persistently(&settings, |error| eprintln!("{error}")).await;
        let keys = KeyScheme::new(world.prefix()).unwrap();
        let store = JobStore::new(&StoreSettings::new(world.redis_url(), keys)).unwrap();
        belonging(&session, &store).await.unwrap();
        let name = MemberName::new("the-test").unwrap();
        Self {
            world,
            store,
            ledger: Ledger::new(session),
            executor: Holder {
                born: Zxid::new(1),
                name,
            },
        }
    }

    /// Tasks with every byte value in them, as text and not.
    pub(crate) fn tasks(count: usize) -> Vec<Vec<u8>> {
        let task = |index: usize| match index % 4 {
            0 => index.to_string().into_bytes(),
            1 => vec![(index % 256) as u8],
            2 => format!("\"{index}\"\\\u{1f980}\n").into_bytes(),
            _ => (0..=u8::MAX).collect(),
        };
        (0..count).map(task).collect()
    }

    /// Submits and opens a job of that many [tasks](Self::tasks).
    pub(crate) async fn submit(&self, count: usize) -> Job {
        self.submit_in(QUEUE, count).await
    }

    async fn submit_in(&self, queue: &str, count: usize) -> Job {
        let job = self.announce_in(queue, count, Self::tasks(count)).await;
        if count > 0 {
            let open = self
                .store
                .open(&job.id, job.entry.life, count as u64, &job.entry.data.source);
            assert_eq!(open.await.unwrap(), Open::Open);
        }
        job
    }

    /// Pushes `tasks` and creates a job of `count`, which nobody opens.
    pub(crate) async fn announce(&self, count: usize, tasks: Vec<Vec<u8>>) -> Job {
        self.announce_in(QUEUE, count, tasks).await
    }

    /// The same, in another queue.
    async fn announce_in(&self, queue: &str, count: usize, tasks: Vec<Vec<u8>>) -> Job {
        let id = JobId::new(self.world.job_id("play")).unwrap();
        let token = Token::new(unique()).unwrap();
        self.push(&id, &token, &tasks).await;
        let queue = QueueName::new(queue).unwrap();
        let data = JobData::submitted(count as u64, queue, Source::Staged(token));
        match self.ledger.create(&id, &data).await.unwrap() {
            Created::Yes(entry) => Job { id, entry, tasks },
            other => panic!("{other:?}"),
        }
    }

    /// Stages tasks for a job.
    pub(crate) async fn push(&self, id: &JobId, token: &Token, tasks: &[Vec<u8>]) {
        let request = PushRequest {
            source: token,
            offset: 0,
            ttl_s: 600,
            tasks,
        };
        assert!(matches!(
            self.store.push(id, &request).await.unwrap(),
            Push::Ok(_)
        ));
    }

    /// Runs up to `most` tasks of a job, in ranges of five.
    pub(crate) async fn execute(&self, job: &Job, most: usize) {
        let mut done = 0;
        while done < most {
            let request = ClaimRequest {
                life: job.entry.life,
                holder: &self.executor,
                want: (most - done).min(5) as u64,
                bytes_max: 1 << 20,
                isolate: 2,
                isolated: Isolated::Leave,
                held: &[],
            };
            match self.store.claim(&job.id, &request).await.unwrap() {
                Claim::Lease(grant) => done += self.commit(job, &grant).await,
                Claim::Complete => return,
                other => panic!("{other:?}"),
            }
        }
    }

    async fn commit(&self, job: &Job, grant: &Grant) -> usize {
        let lo = grant.lease.range.lo();
        let mut packed = Packed::default();
        for (index, task) in (lo as usize..).zip(grant.tasks.iter()) {
            match Job::outcome(index, task) {
                Ok(value) => packed.push(Outcome::Ok(&value)),
                Err(error) => packed.push(Outcome::Err(error.as_bytes())),
            }
        }
        let request = CommitRequest {
            life: job.entry.life,
            holder: &self.executor,
            lo,
            outcomes: &packed,
        };
        let commit = self.store.commit(&job.id, &request).await.unwrap();
        assert!(commit.accepted);
        grant.tasks.len()
    }

    /// Sets a job's state, whatever it is.
    pub(crate) async fn set(&self, job: &mut Job, state: JobState) {
        let data = job.entry.data.in_state(state);
        assert_eq!(
            self.ledger.set(&job.id, &job.entry, &data).await.unwrap(),
            Written::Yes
        );
        // Not read again: a watcher may be done with the job by now.
        job.entry.data = data;
        job.entry.version += 1;
    }

    /// A job of `count` tasks, executed and said to be.
    pub(crate) async fn processed(&self, count: usize) -> Job {
        self.processed_in(QUEUE, count).await
    }

    /// The same, in another queue.
    pub(crate) async fn processed_in(&self, queue: &str, count: usize) -> Job {
        let mut job = self.submit_in(queue, count).await;
        self.execute(&job, count).await;
        self.set(&mut job, JobState::Processed).await;
        job
    }

    /// The job's znode.
    pub(crate) async fn look(&self, job: &Job) -> Option<JobEntry> {
        self.ledger.read_fresh(&job.id).await.unwrap().into_job()
    }

    /// Waits until the job is in that state, and returns it.
    pub(crate) async fn reaches(&self, job: &Job, state: JobState) -> JobEntry {
        eventually(&format!("{} becomes {state}", job.id), SOON, async || {
            let entry = self.look(job).await;
            ensure!(
                entry.as_ref().is_some_and(|entry| entry.data.state == state),
                "{entry:?}"
            );
            Ok(entry.expect("looked at it"))
        })
        .await
    }

    /// Waits until the job's znode is gone.
    pub(crate) async fn gone(&self, job: &Job) {
        eventually(&format!("{} is gone", job.id), SOON, async || {
            match self.ledger.read_fresh(&job.id).await? {
                JobRead::Gone => Ok(()),
                other => anyhow::bail!("{other:?}"),
            }
        })
        .await;
    }

    /// Waits until the job is delivered, and checks that nothing is missing and nothing is left.
    pub(crate) async fn delivered(&self, job: &Job) {
        self.gone(job).await;
        let lines = self
            .world
            .delivered_whole(QUEUE, job.id.as_str(), &job.tasks)
            .unwrap();
        for (index, line) in lines.iter().enumerate() {
            assert_eq!(line.outcome, Job::outcome(index, &line.task), "index {index}");
        }
        let (manifest, failed) = (self.manifest(job), job.failed_tasks().len());
        assert_eq!(
            (&manifest["tasks"], &manifest["ok"], &manifest["failed"]),
            (&json!(lines.len()), &json!(lines.len() - failed), &json!(failed))
        );
        assert_eq!(manifest["life"], job.entry.life.to_string());
        self.nothing_is_left().await;
    }

    /// The manifest beside a job's result.
    pub(crate) fn manifest(&self, job: &Job) -> Value {
        let manifest = self.world.manifest(QUEUE, job.id.as_str()).unwrap();
        manifest.expect("a result has its manifest")
    }

    /// The job of that id, which is open.
    pub(crate) async fn opened(&self, id: &JobId) -> Job {
        let entry = self.ledger.read_fresh(id).await.unwrap().into_job().unwrap();
        if entry.data.count == 0 {
            let (id, tasks) = (id.clone(), Vec::new());
            return Job { id, entry, tasks };
        }
        let open = self
            .store
            .open(id, entry.life, entry.data.count, &entry.data.source);
        assert_eq!(open.await.unwrap(), Open::Open);
        let mut redis = self.world.redis().await.unwrap();
        let tasks = redis.lrange(self.store.keys().job(id).tasks, 0, -1);
        Job {
            id: id.clone(),
            entry,
            tasks: tasks.await.unwrap(),
        }
    }

    /// The key of the list of a job's failed tasks, when they are kept.
    pub(crate) async fn failed_key(&self, job: &Job) -> Option<String> {
        let pointer = Token::of_failed(job.entry.life);
        let items = self.store.staged(&job.id, &pointer, 0, 2).await.unwrap();
        let source = Source::Staged(Kept::parse(&items)?.list);
        Some(self.store.keys().source(&job.id, &source))
    }

    /// What is kept of a job for a retry.
    pub(crate) async fn kept(&self, job: &Job) -> Vec<Vec<u8>> {
        let Some(key) = self.failed_key(job).await else {
            return Vec::new();
        };
        let mut redis = self.world.redis().await.unwrap();
        redis.lrange(key, 0, -1).await.unwrap()
    }

    /// Removes what is kept, as time does.
    pub(crate) async fn forget_failed(&self, job: &Job) {
        let source = Source::Staged(Token::of_failed(job.entry.life));
        let pointer = self.store.keys().source(&job.id, &source);
        let list = self.failed_key(job).await.unwrap();
        let mut redis = self.world.redis().await.unwrap();
        let removed: u64 = redis.del(&[pointer, list]).await.unwrap();
        assert_eq!(removed, 2);
    }

    /// `distjobctl` with these arguments, and patience.
    pub(crate) fn ctl_program(&self, args: &[&str]) -> Program {
        let program = self.world.program("distjobctl", "").unwrap();
        program.args(args).args(["--json", "--timeout", "30s"])
    }

    /// Starts it.
    pub(crate) fn start_ctl(&self, args: &[&str]) -> Process {
        let name = format!("distjobctl-{}", unique());
        self.world.start(self.ctl_program(args), &name).unwrap()
    }

    /// Runs it; its status and its report.
    pub(crate) async fn ctl(&self, args: &[&str]) -> (i32, Value) {
        Self::ended(&self.start_ctl(args)).await
    }

    /// The status and the report of one that was started.
    pub(crate) async fn ended(ctl: &Process) -> (i32, Value) {
        let status = ctl.wait(SOON).await.unwrap().code().unwrap();
        let text = ctl.stdout().lines().join("\n");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// No lock, no partial file, and no key but the mark and tombstones that expire.
    pub(crate) async fn nothing_is_left(&self) {
        eventually("nothing is left", SOON, async || {
            let (locks, keys, partials) = (
                self.world.locks().await?,
                self.world.keys_left().await?,
                self.partials(),
            );
            ensure!(
                locks.is_empty() && keys.is_empty() && partials.is_empty(),
                "{locks:?} {keys:?} {partials:?}"
            );
            Ok(())
        })
        .await;
    }

    /// The files that are being written, or were left behind.
    pub(crate) fn partials(&self) -> Vec<String> {
        let directory = self.world.sink().join(".partial");
        let entries = std::fs::read_dir(directory).into_iter().flatten();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// The names of a job's keys.
    pub(crate) fn keys(&self, job: &Job) -> JobKeys {
        self.store.keys().job(&job.id)
    }

    /// A watcher that reads in slices of seven tasks, is quick to try again, and has these lines more in `[watcher]`.
    pub(crate) fn program(&self, more: &str) -> Program {
        let watcher = format!(
            "[watcher]\nslice_max_tasks = 7\nretry_initial = \"20ms\"\nretry_max = \"200ms\"\n\
             grace_period = \"5s\"\n{more}"
        );
        self.world.watcher(&watcher).unwrap()
    }

    /// Starts a watcher and returns when it has registered.
    pub(crate) async fn watcher(&self, name: &str) -> Process {
        self.world.start_member(self.program(""), name).await.unwrap()
    }

    /// Starts a watcher that stops or kills itself at a named point, as in `locked=kill`.
    pub(crate) async fn watcher_with_point(&self, name: &str, point: &str) -> Process {
        let program = self.program("").env("DISTJOB_TEST_POINTS", point);
        self.world.start_member(program, name).await.unwrap()
    }
}
