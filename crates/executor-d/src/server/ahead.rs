//! How many leases are claimed ahead of free slots, so that a slot never waits for the store.

use std::time::Duration;

use distjob_core::store::Payloads;

/// Leases are claimed ahead of free slots only while they are short: a long one would wait here while another
/// executor is idle.
pub(super) const AHEAD_MAX: Duration = Duration::from_millis(500);

/// Leases of so little work, all together and for each slot that is free or will soon be, are claimed ahead of these: it
/// takes longer to claim them than to run them, so it has to be done for many at once.
const TINY_WORK: Duration = Duration::from_millis(10);

/// Most of these.
const TINY_MAX: usize = 64;

/// Most bytes of payload of a lease that is followed by so many.
const LIGHT_BYTES: usize = 4096;

/// Whether a lease of such payloads may be followed by so many.
pub(super) fn is_light(payloads: &Payloads) -> bool {
    payloads.bytes() <= LIGHT_BYTES
}

/// About the most bytes of a claim that is one of so many, where one alone may be for `max`: should all of them turn out heavy,
/// they are together what a single one might have been. More than a light one has, so that what is heavy shows; and, as
/// always, one task at least, however large.
pub(super) fn bytes_of_each(max: u64) -> u64 {
    let share = max / TINY_MAX as u64;
    share.max(2 * LIGHT_BYTES as u64).min(max)
}

/// What the slots look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outlook {
    /// Slots that are free.
    pub(super) free: usize,
    /// Slots that will soon be: what runs there has not run for long. Others may stay busy.
    pub(super) soon_free: usize,
    /// How long a slot will be busy with what was, or is being, claimed and has not begun.
    pub(super) work: Duration,
}

/// What a queue looks like of which more might be claimed; all of its tasks are short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prospect {
    /// Most leases of it at once.
    pub(super) limit: usize,
    /// Whether one more may begin, or one that runs will soon make room for it.
    pub(super) moves: bool,
    /// Whether its leases have few bytes.
    pub(super) is_light: bool,
    /// How long the next one will take at least.
    pub(super) next: Duration,
}

impl Outlook {
    /// How many leases of short tasks of this queue may wait for a slot.
    pub(super) fn ahead(self, queue: Prospect) -> usize {
        let slots = self.free + self.soon_free;
        let room = TINY_WORK.saturating_mul(u32::try_from(slots).unwrap_or(u32::MAX));
        let is_tiny = self.work.saturating_add(queue.next) <= room;
        // Those that nobody comes to run would wait in vain, be given back, and be claimed again.
        if queue.is_light && is_tiny && queue.moves && slots > 0 {
            TINY_MAX
        } else {
            self.soon_free.min(queue.limit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: Prospect = Prospect {
        limit: 2,
        moves: true,
        is_light: true,
        next: Duration::from_micros(50),
    };

    fn outlook(free: usize, soon_free: usize) -> Outlook {
        Outlook {
            free,
            soon_free,
            work: Duration::ZERO,
        }
    }

    #[test]
    fn tiny_leases_are_claimed_by_many_for_slots_that_move() {
        for (free, soon_free) in [(2, 0), (0, 2), (1, 0)] {
            assert_eq!(outlook(free, soon_free).ahead(TINY), TINY_MAX);
        }
        let heavy = Prospect {
            is_light: false,
            ..TINY
        };
        assert_eq!(outlook(0, 2).ahead(heavy), 2);
        let enough = Outlook {
            work: 2 * TINY_WORK,
            ..outlook(0, 2)
        };
        assert_eq!(enough.ahead(TINY), 2);
    }

    #[test]
    fn many_claims_for_light_leases_bring_little_more_than_one_even_if_they_turn_out_heavy() {
        const MIB: u64 = 1 << 20;
        assert_eq!(bytes_of_each(MIB) * TINY_MAX as u64, MIB);
        for max in [1, 5_000, 100_000] {
            assert!(bytes_of_each(max) <= max);
        }
        assert!(
            bytes_of_each(MIB) > LIGHT_BYTES as u64,
            "a heavy lease can be told"
        );
        let light = Payloads::from_iter([[0; LIGHT_BYTES]]);
        assert!(is_light(&light));
        let mut heavy = light;
        heavy.push(&[0]);
        assert!(!is_light(&heavy));
    }

    #[test]
    fn nothing_is_claimed_ahead_of_slots_that_are_busy_for_long() {
        assert_eq!(outlook(0, 0).ahead(TINY), 0);
        let instant = Prospect {
            next: Duration::ZERO,
            ..TINY
        };
        assert_eq!(outlook(0, 0).ahead(instant), 0);
    }

    #[test]
    fn a_queue_whose_own_bound_is_reached_by_a_long_task_is_not_claimed_by_many() {
        let stuck = Prospect {
            limit: 1,
            moves: false,
            ..TINY
        };
        assert_eq!(outlook(3, 0).ahead(stuck), 0);
        assert_eq!(outlook(2, 1).ahead(stuck), 1);
    }
}
