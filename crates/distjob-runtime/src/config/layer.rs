//! The layers above the embedded default, each read into entries: a dotted key, a value, and where it stands.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml_edit::{ImDocument, TableLike};

use super::args::{CommonArgs, Setting};
use super::check::Known;
use super::error::ConfigError;

const PREFIX: &str = "DISTJOB_";

/// Reserved for the switches of tests, which are no configuration.
const TEST_PREFIX: &str = "DISTJOB_TEST_";

/// The tables of all programs. The environment is often shared, so a variable for another program is no mistake.
const TABLES: [&str; 11] = [
    "zookeeper",
    "redis",
    "log",
    "admin",
    "executor",
    "queue",
    "queues",
    "watcher",
    "sink",
    "submitter",
    "distjobctl",
];

/// Where a value stands that no layer above the embedded default has set.
pub(super) const EMBEDDED: &str = "embedded default";

/// One value of one layer, and where it was written: the name that figment knows it by.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) place: String,
}

impl Provider for Entry {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        (&self.key, &self.value).data()
    }
}

/// Where the value that counts for `key` was written.
pub(super) fn place<'a>(layers: &'a Figment, key: &str) -> &'a str {
    layers
        .find_metadata(key)
        .map_or(EMBEDDED, |metadata| &metadata.name)
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
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: cannot read: {error}"))?;
    // The parser that figment uses, here for what figment does not keep: the lines.
    let document = ImDocument::parse(text.as_str()).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        format!("{shown}:{line}: {}", error.message().replace('\n', ", "))
    })?;
    let layer: Dict = Figment::from(Toml::string(&text))
        .extract()
        .map_err(|error| format!("{shown}: {error}"))?;
    let entries = known.flatten(&layer).into_iter().map(|(key, value)| {
        let line = line_of(&text, offset_of(document.as_table(), &key));
        Entry {
            key,
            value,
            place: format!("{shown}:{line}"),
        }
    });
    Ok(entries.collect())
}

/// Where the key stands in the text, in bytes; of its table when the key itself cannot be found.
fn offset_of(table: &dyn TableLike, key: &str) -> usize {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let Some((name, item)) = table.get_key_value(first) else {
        return 0;
    };
    // A table may be opened again further below what stands in it: the innermost counts.
    match item.as_table_like().map_or(0, |inner| offset_of(inner, rest)) {
        0 => name.span().map_or(0, |span| span.start),
        within => within,
    }
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
        let place = format!("environment variable {name}");
        match text.to_str() {
            Some(text) => entries.push(Entry {
                value: known.value_of(&key, text),
                key,
                place,
            }),
            None => problems.push(format!("{place}: is not valid UTF-8")),
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
        place: format!("flag --set {}", setting.key),
    };
    settings.iter().map(entry).collect()
}
