//! The ledger mark: a string, written once.

use distjob_core::{Zxid, store::ReplyError, zxid::ZxidError};
use redis::Value;

use super::{RedisLine, StoreError, shape};

/// A script, although `GET` would do: a server that was demoted to a replica must not answer from the past, and a daemon
/// that has nothing to do hears in no other way that its store was.
const GET: &str = "#!lua flags=allow-oom\nreturn redis.call('GET', KEYS[1])";

impl RedisLine {
    pub(super) async fn read_mark(&self) -> Result<Option<Zxid>, StoreError> {
        let mut get = redis::cmd("EVAL");
        get.arg(GET).arg(1).arg(self.keys.ledger_mark());
        mark(self.plain(&get).await?)
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
