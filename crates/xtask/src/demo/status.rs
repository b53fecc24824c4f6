//! What `distjobctl status` tells.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use harness::{World, unique};
use serde_json::Value;

const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// Who is there and who delivers what: `distjobctl status --json`.
pub(super) struct Status {
    /// The znodes of the live executors.
    pub(super) executors: Vec<String>,
    /// The znodes of the live watchers.
    pub(super) watchers: Vec<String>,
    /// Each locked job with the watcher that holds it.
    pub(super) locks: BTreeMap<String, String>,
}

impl Status {
    /// Asks for it.
    pub(super) async fn ask(world: &World) -> Result<Self> {
        let json = distjobctl(world, &["status", "--json"]).await?;
        let json: Value = serde_json::from_str(&json).context("read the answer of distjobctl")?;
        let names = |role: &str| strings(&json[role], "name").collect();
        let locks = strings(&json["locks"], "job")
            .zip(strings(&json["locks"], "watcher"))
            .collect();
        Ok(Self {
            executors: names("executors"),
            watchers: names("watchers"),
            locks,
        })
    }
}

/// Runs `distjobctl` and returns what it printed.
pub(super) async fn distjobctl(world: &World, args: &[&str]) -> Result<String> {
    let program = world.program("distjobctl", "")?.args(args);
    let asked = world.start(program, &format!("distjobctl-{}", unique()))?;
    Ok(asked.succeeded(ANSWERS_WITHIN).await?.join("\n"))
}

/// One field of each object in a list.
fn strings<'a>(list: &'a Value, field: &'a str) -> impl Iterator<Item = String> + 'a {
    let objects = list.as_array().into_iter().flatten();
    objects.filter_map(move |object| object[field].as_str().map(str::to_owned))
}
