//! One HTTP request on a connection of its own, and the whole answer to it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Long against anything but a hung server.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200 or 503.
    pub status: u16,
    /// Name in lower case and value, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header by its name in lower case; none when it is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// The body as text, with `?` for what is none.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `method` (such as `POST`) for `target` (path and query, encoded) with these headers beside `Host` and
/// `Content-Length`, and returns the answer. An error when there is none within half a minute.
pub async fn request(
    addr: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response> {
    // Version 1.0: the answer is not chunked, and ends with the connection.
    let mut head = format!(
        "{method} {target} HTTP/1.0\r\nHost: {addr}\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let asked = timeout(ANSWERS_WITHIN, exchange(addr, head + "\r\n", body)).await;
    let answer = asked.with_context(|| format!("{method} {target} at {addr} is not answered"))?;
    let answer = answer.with_context(|| format!("{method} {target} at {addr}"))?;
    parse(&answer).with_context(|| format!("read the answer to {method} {target}"))
}

async fn exchange(addr: SocketAddr, head: String, body: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(head.as_bytes()).await?;
    // A server that refuses early may not read it all; what it answers says more.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn parse(answer: &[u8]) -> Result<Response> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.context("an answer without a body")?;
    let head = str::from_utf8(&answer[..end]).context("a head that is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| line.split_once(':'));
    Ok(Response {
        status: status.context("an answer without a status")?.parse()?,
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: answer[end + 4..].to_owned(),
    })
}
