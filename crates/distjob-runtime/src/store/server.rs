//! Redis itself below [the seam](super::line): how it is connected to, and how a command goes through a connection.

mod calls;
mod ledger_mark;
mod scan;

use std::time::Duration;

use distjob_core::{KeyScheme, store::ReplyError};
use futures::{
    FutureExt as _,
    future::{BoxFuture, try_join_all},
};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, IntoConnectionInfo as _, RedisError, ServerErrorKind,
    Value,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use super::{
    Dial, Line, Reply, StoreError, StoreSettings,
    line::Lines,
    scripts::{Script, load_all},
};

/// A script that does nothing, for a server that may be asked for everything. One that is still loading its data, or is
/// a replica, or may not write, takes connections, too, and answers `PING`: it refuses this for the reason for which
/// it would refuse every call.
const PROBE: &str = "#!lua flags=allow-oom\nreturn 1";

/// Connects to a Redis.
pub(super) struct RedisDial {
    client: Client,
    config: AsyncConnectionConfig,
    keys: KeyScheme,
}

/// One connection to it. What goes through it is pipelined.
pub(super) struct RedisLine {
    connection: MultiplexedConnection,
    keys: KeyScheme,
}

impl RedisDial {
    /// Does not connect yet.
    ///
    /// # Errors
    /// When the URL makes no sense.
    pub(super) fn new(settings: &StoreSettings) -> Result<Self, RedisError> {
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(15))
            .with_interval(Duration::from_secs(5))
            .with_retries(3);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(keepalive)
            .set_user_timeout(settings.response_timeout);
        let info = settings
            .url
            .as_str()
            .into_connection_info()?
            .set_tcp_settings(tcp);
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(settings.response_timeout))
            .set_connection_timeout(Some(settings.connection_timeout));
        Ok(Self {
            client: Client::open(info)?,
            config,
            keys: settings.keys.clone(),
        })
    }

    async fn dial_one(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&self.config)
            .await?;
        let mut probe = redis::cmd("EVAL");
        probe.arg(PROBE).arg(0);
        probe.query_async::<()>(&mut connection).await?;
        Ok(connection)
    }

    async fn dial_all(&self, count: usize) -> Result<Lines, RedisError> {
        let connections = try_join_all((0..count).map(|_| self.dial_one())).await?;
        if let Some(first) = connections.first() {
            load_all(first).await?;
        }
        let line = |connection| {
            let keys = self.keys.clone();
            Box::new(RedisLine { connection, keys }) as Box<dyn Line>
        };
        Ok(connections.into_iter().map(line).collect())
    }
}

impl Dial for RedisDial {
    fn dial(&self, count: usize) -> BoxFuture<'_, Result<Lines, RedisError>> {
        self.dial_all(count).boxed()
    }
}

/// A connection to the server of these settings for what is not about a job, apart from those of any
/// [`JobStore`](super::JobStore): one attempt, and sure that the server may write. It does not connect again.
///
/// # Errors
/// When the URL makes no sense, the server cannot be reached, or does not serve.
pub async fn connect(settings: &StoreSettings) -> Result<MultiplexedConnection, RedisError> {
    RedisDial::new(settings)?.dial_one().await
}

impl RedisLine {
    /// Runs a script; gives it to the server first when that does not know it.
    fn run<'a, T: 'a>(
        &'a self,
        script: &'static Script,
        cmd: Cmd,
        parse: impl FnOnce(Vec<Vec<u8>>) -> Result<T, ReplyError> + Send + 'a,
    ) -> Reply<'a, T> {
        let mut connection = self.connection.clone();
        async move {
            let mut result = cmd.query_async(&mut connection).await;
            if let Err(error) = &result
                && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
            {
                result = match script.load(&mut connection).await {
                    Ok(()) => cmd.query_async(&mut connection).await,
                    Err(error) => Err(error),
                };
            }
            let reply = result.map_err(StoreError::of_command)?;
            Ok(strings(reply).and_then(parse)?)
        }
        .boxed()
    }

    /// Runs a command that is no script.
    async fn plain(&self, cmd: &Cmd) -> Result<Value, StoreError> {
        let mut connection = self.connection.clone();
        cmd.query_async(&mut connection)
            .await
            .map_err(StoreError::of_command)
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

fn shape(error: impl std::fmt::Display) -> ReplyError {
    ReplyError::Shape(error.to_string())
}
