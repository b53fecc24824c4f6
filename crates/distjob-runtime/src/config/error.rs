//! What is wrong with a configuration, all of it at once.

use std::collections::BTreeSet;
use std::fmt;

use figment::Figment;

use super::layer::{EMBEDDED, place};
use super::template::{self, Template};

/// Everything that is wrong with a configuration; one message a line, each with its place. Exit status 78.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ConfigError {
    messages: Vec<String>,
}

impl ConfigError {
    /// The error with this one message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            messages: vec![message.into()],
        }
    }

    /// The messages, in the order in which the layers are read.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    pub(super) fn push(&mut self, message: impl Into<String>) {
        self.messages.push(message.into());
    }

    /// `value` when nothing is wrong.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.messages.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.messages.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Collects what [`Settings::check`](super::Settings::check) finds and says where each value came from.
#[derive(Debug)]
pub struct Problems<'a> {
    layers: &'a Figment,
    templates: &'static [Template],
    refused: &'a BTreeSet<String>,
    found: &'a mut ConfigError,
}

impl<'a> Problems<'a> {
    pub(super) fn new(
        layers: &'a Figment,
        templates: &'static [Template],
        refused: &'a BTreeSet<String>,
        found: &'a mut ConfigError,
    ) -> Self {
        Self {
            layers,
            templates,
            refused,
            found,
        }
    }

    /// Reports that the value of `key` (dotted) is bad; `message` follows the key, as in "must be at least 1s".
    ///
    /// What an instance has from its template stands there: it is reported with that place, and not again when the
    /// same was reported of the template.
    pub fn report(&mut self, key: &str, message: impl fmt::Display) {
        let inherited = self.inherited(key);
        let place = place(self.layers, inherited.as_deref().unwrap_or(key));
        let about = |key: &str| format!("{place}: `{key}` {message}");
        let is_known = inherited.is_some_and(|key| self.found.messages.contains(&about(&key)));
        if !is_known {
            self.found.push(about(key));
        }
    }

    /// Whether some layer has a value for `key`, or for that key of its template: what is reported of it can be found.
    #[must_use]
    pub fn is_set(&self, key: &str) -> bool {
        let inherited = self.inherited(key);
        place(self.layers, inherited.as_deref().unwrap_or(key)) != EMBEDDED
    }

    /// Whether something was written for `key`, or for that key of its template, that could not be understood. It has been
    /// reported, and what follows from its absence need not be.
    #[must_use]
    pub fn is_refused(&self, key: &str) -> bool {
        let canonical = template::canonical(self.templates, key);
        self.refused.contains(key) || self.refused.contains(&*canonical)
    }

    /// The key of the template that `key` has its value from.
    fn inherited(&self, key: &str) -> Option<String> {
        let instance = template::instance(self.templates, key)?;
        (!self.layers.contains(key)).then(|| instance.overridden())
    }

    /// Reports `message` about `key` unless `holds`.
    pub fn require(&mut self, key: &str, holds: bool, message: impl fmt::Display) {
        if !holds {
            self.report(key, message);
        }
    }
}
