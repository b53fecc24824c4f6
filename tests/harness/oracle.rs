//! Right answers, found in the plainest way.

/// Whether `n` is prime, by trial division, so that it shares no idea with what it checks. Takes up to √n / 3 steps:
/// microseconds for the numbers of a batch, seconds near `u64::MAX`.
pub fn is_prime(n: u64) -> bool {
    if n < 4 {
        return n >= 2;
    }
    if n.is_multiple_of(2) || n.is_multiple_of(3) {
        return false;
    }
    // All primes above 3 are one below or above a multiple of 6.
    (1_u64..)
        .map(|k| 6 * k)
        .take_while(|k| u128::from(k - 1) * u128::from(k - 1) <= u128::from(n))
        .all(|k| !n.is_multiple_of(k - 1) && !n.is_multiple_of(k + 1))
}
