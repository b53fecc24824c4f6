//! What took effect, and why.

use std::fmt;

use super::{
    message::{Refusal, Reply},
    tree::{Change, Stamp},
};
use crate::network::Process;

/// Why there is a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A client wrote.
    Write,
    /// A session was granted.
    Opened,
    /// Its client closed it.
    Closed,
    /// It was not heard of for too long, or was made to end.
    Expired,
}

/// Something that took effect: all of its changes at once.
#[derive(Debug, Clone)]
pub struct Txn {
    /// Its place in the order of all transactions.
    pub zxid: i64,
    /// When: milliseconds since 1970 by the simulated date.
    pub date_ms: i64,
    /// Whose session it was.
    pub session: i64,
    /// The process that opened that session.
    pub process: Process,
    /// Why.
    pub cause: Cause,
    /// What changed, in order.
    pub changes: Vec<Change>,
    pub(super) result: Result<Reply, Refusal>,
}

impl Txn {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            zxid: self.zxid,
            date_ms: self.date_ms,
            session: self.session,
        }
    }

    pub(super) fn ends_session(&self) -> bool {
        matches!(self.cause, Cause::Closed | Cause::Expired)
    }
}

impl fmt::Display for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            zxid,
            session,
            process,
            ..
        } = self;
        write!(f, "zk {zxid:x} {:?} by {process} as {session:x}:", self.cause)?;
        for Change {
            path, what, after, ..
        } in &self.changes
        {
            let after = String::from_utf8_lossy(after.as_deref().unwrap_or_default());
            write!(f, " {what:?} {path} {after}")?;
        }
        Ok(())
    }
}
