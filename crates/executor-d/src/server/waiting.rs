//! Tasks that wait for another attempt.

use std::{collections::BTreeMap, time::Instant};

/// Pieces of work by when they are due; of several due at the same moment, the one that came first is first.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    by_due: BTreeMap<(Instant, u64), T>,
    came: u64,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            by_due: BTreeMap::new(),
            came: 0,
        }
    }
}

impl<T> Waiting<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_due.len()
    }

    /// Lets one wait.
    pub(super) fn push(&mut self, due: Instant, piece: T) {
        self.came += 1;
        self.by_due.insert((due, self.came), piece);
    }

    /// When the first one is due.
    pub(super) fn first_due(&self) -> Option<Instant> {
        self.by_due.first_key_value().map(|((due, _), _)| *due)
    }

    /// The first one, if it is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let first = self.by_due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes out those which are not wanted any more.
    pub(super) fn extract(&mut self, is_unwanted: impl Fn(&T) -> bool) -> Vec<T> {
        let unwanted = |(key, piece): (&(Instant, u64), &T)| is_unwanted(piece).then_some(*key);
        let keys: Vec<_> = self.by_due.iter().filter_map(unwanted).collect();
        keys.iter().filter_map(|key| self.by_due.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn pieces_come_out_when_they_are_due_and_in_order() {
        let (mut waiting, now) = (Waiting::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        for (due, name) in [(later, "c"), (now, "a"), (now, "b")] {
            waiting.push(due, name);
        }
        assert_eq!((waiting.len(), waiting.first_due()), (3, Some(now)));
        assert_eq!(waiting.pop_due(now), Some("a"));
        assert_eq!((waiting.pop_due(now), waiting.pop_due(now)), (Some("b"), None));
        assert_eq!(waiting.first_due(), Some(later));
        assert_eq!(waiting.extract(|name| *name == "c"), ["c"]);
        assert_eq!((waiting.pop_due(later), waiting.first_due()), (None, None));
    }
}
