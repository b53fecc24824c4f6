//! Asking a daemon's admin listener: metrics and health.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::timeout;

use crate::http::request;
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
    let answer = request(addr, "GET", path, &[], b"").await?;
    Ok(Answer {
        status: answer.status,
        body: answer.text(),
    })
}
