//! Over TLS, with a certificate for `localhost` that an authority of our own has signed.

use std::{fs::File, net::SocketAddr, path::PathBuf};

use hyper::{Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A file of these tests.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/handler/http/tests")
        .join(name)
}

/// A server that answers `secure` to whoever trusts it, until the set is dropped.
async fn serve(tasks: &mut JoinSet<()>) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(file("server.key")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who does not trust it hangs up.
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let answer = service_fn(async |_: hyper::Request<Incoming>| {
                Ok::<_, std::convert::Infallible>(Response::new("secure".to_owned()))
            });
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
        }
    });
    addr
}

#[tokio::test]
async fn a_server_is_trusted_when_an_authority_of_ours_says_so_and_not_otherwise() {
    let mut tasks = JoinSet::new();
    let url = format!("https://localhost:{}/", serve(&mut tasks).await.port());
    let ca_file = format!("queue.http.ca_file={}", file("ca.pem").display());
    let trusting = http(&url, &[&ca_file]);
    assert_eq!(run(&trusting, 0, "").await, Ok(b"secure".as_slice().into()));
    drop(trusting);
    let failure = failure(&http(&url, &[])).await;
    assert!(failure.message.contains("UnknownIssuer"), "{failure}");
    assert_eq!(failure.retry, Retry::Policy);
}

#[test]
fn a_file_without_a_certificate_is_refused() {
    for (name, why) in [("server.key", "holds no certificate"), ("missing.pem", "open ")] {
        let refused = Connector::new(Some(&file(name)), SOON).unwrap_err();
        assert!(format!("{refused:#}").contains(why), "{refused:#}");
    }
    File::open(file("ca.pem")).unwrap();
}
