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
pub(super) struct TooMuch;

/// Reads to the end of the pipe, into `kept`.
///
/// # Errors
/// As soon as there is more than `max`.
///
/// # Cancel safety
/// What was read is in `kept`.
pub(super) async fn read_all(
    pipe: &mut pipe::Receiver,
    max: usize,
    kept: &mut Vec<u8>,
) -> Result<(), TooMuch> {
    loop {
        kept.reserve(CHUNK.min(max.saturating_sub(kept.len()) + 1));
        match pipe.read_buf(kept).await {
            Ok(0) => return Ok(()),
            Ok(_) if kept.len() > max => {
                kept.truncate(max);
                return Err(TooMuch);
            }
            Ok(_) => {}
            // A pipe that cannot be read has no more to say.
            Err(_) => return Ok(()),
        }
    }
}

/// Reads to the end of the pipe; the last of it stays in `tail`.
///
/// # Cancel safety
/// What was read is in `tail`.
pub(super) async fn read_tail(pipe: &mut pipe::Receiver, tail: &mut Tail) {
    let mut chunk = Vec::new();
    loop {
        chunk.clear();
        chunk.reserve(CHUNK);
        match pipe.read_buf(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(_) => tail.push(&chunk),
        }
    }
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

    #[tokio::test]
    async fn reading_stops_at_the_first_byte_too_many() {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        sender.write_all(&[7; 100]).await.unwrap();
        let mut kept = Vec::new();
        assert_eq!(read_all(&mut receiver, 99, &mut kept).await, Err(TooMuch));
        assert_eq!(kept, [7; 99]);

        drop(sender);
        let mut kept = Vec::new();
        assert_eq!(read_all(&mut receiver, 0, &mut kept).await, Ok(()));
    }

    #[tokio::test]
    async fn an_output_of_exactly_the_limit_is_no_error() {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        sender.write_all(&[7; 100]).await.unwrap();
        drop(sender);
        let mut kept = Vec::new();
        assert_eq!(read_all(&mut receiver, 100, &mut kept).await, Ok(()));
        assert_eq!(kept.len(), 100);
    }
}
