//! The flags that every program has.

use std::path::PathBuf;
use std::str::FromStr;

/// The flags that every program has; flatten it into the program's own.
///
/// They are global: they may stand before or after a subcommand.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct CommonArgs {
    /// Read this configuration file instead of the one in /etc/distjob
    #[arg(long, value_name = "FILE", global = true, help_heading = "Configuration")]
    pub config: Option<PathBuf>,

    /// Set one key of the configuration, as in --set log.level=debug; may be repeated
    #[arg(
        long,
        value_name = "TABLE.KEY=VALUE",
        global = true,
        help_heading = "Configuration"
    )]
    pub set: Vec<Setting>,

    /// Check the configuration, say what is wrong with it, and exit
    #[arg(long, global = true, help_heading = "Configuration")]
    pub check_config: bool,

    /// Print the effective configuration as TOML, passwords masked, and exit
    #[arg(long, global = true, help_heading = "Configuration")]
    pub print_config: bool,
}

/// One `--set TABLE.KEY=VALUE`, split at the first equals sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// The value as it was written.
    pub text: String,
}

/// Why a text is no [`Setting`].
#[derive(Debug, thiserror::Error)]
#[error("expected TABLE.KEY=VALUE, for example log.level=debug")]
pub struct SettingError;

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        match text.split_once('=') {
            Some((key, text)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                text: text.to_owned(),
            }),
            _ => Err(SettingError),
        }
    }
}
