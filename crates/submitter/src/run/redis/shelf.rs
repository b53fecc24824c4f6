//! Batches in Redis: made of what stands in a list or a stream, and kept until they are jobs.
//!
//! | key | type | what |
//! |---|---|---|
//! | `<prefix>run:batches` | hash | id of a batch → the queue that it is for |
//! | `<prefix>run:batch:<id>` | list | its tasks; it never changes |
//! | `<list>:refused` | list | what was longer than a task may be |
//!
//! The step that takes tasks away where they stood puts them into a batch: at every moment a task is in one of the two
//! places, or in a job. The id of the batch becomes that of the job, so whoever finds a batch may submit it, twice even.

use std::sync::LazyLock;

use distjob_core::{JobId, KeyScheme, QueueName};
use distjob_runtime::store::{StoreError, StoreSettings, connect};
use redis::{AsyncCommands as _, Script, aio::MultiplexedConnection};

/// Most tasks that one step takes: it holds Redis up for some milliseconds.
const TAKEN_MAX: u64 = 10_000;

/// Most bytes that one step takes, unless a single task has more: a batch is read back whole.
const TAKEN_BYTES_MAX: u64 = 64 << 20;

/// The group by which a stream remembers what was taken.
const GROUP: &str = "distjob";

static TAKE_LIST: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take_list.lua")));
static TAKE_STREAM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take_stream.lua")));

/// Where tasks are put by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A list, taken from its head.
    List(String),
    /// A stream, of which each entry is one task.
    Stream(String),
}

impl Place {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::List(key) | Self::Stream(key) => key,
        }
    }
}

/// How much is taken in one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) tasks: u64,
    pub(super) bytes: u64,
    pub(super) task_bytes: u64,
}

/// What one step took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Tasks of the batch; without any there is no batch.
    pub(super) tasks: u64,
    /// What was no task, or too long for one.
    pub(super) refused: u64,
    /// Whether there is more where it came from.
    pub(super) is_more: bool,
}

/// A connection for batches. Every call may be repeated. After an error that is not a rejection it is of no use any more:
/// connect again.
#[derive(Debug)]
pub(super) struct Shelf {
    connection: MultiplexedConnection,
    keys: KeyScheme,
}

impl Shelf {
    /// Connects.
    ///
    /// # Errors
    /// When the store cannot be reached, or may not write.
    pub(super) async fn connect(settings: &StoreSettings) -> Result<Self, StoreError> {
        Ok(Self {
            connection: connect(settings).await.map_err(StoreError::Unavailable)?,
            keys: settings.keys.clone(),
        })
    }

    /// Makes sure that a place can be taken from.
    ///
    /// # Errors
    /// When something else has this key.
    pub(super) async fn prepare(&self, place: &Place) -> Result<(), StoreError> {
        let Place::Stream(key) = place else { return Ok(()) };
        let mut connection = self.connection.clone();
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(key).arg(GROUP).arg("0").arg("MKSTREAM");
        match create.query_async::<()>(&mut connection).await {
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => made.map_err(StoreError::of_command),
        }
    }

    /// Takes tasks from a place into the batch `id`, for `queue`.
    ///
    /// # Errors
    /// When the store does not answer, has no memory, or something else has one of the keys.
    pub(super) async fn take(
        &self,
        place: &Place,
        id: &JobId,
        queue: &QueueName,
        most: Most,
    ) -> Result<Taken, StoreError> {
        let script = match place {
            Place::List(_) => &*TAKE_LIST,
            Place::Stream(_) => &*TAKE_STREAM,
        };
        let mut call = script.key(place.key());
        call.key(self.keys.run_batch(id)).key(self.keys.run_batches());
        if let Place::List(key) = place {
            call.key(format!("{key}:refused"));
        }
        call.arg(id.as_str())
            .arg(queue.as_str())
            .arg(most.tasks.min(TAKEN_MAX))
            .arg(most.bytes.min(TAKEN_BYTES_MAX))
            .arg(most.task_bytes);
        if let Place::Stream(_) = place {
            call.arg(GROUP);
        }
        let mut connection = self.connection.clone();
        let (tasks, refused, left): (u64, u64, u64) = call
            .invoke_async(&mut connection)
            .await
            .map_err(StoreError::of_command)?;
        Ok(Taken {
            tasks,
            refused,
            is_more: left > 0,
        })
    }

    /// The batches that there are, with the queue of each.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn left(&self) -> Result<Vec<(JobId, QueueName)>, StoreError> {
        let mut connection = self.connection.clone();
        let found: Vec<(String, String)> = connection
            .hgetall(self.keys.run_batches())
            .await
            .map_err(StoreError::of_command)?;
        let named = |(id, queue)| Some((JobId::new(id).ok()?, QueueName::new(queue).ok()?));
        Ok(found.into_iter().filter_map(named).collect())
    }

    /// The tasks of a batch. They are about as many bytes as one step takes. None when it is gone.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn tasks(&self, id: &JobId) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut connection = self.connection.clone();
        connection
            .lrange(self.keys.run_batch(id), 0, -1)
            .await
            .map_err(StoreError::of_command)
    }

    /// Forgets a batch that is a job.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) async fn forget(&self, id: &JobId) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        redis::pipe()
            .atomic()
            .unlink(self.keys.run_batch(id))
            .hdel(self.keys.run_batches(), id.as_str())
            .query_async(&mut connection)
            .await
            .map_err(StoreError::of_command)
    }
}
