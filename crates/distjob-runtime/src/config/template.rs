//! Tables that are made after a template: `[queues.<name>]` holds what differs from `[queue]`.
//!
//! The keys that an instance has are those of its template, and so are the values that no layer gives it. An instance
//! is completed only when the program's struct is made: the layers keep what was written, so that a key is printed,
//! reported and reloaded once, where it stands.
//!
//! What is said of an instance counts more than what is said of the template, whichever layer says it.
//!
//! An instance may have instances of another template in it: those of `then` stand at `queues.*.then`, so that
//! `[queues.words.then.merge]` holds what differs from `[then]`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use figment::Figment;
use figment::value::{Dict, Value};

use super::error::ConfigError;
use super::layer::{Entry, place};

/// A table whose keys may be set anew for each of several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// The table that holds every key with its default, without a dot: `queue`.
    pub defaults: &'static str,
    /// The table that holds a table for each name: `queues`; or in each instance of another template, which `*` stands
    /// for: `queues.*.then`.
    pub instances: &'static str,
    /// The dotted key of the list of all names, each of which gets an instance and no other may have one; without it
    /// there are those that somebody set a key of. A template with a list stands in no other.
    pub listed: Option<&'static str>,
}

/// A key of an instance, in its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instance<'k> {
    pub(super) template: &'static Template,
    /// The table that holds this one.
    table: &'k str,
    pub(super) name: &'k str,
    /// The key within the template; empty for the instance's table itself.
    pub(super) rest: &'k str,
}

impl Instance<'_> {
    /// The key of the template that this one overrides.
    pub(super) fn overridden(&self) -> String {
        joined(self.template.defaults, self.rest)
    }

    /// The key of this instance that overrides `key`, if `key` is one of the template.
    pub(super) fn overriding(&self, key: &str) -> Option<String> {
        let rest = key.strip_prefix(self.template.defaults)?.strip_prefix('.')?;
        Some(format!("{}.{}.{rest}", self.table, self.name))
    }
}

/// The parts of `key`, if it is one of an instance; of the innermost one.
pub(super) fn instance<'k>(templates: &'static [Template], key: &'k str) -> Option<Instance<'k>> {
    let instances = templates.iter().filter_map(|template| {
        let (table, key) = template.split(key)?;
        let (name, rest) = key.split_once('.').unwrap_or((key, ""));
        Some(Instance {
            template,
            table,
            name,
            rest,
        })
    });
    instances.max_by_key(|instance| instance.table.len())
}

/// The key by which the embedded default knows `key`.
pub(super) fn canonical<'k>(templates: &'static [Template], key: &'k str) -> Cow<'k, str> {
    instance(templates, key).map_or(Cow::Borrowed(key), |instance| Cow::Owned(instance.overridden()))
}

/// The layers with every instance complete.
pub(super) fn expanded(templates: &'static [Template], layers: &Figment) -> Figment {
    templates.iter().fold(layers.clone(), |expanded, template| {
        let defaults = layers
            .find_value(template.defaults)
            .unwrap_or_else(|_| Dict::new().into());
        let entry = |key: String, value: Value| Entry {
            key,
            value,
            place: String::new(),
        };
        template.tables(layers).iter().fold(expanded, |expanded, table| {
            let expanded = expanded.join(entry(table.clone(), Dict::new().into()));
            let names = template.names_in(table, layers);
            names.iter().fold(expanded, |expanded, name| {
                expanded.join(entry(joined(table, name), defaults.clone()))
            })
        })
    })
}

/// Says of each instance that is not listed that nobody looks at it.
pub(super) fn report_unlisted(templates: &'static [Template], layers: &Figment, problems: &mut ConfigError) {
    for template in templates {
        let Some(listed) = template.listed else { continue };
        let names = template.listed_names(layers);
        for (name, value) in written(template.instances, layers) {
            if names.contains(&name) {
                continue;
            }
            let table = joined(template.instances, &name);
            let place = place(layers, &first_leaf(table.clone(), &value));
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            problems.push(format!(
                "{place}: `{table}` has no effect: `{listed}` names {} and not {name}; name it there, or remove this",
                names.join(", ")
            ));
        }
    }
}

impl Template {
    /// Whether `key` is a table of instances of this template.
    pub(super) fn is_at(&self, key: &str) -> bool {
        let mut parts = key.split('.');
        let fits = |wanted| parts.next().is_some_and(|part| wanted == ANY || wanted == part);
        self.instances.split('.').all(fits) && parts.next().is_none()
    }

    /// Whoever has an instance. For a template that stands in no other.
    pub(super) fn names(&self, layers: &Figment) -> BTreeSet<String> {
        self.names_in(self.instances, layers)
    }

    /// Whoever has an instance in this table of them.
    fn names_in(&self, table: &str, layers: &Figment) -> BTreeSet<String> {
        let written = written(table, layers).into_keys();
        written.chain(self.listed_names(layers)).collect()
    }

    /// The tables of instances of this template.
    fn tables(&self, layers: &Figment) -> Vec<String> {
        let below = |table: String, part: &str| match part {
            ANY => written(&table, layers)
                .keys()
                .map(|name| joined(&table, name))
                .collect(),
            _ if table.is_empty() => vec![part.to_owned()],
            _ => vec![joined(&table, part)],
        };
        let parts = self.instances.split('.');
        parts.fold(vec![String::new()], |tables, part| {
            tables.into_iter().flat_map(|table| below(table, part)).collect()
        })
    }

    /// A key below a table of instances, in that table and the rest.
    fn split<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let mut end = 0;
        for wanted in self.instances.split('.') {
            let (part, _) = key[end..].split_once('.')?;
            if wanted != ANY && wanted != part {
                return None;
            }
            end += part.len() + 1;
        }
        Some((&key[..end - 1], &key[end..]))
    }

    /// The names in the list, in its order; those that are no text are reported elsewhere.
    fn listed_names(&self, layers: &Figment) -> Vec<String> {
        let list = self.listed.and_then(|listed| layers.find_value(listed).ok());
        let items = list.and_then(Value::into_array).unwrap_or_default();
        items.into_iter().filter_map(Value::into_string).collect()
    }
}

/// What stands for the name of an instance of another template.
const ANY: &str = "*";

/// What some layer says of the instances in this table of them.
fn written(table: &str, layers: &Figment) -> Dict {
    let found = layers.find_value(table).ok();
    found.and_then(Value::into_dict).unwrap_or_default()
}

fn joined(first: &str, second: &str) -> String {
    match second {
        "" => first.to_owned(),
        _ => format!("{first}.{second}"),
    }
}

/// The dotted key of the first value below `key`.
fn first_leaf(key: String, value: &Value) -> String {
    match value.as_dict().and_then(|inner| inner.first_key_value()) {
        Some((name, inner)) => first_leaf(joined(&key, name), inner),
        None => key,
    }
}
