//! Lets a script happen, and writes down what comes of it in words that are the same wherever it happened.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use distjob_runtime::zk::{
    ZkError,
    client::{Connect, Mode, OnceWatch, Op, SessionClient, SessionState, Stat, WatchEvent},
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::BoxStream};

use crate::script::{Step, Who, Write};

/// Where a script happens.
pub(crate) struct Stage {
    /// One for each client.
    pub(crate) connectors: [Arc<dyn Connect>; 2],
    pub(crate) servers: String,
    /// Everything happens below it.
    pub(crate) root: String,
}

struct Player<'a> {
    stage: &'a Stage,
    clients: Vec<Arc<dyn SessionClient>>,
    /// What watches, by what it is called.
    once: Vec<(String, BoxFuture<'static, ()>)>,
    recursive: Vec<BoxStream<'static, WatchEvent>>,
    /// Transactions and sessions in the order in which they were first seen.
    seen: BTreeMap<i64, usize>,
}

/// What each step comes to.
pub(crate) async fn play(stage: &Stage, script: &[Step]) -> Vec<String> {
    let mut player = Player {
        stage,
        clients: Vec::new(),
        once: Vec::new(),
        recursive: Vec::new(),
        seen: BTreeMap::from([(0, 0)]),
    };
    player.clients = vec![player.connect(0).await, player.connect(1).await];
    let create = player.clients[0].create(&stage.root, b"", Mode::Persistent);
    create.await.unwrap();
    for who in 0..2 {
        player.clients[who].sync(&stage.root).await.unwrap();
        let events = player.clients[who].watch_recursively(&stage.root);
        player.recursive.push(events.await.unwrap());
    }
    let mut answers = Vec::new();
    for step in script {
        let answer = player.perform(step).await;
        let told = player.told().await;
        answers.push(format!("{step:?}: {answer}; told {told:?}"));
    }
    answers
}

impl Player<'_> {
    async fn connect(&self, who: Who) -> Arc<dyn SessionClient> {
        let connector = &self.stage.connectors[who];
        let timeout = Duration::from_secs(30);
        connector.connect(&self.stage.servers, timeout).await.unwrap()
    }

    async fn perform(&mut self, step: &Step) -> String {
        match step {
            Step::Write(who, write) => self.write(*who, write).await,
            Step::Multi(who, writes) => self.multi(*who, writes).await,
            Step::Stat(who, path) => {
                let stat = self.clients[*who].check_stat(&self.path(path)).await;
                self.words(stat.map(|stat| stat.map(|stat| (String::new(), stat))))
            }
            Step::Data(who, path) => {
                let data = self.clients[*who].get_data(&self.path(path)).await;
                self.words(data.map(|(data, stat)| Some((format!("{data:?}"), stat))))
            }
            Step::DataOfAll(who, paths) => self.data_of_all(*who, paths).await,
            Step::Children(who, path) => {
                let children = self.clients[*who].get_children(&self.path(path)).await;
                self.words(children.map(|(names, stat)| Some((sorted(names), stat))))
            }
            Step::WatchData(who, path) => {
                let data = self.clients[*who].get_and_watch_data(&self.path(path)).await;
                let seen = data.map(|(data, stat, watch)| {
                    self.watch(format!("data of {path} by {who}"), watch);
                    Some((format!("{data:?}"), stat))
                });
                self.words(seen)
            }
            Step::WatchChildren(who, path) => {
                let children = self.clients[*who].get_and_watch_children(&self.path(path)).await;
                let seen = children.map(|(names, stat, watch)| {
                    self.watch(format!("children of {path} by {who}"), watch);
                    Some((sorted(names), stat))
                });
                self.words(seen)
            }
            Step::Renew(who) => self.renew(*who).await,
        }
    }

    async fn data_of_all(&mut self, who: Who, paths: &[&str]) -> String {
        let paths: Vec<String> = paths.iter().map(|path| self.path(path)).collect();
        match self.clients[who].get_data_of_all(&paths).await {
            Ok(reads) => {
                let words = reads
                    .into_iter()
                    .map(|read| self.words(read.map(|(data, stat)| Some((format!("{data:?}"), stat)))));
                format!("all of {:?}", words.collect::<Vec<_>>())
            }
            Err(error) => self.words(Err(error)),
        }
    }

    async fn write(&mut self, who: Who, write: &Write) -> String {
        let client = &self.clients[who];
        let written = match *write {
            Write::Create(path, mode) => client.create(&self.path(path), b"new", mode).await,
            Write::Set(path, version) => client.set_data(&self.path(path), b"set", Some(version)).await,
            Write::Delete(path, version) | Write::Check(path, version) => {
                let deleted = client.delete(&self.path(path), Some(version)).await;
                deleted.map(|()| Stat::default())
            }
        };
        self.words(written.map(|stat| Some((String::new(), stat))))
    }

    async fn multi(&mut self, who: Who, writes: &[Write]) -> String {
        let paths: Vec<String> = writes.iter().map(|write| self.path(path_of(write))).collect();
        let ops: Vec<Op<'_>> = writes
            .iter()
            .zip(&paths)
            .map(|(write, path)| match *write {
                Write::Create(_, mode) => Op::Create {
                    path,
                    data: b"multi",
                    mode,
                },
                Write::Set(_, version) => Op::Set {
                    path,
                    data: b"both",
                    version,
                },
                Write::Delete(_, version) => Op::Delete { path, version },
                Write::Check(_, version) => Op::Check { path, version },
            })
            .collect();
        let done = self.clients[who].multi(&ops).await;
        self.words(done.map(|()| None))
    }

    /// Another session, after the one before is over.
    async fn renew(&mut self, who: Who) -> String {
        let next = self.connect(who).await;
        let old = std::mem::replace(&mut self.clients[who], next);
        let mut states = old.states();
        drop(old);
        while states.changed().await != SessionState::Over {}
        self.clients[who].sync(&self.stage.root).await.unwrap();
        let events = self.clients[who].watch_recursively(&self.stage.root);
        let old = std::mem::replace(&mut self.recursive[who], events.await.unwrap());
        let mut last: Vec<String> = old.map(|event| self.event(&event)).collect().await;
        last.sort();
        format!("{last:?}")
    }

    fn watch(&mut self, name: String, watch: OnceWatch) {
        self.once.push((name, watch.fired().boxed()));
    }

    /// What all watches have told since the last step, in any order.
    async fn told(&mut self) -> Vec<String> {
        for client in &self.clients {
            // Whatever watches tell of what happened before comes before the answer.
            client.sync(&self.stage.root).await.unwrap();
        }
        let mut told = Vec::new();
        self.once.retain_mut(|(name, fired)| match fired.now_or_never() {
            Some(()) => {
                told.push(name.clone());
                false
            }
            None => true,
        });
        for who in 0..2 {
            while let Some(Some(event)) = self.recursive[who].next().now_or_never() {
                told.push(format!("{} to {who}", self.event(&event)));
            }
        }
        told.sort();
        told
    }

    fn event(&self, event: &WatchEvent) -> String {
        format!("{event:?}").replace(&self.stage.root, "")
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.stage.root)
    }

    /// An answer, with the same words for the same thing.
    fn words(&mut self, answer: Result<Option<(String, Stat)>, ZkError>) -> String {
        match answer {
            Ok(None) => "ok".to_owned(),
            Ok(Some((what, stat))) => {
                let [life, children, owner] =
                    [stat.czxid, stat.pzxid, stat.ephemeral_owner].map(|number| self.number(number));
                format!(
                    "{what} life {life} children {children}.{} version {} owner {owner}",
                    stat.cversion, stat.version
                )
            }
            Err(ZkError::Refused(_)) => "refused".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    fn number(&mut self, number: i64) -> usize {
        let next = self.seen.len();
        *self.seen.entry(number).or_insert(next)
    }
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    format!("{names:?}")
}

const fn path_of(write: &Write) -> &'static str {
    match write {
        Write::Create(path, _) | Write::Set(path, _) | Write::Delete(path, _) | Write::Check(path, _) => path,
    }
}
