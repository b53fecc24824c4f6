//! One client's connection through the proxy.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::sync::CancellationToken;

use super::fault::{Effect, Hit};
use super::line::Line;
use super::wire::{Framer, Message, Tag};
use super::{Direction, Lobby};

/// Forwards both ways until both sides have closed. The caller drops this future, and with it both sockets, when `cut`
/// is cancelled.
pub(super) async fn serve(client: TcpStream, server: TcpStream, lobby: &Lobby, cut: &CancellationToken) {
    // Without these the kernel would hold small packets back. A failure shows in the first read.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let path = Path {
        lobby,
        cut,
        marked: Mutex::default(),
    };
    tokio::join!(
        path.forward(Direction::Requests, from_client, to_server),
        path.forward(Direction::Replies, from_server, to_client),
    );
}

struct Path<'a> {
    lobby: &'a Lobby,
    cut: &'a CancellationToken,
    /// Requests on their way whose replies something will befall.
    marked: Mutex<HashMap<Tag, Arc<Hit>>>,
}

impl Path<'_> {
    /// Lets what was armed befall a message that is about to be forwarded. Returns when it may go on.
    async fn befall(&self, direction: Direction, message: &Message) {
        match (direction, message.tag) {
            (Direction::Requests, Some(tag)) => self.befall_request(tag, &message.bytes).await,
            (Direction::Replies, Some(tag)) => self.befall_reply(tag, &message.bytes).await,
            (_, None) => {}
        }
    }

    async fn befall_request(&self, tag: Tag, request: &[u8]) {
        let Some(hit) = self.lobby.faults.choose(request) else {
            return;
        };
        match hit.effect {
            Effect::LoseReply | Effect::HoldReply => {
                // Before the request goes out: its reply cannot overtake this.
                self.marked
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(tag, hit);
            }
            Effect::LoseRequest => self.end(&hit).await,
            Effect::HoldRequest => hit.hold().await,
        }
    }

    async fn befall_reply(&self, tag: Tag, reply: &[u8]) {
        let marked = self
            .marked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&tag);
        let Some(hit) = marked else { return };
        if reply.starts_with(b"-NOSCRIPT") {
            // Nothing was done yet; the client will send the script and ask again.
            return hit.rearm();
        }
        match hit.effect {
            Effect::LoseReply => self.end(&hit).await,
            _ => hit.hold().await,
        }
    }

    /// Cuts this connection, then tells, and never returns: the message at hand goes nowhere.
    async fn end(&self, hit: &Hit) {
        self.cut.cancel();
        hit.fire();
        pending::<()>().await;
    }

    /// Copies messages; the end of the stream is passed on.
    async fn forward(&self, direction: Direction, from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut line = Line::new(from, direction, self.lobby.weather.subscribe());
        let mut framer = Framer::new(self.lobby.wire);
        while let Some(chunk) = line.next().await {
            framer.push(&chunk);
            loop {
                match framer.next() {
                    Ok(Some(message)) => {
                        self.befall(direction, &message).await;
                        if to.write_all(&message.bytes).await.is_err() {
                            // The receiver is gone. What the sender still sends has no reader, but must not block it.
                            while line.next().await.is_some() {}
                            return;
                        }
                    }
                    Ok(None) => break,
                    // A harness that guesses misleads: an unknown protocol breaks the connection.
                    Err(_) => return self.cut.cancel(),
                }
            }
        }
        // A message that its sender did not finish belongs to the receiver too.
        let _ = to.write_all(&framer.into_rest()).await;
        let _ = to.shutdown().await;
    }
}
