//! Many payloads in one piece of memory, and the form in which they come from the store.
//!
//! A list of short strings is dear on both sides of a connection: a server formats each, a client reads and allocates each.
//! So payloads come from scripts as few long strings, *runs*: each a [MessagePack] array of strings, which Redis packs without
//! Lua code. What is stored are still the payloads, one an element.
//!
//! [MessagePack]: https://github.com/msgpack/msgpack/blob/master/spec.md

/// The bytes are no run of payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("they are not packed as an array of strings")]
pub struct NoRun;

/// Payloads in order.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Payloads {
    /// All of them, one behind the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Payloads {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes they have together.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The one at this position, from 0.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&[u8]> {
        let end = *self.ends.get(position)?;
        let begin = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(begin..end)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends
            .iter()
            .map(move |&end| &self.bytes[std::mem::replace(&mut begin, end)..end])
    }

    /// Appends one.
    pub fn push(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
    }

    /// Appends those of a run.
    ///
    /// # Errors
    /// When it is none; some of its payloads may have been appended by then.
    pub(super) fn push_run(&mut self, run: &[u8]) -> Result<(), NoRun> {
        let mut rest = run;
        let count = array_length(&mut rest).ok_or(NoRun)?;
        // Each has a byte at least, whatever the length says.
        self.ends.reserve(count.min(rest.len()));
        self.bytes.reserve(rest.len());
        for _ in 0..count {
            let length = string_length(&mut rest).ok_or(NoRun)?;
            let (payload, after) = rest.split_at_checked(length).ok_or(NoRun)?;
            self.push(payload);
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { Err(NoRun) }
    }
}

impl<P: AsRef<[u8]>> FromIterator<P> for Payloads {
    fn from_iter<I: IntoIterator<Item = P>>(payloads: I) -> Self {
        let mut all = Self::default();
        payloads
            .into_iter()
            .for_each(|payload| all.push(payload.as_ref()));
        all
    }
}

impl<P: AsRef<[u8]>> PartialEq<[P]> for Payloads {
    fn eq(&self, other: &[P]) -> bool {
        self.iter().eq(other.iter().map(AsRef::as_ref))
    }
}

impl std::fmt::Debug for Payloads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What Redis makes of these payloads, of which there are less than 2³² of less than 2³² bytes each.
#[cfg(test)]
pub(crate) fn pack(payloads: &[impl AsRef<[u8]>]) -> Vec<u8> {
    const HEADER_MAX: usize = 5;
    let bytes: usize = payloads
        .iter()
        .map(|payload| payload.as_ref().len() + HEADER_MAX)
        .sum();
    let mut run = Vec::with_capacity(HEADER_MAX + bytes);
    push_header(
        &mut run,
        payloads.len(),
        0x90..0xa0,
        [None, Some(0xdc), Some(0xdd)],
    );
    for payload in payloads {
        let payload = payload.as_ref();
        push_header(
            &mut run,
            payload.len(),
            0xa0..0xc0,
            [Some(0xd9), Some(0xda), Some(0xdb)],
        );
        run.extend_from_slice(payload);
    }
    run
}

/// Appends a length: within one byte where `short` has one for it, else behind the first of the tags for a length of one,
/// two and four bytes that does.
#[cfg(test)]
fn push_header(run: &mut Vec<u8>, length: usize, short: std::ops::Range<u8>, tags: [Option<u8>; 3]) {
    let be = (length as u32).to_be_bytes();
    let [one, two, four] = tags;
    if length < short.len() {
        run.push(short.start + length as u8);
    } else if let (Some(tag), 0..=0xff) = (one, length) {
        run.extend_from_slice(&[tag, be[3]]);
    } else if let (Some(tag), 0..=0xffff) = (two, length) {
        run.extend_from_slice(&[tag, be[2], be[3]]);
    } else if let Some(tag) = four {
        run.push(tag);
        run.extend_from_slice(&be);
    }
}

fn array_length(rest: &mut &[u8]) -> Option<usize> {
    match take::<1>(rest)? {
        [tag @ 0x90..=0x9f] => Some(usize::from(tag & 0x0f)),
        [0xdc] => take(rest).map(|be| usize::from(u16::from_be_bytes(be))),
        [0xdd] => take(rest).map(|be| u32::from_be_bytes(be) as usize),
        _ => None,
    }
}

fn string_length(rest: &mut &[u8]) -> Option<usize> {
    match take::<1>(rest)? {
        [tag @ 0xa0..=0xbf] => Some(usize::from(tag & 0x1f)),
        [0xd9] => take(rest).map(|[byte]| usize::from(byte)),
        [0xda] => take(rest).map(|be| usize::from(u16::from_be_bytes(be))),
        [0xdb] => take(rest).map(|be| u32::from_be_bytes(be) as usize),
        _ => None,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unpacked(run: &[u8]) -> Result<Payloads, NoRun> {
        let mut payloads = Payloads::default();
        payloads.push_run(run).map(|()| payloads)
    }

    #[test]
    fn payloads_of_every_length_come_back() {
        let lengths = [0, 1, 31, 32, 255, 256, 65_535, 65_536, 70_000];
        let payloads: Vec<Vec<u8>> = lengths.iter().map(|length| vec![7; *length]).collect();
        let back = unpacked(&pack(&payloads)).unwrap();
        assert_eq!(back, payloads[..]);
        assert_eq!(back.bytes(), lengths.iter().sum::<usize>());
        assert_eq!(back.get(1), Some(&[7][..]));
        assert_eq!(back.get(0), Some(&[][..]));
        assert_eq!(back.get(9), None);
    }

    #[test]
    fn runs_of_every_length_come_back() {
        for count in [0, 1, 15, 16, 65_535, 65_536] {
            let payloads = vec![b"x"; count];
            assert_eq!(unpacked(&pack(&payloads)).unwrap(), payloads[..], "{count}");
        }
    }

    #[test]
    fn runs_follow_one_another() {
        let mut payloads = Payloads::default();
        payloads.push_run(&pack(&["a", ""])).unwrap();
        payloads.push_run(&pack(&["bc"])).unwrap();
        assert_eq!(payloads, ["a", "", "bc"][..]);
        assert_eq!(payloads, Payloads::from_iter(["a", "", "bc"]));
    }

    #[test]
    fn a_run_looks_as_documented() {
        assert_eq!(pack(&["17", ""]), b"\x92\xa217\xa0");
    }

    #[test]
    fn what_is_cut_or_goes_on_or_holds_anything_else_is_no_run() {
        for bytes in [
            &b""[..],
            b"\x92\xa217",
            b"\x91\xa31",
            b"\x91\xa11\xa11",
            b"\x91\x05",
            b"\xa217",
            b"\xdc\x00",
            b"\xdd\xff\xff\xff\xff\xa0",
        ] {
            assert_eq!(unpacked(bytes), Err(NoRun), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_payloads_come_back(payloads: Vec<Vec<u8>>) {
            prop_assert_eq!(&unpacked(&pack(&payloads)).unwrap(), &payloads[..]);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = unpacked(&bytes);
        }
    }
}
