//! Making sessions expire when the test says so, instead of waiting for a clock.
//!
//! A server ends an expired session by the same transaction as one that its client closed. So a session is expired here
//! by attaching to it as its client would after a lost connection, and closing it. Attaching takes the session's
//! password, which ZooKeeper derives from the session's id and a constant, with Java's `java.util.Random`.
//!
//! The other ways: a restart gives every session its full timeout again, and expires none. A server that is paused for
//! the timeout and two ticks more, then resumed, expires all that had this timeout: in every trial its expirer ran before
//! it read what the clients had sent meanwhile. That takes as long as it takes, and no order is promised; it is the way to
//! have the server close the connections too.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zookeeper_client::SessionId;

use super::four_letters;
use crate::eventually::within;

/// `SessionTrackerImpl`'s constant, the same in all 3.x servers.
const SUPER_SECRET: i64 = 0xB341_5C00;
const PASSWORD_BYTES: usize = 16;
const CLOSE_SESSION: i32 = -11;

/// The sessions that the server knows, connected or not. On an ensemble, ask the leader.
pub async fn list(addr: SocketAddr) -> Result<Vec<SessionId>> {
    // The server prints its sets of sessions while sessions move from set to set, and so may miss one or show one twice.
    within(Duration::from_secs(10), async || {
        let dump = four_letters(addr, "dump").await?;
        let (count, sessions) =
            parse(&dump).with_context(|| format!("not the answer of a server that leads: {dump:?}"))?;
        ensure!(sessions.len() == count, "{} of {count} sessions", sessions.len());
        Ok(sessions.into_iter().map(SessionId).collect())
    })
    .await
}

/// How many sessions there are, and those of them that a dump shows.
fn parse(dump: &str) -> Option<(usize, BTreeSet<i64>)> {
    // Between these two headings each line that starts with 0x is a session; elsewhere they repeat.
    let mut lines = dump.lines().skip_while(|line| !line.starts_with("Session Sets"));
    // "Session Sets (<sets>)/(<sessions>):"
    let count = lines.next()?.rsplit_once('(')?.1.strip_suffix("):")?;
    let sessions = lines
        .take_while(|line| !line.starts_with("ephemeral nodes dump"))
        .filter_map(|line| u64::from_str_radix(line.trim().strip_prefix("0x")?, 16).ok());
    Some((count.parse().ok()?, sessions.map(u64::cast_signed).collect()))
}

/// Ends `session` and removes its ephemerals, whatever its client does. Returns when the server has forgotten the session.
/// One that is gone already is fine.
///
/// The client loses its connection, and on its return is told that the session expired. Often it returns so fast that it
/// attaches to the session just before the end: then its requests and pings stay unanswered, and it learns of the end
/// after two thirds of its session timeout, when it gives the connection up. Where this matters, let it connect through
/// a [`Proxy`](crate::Proxy): refuse and cut, expire, accept.
pub async fn expire(addr: SocketAddr, session: SessionId) -> Result<()> {
    within(Duration::from_secs(10), async || {
        // The client may come back and take its session over before the close is read; then try again.
        close(addr, session).await?;
        ensure!(
            !list(addr).await?.contains(&session),
            "session {session} is still there"
        );
        Ok(())
    })
    .await
}

/// Attaches to the session and closes it, in one write, to leave its client little time in between.
async fn close(addr: SocketAddr, session: SessionId) -> Result<()> {
    let mut connect = Vec::new();
    connect.extend(0_i32.to_be_bytes()); // protocol version
    connect.extend(0_i64.to_be_bytes()); // last zxid seen: none, any server is recent enough
    connect.extend(10_000_i32.to_be_bytes()); // session timeout in ms
    connect.extend(session.0.to_be_bytes());
    connect.extend(16_i32.to_be_bytes());
    connect.extend(password(session));
    connect.push(0); // not read-only
    let mut close = Vec::new();
    close.extend(1_i32.to_be_bytes()); // xid
    close.extend(CLOSE_SESSION.to_be_bytes());

    let mut stream = TcpStream::connect(addr).await?;
    stream
        .write_all(&[framed(&connect), framed(&close)].concat())
        .await?;
    // It answers both and closes the connection. Reset or slow, the list of sessions tells what came of it.
    let _ = timeout(Duration::from_secs(2), stream.read_to_end(&mut Vec::new())).await;
    Ok(())
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), packet].concat()
}

/// `new Random(id ^ SUPER_SECRET).nextBytes(new byte[16])`.
fn password(session: SessionId) -> [u8; PASSWORD_BYTES] {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = ((session.0 ^ SUPER_SECRET).cast_unsigned() ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_BYTES];
    for word in password.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        word.copy_from_slice(&(state >> 16).to_le_bytes()[..4]);
    }
    password
}
