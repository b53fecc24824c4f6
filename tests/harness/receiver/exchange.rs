//! One connection of a receiver.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use rustix::net::sockopt::set_socket_linger;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Desk, Received, Reply, Then};

/// Counts for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> (Counted<'a>, usize) {
        let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
        (Counted(counter), count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers requests until either side has had enough.
pub(super) async fn serve(stream: TcpStream, connection: u64, desk: Arc<Desk>) {
    let (_open, _) = Counted::new(&desk.open);
    let mut stream = BufReader::new(stream);
    for nth in 0.. {
        match exchange(&mut stream, connection, nth, &desk).await {
            Ok(true) => {}
            // The other side went away, which is its right.
            Ok(false) | Err(_) => break,
        }
    }
}

/// One request and its answer. `false` when no other one follows.
async fn exchange(
    stream: &mut BufReader<TcpStream>,
    connection: u64,
    nth: u64,
    desk: &Desk,
) -> io::Result<bool> {
    let Some(request) = request(stream, connection, nth).await? else {
        return Ok(false);
    };
    let (_waiting, at_once) = Counted::new(&desk.at_once);
    desk.most_at_once.fetch_max(at_once, Ordering::Relaxed);
    let Reply { bytes, then } = (desk.script)(&request);
    desk.received
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    let mut held = desk.held.subscribe();
    tokio::select! {
        biased;
        _ = held.wait_for(|held| !held) => {}
        // Nobody sends a second request before the first is answered: this is the end.
        _ = stream.fill_buf() => return Ok(false),
    }
    stream.write_all(&bytes).await?;
    match then {
        Then::GoOn => Ok(true),
        Then::Close => Ok(false),
        Then::Reset => {
            set_socket_linger(stream.get_ref(), Some(Duration::ZERO))?;
            Ok(false)
        }
        Then::Stall => {
            stream.read_u8().await?;
            Ok(false)
        }
        Then::Forever(bytes) => loop {
            stream.write_all(&bytes).await?;
        },
    }
}

/// The next request; none when the connection was closed before it.
async fn request(
    stream: &mut BufReader<TcpStream>,
    connection: u64,
    nth: u64,
) -> io::Result<Option<Received>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received {
        connection,
        nth,
        line: line.trim_end().to_owned(),
        headers,
        body,
    }))
}
