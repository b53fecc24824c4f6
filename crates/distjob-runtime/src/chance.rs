//! Chance, date and place: what differs between two runs of the same thing, unless a simulation rules it.
//!
//! Pauses are drawn by chance so that many clients do not come back at once; names and tokens are, so that they are
//! fresh. All that comes from here and from nowhere else. A thread draws from a generator of its own, which the operating
//! system seeds; [`seed`] makes everything that its thread draws from then on a function of one number, and lets the
//! date follow tokio's clock, which a simulation pauses.
//!
//! Nothing here is a secret: whoever guesses a name gains nothing.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::Instant;
use uuid::Builder;

/// When a simulation begins, since 1970: some day of 2024. Ids tell their age, so it must be a date.
const SIMULATED_START: Duration = Duration::from_secs(1_720_000_000);

thread_local! {
    static SOURCE: RefCell<Source> = RefCell::new(Source { rng: rand::make_rng(), start: None });
}

struct Source {
    rng: StdRng,
    /// When a simulation began, by tokio's clock.
    start: Option<Instant>,
}

/// Makes whatever this thread draws from now on follow from `seed`, and its date from tokio's clock, which starts now.
///
/// For a simulation, which runs in one thread: names are fresh only within it.
pub fn seed(seed: u64) {
    let seeded = Source {
        rng: StdRng::seed_from_u64(seed),
        start: Some(Instant::now()),
    };
    SOURCE.with_borrow_mut(|source| *source = seeded);
}

/// `full`, less up to half of it by chance.
#[must_use]
pub fn upper_half(full: Duration) -> Duration {
    full.mul_f64(with_generator(|rng| rng.random_range(0.5..=1.0)))
}

/// A number from 0 up to, not including, 1.
#[must_use]
pub fn fraction() -> f64 {
    with_generator(|rng| rng.random_range(0.0..1.0))
}

/// A generator of its own for whoever draws much, seeded by chance.
#[must_use]
pub fn generator() -> StdRng {
    with_generator(StdRng::from_rng)
}

/// `digits` hexadecimal digits by chance, at most 32: four bits each.
///
/// # Panics
/// When more are wanted.
#[must_use]
pub fn hex(digits: usize) -> String {
    let bits = with_generator(StdRng::random::<u128>);
    format!("{bits:032x}")[..digits].to_owned()
}

/// A fresh id or token: a `UUIDv7` as 32 hexadecimal digits, so that a later millisecond sorts after an earlier one.
#[must_use]
pub fn fresh_id() -> String {
    let millis = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
    let bits = with_generator(StdRng::random::<[u8; 10]>);
    Builder::from_unix_timestamp_millis(millis, &bits)
        .into_uuid()
        .simple()
        .to_string()
}

/// The name of this machine and the number of this process, for names and texts; those of a simulation never change.
#[must_use]
pub fn whereabouts() -> (String, u32) {
    if SOURCE.with_borrow(|source| source.start.is_some()) {
        return ("simulation".to_owned(), 1);
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (host, std::process::id())
}

/// The date, for texts and ids: no rule of correctness looks at it. Nothing when the machine's clock stands before
/// 1970.
#[must_use]
pub fn since_1970() -> Duration {
    match SOURCE.with_borrow(|source| source.start) {
        Some(start) => SIMULATED_START + start.elapsed(),
        None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    }
}

fn with_generator<T>(draw: impl FnOnce(&mut StdRng) -> T) -> T {
    SOURCE.with_borrow_mut(|source| draw(&mut source.rng))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bit of everything.
    fn drawn() -> (Duration, String, String, u64) {
        let pause = upper_half(Duration::from_secs(1));
        (pause, hex(12), fresh_id(), generator().random())
    }

    #[tokio::test(start_paused = true)]
    async fn one_seed_gives_one_course_of_things() {
        seed(7);
        let first = drawn();
        seed(7);
        assert_eq!(drawn(), first);
        assert_ne!(drawn(), first);
        seed(8);
        assert_ne!(drawn(), first);
    }

    #[test]
    fn without_a_seed_two_threads_draw_differently() {
        let other = std::thread::spawn(drawn).join().unwrap();
        assert_ne!(drawn(), other);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_id_sorts_after_an_earlier_one_and_both_are_of_version_7() {
        seed(1);
        let earlier = fresh_id();
        tokio::time::advance(Duration::from_millis(1)).await;
        let later = fresh_id();
        assert!(earlier < later, "{earlier} {later}");
        assert_eq!((earlier.len(), &earlier[12..13]), (32, "7"));
        let now = since_1970();
        assert_eq!(now, SIMULATED_START + Duration::from_millis(1));
    }

    #[test]
    fn a_pause_keeps_at_least_half_of_its_length() {
        let full = Duration::from_secs(2);
        for _ in 0..1000 {
            let pause = upper_half(full);
            assert!(pause >= full / 2 && pause <= full, "{pause:?}");
        }
    }
}
