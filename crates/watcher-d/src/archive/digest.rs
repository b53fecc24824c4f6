//! Counting and hashing what passes.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use sha2::{Digest as _, Sha256};

/// What has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digested {
    pub(crate) bytes: u64,
    /// SHA-256, as 64 hexadecimal digits.
    pub(crate) sha256: String,
}

/// Counts and hashes what it passes on.
#[derive(Debug)]
pub(crate) struct Digesting<W> {
    writer: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W> Digesting<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self {
            writer,
            hasher: Sha256::new(),
            bytes: 0,
        }
    }

    /// What it passed things on to, and what passed.
    pub(crate) fn finish(self) -> (W, Digested) {
        let mut sha256 = String::with_capacity(64);
        for byte in self.hasher.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        let digested = Digested {
            bytes: self.bytes,
            sha256,
        };
        (self.writer, digested)
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
