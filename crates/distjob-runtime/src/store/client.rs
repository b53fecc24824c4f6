//! The client: which connection a call takes, what its errors mean.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::Arc,
};

use distjob_core::{JobId, KeyScheme, store::ReplyError};
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::watch;

use super::{
    ConnectionState, StoreCounts, StoreError, StoreSettings, connection::Connections, scripts::Script,
};

/// The job store. Cheap to clone: all clones share the connections.
///
/// Nothing is connected before the first call. See [the module](super) for errors, cancellation and order.
#[derive(Clone)]
pub struct JobStore {
    shared: Arc<Shared>,
}

struct Shared {
    keys: KeyScheme,
    connections: Connections,
    counts: StoreCounts,
}

/// How full the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that may be used, when there is a limit.
    pub max: Option<u64>,
}

impl JobStore {
    /// A client of the store; does not connect yet.
    ///
    /// # Errors
    /// When the URL makes no sense.
    pub fn new(settings: &StoreSettings) -> Result<Self, RedisError> {
        let shared = Shared {
            keys: settings.keys.clone(),
            connections: Connections::new(settings)?,
            counts: StoreCounts::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Where the keys are.
    #[must_use]
    pub fn keys(&self) -> &KeyScheme {
        &self.shared.keys
    }

    /// How many calls failed.
    #[must_use]
    pub fn counts(&self) -> &StoreCounts {
        &self.shared.counts
    }

    /// Follows the connection. When the generation grows, replies may have been lost: audit what is held. A loss is
    /// noticed by the next call, not before.
    #[must_use]
    pub fn connection_state(&self) -> watch::Receiver<ConnectionState> {
        self.shared.connections.watch()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.plain(&redis::cmd("PING")).await.map(drop)
    }

    /// How full the store is.
    ///
    /// # Errors
    /// See [the module](super).
    pub async fn memory(&self) -> Result<Memory, StoreError> {
        let info = self.plain(redis::cmd("INFO").arg("memory")).await?;
        let text: String = redis::from_redis_value(info).map_err(shape)?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        Ok(Memory {
            used: field("used_memory:").unwrap_or(0),
            max: field("maxmemory:").filter(|max| *max > 0),
        })
    }

    /// Runs a script; gives it to the server first when that does not know it.
    pub(super) async fn run<T>(
        &self,
        script: &Script,
        id: &JobId,
        cmd: &Cmd,
        parse: impl FnOnce(Vec<Vec<u8>>) -> Result<T, ReplyError>,
    ) -> Result<T, StoreError> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let reply = self.send(hasher.finish(), Some(script), cmd).await?;
        self.counted(strings(reply).and_then(parse).map_err(StoreError::from))
    }

    /// Runs a command that is about no job.
    pub(super) async fn plain(&self, cmd: &Cmd) -> Result<Value, StoreError> {
        self.send(0, None, cmd).await
    }

    async fn send(&self, hash: u64, script: Option<&Script>, cmd: &Cmd) -> Result<Value, StoreError> {
        let connections = &self.shared.connections;
        let generation = self.counted(connections.current().await.map_err(StoreError::Unavailable))?;
        let line = generation.line(hash);
        let mut connection = line.connection();
        let mut result = cmd.query_async(&mut connection).await;
        if let (Err(error), Some(script)) = (&result, script)
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            result = match script.load(&mut connection).await {
                Ok(()) => cmd.query_async(&mut connection).await,
                Err(error) => Err(error),
            };
        }
        match &result {
            Ok(_) => connections.served(&generation, line),
            Err(error) => connections.failed(&generation, line, error),
        }
        self.counted(result.map_err(StoreError::of_command))
    }

    fn counted<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.shared.counts.count(error))
    }
}

impl std::fmt::Debug for JobStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobStore")
            .field("keys", &self.shared.keys)
            .field("counts", &self.shared.counts)
            .finish_non_exhaustive()
    }
}

/// The strings of a flat reply, moved out of it.
fn strings(reply: Value) -> Result<Vec<Vec<u8>>, ReplyError> {
    let Value::Array(items) = reply else {
        return Err(ReplyError::Shape(kind(&reply).to_owned()));
    };
    items
        .into_iter()
        .map(|item| match item {
            Value::BulkString(bytes) => Ok(bytes),
            other => Err(ReplyError::Shape(format!("a list with {}", kind(&other)))),
        })
        .collect()
}

/// What a value is, without what it says: it may be somebody's payload.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
        Value::Array(_) => "a list",
        _ => "something else",
    }
}

pub(super) fn shape(error: impl std::fmt::Display) -> ReplyError {
    ReplyError::Shape(error.to_string())
}
