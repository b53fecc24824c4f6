//! One direction of one connection, up to the point where its bytes may be looked at.

use std::collections::VecDeque;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Direction, Weather};

/// Chunks read ahead while earlier ones are delayed.
const CHUNKS_MAX: usize = 256;
const CHUNK_BYTES: usize = 64 * 1024;

/// Reads chunks and yields them when the weather lets them through.
#[derive(Debug)]
pub(super) struct Line<R> {
    reader: R,
    direction: Direction,
    weather: watch::Receiver<Weather>,
    /// With the time each was read.
    delayed: VecDeque<(Instant, BytesMut)>,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Line<R> {
    pub(super) fn new(reader: R, direction: Direction, weather: watch::Receiver<Weather>) -> Line<R> {
        Line {
            reader,
            direction,
            weather,
            delayed: VecDeque::new(),
            ended: false,
        }
    }

    /// The next bytes; none when the sender has closed its side and all that it sent was yielded. A broken connection
    /// counts as closed.
    pub(super) async fn next(&mut self) -> Option<BytesMut> {
        let chunk = self.next_due().await;
        // Held until the weather changes; the end of the stream is held like its bytes.
        let _ = self
            .weather
            .wait_for(|weather| !weather.holds(self.direction))
            .await;
        chunk
    }

    async fn next_due(&mut self) -> Option<BytesMut> {
        // Looked at first: the stream may have ended while its last chunk was still waiting.
        while !(self.ended && self.delayed.is_empty()) {
            let delay = self.weather.borrow().delay;
            let due = self.delayed.front().map(|(read, _)| *read + delay);
            let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    return self.delayed.pop_front().map(|(_, chunk)| chunk);
                }
                read = self.reader.read_buf(&mut chunk), if !self.ended && self.delayed.len() < CHUNKS_MAX => {
                    self.ended = matches!(read, Ok(0) | Err(_));
                    if !self.ended {
                        self.delayed.push_back((Instant::now(), chunk));
                    }
                }
                // A shorter delay lets through earlier what waits already.
                Ok(()) = self.weather.changed() => {}
            }
        }
        None
    }
}
