//! An S3-compatible object store: moto's server, in an environment of its own below the target directory, which
//! `cargo xtask test` makes from `tests/harness/s3/requirements.txt`.
//!
//! Objects live in the server's memory: a restarted one is empty. It looks at no signature, so any credentials do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::child::mortal;
use crate::http::{Response, request};
use crate::process::target_dir;
use crate::servers::{Kind, Server};

/// What moto takes for a signed request: without one, objects are not anyone's to read.
const SIGNED: (&str, &str) = (
    "Authorization",
    "AWS4-HMAC-SHA256 Credential=test/20300101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
);

/// An S3-compatible server.
pub type S3 = Server<S3Kind>;

/// How an [`S3`] is run.
#[derive(Debug)]
pub struct S3Kind {
    python: PathBuf,
}

impl S3Kind {
    /// With the environment that stands beside the directory of this workspace's programs.
    fn find() -> Result<S3Kind> {
        let programs = target_dir()?;
        let target = programs
            .parent()
            .context("the programs' directory has no parent")?;
        let python = target.join("moto/bin/python3");
        ensure!(
            python.exists(),
            "{} is missing: let `cargo xtask test` make it once",
            python.display()
        );
        Ok(S3Kind { python })
    }
}

impl Kind for S3Kind {
    const NAME: &'static str = "s3";

    fn command(&self, dir: &Path, listen: SocketAddr) -> Result<Command> {
        let mut command = mortal(&self.python);
        command.args(["-m", "moto.server", "-H"]);
        command.arg(listen.ip().to_string()).arg("-p");
        command.arg(listen.port().to_string()).current_dir(dir);
        // So that lists of a hundred objects have two pages already.
        command.env("MOTO_S3_DEFAULT_MAX_KEYS", "60");
        Ok(command)
    }

    async fn answers(&self, addr: SocketAddr) -> bool {
        let answer = request(addr, "GET", "/moto-api/", &[], b"").await;
        answer.is_ok_and(|answer| answer.status == 200)
    }
}

impl S3 {
    /// Starts a server with its files in `dir`, which is created, and returns when it serves. An error that says what to do
    /// when its environment was not made.
    pub async fn start_in(dir: &Path) -> Result<S3> {
        let python = S3Kind::find()?.python;
        Server::start_kind(dir, || S3Kind {
            python: python.clone(),
        })
        .await
        .context("start the S3 server")
    }

    /// `http://<address>:<port>`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// The table of options for a client in Rust's `object_store`, as TOML below its header: endpoint, region, credentials.
    pub fn options(&self) -> String {
        format!(
            "aws_endpoint = {:?}\naws_region = \"us-east-1\"\naws_allow_http = \"true\"\n\
             aws_access_key_id = \"test\"\naws_secret_access_key = \"test\"\n",
            self.endpoint()
        )
    }

    /// Makes a bucket; one that is there already stays as it is.
    pub async fn make_bucket(&self, bucket: &str) -> Result<()> {
        self.ask("PUT", &format!("/{bucket}"), b"").await.map(drop)
    }

    /// Puts an object into a bucket, as a client would.
    pub async fn put(&self, bucket: &str, key: &str, body: &[u8]) -> Result<()> {
        let target = format!("/{bucket}/{}", encoded(key, "/"));
        self.ask("PUT", &target, body).await.map(drop)
    }

    /// The keys of a bucket's objects that start with `prefix`, in order. Those of uploads that are not complete are not
    /// among them, see [`S3::unfinished`].
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>> {
        let first = format!("/{bucket}?list-type=2&prefix={}", encoded(prefix, ""));
        let (mut keys, mut page) = (Vec::new(), first.clone());
        loop {
            let list = self.ask("GET", &page, b"").await?.text();
            keys.extend(elements(&list, "Key"));
            let Some(next) = elements(&list, "NextContinuationToken").pop() else {
                return Ok(keys);
            };
            page = format!("{first}&continuation-token={}", encoded(&next, ""));
        }
    }

    /// An object; none when it is not there.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let target = format!("/{bucket}/{}", encoded(key, "/"));
        let answer = request(self.addr(), "GET", &target, &[SIGNED], b"").await?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(good(answer)?.body))
    }

    /// The keys of multipart uploads into a bucket that were begun and neither completed nor given up.
    pub async fn unfinished(&self, bucket: &str) -> Result<Vec<String>> {
        let list = self.ask("GET", &format!("/{bucket}?uploads"), b"").await?;
        Ok(elements(&list.text(), "Key"))
    }

    /// Sends a signed request and returns the answer to it; an error unless its status is 200.
    pub async fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<Response> {
        let answer = request(self.addr(), method, target, &[SIGNED], body).await?;
        good(answer).with_context(|| format!("{method} {target}"))
    }
}

fn good(answer: Response) -> Result<Response> {
    ensure!(
        answer.status == 200,
        "S3 answers {}: {}",
        answer.status,
        answer.text()
    );
    Ok(answer)
}

/// Percent-encodes what is neither plain nor in `kept`.
fn encoded(text: &str, kept: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// The texts of all elements of that name: as much XML as the lists of S3 are.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(&close)?.0))
        .map(|text| {
            let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'")];
            let text = entities
                .iter()
                .fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
            text.replace("&amp;", "&")
        })
        .collect()
}
