//! What comes out of a child, in bounded memory.

use std::collections::VecDeque;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
};

/// How much is read at once.
const CHUNK: usize = 8 * 1024;

/// More came than may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// What becomes of a standard output.
pub(crate) trait Output {
    /// Where to append what is read next; has spare room.
    fn space(&mut self) -> &mut Vec<u8>;

    /// Something was appended.
    ///
    /// # Errors
    /// When it is too much.
    fn grew(&mut self) -> Result<(), TooMuch>;
}

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Whole {
    bytes: Vec<u8>,
    max: usize,
}

impl Whole {
    /// Of at most `max` bytes.
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
        }
    }

    /// What was read.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Output for Whole {
    fn space(&mut self) -> &mut Vec<u8> {
        // One byte more than may come: so that it is noticed when it does.
        let rest = self.max.saturating_sub(self.bytes.len()).saturating_add(1);
        self.bytes.reserve(CHUNK.min(rest));
        &mut self.bytes
    }

    fn grew(&mut self) -> Result<(), TooMuch> {
        if self.bytes.len() > self.max {
            self.bytes.truncate(self.max);
            return Err(TooMuch);
        }
        Ok(())
    }
}

/// Reads to the end of the pipe.
///
/// # Errors
/// As soon as it is too much.
///
/// # Cancel safety
/// What was read is in `output`.
pub(super) async fn read_to_end(pipe: &mut pipe::Receiver, output: &mut impl Output) -> Result<(), TooMuch> {
    loop {
        match pipe.read_buf(output.space()).await {
            // A pipe that cannot be read has no more to say.
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => output.grew()?,
        }
    }
}

/// A standard error, of which the end is kept.
#[derive(Debug)]
pub(super) struct Errors<'a> {
    chunk: Vec<u8>,
    tail: &'a mut Tail,
}

impl<'a> Errors<'a> {
    /// That ends in `tail`.
    pub(super) const fn new(tail: &'a mut Tail) -> Self {
        let chunk = Vec::new();
        Self { chunk, tail }
    }
}

impl Output for Errors<'_> {
    fn space(&mut self) -> &mut Vec<u8> {
        self.chunk.clear();
        self.chunk.reserve(CHUNK);
        &mut self.chunk
    }

    fn grew(&mut self) -> Result<(), TooMuch> {
        self.tail.push(&self.chunk);
        Ok(())
    }
}

/// Reads to the end of the pipe; the last of it stays in `tail`.
///
/// # Cancel safety
/// What was read is in `tail`.
pub(super) async fn read_tail(pipe: &mut pipe::Receiver, tail: &mut Tail) {
    // Nothing is too much.
    let _ = read_to_end(pipe, &mut Errors::new(tail)).await;
}

/// Writes all, if there is a pipe, and closes it.
pub(super) async fn feed(pipe: Option<pipe::Sender>, bytes: &[u8]) {
    if let Some(mut pipe) = pipe {
        // A child that does not want to read all of it is no error.
        let _ = pipe.write_all(bytes).await;
    }
}

/// The last bytes of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    max: usize,
}

impl Tail {
    /// Of at most `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            max,
        }
    }

    /// Appends, and forgets what is too much.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.max)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.max);
        self.bytes.drain(..excess);
        self.bytes.extend(bytes);
    }

    /// What is kept, from the oldest byte on.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tail_is_the_end_of_what_was_pushed(chunks: Vec<Vec<u8>>, max in 0_usize..64) {
            let mut tail = Tail::new(max);
            for chunk in &chunks {
                tail.push(chunk);
            }
            let all = chunks.concat();
            prop_assert_eq!(tail.into_bytes(), &all[all.len().saturating_sub(max)..]);
        }
    }

    /// What is read of so many bytes.
    async fn read(bytes: usize, max: usize) -> (Result<(), TooMuch>, usize) {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        sender.write_all(&vec![7; bytes]).await.unwrap();
        drop(sender);
        let mut whole = Whole::new(max);
        let result = read_to_end(&mut receiver, &mut whole).await;
        (result, whole.into_bytes().len())
    }

    #[tokio::test]
    async fn reading_stops_at_the_first_byte_too_many() {
        assert_eq!(read(100, 99).await, (Err(TooMuch), 99));
        assert_eq!(read(100, 0).await, (Err(TooMuch), 0));
        assert_eq!(read(100, 100).await, (Ok(()), 100));
        assert_eq!(read(0, 0).await, (Ok(()), 0));
        assert_eq!(read(50_000, usize::MAX).await, (Ok(()), 50_000));
    }
}
