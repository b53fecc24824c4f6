//! An executor of one's own: each of its queues has a handler in Rust. All else is as in `executor-d`: the flags, the
//! configuration (`/etc/distjob/rust-executor.toml`), retries, bounds, metrics, and how it leaves.
//!
//! ```toml
//! [executor]
//! queues = ["words", "hosts"]
//! ```

use std::{
    num::NonZeroUsize,
    process::ExitCode,
    str::{FromStr as _, from_utf8},
};

use clap::Parser;
use distjob_executor::{
    CommonArgs, EMBEDDED_CONFIG, Program, QueueName,
    handler::{
        AsyncFunction, BoxFuture, Concurrently, Failure, Function, Handlers, Job, OnThread, Task, Verdict,
    },
    launcher, run_own,
};

/// Counts words. It only computes, so it gets a thread for the tasks of each lease.
#[derive(Debug)]
struct Words;

impl Function for Words {
    fn handle(&self, _: &Job, task: &Task) -> Verdict {
        // Another attempt would not make it text.
        let text = from_utf8(task.payload()).map_err(|_| Failure::new("no text").is_final())?;
        Ok(text.split_whitespace().count().to_string().into_bytes().into())
    }
}

/// Looks up the addresses of hosts. It mostly waits, so it does so for several tasks of a lease at once.
#[derive(Debug)]
struct Hosts;

impl AsyncFunction for Hosts {
    fn handle<'a>(&'a self, _: &'a Job, task: &'a Task) -> BoxFuture<'a, Verdict> {
        Box::pin(async {
            let host = from_utf8(task.payload()).map_err(|_| Failure::new("no host").is_final())?;
            // What fails here may work later: it is tried again as the queue's `attempts` and `retry_*` say.
            let found = tokio::net::lookup_host((host, 0))
                .await
                .map_err(|error| error.to_string())?;
            let addresses: Vec<_> = found.map(|address| address.ip().to_string()).collect();
            Ok(addresses.join(" ").into_bytes().into())
        })
    }
}

/// What is done in which queue.
fn handlers() -> anyhow::Result<Handlers> {
    const AT_ONCE: NonZeroUsize = NonZeroUsize::new(16).expect("more than 0");
    Ok(Handlers::new()
        .with(QueueName::from_str("words")?, OnThread::new(Words))
        .with(QueueName::from_str("hosts")?, Concurrently::new(Hosts, AT_ONCE)))
}

/// Counts words and looks up hosts.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> ExitCode {
    // The executor starts its own program again, for what only another process can do.
    launcher::run_if_asked();
    let program = Program {
        name: "rust-executor",
        embedded_config: EMBEDDED_CONFIG,
    };
    program.daemon(&Args::parse().common, async |context| {
        run_own(handlers()?, context).await
    })
}

#[cfg(test)]
mod tests {
    use distjob_executor::handler::{Retry, Trial};

    use super::*;

    #[tokio::test]
    async fn words_are_counted_in_text_only() {
        let tasks: [&[u8]; 3] = [b"to be or not to be", b"", b"\xff"];
        let verdicts = Trial::new(QueueName::from_str("words").unwrap(), tasks)
            .run(&OnThread::new(Words))
            .await;
        assert_eq!(verdicts[&0], Ok(b"6".into()));
        assert_eq!(verdicts[&1], Ok(b"0".into()));
        assert_eq!(verdicts[&2].as_ref().unwrap_err().retry, Retry::Never);
    }
}
