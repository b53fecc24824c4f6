//! Making connections, with TLS where the place asks for it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, client::conn::http1, service::Service as _};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{client::legacy::connect::HttpConnector, service::TowerToHyperService};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use thiserror::Error;
use tokio::{task::JoinSet, time::timeout};

use super::{client::chain, place::Place};

/// A peer that vanished without a word is noticed, also where tasks may take for ever.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    service: TowerToHyperService<HttpsConnector<HttpConnector>>,
    timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum ConnectError {
    /// It took too long.
    #[error("no connection to {place} within {limit:?}")]
    Timeout { place: Place, limit: Duration },
    /// It was refused, the name is not known, the certificate not trusted, and the like.
    #[error("no connection to {place}: {why}")]
    Failed { place: Place, why: String },
}

/// A connection, for one request at a time. Closed when dropped, whatever it is at.
#[derive(Debug)]
pub(super) struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    /// The one task that moves its bytes; ended with the set.
    _driver: JoinSet<()>,
}

impl Connector {
    /// Trusts the system's certificate authorities, and those in the PEM file `ca_file`. `timeout` is for address,
    /// connection and TLS together.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate.
    pub(super) fn new(ca_file: Option<&Path>, timeout: Duration) -> anyhow::Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEPALIVE));
        // Shared out among the addresses of a name, so that one that swallows packets does not use all of it up.
        http.set_connect_timeout(Some(timeout));
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .context("choose the versions of TLS")?
            .with_root_certificates(trusted(ca_file)?)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self {
            service: TowerToHyperService::new(connector),
            timeout,
        })
    }

    /// A fresh connection.
    pub(super) async fn connect(&self, place: &Place) -> Result<Connection, ConnectError> {
        let failed = |why| ConnectError::Failed {
            place: place.clone(),
            why,
        };
        let connecting = async {
            let stream = self.service.call(place.uri().clone()).await;
            let stream = stream.map_err(|error| failed(chain(&*error)))?;
            let handshake = http1::handshake(stream).await;
            handshake.map_err(|error| failed(chain(&error)))
        };
        let (requests, connection) = match timeout(self.timeout, connecting).await {
            Ok(connected) => connected?,
            Err(_) => {
                return Err(ConnectError::Timeout {
                    place: place.clone(),
                    limit: self.timeout,
                });
            }
        };
        let mut driver = JoinSet::new();
        driver.spawn(async {
            // The exchange that meets an error is told of it.
            let _ = connection.await;
        });
        Ok(Connection {
            requests,
            _driver: driver,
        })
    }
}

impl Connection {
    /// Sends a request, and returns with the head of the answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.requests.ready().await?;
        self.requests.send_request(request).await
    }

    /// Whether it is of no more use.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }
}

/// The system's certificate authorities and those of `file`. A machine without any may still use `http`.
fn trusted(file: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let Some(file) = file else {
        return Ok(roots);
    };
    let certificates =
        CertificateDer::pem_file_iter(file).with_context(|| format!("open {}", file.display()))?;
    let before = roots.len();
    for certificate in certificates {
        let certificate = certificate.with_context(|| format!("read {}", file.display()))?;
        roots
            .add(certificate)
            .with_context(|| format!("trust a certificate of {}", file.display()))?;
    }
    anyhow::ensure!(roots.len() > before, "{} holds no certificate", file.display());
    Ok(roots)
}
