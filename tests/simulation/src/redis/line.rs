//! The client's end: connections through the simulated network.

use std::{io, sync::Arc, time::Duration};

use distjob_core::{
    Holder, JobData, JobId, QueueName, Source, Token, Zxid,
    rate::{Limit, Tokens},
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, DropReply, Inspection, Open, Push, PushRequest, Read,
        ReadRequest, ReleaseRequest, Status,
    },
    trouble::SinkTrouble,
};
use distjob_runtime::store::{Dial, Freeing, Line, Lines, Memory, MetaPage, Reply, StoreError};
use futures::{
    FutureExt as _,
    future::{BoxFuture, try_join_all},
};
use redis::{ErrorKind, RedisError, ServerErrorKind, make_extension_error};
use tokio::time::timeout;

use super::{
    Redis, Refusal,
    server::{Access, Answer, Over},
};
use crate::network::{Cut, Process, Server, Wire};

/// Connects a process.
pub(super) struct Dialer {
    pub(super) redis: Redis,
    pub(super) process: Process,
    pub(super) response_timeout: Duration,
    pub(super) connect_timeout: Duration,
}

/// A connection of a process.
struct SimulatedLine {
    redis: Redis,
    wire: Wire,
    response_timeout: Duration,
}

impl Dialer {
    async fn dial_one(&self) -> Result<Box<dyn Line>, RedisError> {
        let connecting = self.redis.0.network.connect(self.process, Server::Redis);
        let wire = match timeout(self.connect_timeout, connecting).await {
            Ok(wire) => wire.map_err(|_| io_error(io::ErrorKind::ConnectionRefused))?,
            Err(_) => return Err(io_error(io::ErrorKind::TimedOut)),
        };
        let line = SimulatedLine {
            redis: self.redis.clone(),
            wire,
            response_timeout: self.response_timeout,
        };
        line.send(|redis| redis.state().admit(Access::Script)).await?;
        Ok(Box::new(line))
    }
}

impl Dial for Dialer {
    fn dial(&self, count: usize) -> BoxFuture<'_, Result<Lines, RedisError>> {
        try_join_all((0..count).map(|_| self.dial_one())).boxed()
    }
}

impl SimulatedLine {
    /// Sends a request, and waits for the reply as long as one may take.
    fn send<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&Redis) -> Answer<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, RedisError>> {
        let redis = self.redis.clone();
        let sent = self.wire.call(move || effect(&redis));
        let patience = self.response_timeout;
        async move {
            match timeout(patience, sent).await {
                Ok(Ok(Ok(reply))) => Ok(reply),
                Ok(Ok(Err(refusal))) => Err(refusal.into()),
                Ok(Err(Cut)) => Err(io_error(io::ErrorKind::ConnectionReset)),
                Err(_) => Err(io_error(io::ErrorKind::TimedOut)),
            }
        }
        .boxed()
    }

    fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&Redis) -> Answer<T> + Send + 'static,
    ) -> Reply<'static, T> {
        self.redis.tally().add(self.wire.process(), name, 1);
        let reply = self.send(effect);
        async { reply.await.map_err(StoreError::of_command) }.boxed()
    }

    /// A script, which may be sent twice.
    fn script<T: Send + 'static>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&Redis) -> Answer<T> + Clone + Send + 'static,
    ) -> Reply<'static, T> {
        if self.redis.repeats_now() {
            drop(self.call(name, effect.clone()));
        }
        self.call(name, effect)
    }
}

impl Line for SimulatedLine {
    fn push<'a>(&'a self, id: &'a JobId, request: &'a PushRequest<'a>) -> Reply<'a, Push> {
        let (id, token) = (id.clone(), request.source.clone());
        let (offset, ttl_s) = (request.offset, request.ttl_s);
        let tasks: Arc<[Vec<u8>]> = request.tasks.into();
        self.script("push", move |redis| {
            redis.push(&id, &token, offset, ttl_s, &tasks)
        })
    }

    fn open<'a>(&'a self, id: &'a JobId, life: Zxid, count: u64, source: &'a Source) -> Reply<'a, Open> {
        let (id, source) = (id.clone(), source.clone());
        self.script("open", move |redis| redis.open(&id, life, count, &source))
    }

    fn claim<'a>(&'a self, id: &'a JobId, request: &'a ClaimRequest<'a>) -> Reply<'a, Claim> {
        let (id, holder) = (id.clone(), request.holder.clone());
        let held = request.held.to_vec();
        let ClaimRequest {
            life,
            want,
            bytes_max,
            isolate,
            isolated,
            ..
        } = *request;
        self.script("claim", move |redis| {
            let request = ClaimRequest {
                life,
                holder: &holder,
                want,
                bytes_max,
                isolate,
                isolated,
                held: &held,
            };
            redis.claim(&id, &request)
        })
    }

    fn commit<'a>(&'a self, id: &'a JobId, request: &'a CommitRequest<'a>) -> Reply<'a, Commit> {
        let (id, holder) = (id.clone(), request.holder.clone());
        let outcomes = request.outcomes.clone();
        let (life, lo) = (request.life, request.lo);
        self.script("commit", move |redis| {
            let request = CommitRequest {
                life,
                holder: &holder,
                lo,
                outcomes: &outcomes,
            };
            redis.commit(&id, &request)
        })
    }

    fn release<'a>(&'a self, id: &'a JobId, request: &'a ReleaseRequest<'a>) -> Reply<'a, Commit> {
        let (id, holder) = (id.clone(), request.holder.clone());
        let (life, range) = (request.life, request.range);
        self.script("release", move |redis| {
            let request = ReleaseRequest {
                life,
                holder: &holder,
                range,
            };
            redis.release(&id, &request)
        })
    }

    fn free<'a>(&'a self, id: &'a JobId, life: Zxid, holder: &'a Holder, why: Freeing) -> Reply<'a, u64> {
        let (id, holder) = (id.clone(), holder.clone());
        self.script("free", move |redis| redis.free(&id, life, &holder, why))
    }

    fn read<'a>(&'a self, id: &'a JobId, request: ReadRequest) -> Reply<'a, Read> {
        let id = id.clone();
        self.script("read", move |redis| redis.read(&id, request))
    }

    fn status<'a>(&'a self, id: &'a JobId, life: Zxid, count: u64, source: &'a Source) -> Reply<'a, Status> {
        let (id, source) = (id.clone(), source.clone());
        self.script("status", move |redis| redis.status(&id, life, count, &source))
    }

    fn drop_job<'a>(
        &'a self,
        id: &'a JobId,
        life: Zxid,
        source: &'a Source,
        ttl_s: u64,
        last: Option<&'a JobData>,
    ) -> Reply<'a, DropReply> {
        let (id, source) = (id.clone(), source.clone());
        let last = last.cloned();
        self.script("drop", move |redis| {
            redis.drop_job(&id, life, &source, ttl_s, last.as_ref())
        })
    }

    fn staged<'a>(
        &'a self,
        id: &'a JobId,
        token: &'a Token,
        from: u64,
        most: u64,
    ) -> Reply<'a, Vec<Vec<u8>>> {
        let (id, source) = (id.clone(), Source::Staged(token.clone()));
        self.script("staged", move |redis| redis.staged(&id, &source, from, most))
    }

    fn inspect<'a>(&'a self, id: &'a JobId, source: &'a Source) -> Reply<'a, Inspection> {
        let (id, source) = (id.clone(), source.clone());
        self.script("inspect", move |redis| redis.inspect(&id, &source))
    }

    // For people, who are not simulated: nothing is remembered.
    fn set_trouble<'a>(&'a self, _: &'a JobId, _: &'a SinkTrouble, _: u64) -> Reply<'a, ()> {
        self.ping()
    }

    fn clear_trouble<'a>(&'a self, _: &'a JobId) -> Reply<'a, ()> {
        self.ping()
    }

    fn trouble<'a>(&'a self, _: &'a JobId) -> Reply<'a, Option<SinkTrouble>> {
        self.call("trouble", |redis| {
            redis.state().admit(Access::Reads).map(|()| None)
        })
    }

    fn take_tokens<'a>(&'a self, queue: &'a QueueName, limit: Limit, want: u32) -> Reply<'a, Tokens> {
        let queue = queue.clone();
        self.script("take", move |redis| redis.take_tokens(&queue, limit, want))
    }

    fn ledger_mark(&self) -> Reply<'_, Option<Zxid>> {
        self.call("mark", Redis::ledger_mark)
    }

    fn mark_ledger(&self, ledger: Zxid) -> Reply<'_, Zxid> {
        self.call("mark", move |redis| redis.mark(ledger, Over::Nothing))
    }

    fn accept_ledger(&self, ledger: Zxid) -> Reply<'_, ()> {
        self.call("mark", move |redis| redis.mark(ledger, Over::Anything).map(drop))
    }

    fn scan(&self, _cursor: u64) -> Reply<'_, MetaPage> {
        self.call("scan", Redis::scan)
    }

    fn ping(&self) -> Reply<'_, ()> {
        self.call("ping", |redis| redis.state().admit(Access::Reads))
    }

    fn memory(&self) -> Reply<'_, Memory> {
        self.call("memory", Redis::memory)
    }
}

fn io_error(kind: io::ErrorKind) -> RedisError {
    io::Error::from(kind).into()
}

impl From<Refusal> for RedisError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::ReadOnly => (
                ErrorKind::Server(ServerErrorKind::ReadOnly),
                "this server is a replica",
            )
                .into(),
            Refusal::Loading => (
                ErrorKind::Server(ServerErrorKind::BusyLoading),
                "this server reads its data",
            )
                .into(),
            Refusal::NoMemory => make_extension_error("OOM".to_owned(), Some("no memory is left".to_owned())),
        }
    }
}
