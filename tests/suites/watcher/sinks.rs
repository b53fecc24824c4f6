//! Results that go elsewhere than into files: what receivers see, whatever fails in between.

#[path = "sinks/command.rs"]
mod command;
#[path = "sinks/objects.rs"]
mod objects;
#[path = "sinks/redis.rs"]
mod redis;
#[path = "sinks/server.rs"]
mod server;
#[path = "sinks/webhook.rs"]
mod webhook;

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use harness::{Delivered, Received, Receiver, Reply, eventually};

use crate::SOON;
use crate::stage::{Job, QUEUE, Stage};

/// The name of a job's result in every sink, without its endings.
fn name(job: &Job) -> String {
    format!("{QUEUE}/{}", job.id)
}

/// Whether these bytes are the job's whole result.
fn is_whole(bytes: &[u8], job: &Job) {
    let lines = Delivered::parse(std::str::from_utf8(bytes).unwrap()).unwrap();
    assert_eq!(lines.len(), job.tasks.len());
    for (index, line) in lines.iter().enumerate() {
        assert_eq!((line.index, &line.task), (index as u64, &job.tasks[index]));
        assert_eq!(line.outcome, Job::outcome(index, &line.task), "index {index}");
    }
}

/// A receiver that answers its first requests with `first`, one after the other, and all others as `script` says.
async fn receiver(
    first: Vec<Reply>,
    script: impl Fn(&Received) -> Reply + Send + Sync + 'static,
) -> Receiver {
    let count = AtomicUsize::new(0);
    let receiver = Receiver::start(move |request| {
        let at = count.fetch_add(1, Ordering::Relaxed);
        first.get(at).cloned().unwrap_or_else(|| script(request))
    });
    receiver.await.unwrap()
}

/// A table that makes the default sink one of this kind.
fn sink(kind: &str, more: &str) -> String {
    format!("\n[sinks.default]\nkind = {kind:?}\n{more}\n")
}

/// Nothing waits in the spool any more.
async fn spool_is_empty(stage: &Stage) {
    eventually("the spool is empty", SOON, async || {
        let partials = stage.partials();
        ensure!(partials.is_empty(), "{partials:?}");
        Ok(())
    })
    .await;
}
