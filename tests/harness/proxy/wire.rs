//! Where a message ends, in the two protocols, and which reply is to which request.

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};

/// The protocol that a proxied connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// ZooKeeper's: packets headed by their length, requests and replies share a number.
    ZooKeeper,
    /// Redis', version 2 or 3: the n-th reply is to the n-th request.
    Redis,
}

/// Marks a request and its reply; unique among the requests under way in one connection.
pub(super) type Tag = u64;

/// One whole request or reply.
#[derive(Debug)]
pub(super) struct Message {
    /// None for what is no request and no reply: notifications, pings, pushed data.
    pub(super) tag: Option<Tag>,
    pub(super) bytes: Bytes,
}

/// What Redis skips between requests, and `redis-cli --pipe` sends before its last one.
const EMPTY_LINE: &[u8] = b"\r\n";

/// Cuts one direction of one connection into messages.
#[derive(Debug)]
pub(super) struct Framer {
    wire: Wire,
    buffered: BytesMut,
    /// Messages with a tag so far.
    tagged: u64,
}

impl Framer {
    pub(super) fn new(wire: Wire) -> Framer {
        Framer {
            wire,
            buffered: BytesMut::new(),
            tagged: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffered.extend_from_slice(bytes);
    }

    /// The next whole message. An error when the bytes are not of the protocol.
    pub(super) fn next(&mut self) -> Result<Option<Message>> {
        let length = match self.wire {
            Wire::ZooKeeper => packet_length(&self.buffered)?,
            Wire::Redis => value_length(&self.buffered)?,
        };
        let Some(length) = length else { return Ok(None) };
        let bytes = self.buffered.split_to(length).freeze();
        Ok(Some(Message {
            tag: self.tag(&bytes),
            bytes,
        }))
    }

    /// What is buffered of a message that has not ended.
    pub(super) fn into_rest(self) -> BytesMut {
        self.buffered
    }

    fn tag(&mut self, message: &[u8]) -> Option<Tag> {
        let first = self.tagged == 0;
        match self.wire {
            // The first packet of each side sets up the session and has no number. The numbers below zero are those
            // of pings, notifications and authentication.
            Wire::ZooKeeper if first => {
                self.tagged = 1;
                Some(Tag::MAX)
            }
            Wire::ZooKeeper => i32_at(message, 4).and_then(|xid| Tag::try_from(xid).ok()),
            Wire::Redis if message.starts_with(b">") || message == EMPTY_LINE => None,
            Wire::Redis => {
                self.tagged += 1;
                Some(self.tagged)
            }
        }
    }
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|bytes| i32::from_be_bytes(*bytes))
}

fn packet_length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(length) = i32_at(bytes, 0) else {
        return Ok(None);
    };
    let whole = 4 + usize::try_from(length).context("a packet of negative length")?;
    Ok((bytes.len() >= whole).then_some(whole))
}

/// The length of the first RESP value in `bytes`, if all of it is there.
fn value_length(bytes: &[u8]) -> Result<Option<usize>> {
    if bytes.starts_with(EMPTY_LINE) {
        return Ok(Some(EMPTY_LINE.len()));
    }
    let mut at = 0;
    // Counting what is left, instead of recursion, walks nested arrays of any depth.
    let mut values_left = 1_usize;
    while values_left > 0 {
        let Some(line) = line_at(bytes, at) else {
            return Ok(None);
        };
        let (kind, number) = line.split_first().context("an empty line")?;
        at += line.len() + 2;
        values_left -= 1;
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            b'$' | b'=' | b'!' => at += count(number)?.map_or(0, |length| length + 2),
            b'*' | b'~' | b'>' => values_left += count(number)?.unwrap_or(0),
            b'%' => values_left += 2 * count(number)?.unwrap_or(0),
            // Attributes come before the value that they describe.
            b'|' => values_left += 2 * count(number)?.unwrap_or(0) + 1,
            other => bail!("no RESP value starts with {:?}", char::from(*other)),
        }
    }
    Ok((bytes.len() >= at).then_some(at))
}

/// The line that starts at `at`, without its end; none when its end has not arrived.
fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    rest.windows(2)
        .position(|pair| pair == b"\r\n")
        .map(|end| &rest[..end])
}

/// A count or length in decimal; none for the -1 that means null.
fn count(number: &[u8]) -> Result<Option<usize>> {
    let number: i64 = std::str::from_utf8(number)?.parse().context("read a length")?;
    Ok(usize::try_from(number).ok())
}
