//! Reading the configuration again while the program runs.

use std::collections::BTreeSet;
use std::fmt;

use figment::Figment;

use super::error::ConfigError;
use super::layer::{Entry, place};
use super::print::shown;
use super::{Loaded, Settings, read, template, understand};

/// `log.level` is taken over by the shared part of every program.
const ALWAYS_RELOADABLE: &str = "log.level";

/// One key whose value differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The dotted key.
    pub key: String,
    /// The value before, as TOML, passwords masked; `-` when there was none.
    pub old: String,
    /// The value now, likewise.
    pub new: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.old, self.new)
    }
}

/// What a second reading brought.
#[derive(Debug)]
pub struct Reload<T> {
    /// What is in force from now on: the old configuration with the reloadable keys of the new one.
    pub loaded: Loaded<T>,
    /// The changes that are in it.
    pub applied: Vec<Change>,
    /// The changes that wait for a restart, also those that an earlier reading found.
    pub pending: Vec<Change>,
}

impl<T: Settings> Loaded<T> {
    /// Reads all layers again. Flags and environment are those of the start; only the file can have changed.
    ///
    /// # Errors
    /// When the new configuration is bad, or what can be taken over of it does not go with the rest of the old one;
    /// the old one stays in force.
    pub fn reload(&self) -> Result<Reload<T>, ConfigError> {
        let next: Self = read(self.sources.clone())?;
        let (applied, pending) = self
            .changes(&next)
            .into_iter()
            .partition(|change| self.takes_over(&next, &change.key));

        let keys: BTreeSet<_> = self.values.keys().chain(next.values.keys()).collect();
        let in_force = keys.into_iter().filter_map(|key| {
            let side = if self.takes_over(&next, key) { &next } else { self };
            Some(Entry {
                key: key.clone(),
                value: side.values.get(key)?.clone(),
                place: place(&side.layers, key).to_owned(),
            })
        });
        let layers = in_force.fold(Figment::new(), Figment::merge);
        let mut problems = ConfigError::default();
        let loaded = understand(
            self.sources.clone(),
            next.known,
            next.file,
            layers,
            &BTreeSet::new(),
            &mut problems,
        )?;
        Ok(Reload {
            loaded: problems.into_result(loaded)?,
            applied,
            pending,
        })
    }

    /// Whether the value of `key` changes at SIGHUP. An instance that one side lacks comes or goes at the restart only,
    /// with the list that names it.
    fn takes_over(&self, next: &Self, key: &str) -> bool {
        let in_both = template::instance(T::TEMPLATES, key).is_none_or(|instance| {
            let has = |side: &Self| instance.template.names(&side.layers).contains(instance.name);
            instance.template.listed.is_none() || has(self) && has(next)
        });
        in_both && reloadable::<T>(key)
    }

    /// The keys in which `next` differs from this configuration, in their order.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<Change> {
        let keys: BTreeSet<_> = self.values.keys().chain(next.values.keys()).collect();
        keys.into_iter()
            .filter_map(|key| {
                let (old, new) = (self.values.get(key), next.values.get(key));
                let written =
                    |value: Option<_>| value.map_or_else(|| "-".to_owned(), |value| shown(key, value));
                (old != new).then(|| Change {
                    key: key.clone(),
                    old: written(old),
                    new: written(new),
                })
            })
            .collect()
    }
}

/// Whether the key, or a table that it is in, is one that the program takes over while it runs.
pub(super) fn reloadable<T: Settings>(key: &str) -> bool {
    let key = &*template::canonical(T::TEMPLATES, key);
    let covers = |named: &str| {
        key.strip_prefix(named)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    covers(ALWAYS_RELOADABLE) || T::RELOADABLE.iter().any(|named| covers(named))
}
