//! What is known after a call failed.

use distjob_core::store::ReplyError;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a call to the store failed, by what is known of its effect. The message tells the cause, too: it is logged as
/// it is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No clear reply: a time-out or a broken connection. The call may have taken effect, or may still take effect
    /// later.
    #[error("get a clear reply from the store: {0}")]
    Unclear(RedisError),
    /// The store could not be reached or does not serve now: refused, loading, a replica, a master that may not
    /// write. The call has not taken effect; later it may.
    #[error("use the store, which is not available: {0}")]
    Unavailable(RedisError),
    /// The store answered with an error: no memory, a key of another type, bad arguments, no permission. The call has
    /// not taken effect, and repeating it changes nothing by itself.
    #[error("run a command that the store rejects: {0}")]
    Rejected(RedisError),
    /// The reply is not one of the script's. The call took effect.
    #[error("understand the store")]
    Reply(#[from] ReplyError),
}

impl StoreError {
    /// Whether the call, if it may be repeated at all, may succeed when it is.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unclear(_) | Self::Unavailable(_))
    }

    /// Whether the store refused to store more because its memory is used up.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Rejected(error) if error.code() == Some("OOM"))
    }

    /// What the store, or the lack of one, said; `None` when it was something that makes no sense.
    #[must_use]
    pub const fn cause(&self) -> Option<&RedisError> {
        match self {
            Self::Unclear(error) | Self::Unavailable(error) | Self::Rejected(error) => Some(error),
            Self::Reply(_) => None,
        }
    }

    /// The error of a command that was sent.
    #[must_use]
    pub fn of_command(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io | ErrorKind::Parse => Self::Unclear(error),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::NoScript,
            ) => Self::Unavailable(error),
            ErrorKind::Extension if matches!(error.code(), Some("BUSY" | "MISCONF" | "NOREPLICAS")) => {
                Self::Unavailable(error)
            }
            _ => Self::Rejected(error),
        }
    }
}

/// Whether a connection on which this happened is of no use any more: broken, or to a server that is no master.
pub(super) fn spoils_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io => !error.is_timeout(),
        ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
        ),
        _ => false,
    }
}
