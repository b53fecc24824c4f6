//! Configuration: one TOML file a program, which is its documentation and its embedded default.
//!
//! ```text
//! --set TABLE.KEY=VALUE          strongest
//! DISTJOB_<TABLE>__<KEY>
//! --config FILE, else /etc/distjob/<name>.toml if it is there
//! embedded default               weakest; every key stands in it
//! ```
//!
//! [`figment`] lays one over the other, and tells of each value where it was written. Its providers for files and for
//! the environment are not used: the one takes a missing file for an empty one, the other reads what a process cannot
//! read twice and a test cannot change.
//!
//! The embedded default says which keys there are and of which type each is, so no second schema exists: whatever
//! else a layer holds is an error that names the layer and the nearest key. All problems of all layers are
//! collected before anything is reported.
//!
//! What there may be several of under names, such as queues, is described by one table, the [`Template`], and overridden
//! key by key for each name.
//!
//! A program describes its configuration by a struct with one field a table, without `Option`s and serde defaults,
//! and implements [`Settings`]. A value that may be absent has a word for it (`listen = "off"`).

mod args;
mod argument;
mod check;
mod document;
pub mod duration;
mod error;
mod layer;
mod print;
mod recipe;
mod reload;
mod sections;
pub mod size;
mod statuses;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use figment::{Figment, value::Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use args::{CommonArgs, Setting};
pub use argument::{Argument, Piece, Placeholder, UnknownPlaceholder};
pub use document::assert_documents;
pub use error::{ConfigError, Problems};
pub use print::mask_secrets;
pub use recipe::{Recipe, RecipeError};
pub use reload::{Change, Reload};
pub use sections::{AdminConfig, Listen, LogConfig, LogFormat, RedisConfig, ZooKeeperConfig};
pub use statuses::Statuses;
pub use template::Template;

use check::Known;

/// Where a program's file is looked for when `--config` names none.
pub const CONFIG_DIRECTORY: &str = "/etc/distjob";

/// The whole configuration of one program, as a struct with one field a table.
pub trait Settings: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The dotted keys that the program takes over at SIGHUP, beside `log.level`. All others need a restart.
    const RELOADABLE: &'static [&'static str] = &[];

    /// The tables that others are made after. An instance's key is reloadable when its template's is.
    const TEMPLATES: &'static [Template] = &[];

    /// Reports every value that has the right type and still makes no sense.
    fn check(&self, problems: &mut Problems<'_>);

    /// The `[log]` table.
    fn log(&self) -> &LogConfig;

    /// The `[admin]` table.
    fn admin(&self) -> &AdminConfig;
}

/// A configuration that was read, understood and checked.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The effective configuration.
    pub settings: Arc<T>,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    sources: Sources,
    known: Known,
    /// Tells of every key where its value was written.
    layers: Figment,
    /// Every key with its effective value, normalised; of instances those that differ from their template.
    values: BTreeMap<String, Value>,
}

/// What a configuration is read from; kept so that it can be read again.
#[derive(Clone, Debug)]
struct Sources {
    name: &'static str,
    embedded: &'static str,
    args: CommonArgs,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
}

/// Reads the configuration of the program `name` whose embedded default is `embedded`.
///
/// # Errors
/// Everything that is wrong in any layer, at once. Exit status 78 belongs to it.
pub fn load<T: Settings>(
    name: &'static str,
    embedded: &'static str,
    args: &CommonArgs,
) -> Result<Loaded<T>, ConfigError> {
    read(Sources {
        name,
        embedded,
        args: args.clone(),
        environment: std::env::vars_os().collect(),
        directory: PathBuf::from(CONFIG_DIRECTORY),
    })
}

fn read<T: Settings>(sources: Sources) -> Result<Loaded<T>, ConfigError> {
    let known = Known::of::<T>(sources.name, sources.embedded)?;
    let mut problems = ConfigError::default();

    let mut entries = Vec::new();
    let file = layer::file_path(&sources.args, sources.name, &sources.directory);
    if let Some(path) = &file {
        match layer::file(path, &known) {
            Ok(found) => entries.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    entries.extend(layer::environment(&sources.environment, &known, &mut problems));
    entries.extend(layer::flags(&sources.args.set, &known));
    let mut layers = known.defaults().clone();
    let mut refused = BTreeSet::new();
    for entry in entries {
        match known.check::<T>(&entry) {
            Ok(()) => layers = layers.merge(entry),
            Err(problem) => {
                problems.push(format!("{}: {problem}", entry.place));
                refused.insert(entry.key);
            }
        }
    }

    let loaded = understand(sources, known, file, layers, &refused, &mut problems)?;
    problems.into_result(loaded)
}

/// Makes the program's struct of all layers, and checks what comes out. Of the `refused` keys something was written that is
/// not in the layers.
fn understand<T: Settings>(
    sources: Sources,
    known: Known,
    file: Option<PathBuf>,
    layers: Figment,
    refused: &BTreeSet<String>,
    problems: &mut ConfigError,
) -> Result<Loaded<T>, ConfigError> {
    let settings: T = template::expanded(T::TEMPLATES, &layers)
        .extract()
        .map_err(|error| ConfigError::new(format!("the layers do not fit together: {error}")))?;
    template::report_unlisted(T::TEMPLATES, &layers, problems);
    settings.check(&mut Problems::new(&layers, T::TEMPLATES, refused, problems));
    Ok(Loaded {
        file,
        sources,
        values: known.values(&settings, &layers)?,
        known,
        layers,
        settings: Arc::new(settings),
    })
}

#[cfg(test)]
mod tests;
