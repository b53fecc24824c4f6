//! Which tasks of a lease have begun, and which no longer may.

use std::sync::atomic::{AtomicU64, Ordering};

/// The positions `begun..limit` are free to be begun. Both live in one word, so that a thread that begins tasks of some
/// microseconds each and another one that takes the rest away never wait for each other.
#[derive(Debug)]
pub(crate) struct Window(AtomicU64);

impl Window {
    /// `count` positions, none of them begun.
    pub(crate) fn new(count: u32) -> Self {
        Self(AtomicU64::new(pack(0, count)))
    }

    /// Begins the next position, if there is one.
    pub(crate) fn begin(&self) -> Option<u32> {
        let step = |word| {
            let (begun, limit) = unpack(word);
            (begun < limit).then(|| pack(begun + 1, limit))
        };
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        before.ok().map(|word| unpack(word).0)
    }

    /// Takes away what has not begun, but for the next `keep`: from where to where that is, when it is anything.
    pub(crate) fn cut(&self, keep: u32) -> Option<(u32, u32)> {
        let step = |word| {
            let (begun, limit) = unpack(word);
            let kept = begun.saturating_add(keep);
            (kept < limit).then(|| pack(begun, kept))
        };
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        before.ok().map(|word| {
            let (begun, limit) = unpack(word);
            (begun + keep, limit)
        })
    }

    /// How many have begun.
    pub(crate) fn begun(&self) -> u32 {
        unpack(self.0.load(Ordering::Relaxed)).0
    }

    /// How many may still begin.
    pub(crate) fn left(&self) -> u32 {
        let (begun, limit) = unpack(self.0.load(Ordering::Relaxed));
        limit - begun
    }
}

const fn pack(begun: u32, limit: u32) -> u64 {
    (begun as u64) << 32 | limit as u64
}

const fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, thread};

    use super::*;

    #[test]
    fn what_is_cut_off_never_begins() {
        let window = Window::new(10);
        assert_eq!((window.begin(), window.begin()), (Some(0), Some(1)));
        assert_eq!(window.cut(3), Some((5, 10)));
        assert_eq!(window.cut(3), None);
        assert_eq!((window.begun(), window.left()), (2, 3));
        assert_eq!((window.begin(), window.cut(0)), (Some(2), Some((3, 5))));
        assert_eq!((window.begin(), window.cut(0), window.left()), (None, None, 0));
    }

    #[test]
    fn each_position_is_begun_by_one_thread_or_cut_off() {
        const COUNT: u32 = 100_000;
        let window = Window::new(COUNT);
        let begin = || std::iter::from_fn(|| window.begin()).collect::<Vec<_>>();
        let cut = || {
            (1..1000)
                .rev()
                .filter_map(|keep| window.cut(keep * 90))
                .collect::<Vec<_>>()
        };
        let (mut positions, pieces) = thread::scope(|scope| {
            let beginners = [scope.spawn(begin), scope.spawn(begin)];
            let cutter = scope.spawn(cut);
            let begun: Vec<u32> = beginners
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect();
            (begun, cutter.join().unwrap())
        });
        positions.extend(pieces.into_iter().flat_map(|(from, to)| from..to));
        assert_eq!(positions.len(), COUNT as usize);
        assert_eq!(
            positions.into_iter().collect::<BTreeSet<_>>().len(),
            COUNT as usize
        );
    }
}
