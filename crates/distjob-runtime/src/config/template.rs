//! Tables that are made after a template: `[queues.<name>]` holds what differs from `[queue]`.
//!
//! The keys that an instance has are those of its template, and so are the values that no layer gives it. An instance
//! is completed only when the program's struct is made: the layers keep what was written, so that a key is printed,
//! reported and reloaded once, where it stands.
//!
//! What is said of an instance counts more than what is said of the template, whichever layer says it.

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
    /// The table that holds a table for each name, without a dot: `queues`.
    pub instances: &'static str,
    /// The dotted key of the list of all names, each of which gets an instance and no other may have one; without it
    /// there are those that somebody set a key of.
    pub listed: Option<&'static str>,
}

/// A key of an instance, in its parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instance<'k> {
    pub(super) template: &'static Template,
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
        Some(format!("{}.{}.{rest}", self.template.instances, self.name))
    }
}

/// The parts of `key`, if it is one of an instance.
pub(super) fn instance<'k>(templates: &'static [Template], key: &'k str) -> Option<Instance<'k>> {
    templates.iter().find_map(|template| {
        let key = key.strip_prefix(template.instances)?.strip_prefix('.')?;
        let (name, rest) = key.split_once('.').unwrap_or((key, ""));
        Some(Instance { template, name, rest })
    })
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
        let names = template.names(layers);
        let entry = |key: String, value: Value| Entry {
            key,
            value,
            place: String::new(),
        };
        let expanded = expanded.join(entry(template.instances.to_owned(), Dict::new().into()));
        names.into_iter().fold(expanded, |expanded, name| {
            expanded.join(entry(joined(template.instances, &name), defaults.clone()))
        })
    })
}

/// Says of each instance that is not listed that nobody looks at it.
pub(super) fn report_unlisted(templates: &'static [Template], layers: &Figment, problems: &mut ConfigError) {
    for template in templates {
        let Some(listed) = template.listed else { continue };
        let names = template.listed_names(layers);
        for (name, value) in template.written(layers) {
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
    /// Whoever has an instance.
    pub(super) fn names(&self, layers: &Figment) -> BTreeSet<String> {
        let written = self.written(layers).into_keys();
        written.chain(self.listed_names(layers)).collect()
    }

    /// The names in the list, in its order; those that are no text are reported elsewhere.
    fn listed_names(&self, layers: &Figment) -> Vec<String> {
        let list = self.listed.and_then(|listed| layers.find_value(listed).ok());
        let items = list.and_then(Value::into_array).unwrap_or_default();
        items.into_iter().filter_map(Value::into_string).collect()
    }

    /// The instances of which some layer says something.
    fn written(&self, layers: &Figment) -> Dict {
        let found = layers.find_value(self.instances).ok();
        found.and_then(Value::into_dict).unwrap_or_default()
    }
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
