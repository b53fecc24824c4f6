//! What a request counts as.

use super::{message::Request, tree::Write};

impl Request {
    /// Its kind, as a [tally](crate::tally) names it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Stat(_) => "stat",
            Self::Data(_) | Self::WatchData(_) => "data",
            Self::DataOfAll(_) => "data of all",
            Self::Children(_) | Self::WatchChildren(_) => "children",
            Self::WatchRecursively(_) => "watch",
            Self::Ping => "ping",
            Self::Sync => "sync",
            Self::Close => "close",
            Self::Write(writes) => match writes.as_slice() {
                [Write::Create { .. }] => "create",
                [Write::Set { .. }] => "set",
                [Write::Delete { .. }] => "delete",
                _ => "multi",
            },
        }
    }

    /// How many znodes' data it asks for.
    pub(super) fn znodes(&self) -> usize {
        match self {
            Self::Data(_) | Self::WatchData(_) => 1,
            Self::DataOfAll(paths) => paths.len(),
            _ => 0,
        }
    }
}
