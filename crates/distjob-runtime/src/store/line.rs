//! The seam below the client: connections to a store, whatever it is made of.
//!
//! Above it, in [`JobStore`](super::JobStore), is everything that has to be right under faults: when connections are
//! made and given up, which one a call takes, how long to wait after a failure. Below it is Redis, or the model of one
//! in a simulation.

use distjob_core::{
    Holder, JobData, JobId, QueueName, Source, Token, Zxid,
    rate::{Limit, Tokens},
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, DropReply, Inspection, Open, Push, PushRequest, Read,
        ReadRequest, ReleaseRequest, Status,
    },
    trouble::SinkTrouble,
};
use futures::future::BoxFuture;
use redis::RedisError;

use super::{Memory, MetaPage, StoreError};

/// What becomes of a call. Dropping the future does not undo what was sent.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Connections that were made together.
pub type Lines = Vec<Box<dyn Line>>;

/// Makes connections.
pub trait Dial: Send + Sync + 'static {
    /// Makes `count` connections, at least one, and has made sure that the store serves: one that answers, but may not
    /// write, is as good as away. The error is that of the first that failed.
    fn dial(&self, count: usize) -> BoxFuture<'_, Result<Lines, RedisError>>;
}

/// One connection: executes calls in the order in which their futures are first polled, and answers in that order.
///
/// A call fails with [`StoreError::of_command`] of what the store, or the lack of one, says, or with
/// [`StoreError::Reply`]. A reply that does not come in time is an I/O error that
/// [is a time-out](RedisError::is_timeout).
pub trait Line: Send + Sync + 'static {
    /// See [`JobStore::push`](super::JobStore::push).
    fn push<'a>(&'a self, id: &'a JobId, request: &'a PushRequest<'a>) -> Reply<'a, Push>;

    /// See [`JobStore::open`](super::JobStore::open).
    fn open<'a>(&'a self, id: &'a JobId, life: Zxid, count: u64, source: &'a Source) -> Reply<'a, Open>;

    /// See [`JobStore::claim`](super::JobStore::claim).
    fn claim<'a>(&'a self, id: &'a JobId, request: &'a ClaimRequest<'a>) -> Reply<'a, Claim>;

    /// See [`JobStore::commit`](super::JobStore::commit).
    fn commit<'a>(&'a self, id: &'a JobId, request: &'a CommitRequest<'a>) -> Reply<'a, Commit>;

    /// See [`JobStore::release`](super::JobStore::release).
    fn release<'a>(&'a self, id: &'a JobId, request: &'a ReleaseRequest<'a>) -> Reply<'a, Commit>;

    /// See [`JobStore::free`](super::JobStore::free).
    fn free<'a>(&'a self, id: &'a JobId, life: Zxid, holder: &'a Holder, why: Freeing) -> Reply<'a, u64>;

    /// See [`JobStore::read`](super::JobStore::read).
    fn read<'a>(&'a self, id: &'a JobId, request: ReadRequest) -> Reply<'a, Read>;

    /// See [`JobStore::status`](super::JobStore::status).
    fn status<'a>(&'a self, id: &'a JobId, life: Zxid, count: u64, source: &'a Source) -> Reply<'a, Status>;

    /// See [`JobStore::drop_job`](super::JobStore::drop_job).
    fn drop_job<'a>(
        &'a self,
        id: &'a JobId,
        life: Zxid,
        source: &'a Source,
        ttl_s: u64,
        last: Option<&'a JobData>,
    ) -> Reply<'a, DropReply>;

    /// See [`JobStore::staged`](super::JobStore::staged).
    fn staged<'a>(&'a self, id: &'a JobId, token: &'a Token, from: u64, most: u64)
    -> Reply<'a, Vec<Vec<u8>>>;

    /// See [`JobStore::inspect`](super::JobStore::inspect).
    fn inspect<'a>(&'a self, id: &'a JobId, source: &'a Source) -> Reply<'a, Inspection>;

    /// See [`JobStore::set_trouble`](super::JobStore::set_trouble).
    fn set_trouble<'a>(&'a self, id: &'a JobId, trouble: &'a SinkTrouble, ttl_s: u64) -> Reply<'a, ()>;

    /// See [`JobStore::clear_trouble`](super::JobStore::clear_trouble).
    fn clear_trouble<'a>(&'a self, id: &'a JobId) -> Reply<'a, ()>;

    /// See [`JobStore::trouble`](super::JobStore::trouble).
    fn trouble<'a>(&'a self, id: &'a JobId) -> Reply<'a, Option<SinkTrouble>>;

    /// See [`JobStore::take_tokens`](super::JobStore::take_tokens).
    fn take_tokens<'a>(&'a self, queue: &'a QueueName, limit: Limit, want: u32) -> Reply<'a, Tokens>;

    /// See [`JobStore::ledger_mark`](super::JobStore::ledger_mark).
    fn ledger_mark(&self) -> Reply<'_, Option<Zxid>>;

    /// See [`JobStore::mark_ledger`](super::JobStore::mark_ledger).
    fn mark_ledger(&self, ledger: Zxid) -> Reply<'_, Zxid>;

    /// See [`JobStore::accept_ledger`](super::JobStore::accept_ledger).
    fn accept_ledger(&self, ledger: Zxid) -> Reply<'_, ()>;

    /// See [`JobStore::scan`](super::JobStore::scan).
    fn scan(&self, cursor: u64) -> Reply<'_, MetaPage>;

    /// See [`JobStore::ping`](super::JobStore::ping).
    fn ping(&self) -> Reply<'_, ()>;

    /// See [`JobStore::memory`](super::JobStore::memory).
    fn memory(&self) -> Reply<'_, Memory>;
}

/// Why a holder's ranges are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freeing {
    /// The holder itself leaves. Counts nothing.
    Leaving,
    /// The holder is [proven dead](distjob_core::Roster::proves_dead). Counts one death on each range, the first
    /// time: a holder dies once, whatever it claims before it hears of that.
    Dead,
}

impl Freeing {
    /// By how much the attempts of each range grow.
    #[must_use]
    pub const fn deaths(self) -> u32 {
        match self {
            Self::Leaving => 0,
            Self::Dead => 1,
        }
    }
}
