//! What executors do with tasks in a run: what their payloads say, in virtual time.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use distjob_core::QueueName;
use distjob_executor::handler::{
    AsyncFunction, Concurrently, Failure, Handler, Handlers, Job, Retry, Task, Verdict,
};
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
    /// The handlers of `process`: this one for each queue.
    #[must_use]
    pub fn handlers(cluster: &Cluster, process: Process, queues: &[QueueName]) -> Handlers {
        let function = Self {
            cluster: cluster.clone(),
            process,
        };
        let at_once = NonZeroUsize::new(cluster.plan().settings.at_once).unwrap_or(NonZeroUsize::MIN);
        let handler: Arc<dyn Handler> = Arc::new(Concurrently::new(function, at_once));
        Handlers::for_all(queues, &handler)
    }
}

impl AsyncFunction for SimulatedHandler {
    fn handle<'a>(&'a self, _: &'a Job, task: &'a Task) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            match Payload::parse(task.payload()) {
                Ok(payload) => handle(&self.cluster, self.process, payload, task.attempt).await,
                // What came of a task of another job.
                Err(_) => Ok([b"value of ", task.payload()].concat().into()),
            }
        })
    }
}

async fn handle(cluster: &Cluster, process: Process, payload: Payload, attempt: u32) -> Verdict {
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
        Kind::Flaky(failures) if attempt <= failures => Err(payload.value().into()),
        Kind::Suffers(failures) if count <= failures => {
            Err(Failure::from(payload.value()).retry(Retry::Uncounted))
        }
        Kind::Flaky(_) | Kind::Suffers(_) => Ok(payload.value().into_bytes().into()),
        Kind::Fails => Err(Failure::new(payload.value()).is_final()),
        Kind::Kills => {
            cluster.crash(process);
            std::future::pending().await
        }
    }
}
