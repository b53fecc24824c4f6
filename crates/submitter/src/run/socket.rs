//! Single tasks over a socket: a line each, answered by a line each, in order.
//!
//! ```text
//!  lines in ──► reader ──► Batches::add ──► receipts, in order ──► writer ──► answers
//! ```
//!
//! How it looks from outside is told in [`crate::docs::lines`].

mod talk;

use std::sync::Arc;

use anyhow::Context as _;
use distjob_core::QueueName;
use prometheus_client::metrics::counter::Counter;
use tracing::info;

use self::talk::Talk;
use super::{
    Hall,
    accept::{Listener, Spot, Stream},
    answers::Answers,
    config::{SocketConfig, SocketListen},
};
use crate::config::Config;

/// The listener, and what it answers from.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: Listener,
    server: Arc<Server>,
}

/// What the connections share.
#[derive(Debug)]
struct Server {
    hall: Hall,
    config: SocketConfig,
    /// Of connections that name none.
    queue: QueueName,
    safe: Counter,
    refused: Counter,
}

impl Socket {
    /// Listens; `None` when that is switched off.
    ///
    /// # Errors
    /// When there is no listening there.
    pub(crate) async fn bind(
        hall: &Hall,
        settings: &Config,
        answers: &Answers,
    ) -> anyhow::Result<Option<Self>> {
        let config = settings.run.socket.clone();
        let spot = match &config.listen {
            SocketListen::Off => return Ok(None),
            SocketListen::Tcp(address) => Spot::Tcp(*address),
            SocketListen::Unix(path) => Spot::Unix(path.clone()),
        };
        let listener = Listener::bind(&spot).await;
        let listener =
            listener.with_context(|| format!("listen for lines on {spot} (see [run.socket] listen)"))?;
        info!("line intake on {}", listener.spot()?);
        let queue = match config.queue.as_str() {
            "" => settings.submitter.queue.clone(),
            queue => QueueName::new(queue)?,
        };
        let server = Server {
            hall: hall.clone(),
            config,
            queue,
            safe: answers.of("socket", "safe"),
            refused: answers.of("socket", "refused"),
        };
        Ok(Some(Self {
            listener,
            server: Arc::new(server),
        }))
    }

    /// Serves until the service is asked to stop, and returns when every line that was read is answered.
    pub(crate) async fn serve(self) -> anyhow::Result<()> {
        let Self { listener, server } = self;
        let stop = server.hall.stop.clone();
        let most = server.config.connections;
        let attend = move |stream: Stream| {
            let server = Arc::clone(&server);
            async move { Talk::new(&server, stream).hold().await }
        };
        listener.serve(most, &stop, attend).await;
        Ok(())
    }
}
