//! What a failed ZooKeeper request says about the world.

use zookeeper_client::Error;

/// Why a request has no result.
///
/// Only the first group says that the request had *no effect*. After [`ZkError::Unclear`] it may have had one, or may
/// still have one: a server can execute a request whose connection the client has long given up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZkError {
    /// The znode is not there.
    #[error("the znode does not exist")]
    NoNode,
    /// The znode is there already.
    #[error("the znode exists already")]
    NodeExists,
    /// The znode has another version than the one named.
    #[error("the znode has changed")]
    BadVersion,
    /// The znode has children.
    #[error("the znode has children")]
    NotEmpty,
    /// ZooKeeper refuses: rights, paths, quotas.
    #[error("zookeeper refuses: {0}")]
    Refused(String),
    /// The session is over; nothing that this client sends will ever take effect again.
    #[error("the zookeeper session is over")]
    SessionOver,
    /// No clear answer.
    #[error("no clear answer from zookeeper: {0}")]
    Unclear(String),
}

impl ZkError {
    /// Whether the request is known to have had no effect.
    #[must_use]
    pub const fn is_definite(&self) -> bool {
        !matches!(self, Self::Unclear(_) | Self::SessionOver)
    }
}

impl From<Error> for ZkError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoNode => Self::NoNode,
            Error::NodeExists => Self::NodeExists,
            Error::BadVersion => Self::BadVersion,
            Error::NotEmpty => Self::NotEmpty,
            Error::NoAuth
            | Error::InvalidAcl
            | Error::BadArguments(_)
            | Error::NoChildrenForEphemerals
            | Error::QuotaExceeded => Self::Refused(error.to_string()),
            Error::SessionExpired | Error::ClientClosed | Error::AuthFailed => Self::SessionOver,
            other => Self::Unclear(other.to_string()),
        }
    }
}
