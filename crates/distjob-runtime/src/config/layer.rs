//! The layers above the embedded default, each read into entries: a dotted key, a value, and where it stands.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::args::{CommonArgs, Setting};
use super::check::Known;
use super::error::ConfigError;
use super::print::mask_secrets;

const PREFIX: &str = "DISTJOB_";

/// Reserved for the switches of tests, which are no configuration.
const TEST_PREFIX: &str = "DISTJOB_TEST_";

/// The tables of all programs. The environment is often shared, so a variable for another program is no mistake.
const TABLES: [&str; 9] = [
    "zookeeper",
    "redis",
    "log",
    "admin",
    "executor",
    "watcher",
    "sink",
    "submitter",
    "distjobctl",
];

/// Where a value of the configuration was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the default that is part of the program.
    Embedded,
    /// In a file, at that line, counted from 1.
    File(PathBuf, usize),
    /// In the environment variable of that name.
    Environment(String),
    /// In `--set` of that key.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(key) => write!(f, "flag --set {key}"),
        }
    }
}

/// One value of one layer.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The file to read: the named one, whether it is there or not, else the program's own if it is there.
pub(super) fn file_path(args: &CommonArgs, name: &str, directory: &Path) -> Option<PathBuf> {
    args.config.clone().or_else(|| {
        let path = directory.join(name).with_extension("toml");
        // A file that cannot be looked at must not pass for one that is not there.
        path.try_exists().unwrap_or(true).then_some(path)
    })
}

/// The entries of a file, or why it cannot be read.
pub(super) fn file(path: &Path, known: &Known) -> Result<Vec<Entry>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: cannot read: {error}", path.display()))?;
    let syntax = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        format!("{}:{line}: {}", path.display(), error.message())
    };
    let table: Table = text.parse().map_err(syntax)?;
    let spans = DeTable::parse(&text).map_err(syntax)?;
    let entries = known.flatten(&table).into_iter().map(|(key, value)| {
        let offset = offset_of(spans.get_ref(), &key);
        Entry {
            key,
            value,
            origin: Origin::File(path.to_owned(), line_of(&text, offset)),
        }
    });
    Ok(entries.collect())
}

/// Where the key stands in the text, in bytes; of its table when the key itself cannot be found.
fn offset_of(table: &DeTable<'_>, key: &str) -> usize {
    let mut table = table;
    let mut offset = 0;
    for part in key.split('.') {
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == part) else {
            break;
        };
        offset = name.span().start;
        match Spanned::get_ref(value) {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    offset
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The entries of the variables `DISTJOB_<TABLE>__<KEY>`. Variables without two underscores are no configuration.
pub(super) fn environment(
    variables: &[(OsString, OsString)],
    known: &Known,
    problems: &mut ConfigError,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, text) in variables {
        let Some((name, key)) = name.to_str().and_then(|name| Some((name, key_of(name)?))) else {
            continue;
        };
        let table = key.split('.').next().unwrap_or_default();
        if !known.is_table(table) && TABLES.contains(&table) {
            continue;
        }
        let origin = Origin::Environment(name.to_owned());
        match text.to_str() {
            Some(text) => entries.push(Entry {
                value: known.value_of(&key, text),
                key,
                origin,
            }),
            None => problems.push(format!("{origin}: is not valid UTF-8")),
        }
    }
    // The order of the environment is no order that anyone chose.
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

fn key_of(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?;
    (rest.contains("__") && !variable.starts_with(TEST_PREFIX)).then(|| {
        rest.split("__")
            .map(str::to_lowercase)
            .collect::<Vec<_>>()
            .join(".")
    })
}

/// The entries of the `--set` flags, in their order.
pub(super) fn flags(settings: &[Setting], known: &Known) -> Vec<Entry> {
    let entry = |setting: &Setting| Entry {
        key: setting.key.clone(),
        value: known.value_of(&setting.key, &setting.text),
        origin: Origin::Flag(setting.key.clone()),
    };
    settings.iter().map(entry).collect()
}

/// The value in the words of an error message.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the string \"{}\"", mask_secrets(text)),
        Value::Integer(number) => format!("the integer {number}"),
        Value::Float(number) => format!("the number {number}"),
        Value::Boolean(flag) => format!("the boolean {flag}"),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}
