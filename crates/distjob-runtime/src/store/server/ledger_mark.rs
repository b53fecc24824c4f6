//! The ledger mark: a string, written once.

use distjob_core::{Zxid, store::ReplyError, zxid::ZxidError};
use redis::Value;

use super::{RedisLine, StoreError, shape};

impl RedisLine {
    pub(super) async fn read_mark(&self) -> Result<Option<Zxid>, StoreError> {
        mark(self.plain(redis::cmd("GET").arg(self.keys.ledger_mark())).await?)
    }

    pub(super) async fn write_mark_once(&self, ledger: Zxid) -> Result<Zxid, StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.ledger_mark())
            .arg(ledger.to_string())
            .arg("NX")
            .arg("GET");
        Ok(mark(self.plain(&set).await?)?.unwrap_or(ledger))
    }

    pub(super) async fn overwrite_mark(&self, ledger: Zxid) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.ledger_mark()).arg(ledger.to_string());
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
