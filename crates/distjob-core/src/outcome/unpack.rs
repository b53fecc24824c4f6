//! Reading packed outcomes.

use std::time::Duration;

use super::{Account, Outcome, Record};

/// The bytes are not packed outcomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// The bytes end inside an outcome.
    #[error("the packed outcomes end in the middle of one")]
    Truncated,
    /// A number that is too large for what it counts.
    #[error("the packed outcomes hold a number that is out of bounds")]
    Number,
}

/// The outcomes in `packed`, in order. After an error the iterator ends.
#[must_use]
pub fn unpack(packed: &[u8]) -> Unpack<'_> {
    Unpack { rest: packed }
}

/// Iterator of [`unpack`].
#[derive(Clone, Debug)]
pub struct Unpack<'a> {
    rest: &'a [u8],
}

impl<'a> Unpack<'a> {
    fn record(&mut self) -> Result<Record<'a>, UnpackError> {
        let header = number(&mut self.rest)?;
        let mut bytes = split(&mut self.rest, header >> 2)?;
        match header & 3 {
            0 => return Ok(Outcome::Ok(bytes).into()),
            1 => return Ok(Outcome::Err(bytes).into()),
            _ => {}
        }
        let attempts = u32::try_from(number(&mut bytes)?).map_err(|_| UnpackError::Number)?;
        let elapsed = Duration::from_micros(number(&mut bytes)?);
        let account = (attempts > 0).then_some(Account { attempts, elapsed });
        let (outcome, stderr): (_, &[u8]) = if header & 1 == 0 {
            (Outcome::Ok(bytes), &[])
        } else {
            let length = number(&mut bytes)?;
            (Outcome::Err(split(&mut bytes, length)?), bytes)
        };
        Ok(Record {
            outcome,
            account,
            stderr,
        })
    }
}

/// Takes a LEB128 number of at most nine bytes off the front.
fn number(rest: &mut &[u8]) -> Result<u64, UnpackError> {
    let mut number = 0u64;
    for shift in (0..63).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(UnpackError::Truncated)?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(UnpackError::Number)
}

/// Takes `length` bytes off the front.
fn split<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], UnpackError> {
    let length = usize::try_from(length).map_err(|_| UnpackError::Number)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or(UnpackError::Truncated)?;
    *rest = after;
    Ok(bytes)
}

impl<'a> Iterator for Unpack<'a> {
    type Item = Result<Record<'a>, UnpackError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::Packed;

    type Raw = (bool, Vec<u8>, Option<(u32, u64)>, Vec<u8>);

    fn raw() -> impl Strategy<Value = Vec<Raw>> {
        let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
        let account = prop::option::of((1..=u32::MAX, 0..1u64 << 63));
        prop::collection::vec((any::<bool>(), bytes(300), account, bytes(20)), 0..20)
    }

    fn record((ok, bytes, account, stderr): &Raw) -> Record<'_> {
        Record {
            outcome: if *ok {
                Outcome::Ok(bytes)
            } else {
                Outcome::Err(bytes)
            },
            account: account.map(|(attempts, micros)| Account {
                attempts,
                elapsed: Duration::from_micros(micros),
            }),
            stderr: if *ok { &[] } else { stderr },
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(raw in raw()) {
            let records: Vec<Record<'_>> = raw.iter().map(record).collect();
            let mut packed = Packed::default();
            records.iter().for_each(|record| packed.push_record(*record));
            prop_assert_eq!(packed.count(), records.len() as u64);
            prop_assert_eq!(packed.failed(), raw.iter().filter(|(ok, ..)| !ok).count() as u64);
            let back: Result<Vec<_>, _> = unpack(packed.bytes()).collect();
            prop_assert_eq!(back, Ok(records));
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_run_on(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(unpack(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn a_cut_is_noticed() {
        let mut packed = Packed::default();
        packed.push(Outcome::Err(&[7; 200]));
        let cut = &packed.bytes()[..packed.bytes().len() - 1];
        assert_eq!(unpack(cut).collect::<Vec<_>>(), [Err(UnpackError::Truncated)]);
        assert_eq!(
            unpack(&[0xff; 12]).collect::<Vec<_>>(),
            [Err(UnpackError::Number)]
        );
    }

    #[test]
    fn an_account_that_does_not_fit_its_bytes_is_noticed() {
        let truncated = |bytes: &[u8]| {
            assert_eq!(
                unpack(bytes).collect::<Vec<_>>(),
                [Err(UnpackError::Truncated)],
                "{bytes:?}"
            );
        };
        truncated(b"\x02");
        truncated(b"\x06\x01");
        truncated(b"\x0b\x01\x01");
        truncated(b"\x0f\x01\x01\x01");
        let attempts = b"\x1a\xff\xff\xff\xff\x7f\x01";
        assert_eq!(unpack(attempts).collect::<Vec<_>>(), [Err(UnpackError::Number)]);
    }

    #[test]
    fn stderr_may_stand_without_an_account() {
        let record = Record {
            stderr: b"trace",
            ..Record::from(Outcome::Err(b"no"))
        };
        let mut packed = Packed::default();
        packed.push_record(record);
        assert_eq!(unpack(packed.bytes()).collect::<Vec<_>>(), [Ok(record)]);
    }
}
