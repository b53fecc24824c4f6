//! Going through all jobs that the store knows, page by page.

use distjob_core::JobId;
use futures::future::try_join_all;

use super::{RedisLine, StoreError, shape};
use crate::store::{MetaEntry, MetaPage};

/// How many keys the store looks at for a page.
const KEYS_A_PAGE: usize = 1000;

impl RedisLine {
    pub(super) async fn scan_page(&self, cursor: u64) -> Result<MetaPage, StoreError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(self.keys.meta_pattern())
            .arg("COUNT")
            .arg(KEYS_A_PAGE);
        let (next, keys): (u64, Vec<Vec<u8>>) =
            redis::from_redis_value(self.plain(&scan).await?).map_err(shape)?;
        let ids = keys.iter().filter_map(|key| {
            let key = std::str::from_utf8(key).ok()?;
            self.keys.job_of_meta(key)
        });
        let jobs = try_join_all(ids.map(|id| self.meta_entry(id))).await?;
        Ok(MetaPage {
            jobs: jobs.into_iter().flatten().collect(),
            next: (next != 0).then_some(next),
        })
    }

    async fn meta_entry(&self, id: JobId) -> Result<Option<MetaEntry>, StoreError> {
        let key = self.keys.job(&id).meta;
        let mut get = redis::cmd("HMGET");
        get.arg(&key).arg("J").arg("state");
        let value = match self.plain(&get).await {
            // Of another type: not ours.
            Err(StoreError::Rejected(_)) => return Ok(None),
            value => value?,
        };
        let (life, state): (Option<String>, Option<String>) =
            redis::from_redis_value(value).map_err(shape)?;
        let Some(life) = life.and_then(|life| life.parse().ok()) else {
            return Ok(None);
        };
        let stays = state.as_deref() == Some("open") || !self.expires(&key).await?;
        Ok(Some(MetaEntry { id, life, stays }))
    }

    /// Whether the key has a time to live, or is gone already.
    async fn expires(&self, key: &str) -> Result<bool, StoreError> {
        let ttl: i64 =
            redis::from_redis_value(self.plain(redis::cmd("TTL").arg(key)).await?).map_err(shape)?;
        Ok(ttl != -1)
    }
}
