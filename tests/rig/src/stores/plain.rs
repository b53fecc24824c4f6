//! Submitting as a program in any language may: a list under the job's id, then the znode.

use anyhow::{Context as _, Result};
use redis::AsyncTypedCommands as _;
use zookeeper_client::{Acls, CreateMode, Error as ZkError};

use super::{Stores, path};
use crate::history::Answer;

/// So many tasks go to Redis at once.
const BATCH: usize = 500;

/// What came of a plain submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// What it was told.
    pub answer: Answer,
    /// Whether a list of tasks may be left for which no job will come: the one who submits has to remove it.
    pub leaves_list: bool,
}

impl Stores {
    /// Submits `payloads` as the job `id` of `queue`. The id must never have been used.
    ///
    /// What fails is not repeated: unlike the submitter's, such a list has no token, and a job that was delivered in the
    /// meantime would be created once more.
    pub async fn submit_plainly(&self, id: &str, queue: &str, payloads: &[String]) -> Plain {
        if let Err(error) = self.push(id, payloads).await {
            let answer = Answer::Refused {
                why: format!("{error:#}"),
            };
            return Plain {
                answer,
                leaves_list: true,
            };
        }
        let data = format!("subm={};queue={queue}", payloads.len());
        let created = self
            .zookeeper(async |zk| {
                let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
                zk.create(&path(&format!("jobs/{id}")), data.as_bytes(), &options)
                    .await
                    .map(drop)
            })
            .await;
        let Err(error) = created else {
            return Plain {
                answer: Answer::Acknowledged,
                leaves_list: false,
            };
        };
        let why = format!("{error:#}");
        match error.downcast_ref::<ZkError>() {
            Some(ZkError::NoNode | ZkError::NoAuth | ZkError::InvalidAcl | ZkError::BadArguments(_)) => {
                Plain {
                    answer: Answer::Refused { why },
                    leaves_list: true,
                }
            }
            _ => Plain {
                answer: Answer::Unclear { why },
                leaves_list: true,
            },
        }
    }

    /// Removes the list of a plain submission, if it is there.
    ///
    /// # Errors
    /// When Redis does not answer in time.
    pub async fn remove_list(&self, id: &str) -> Result<()> {
        let removed = self.redis(async |mut redis| redis.del(id).await.map(drop)).await;
        removed.with_context(|| format!("remove the list of {id}"))
    }

    async fn push(&self, id: &str, payloads: &[String]) -> Result<()> {
        for batch in payloads.chunks(BATCH) {
            self.redis(async |mut redis| redis.rpush(id, batch).await.map(drop))
                .await
                .with_context(|| format!("push tasks of {id}"))?;
        }
        Ok(())
    }
}
