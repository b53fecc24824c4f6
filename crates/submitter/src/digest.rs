//! Ids that follow from what is submitted: the same input makes the same job, however often it comes.

use std::io::{self, Read};

use distjob_core::{JobId, NameError};
use sha2::{Digest as _, Sha256};

/// SHA-256 over everything that was read, behind some words that belong to it.
pub(crate) type Sum = [u8; 32];

/// An input whose bytes are summed up as they are read. One that is read for the second time must come to the same
/// sum: else its end is an error.
#[derive(Debug)]
pub(crate) struct Summed<R> {
    input: R,
    hasher: Sha256,
    expected: Option<Sum>,
}

impl<R: Read> Summed<R> {
    /// `input`, of which nothing was read, behind `words`, each of which is ended by a zero byte.
    pub(crate) fn new(input: R, words: &[impl AsRef<[u8]>]) -> Self {
        let mut hasher = Sha256::new();
        for word in words {
            hasher.update(word.as_ref());
            hasher.update([0]);
        }
        Self {
            input,
            hasher,
            expected: None,
        }
    }

    /// The same, to be read as it was before.
    pub(crate) fn expecting(self, sum: Sum) -> Self {
        Self {
            expected: Some(sum),
            ..self
        }
    }

    /// The sum of what was read.
    pub(crate) fn sum(self) -> Sum {
        self.hasher.finalize().into()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        let has_ended = length == 0 && !buffer.is_empty();
        match self.expected {
            Some(expected) if has_ended && Sum::from(self.hasher.clone().finalize()) != expected => {
                Err(io::Error::other("it changed while it was submitted"))
            }
            _ => Ok(length),
        }
    }
}

/// The id of the job of that sum: its first 32 hexadecimal digits.
///
/// # Errors
/// None: they make an id.
pub(crate) fn id_of(sum: &Sum) -> Result<JobId, NameError> {
    JobId::new(hex(&sum[..16]))
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(words: &[impl AsRef<[u8]>], content: &[u8]) -> Sum {
        let mut summed = Summed::new(content, words);
        io::copy(&mut summed, &mut io::sink()).unwrap();
        summed.sum()
    }

    #[test]
    fn the_id_is_what_sha256sum_says_of_queue_zero_and_content() {
        // printf 'primes\0001\n2\n' | sha256sum
        let id = id_of(&sum(&[b"primes"], b"1\n2\n")).unwrap();
        assert_eq!(id.as_str(), "95be1b8f7da56be96235e832281e7dcd");
    }

    #[test]
    fn what_is_read_again_must_be_the_same() {
        let first = sum(&[b"q"], b"1\n2\n");
        for (content, is_same) in [(&b"1\n2\n"[..], true), (b"1\n2\n3\n", false), (b"1\n", false)] {
            let mut again = Summed::new(content, &[b"q"]).expecting(first);
            assert_eq!(io::copy(&mut again, &mut io::sink()).is_ok(), is_same);
        }
    }
}
