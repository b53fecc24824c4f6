//! What keys there are, of which type each is, and whether an entry fits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use figment::Figment;
use figment::error::{Kind, OneOf};
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};
use toml_edit::de::ValueDeserializer;

use super::Settings;
use super::error::ConfigError;
use super::layer::{EMBEDDED, Entry};
use super::print::masked;
use super::template::{self, Template};

/// How figment's dictionaries show the only type of TOML that they lack.
const DATE: &str = "$__toml_private_datetime";

/// The keys of a program with their embedded defaults, which also tell their types.
#[derive(Debug)]
pub(super) struct Known {
    leaves: BTreeMap<String, Value>,
    defaults: Figment,
    templates: &'static [Template],
    /// The default of whatever stands in a table whose keys are free.
    text: Value,
}

impl Known {
    /// Those of the embedded default `text`, which has to hold every key and nothing else.
    pub(super) fn of<T: Settings>(name: &str, text: &str) -> Result<Self, ConfigError> {
        let broken = |what: String| ConfigError::new(format!("embedded default of {name}: {what}"));
        let layer = Figment::from(Toml::string(text));
        let settings: T = template::expanded(T::TEMPLATES, &layer)
            .extract()
            .map_err(|error| broken(error.to_string()))?;
        let written: Dict = layer.extract().map_err(|error| broken(error.to_string()))?;
        let mut known = leaves(&normalised(&settings)?);
        known.retain(|key, _| !is_of_instances(T::TEMPLATES, key));
        if let Some(key) = leaves(&written).into_keys().find(|key| !known.contains_key(key)) {
            return Err(broken(format!("unknown key `{key}`")));
        }
        let entry = |(key, value): (&String, &Value)| Entry {
            key: key.clone(),
            value: value.clone(),
            place: EMBEDDED.to_owned(),
        };
        Ok(Self {
            defaults: known.iter().map(entry).fold(Figment::new(), Figment::merge),
            leaves: known,
            templates: T::TEMPLATES,
            text: Value::from(""),
        })
    }

    /// The weakest layer.
    pub(super) fn defaults(&self) -> &Figment {
        &self.defaults
    }

    pub(super) fn is_table(&self, key: &str) -> bool {
        let within = |leaf: &String| {
            leaf.strip_prefix(&*self.canonical(key))
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.templates.iter().any(|template| template.is_at(key)) || self.leaves.keys().any(within)
    }

    fn canonical<'k>(&self, key: &'k str) -> Cow<'k, str> {
        template::canonical(self.templates, key)
    }

    /// The default of a key, if there is such a key. In a table that is empty by default every key is one, of a text.
    fn default_of(&self, key: &str) -> Option<&Value> {
        let key = self.canonical(key);
        self.leaves.get(&*key).or_else(|| {
            let (table, _) = key.rsplit_once('.')?;
            self.leaves.get(table).and_then(as_table).map(|_| &self.text)
        })
    }

    /// Whether the key is known and not a table with keys of its own: an empty table by default, whose keys are free, is
    /// one value.
    fn is_leaf(&self, key: &str) -> bool {
        self.leaves.contains_key(&*self.canonical(key))
    }

    /// Every key of the struct with its value, each written in one way; of instances only what some layer says.
    pub(super) fn values(
        &self,
        settings: &impl Serialize,
        layers: &Figment,
    ) -> Result<BTreeMap<String, Value>, ConfigError> {
        let mut values: BTreeMap<_, _> = self.flatten(&normalised(settings)?).into_iter().collect();
        values.retain(|key, _| !is_of_instances(self.templates, key) || layers.contains(key));
        Ok(values)
    }

    /// The leaves of a layer. A table that is no table here is taken whole when it is empty or a key is expected in
    /// its place, so that it is reported rather than lost.
    pub(super) fn flatten(&self, table: &Dict) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        walk("", table, &mut |key, value| {
            let descend = as_table(value)
                .is_some_and(|inner| !self.is_leaf(&key) && (!inner.is_empty() || self.is_table(&key)));
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
        match self.default_of(key) {
            Some(Value::String(..)) if !quoted => text.into(),
            Some(Value::Array(..)) if !text.trim_start().starts_with('[') => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .collect::<Vec<_>>()
                .into(),
            _ => text
                .parse()
                .and_then(|toml: ValueDeserializer| Deserialize::deserialize(toml))
                .unwrap_or_else(|_| text.into()),
        }
    }

    /// Whether an entry names a key and its value has the key's type; if not, a message without the place.
    pub(super) fn check<T: Settings>(&self, entry: &Entry) -> Result<(), String> {
        let Entry { key, value, .. } = entry;
        let Some(default) = self.default_of(key) else {
            return Err(if self.is_table(key) {
                format!("`{key}`: found {}, expected a table", describe(value))
            } else {
                format!(
                    "unknown key `{key}`; the nearest known key is `{}`",
                    self.nearest(key)
                )
            });
        };
        // Alone over the defaults: that tells what is wrong with this one, whatever else is.
        let layers = self.defaults.clone().merge(entry);
        let Err(error) = template::expanded(self.templates, &layers).extract::<T>() else {
            return Ok(());
        };
        let expected = match error.kind {
            _ if noun(value) != noun(default) => example(default),
            // Of a list it is one item that is wrong.
            Kind::InvalidValue(item, expected) if matches!(value, Value::Array(..) | Value::Dict(..)) => {
                return Err(format!("`{key}`: found {item}, expected {expected}"));
            }
            Kind::InvalidValue(_, expected) => expected,
            Kind::UnknownVariant(_, names) => OneOf(names).to_string(),
            kind => return Err(format!("`{key}`: {kind}")),
        };
        Err(format!("`{key}`: found {}, expected {expected}", describe(value)))
    }

    /// The key that was most likely meant.
    fn nearest(&self, key: &str) -> String {
        let instance = template::instance(self.templates, key);
        let nearest = self.nearest_leaf(&self.canonical(key));
        instance
            .and_then(|instance| instance.overriding(nearest))
            .unwrap_or_else(|| nearest.to_owned())
    }

    fn nearest_leaf(&self, key: &str) -> &str {
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

/// The value as a table, which a date is not.
pub(super) fn as_table(value: &Value) -> Option<&Dict> {
    value.as_dict().filter(|dict| !dict.contains_key(DATE))
}

/// Visits every value with its dotted key; `visit` says whether to go into a table.
fn walk(prefix: &str, table: &Dict, visit: &mut impl FnMut(String, &Value) -> bool) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        if visit(key.clone(), value)
            && let Some(inner) = as_table(value)
        {
            walk(&key, inner, visit);
        }
    }
}

/// Every value below `table` that is no table, or an empty one, by its dotted key.
fn leaves(table: &Dict) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    walk("", table, &mut |key, value| {
        let descend = as_table(value).is_some_and(|inner| !inner.is_empty());
        if !descend {
            found.insert(key, value.clone());
        }
        descend
    });
    found
}

/// Whether the key is one of a table of instances, or that table.
fn is_of_instances(templates: &'static [Template], key: &str) -> bool {
    let is_table = templates.iter().any(|template| template.is_at(key));
    is_table || template::instance(templates, key).is_some()
}

/// The struct as tables, each value written in one way.
fn normalised(settings: &impl Serialize) -> Result<Dict, ConfigError> {
    Value::serialize(settings)
        .map(|value| value.into_dict().unwrap_or_default())
        .map_err(|error| ConfigError::new(format!("cannot write the configuration as TOML: {error}")))
}

/// The type of a value.
fn noun(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "string",
        Value::Num(_, number) if number.to_f64().is_some() => "number",
        Value::Num(..) => "integer",
        Value::Bool(..) => "boolean",
        Value::Array(..) => "list",
        Value::Dict(..) if as_table(value).is_none() => "date",
        Value::Dict(..) => "table",
        Value::Empty(..) => "nothing",
    }
}

/// The value that was found.
fn describe(value: &Value) -> String {
    match value {
        Value::Array(..) | Value::Dict(..) => format!("a {}", noun(value)),
        _ => format!("the {} {}", noun(value), masked(value)),
    }
}

/// What was expected, by the default.
fn example(default: &Value) -> String {
    match default {
        Value::Bool(..) => "true or false".to_owned(),
        Value::Dict(..) => "a table".to_owned(),
        Value::String(_, text) if text.is_empty() => "a string".to_owned(),
        _ => {
            let noun = noun(default);
            let article = if noun == "integer" { "an" } else { "a" };
            format!("{article} {noun} such as {}", masked(default))
        }
    }
}
