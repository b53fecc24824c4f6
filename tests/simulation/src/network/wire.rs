//! The two ends of a connection.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Network, Process, Server,
    state::{Action, Direction, WireId},
};

/// The connection was cut. What was sent may have had its effect, or may have it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was cut")
    }
}

impl std::error::Error for Cut {}

/// The process's end of a connection. Cheap to clone; when the last clone is dropped, the connection is closed, and
/// what was sent arrives later or not at all.
#[derive(Clone, Debug)]
pub struct Wire {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: Network,
    id: WireId,
    process: Process,
    server: Server,
    cut: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.network.change(|state| state.close_process_end(self.id));
    }
}

impl Wire {
    /// A connection without its round trip: the first request carries it.
    #[must_use]
    pub fn open(network: &Network, process: Process, server: Server) -> Self {
        let cut = CancellationToken::new();
        let id = network.change(|state| state.open(process, server, cut.clone()));
        Self {
            inner: Arc::new(Inner {
                network: network.clone(),
                id,
                process,
                server,
                cut,
            }),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn process(&self) -> Process {
        self.inner.process
    }

    /// To whom it goes.
    #[must_use]
    pub fn server(&self) -> Server {
        self.inner.server
    }

    /// Sends a request, now. Its `effect` happens at the server when it arrives, and what it returns is sent back.
    ///
    /// The future waits for ever while the link is silent, and when the process is dead; use a timeout. Dropping it
    /// takes nothing back.
    ///
    /// # Errors
    /// When the connection is cut first: the effect may have happened, or happen later, or never.
    pub fn call<R: Send + 'static>(
        &self,
        effect: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'static, Result<R, Cut>> {
        self.request(move |responder: Responder<R>| responder.send(effect()))
    }

    /// Like [`call`](Self::call), for a server that answers later: the reply is sent when it is given to the
    /// responder. A responder that is dropped never answers.
    pub fn request<R: Send + 'static>(
        &self,
        effect: impl FnOnce(Responder<R>) + Send + 'static,
    ) -> BoxFuture<'static, Result<R, Cut>> {
        let (reply, replied) = oneshot::channel();
        let responder = Responder {
            end: self.server_end(),
            reply,
        };
        self.send(Direction::Up, Box::new(move || effect(responder)));
        let cut = self.inner.cut.clone();
        Box::pin(async move {
            tokio::select! {
                biased;
                Ok(reply) = replied => Ok(reply),
                () = cut.cancelled() => Err(Cut),
            }
        })
    }

    /// Waits until the connection is cut, as far as the process hears of it. Cancel safe.
    pub fn cut(&self) -> impl Future<Output = ()> + Send + use<> {
        self.inner.cut.clone().cancelled_owned()
    }

    /// Whether the process knows that the connection is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.inner.cut.is_cancelled()
    }

    /// The other end, for the server to keep: it does not keep the connection open.
    #[must_use]
    pub fn server_end(&self) -> ServerEnd {
        ServerEnd {
            network: self.inner.network.clone(),
            id: self.inner.id,
            process: self.inner.process,
        }
    }

    fn send(&self, direction: Direction, action: Action) {
        self.inner
            .network
            .change(|state| state.send(self.inner.id, direction, action));
    }
}

/// The server's end of a connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerEnd {
    network: Network,
    id: WireId,
    process: Process,
}

impl ServerEnd {
    /// Sends something that nobody asked for: `effect` happens at the process when it arrives, in order with replies.
    pub fn push(&self, effect: impl FnOnce() + Send + 'static) {
        let action: Action = Box::new(effect);
        self.network
            .change(|state| state.send(self.id, Direction::Down, action));
    }

    /// Closes the connection, after what was sent before.
    pub fn close(&self) {
        self.network.change(|state| state.close_server_end(self.id));
    }

    /// Whether something that is sent may arrive.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.network.state().is_open(self.id)
    }

    /// Who is at the other end.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process
    }
}

/// Where the reply to a request goes.
#[derive(Debug)]
pub struct Responder<R> {
    end: ServerEnd,
    reply: oneshot::Sender<R>,
}

impl<R: Send + 'static> Responder<R> {
    /// Sends the reply.
    pub fn send(self, reply: R) {
        let sender = self.reply;
        self.end.push(move || {
            // Whoever asked may have stopped waiting.
            let _ = sender.send(reply);
        });
    }

    /// The connection that the reply takes.
    #[must_use]
    pub fn end(&self) -> &ServerEnd {
        &self.end
    }
}
