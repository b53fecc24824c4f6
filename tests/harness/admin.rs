//! Asking a daemon's admin listener: metrics and health.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::process::Process;

/// What a daemon logs before its listener's address, which it chooses itself in tests.
const LISTENS: &str = "admin listener on ";
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// An answer of an admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status, such as 200 or 503.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Process {
    /// Where its admin listener is, by its log.
    pub async fn admin_addr(&self) -> Result<SocketAddr> {
        let line = self.wait_log(LISTENS, ANSWERS_WITHIN).await?;
        let (_, addr) = line
            .split_once(LISTENS)
            .context("no address of the admin listener")?;
        let end = addr
            .find(|c: char| c != ':' && c != '.' && !c.is_ascii_digit())
            .unwrap_or(addr.len());
        addr[..end]
            .parse()
            .with_context(|| format!("read the address of the admin listener in {line:?}"))
    }

    /// `GET path` from its admin listener, such as `/metrics`, `/healthz` or `/readyz`.
    pub async fn admin_get(&self, path: &str) -> Result<Answer> {
        let addr = self.admin_addr().await?;
        let ask = timeout(ANSWERS_WITHIN, get(addr, path)).await;
        ask.with_context(|| format!("{} does not answer {path}", self.name()))?
            .with_context(|| format!("ask for {path}"))
    }
}

async fn get(addr: SocketAddr, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(addr).await?;
    // Version 1.0: the body is not chunked, and ends with the connection.
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without a body")?;
    let status = head
        .split(' ')
        .nth(1)
        .context("an answer without a status")?
        .parse()?;
    Ok(Answer {
        status,
        body: body.to_owned(),
    })
}
