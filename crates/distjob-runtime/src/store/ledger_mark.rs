//! The ledger mark: to which ledger this store belongs.
//!
//! It is the creation zxid of the ledger's directory of jobs, written once. Nobody may declare a job lost unless the
//! mark matches: an empty or foreign store has lost nothing, it is the wrong one.

use distjob_core::{Zxid, store::ReplyError, zxid::ZxidError};
use redis::Value;

use super::{JobStore, StoreError, client::shape};

impl JobStore {
    /// The mark, when there is one.
    ///
    /// # Errors
    /// See [the module](super::super); [`StoreError::Reply`] when what stands there is no zxid.
    pub async fn ledger_mark(&self) -> Result<Option<Zxid>, StoreError> {
        mark(
            self.plain(redis::cmd("GET").arg(self.keys().ledger_mark()))
                .await?,
        )
    }

    /// Marks the store unless it is marked, and returns the mark that stands there then. May be repeated.
    ///
    /// # Errors
    /// Like [`JobStore::ledger_mark`].
    pub async fn mark_ledger(&self, ledger: Zxid) -> Result<Zxid, StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys().ledger_mark())
            .arg(ledger.to_string())
            .arg("NX")
            .arg("GET");
        Ok(mark(self.plain(&set).await?)?.unwrap_or(ledger))
    }

    /// Marks the store whatever it was marked with: an operator vouches that it belongs to this ledger and that what
    /// it lacks is lost.
    ///
    /// # Errors
    /// See [the module](super::super).
    pub async fn accept_ledger(&self, ledger: Zxid) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys().ledger_mark()).arg(ledger.to_string());
        self.plain(&set).await.map(drop)
    }
}

fn mark(value: Value) -> Result<Option<Zxid>, StoreError> {
    let text: Option<String> = redis::from_redis_value(value).map_err(shape)?;
    let parse = |text: String| {
        text.parse().map_err(|error: ZxidError| ReplyError::Part {
            what: "ledger mark",
            text,
            why: error.to_string(),
        })
    };
    Ok(text.map(parse).transpose()?)
}
