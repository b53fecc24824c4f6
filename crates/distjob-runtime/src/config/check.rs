//! What keys there are, of which type each is, and whether an entry fits.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::Settings;
use super::error::ConfigError;
use super::layer::{Entry, describe};

/// The keys of a program with their embedded defaults, which also tell their types.
pub(super) struct Known {
    leaves: BTreeMap<String, Value>,
}

impl Known {
    pub(super) fn of(defaults: &Table) -> Self {
        Self {
            leaves: leaves(defaults),
        }
    }

    pub(super) fn is_table(&self, key: &str) -> bool {
        self.leaves
            .keys()
            .any(|leaf| leaf.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The leaves of a layer. A table that is no table here is taken whole when it is empty or a key is expected in
    /// its place, so that it is reported rather than lost.
    pub(super) fn flatten(&self, table: &Table) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        walk("", table, &mut |key, value| {
            let descend = value.as_table().is_some_and(|inner| {
                !self.leaves.contains_key(&key) && (!inner.is_empty() || self.is_table(&key))
            });
            if !descend {
                found.push((key, value.clone()));
            }
            descend
        });
        found
    }

    /// The value that a flag or a variable means. The type of the default decides: a string needs no quotes, a list
    /// of strings may be written `a,b`.
    pub(super) fn value_of(&self, key: &str, text: &str) -> Value {
        let quoted = text.starts_with(['"', '\'']);
        match self.leaves.get(key) {
            Some(Value::String(_)) if !quoted => Value::String(text.to_owned()),
            Some(Value::Array(_)) if !text.trim_start().starts_with('[') => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(Value::from)
                .collect::<Vec<_>>()
                .into(),
            _ => text.parse().unwrap_or_else(|_| Value::String(text.to_owned())),
        }
    }

    /// The key that was most likely meant.
    fn nearest(&self, key: &str) -> &str {
        let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
        let distance = |leaf: &&String| {
            // The right key in the wrong table is nearer than any other.
            let same_name = last(leaf) == last(key);
            let distance = strsim::damerau_levenshtein(leaf, key);
            if same_name { distance.min(1) } else { distance }
        };
        self.leaves.keys().min_by_key(distance).map_or("", String::as_str)
    }
}

/// Visits every value with its dotted key; `visit` says whether to go into a table.
fn walk(prefix: &str, table: &Table, visit: &mut impl FnMut(String, &Value) -> bool) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        if visit(key.clone(), value)
            && let Some(inner) = value.as_table()
        {
            walk(&key, inner, visit);
        }
    }
}

/// Every value below `table` that is no table, or an empty one, by its dotted key.
pub(super) fn leaves(table: &Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    walk("", table, &mut |key, value| {
        let descend = value.as_table().is_some_and(|inner| !inner.is_empty());
        if !descend {
            found.insert(key, value.clone());
        }
        descend
    });
    found
}

/// Puts `value` at the dotted `key`, which must lead through tables.
pub(super) fn insert(table: &mut Table, key: &str, value: Value) {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
    if let Some(inner) = inner.as_table_mut() {
        insert(inner, rest, value);
    }
}

/// The table as the program's struct.
pub(super) fn understand<T: DeserializeOwned>(table: Table) -> Result<T, toml::de::Error> {
    T::deserialize(Value::Table(table))
}

/// The struct as a table again, every value written in one way.
pub(super) fn normalised<T: serde::Serialize>(settings: &T) -> Result<Table, ConfigError> {
    Table::try_from(settings)
        .map_err(|error| ConfigError::new(format!("cannot write the configuration as TOML: {error}")))
}

/// The embedded default, which has to hold every key and nothing else.
pub(super) fn embedded<T: Settings>(name: &str, text: &str) -> Result<Table, ConfigError> {
    let broken =
        |what: &dyn std::fmt::Display| ConfigError::new(format!("embedded default of {name}: {what}"));
    let table: Table = text.parse().map_err(|error: toml::de::Error| broken(&error))?;
    let settings: T = understand(table.clone()).map_err(|error| broken(&error))?;
    let known = leaves(&normalised(&settings)?);
    match leaves(&table).into_keys().find(|key| !known.contains_key(key)) {
        Some(key) => Err(broken(&format!("unknown key `{key}`"))),
        None => normalised(&settings),
    }
}

/// Whether an entry names a key and its value has the key's type; if not, a message without the place.
pub(super) fn entry<T: Settings>(entry: &Entry, known: &Known, defaults: &Table) -> Result<(), String> {
    let Entry { key, value, .. } = entry;
    let Some(default) = known.leaves.get(key) else {
        return Err(if known.is_table(key) {
            format!("`{key}`: found {}, expected a table", describe(value))
        } else {
            format!(
                "unknown key `{key}`; the nearest known key is `{}`",
                known.nearest(key)
            )
        });
    };
    // Alone over the defaults: that tells what is wrong with this one, whatever else is.
    let mut table = defaults.clone();
    insert(&mut table, key, value.clone());
    let Err(error) = understand::<T>(table) else {
        return Ok(());
    };
    Err(if value.same_type(default) {
        format!("`{key}`: {}", error.message())
    } else {
        format!(
            "`{key}`: found {}, expected {}",
            describe(value),
            expected(default)
        )
    })
}

fn expected(default: &Value) -> String {
    match default {
        Value::String(text) if text.is_empty() => "a string".to_owned(),
        Value::String(_) => format!("a string such as {default}"),
        Value::Integer(number) => format!("an integer such as {number}"),
        Value::Float(number) => format!("a number such as {number}"),
        Value::Boolean(_) => "true or false".to_owned(),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => format!("a list such as {default}"),
        Value::Table(_) => "a table".to_owned(),
    }
}
