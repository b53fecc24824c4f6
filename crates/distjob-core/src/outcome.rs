//! What became of a task, and how the outcomes of a run of tasks are packed.
//!
//! Packed, each outcome is a header and its bytes. The header is an unsigned LEB128 number whose low two bits are the
//! kind (0 `ok`, 1 `err`; 2 and 3 are free for later) and whose other bits count the bytes that follow. A `true`
//! costs five bytes; nothing is ever escaped, so values and messages may hold any byte.

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<'a> {
    /// The handler's value.
    Ok(&'a [u8]),
    /// Why there is no value: the handler's last error, or that its executors died of it.
    Err(&'a [u8]),
}

impl<'a> Outcome<'a> {
    /// The value or the message.
    #[must_use]
    pub const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Ok(bytes) | Self::Err(bytes) => bytes,
        }
    }

    const fn kind(self) -> u64 {
        match self {
            Self::Ok(_) => 0,
            Self::Err(_) => 1,
        }
    }
}

/// The packed outcomes of a run of tasks, in index order, as they grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    count: u64,
    failed: u64,
}

impl Packed {
    /// Appends the outcome of the next task.
    pub fn push(&mut self, outcome: Outcome<'_>) {
        let payload = outcome.bytes();
        let mut header = ((payload.len() as u64) << 2) | outcome.kind();
        while header >= 0x80 {
            self.bytes.push((header & 0x7f) as u8 | 0x80);
            header >>= 7;
        }
        self.bytes.push(header as u8);
        self.bytes.extend_from_slice(payload);
        self.count += 1;
        self.failed += outcome.kind();
    }

    /// How many outcomes.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many of them are [`Outcome::Err`].
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// The packed form.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is no outcome yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The bytes are not packed outcomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// The bytes end inside an outcome.
    #[error("the packed outcomes end in the middle of one")]
    Truncated,
    /// A kind that this version does not know, or a length that no machine holds.
    #[error("the packed outcomes hold a header that this version does not know")]
    Header,
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
    fn header(&mut self) -> Result<u64, UnpackError> {
        let mut header = 0u64;
        for shift in (0..).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(UnpackError::Truncated)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift > 56 {
                return Err(UnpackError::Header);
            }
            header |= bits << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(header)
    }

    fn outcome(&mut self) -> Result<Outcome<'a>, UnpackError> {
        let header = self.header()?;
        let length = usize::try_from(header >> 2).map_err(|_| UnpackError::Header)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(UnpackError::Truncated)?;
        self.rest = rest;
        match header & 3 {
            0 => Ok(Outcome::Ok(bytes)),
            1 => Ok(Outcome::Err(bytes)),
            _ => Err(UnpackError::Header),
        }
    }
}

impl<'a> Iterator for Unpack<'a> {
    type Item = Result<Outcome<'a>, UnpackError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let outcome = self.outcome();
        if outcome.is_err() {
            self.rest = &[];
        }
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(raw in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..20)) {
            let outcomes: Vec<Outcome<'_>> =
                raw.iter().map(|(ok, bytes)| if *ok { Outcome::Ok(bytes) } else { Outcome::Err(bytes) }).collect();
            let mut packed = Packed::default();
            outcomes.iter().for_each(|outcome| packed.push(*outcome));
            prop_assert_eq!(packed.count(), outcomes.len() as u64);
            prop_assert_eq!(packed.failed(), raw.iter().filter(|(ok, _)| !ok).count() as u64);
            let back: Result<Vec<_>, _> = unpack(packed.bytes()).collect();
            prop_assert_eq!(back, Ok(outcomes));
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_run_on(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(unpack(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn a_truth_value_costs_one_byte_more_than_its_text() {
        let mut packed = Packed::default();
        packed.push(Outcome::Ok(b"true"));
        assert_eq!(packed.bytes(), b"\x10true");
    }

    #[test]
    fn a_cut_is_noticed() {
        let mut packed = Packed::default();
        packed.push(Outcome::Err(&[7; 200]));
        let cut = &packed.bytes()[..packed.bytes().len() - 1];
        assert_eq!(unpack(cut).collect::<Vec<_>>(), [Err(UnpackError::Truncated)]);
        assert_eq!(
            unpack(&[0xff; 12]).collect::<Vec<_>>(),
            [Err(UnpackError::Header)]
        );
        assert_eq!(unpack(&[2]).collect::<Vec<_>>(), [Err(UnpackError::Header)]);
    }
}
