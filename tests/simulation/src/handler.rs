//! What executors do with tasks in a run: what their payloads say, in virtual time.

use std::{fmt, time::Duration};

use executor_d::handler::{Handler, Ran, Stretch, Verdict};
use futures::future::BoxFuture;
use tokio::time::sleep;

use crate::{
    cluster::Cluster,
    network::Process,
    payload::{Kind, Payload},
};

/// The handler of one process.
pub struct SimulatedHandler {
    cluster: Cluster,
    process: Process,
}

impl fmt::Debug for SimulatedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedHandler")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl SimulatedHandler {
    /// The handler of `process`.
    #[must_use]
    pub const fn new(cluster: Cluster, process: Process) -> Self {
        Self { cluster, process }
    }
}

impl Handler for SimulatedHandler {
    fn run(&self, mut stretch: Stretch) -> BoxFuture<'static, Ran> {
        let (cluster, process) = (self.cluster.clone(), self.process);
        Box::pin(async move {
            stretch.begin();
            while let Some(task) = stretch.task() {
                let verdict = match Payload::parse(task.payload) {
                    Ok(payload) => handle(&cluster, process, payload).await,
                    Err(_) => Err("this is no payload of the run".into()),
                };
                stretch.record(&verdict);
            }
            stretch.end()
        })
    }
}

async fn handle(cluster: &Cluster, process: Process, payload: Payload) -> Verdict {
    cluster.network().awake(process).await;
    let count = cluster.history().executed(payload.submission, payload.index);
    cluster.trace().mark(payload.to_string().as_bytes());
    if count > 1 {
        cluster
            .trace()
            .note(|| format!("{process} runs {payload} for the {count}th time"));
    }
    match payload.kind {
        Kind::Works(ms) => {
            if ms > 0 {
                sleep(Duration::from_millis(ms.into())).await;
            }
            cluster.network().awake(process).await;
            Ok(payload.value().into_bytes().into())
        }
        Kind::Fails => Err(payload.value().into()),
        Kind::Kills => {
            cluster.crash(process);
            std::future::pending().await
        }
    }
}
