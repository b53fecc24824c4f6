//! Is this number prime?

use std::borrow::Cow;

use super::{Failure, Function, Job, Task, Verdict};

/// Says `true` of a prime number and `false` of another one. A number is written in decimal digits, with white space
/// around it if you like, and fits into 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Prime;

impl Function for Prime {
    fn handle(&self, _: &Job, task: &Task) -> Verdict {
        verdict(task.payload())
    }
}

pub(super) fn verdict(payload: &[u8]) -> Verdict {
    // What is no number now will never be one.
    let number = parse(payload.trim_ascii()).map_err(|error| Failure::from(error).is_final())?;
    Ok(Cow::Borrowed(if is_prime(number) { b"true" } else { b"false" }))
}

fn parse(digits: &[u8]) -> Result<u64, &'static str> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("not a whole number in decimal digits");
    }
    let text = std::str::from_utf8(digits).map_err(|_| "not a whole number in decimal digits")?;
    text.parse().map_err(|_| "a number over 18446744073709551615")
}

/// These bases make the Miller-Rabin test exact for every number below 3.3 × 10²⁴ (Sorenson and Webster, "Strong
/// pseudoprimes to twelve prime bases", 2015), so for all of 64 bits.
const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Whether `number` is prime. Exact, and the same on every machine.
#[must_use]
fn is_prime(number: u64) -> bool {
    if number < 2 {
        return false;
    }
    if let Some(base) = BASES.into_iter().find(|base| number.is_multiple_of(*base)) {
        return number == base;
    }
    let shift = (number - 1).trailing_zeros();
    let odd = (number - 1) >> shift;
    BASES
        .into_iter()
        .all(|base| is_strong_probable_prime(number, base, odd, shift))
}

/// One round of Miller-Rabin for `number - 1 = odd · 2^shift`.
fn is_strong_probable_prime(number: u64, base: u64, odd: u64, shift: u32) -> bool {
    let mut power = pow_mod(base, odd, number);
    if power == 1 || power == number - 1 {
        return true;
    }
    for _ in 1..shift {
        power = mul_mod(power, power, number);
        if power == number - 1 {
            return true;
        }
    }
    false
}

fn mul_mod(a: u64, b: u64, modulus: u64) -> u64 {
    // The product needs 128 bits; its remainder fits into 64 again.
    if let Some(product) = a.checked_mul(b) {
        return product % modulus;
    }
    (u128::from(a) * u128::from(b) % u128::from(modulus)) as u64
}

fn pow_mod(base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let mut result = 1;
    let mut square = base % modulus;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_mod(result, square, modulus);
        }
        square = mul_mod(square, square, modulus);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use distjob_core::retry::Retry;
    use proptest::prelude::*;

    use super::*;

    fn by_trial_division(number: u64) -> bool {
        number >= 2
            && (2..)
                .take_while(|d| d * d <= number)
                .all(|d| !number.is_multiple_of(d))
    }

    fn said_of(text: &str) -> Result<String, String> {
        let verdict = verdict(text.as_bytes());
        verdict
            .map(|v| String::from_utf8(v.into_owned()).unwrap())
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn small_numbers_agree_with_trial_division() {
        for number in 0..20_000 {
            assert_eq!(is_prime(number), by_trial_division(number), "{number}");
        }
    }

    #[test]
    fn known_large_numbers_are_right() {
        for prime in [
            18_446_744_073_709_551_557,
            18_446_744_073_709_551_533,
            9_223_372_036_854_775_783,
            4_294_967_311,
        ] {
            assert!(is_prime(prime), "{prime}");
        }
        // Carmichael numbers, strong pseudoprimes to many bases, squares and products of large primes.
        for composite in [
            561,
            3_215_031_751,
            3_825_123_056_546_413_051,
            341_550_071_728_321,
            4_294_967_291 * 4_294_967_279,
            4_294_967_291 * 4_294_967_291,
            u64::MAX,
        ] {
            assert!(!is_prime(composite), "{composite}");
        }
    }

    #[test]
    fn what_is_no_number_is_an_error_and_not_a_crash() {
        for text in ["", " ", "-7", "+7", "1.5", "0x11", "seven", "1 3", "\u{0663}"] {
            assert_eq!(
                said_of(text),
                Err("not a whole number in decimal digits".into()),
                "{text:?}"
            );
        }
        assert_eq!(
            said_of("18446744073709551616"),
            Err("a number over 18446744073709551615".into())
        );
        assert_eq!(verdict(&[0xff, 0]).unwrap_err().retry, Retry::Never);
        assert_eq!(said_of(" 17\r\n"), Ok("true".into()));
        assert_eq!(said_of("00000000000000000000000000018"), Ok("false".into()));
    }

    proptest! {
        #[test]
        fn numbers_of_the_article_agree_with_trial_division(number in 5_000u64..=90_000_000) {
            prop_assert_eq!(is_prime(number), by_trial_division(number));
        }

        #[test]
        fn a_product_is_never_prime(a in 2u64..1 << 32, b in 2u64..1 << 32) {
            prop_assert!(!is_prime(a * b));
        }
    }
}
