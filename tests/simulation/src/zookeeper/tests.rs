//! What the modelled ensemble promises, and what it does not.

mod clients;
mod faults;
mod sessions;
mod watches;

use std::{sync::Arc, time::Duration};

use distjob_core::Layout;
use distjob_runtime::{
    chance,
    zk::{
        SessionSettings,
        client::{Mode, SessionClient, SessionState},
    },
};
use tokio::time::timeout;

use super::{Ensemble, EnsembleSettings, Lag};
use crate::{
    network::{Delays, Network, Node, Process},
    trace::Trace,
};

const SESSION_TIMEOUT: Duration = Duration::from_secs(4);

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(60);

pub(super) type Client = Arc<dyn SessionClient>;

/// A network with an ensemble.
struct Site {
    network: Network,
    ensemble: Ensemble,
    trace: Trace,
}

impl Site {
    fn new(seed: u64) -> Self {
        Self::with(seed, EnsembleSettings::default())
    }

    fn with(seed: u64, settings: EnsembleSettings) -> Self {
        chance::seed(seed);
        let trace = Trace::new(false);
        let network = Network::start(seed, Delays::default(), trace.clone());
        let ensemble = Ensemble::start(&network, seed, settings, trace.clone());
        Self {
            network,
            ensemble,
            trace,
        }
    }

    /// The client of a process of its own, at any server.
    async fn client(&self, node: u16) -> Client {
        self.client_at("", node).await
    }

    fn session_settings(&self, servers: &str, node: u16) -> SessionSettings {
        SessionSettings {
            connect: servers.to_owned(),
            connector: self.ensemble.connector(process(node)),
            layout: Layout::new("/distjob").unwrap(),
            session_timeout: SESSION_TIMEOUT,
            operation_timeout: SESSION_TIMEOUT / 2,
        }
    }

    async fn client_at(&self, servers: &str, node: u16) -> Client {
        let connector = self.ensemble.connector(process(node));
        connector.connect(servers, SESSION_TIMEOUT).await.unwrap()
    }
}

const fn process(node: u16) -> Process {
    Process {
        node: Node(node),
        life: 1,
    }
}

/// Waits until a client's session stands so.
async fn reaches(client: &Client, wanted: SessionState) {
    let mut states = client.states();
    let reached = async {
        while client.state() != wanted {
            states.changed().await;
        }
    };
    timeout(LONG, reached).await.unwrap();
}

async fn put(client: &Client, path: &str) {
    client.create(path, b"", Mode::Persistent).await.unwrap();
}

async fn children(client: &Client, path: &str) -> Vec<String> {
    client.get_children(path).await.unwrap().0
}
