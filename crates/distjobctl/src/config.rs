//! The program's configuration, `config/distjobctl.toml`.

use std::time::Duration;

use distjob_runtime::config::{
    AdminConfig, LogConfig, Problems, RedisConfig, Settings, ZooKeeperConfig, duration,
};
use serde::{Deserialize, Serialize};

/// The file as it is shipped: documentation and default.
pub const EMBEDDED_CONFIG: &str = include_str!("../../../config/distjobctl.toml");

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The ledger.
    pub zookeeper: ZooKeeperConfig,
    /// The store.
    pub redis: RedisConfig,
    /// What goes to stderr.
    pub log: LogConfig,
    /// Not used: the program ends by itself.
    pub admin: AdminConfig,
    /// The tool itself.
    pub distjobctl: CtlConfig,
}

/// `[distjobctl]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CtlConfig {
    /// How long the tombstone of a job that `gc` dropped lives; whole seconds count.
    #[serde(with = "duration")]
    pub tombstone_ttl: Duration,
}

impl Settings for Config {
    fn check(&self, problems: &mut Problems<'_>) {
        self.zookeeper.check(problems);
        self.redis.check(problems);
        self.log.check(problems);
        let ttl_fits = (1..=86_400 * 365).contains(&self.distjobctl.tombstone_ttl.as_secs());
        problems.require(
            "distjobctl.tombstone_ttl",
            ttl_fits,
            "must be from 1s to 365 days",
        );
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn admin(&self) -> &AdminConfig {
        &self.admin
    }
}

#[cfg(test)]
mod tests {
    use distjob_runtime::config::assert_documents;

    use super::*;

    #[test]
    fn the_embedded_default_documents_every_key() {
        assert_documents::<Config>("distjobctl", EMBEDDED_CONFIG);
    }
}
