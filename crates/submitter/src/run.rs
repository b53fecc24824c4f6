//! `submitter run`: the service that takes tasks in where they arise.
//!
//! ```text
//!  spool   files ───────────┐
//!  http    bodies ──────────┤ whole inputs ──► Desk ──► jobs
//!  socket  lines ─┐         │                    ▲
//!  redis   items ─┴─► Batches (one open per queue)
//! ```
//!
//! Every intake asks the [`Gate`](gate::Gate) before it takes something in, hands it to the [`Desk`], and answers
//! only when the job is safe: what was acknowledged survives the death of this process, and what was not is still where
//! it came from. Ids are the same in every attempt, so an input that is handed in again makes no second job.

mod accept;
mod answers;
mod batches;
pub mod config;
mod cutter;
mod desk;
mod gate;
mod http;
mod metrics;
mod pressure;
mod redis;
mod socket;
mod spool;
mod stores;
mod stream;
mod whole;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use distjob_runtime::{
    config::ConfigError,
    health::Heartbeat,
    member::beating,
    metrics::Metrics,
    program::Context,
    reach::{Directories, Reach, ReachSettings, Say},
    shutdown::Stop,
};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tracing::{info, warn};

use self::{
    answers::Answers,
    batches::Batches,
    desk::Desk,
    http::Http,
    metrics::{RunMetrics, SpoolMetrics},
    pressure::Watchman,
    redis::RedisIntake,
    socket::Socket,
    spool::Spool,
    stores::Stores,
};
use crate::config::Config;

/// How long a question may take whose only use is to know how the stores are.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// How long what is given up at last may take to notice it.
const END_LIMIT: Duration = Duration::from_secs(5);

/// What an intake works with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hall {
    /// For whole inputs.
    pub(crate) desk: Arc<Desk>,
    /// For single lines.
    pub(crate) batches: Arc<Batches>,
    /// The configuration in force.
    pub(crate) settings: watch::Receiver<Arc<Config>>,
    /// The request to take nothing more in, and to return when what was taken in is answered.
    pub(crate) stop: Stop,
}

/// Serves until it is asked to stop.
///
/// # Errors
/// When nothing is to be taken in, or an intake cannot begin, or fails for good.
pub async fn serve(context: Context<Config>) -> anyhow::Result<()> {
    let Context {
        settings,
        updates,
        stop,
        heartbeat,
        readiness,
        metrics,
    } = context;
    let end = Stop::new();
    let work = reach(
        &settings,
        settings.submitter.timeout,
        Arc::new(|text| warn!("{text}")),
    )?;
    let work = Arc::new(work);
    let (keeper, gate) = gate::gate();
    let desk = Arc::new(Desk::new(
        work,
        gate,
        RunMetrics::register(&metrics),
        settings.submitter.clone(),
        end.clone(),
    ));
    let batches = Arc::new(Batches::new(Arc::clone(&desk), stop.clone()));
    let hall = Hall {
        desk,
        batches,
        settings: updates,
        stop,
    };
    let looking = Arc::new(reach(&settings, LOOK_LIMIT, Arc::new(|_| ()))?);
    let mut aside = JoinSet::new();
    aside.spawn(Stores::new(Arc::clone(&looking), &readiness).watch());
    let watchman = Watchman::new(Arc::clone(&looking), keeper, hall.settings.clone(), &metrics);
    aside.spawn(watchman.watch());
    let mut intakes = open(&hall, &settings, &metrics).await?;
    if intakes.is_empty() {
        return Err(ConfigError::new(
            "there is nothing to take in: give one of run.spool.directory, run.http.listen, run.socket.listen, \
             run.redis.list and run.redis.stream a place",
        )
        .into());
    }
    let outcome = until_stopped(&mut intakes, &hall, &heartbeat).await;
    hall.stop.request();
    leave(intakes, &hall, &end, settings.run.grace_period, &heartbeat).await;
    aside.shutdown().await;
    tokio::join!(hall.desk.reach.leave(), looking.leave());
    outcome
}

type Intakes = JoinSet<anyhow::Result<()>>;

/// Begins with every intake that has a place.
async fn open(hall: &Hall, settings: &Config, metrics: &Metrics) -> anyhow::Result<Intakes> {
    let mut intakes = Intakes::new();
    let answers = Answers::register(metrics);
    if let Some(intake) = Http::bind(hall, &settings.run.http, answers.clone()).await? {
        intakes.spawn(intake.serve());
    }
    if let Some(intake) = Socket::bind(hall, settings, &answers).await? {
        intakes.spawn(intake.serve());
    }
    let spool = &settings.run.spool;
    if !spool.directory.as_os_str().is_empty() {
        intakes.spawn(Spool::new(hall.clone(), spool, SpoolMetrics::register(metrics))?.run());
    }
    if let Some(intake) = RedisIntake::new(hall, settings, answers)? {
        intakes.spawn(intake.serve());
    }
    Ok(intakes)
}

/// Waits for the request to stop; an intake that ends before it ends the service.
async fn until_stopped(intakes: &mut Intakes, hall: &Hall, heartbeat: &Heartbeat) -> anyhow::Result<()> {
    loop {
        heartbeat.beat();
        tokio::select! {
            biased;
            () = hall.stop.requested() => return Ok(()),
            Some(ended) = intakes.join_next() => return ended.context("failed to keep an intake running")?,
            () = heartbeat.due() => {}
        }
    }
}

/// Lets everything that was taken in become jobs, for as long as that may take.
async fn leave(mut intakes: Intakes, hall: &Hall, end: &Stop, grace: Duration, heartbeat: &Heartbeat) {
    let mut rest = Box::pin(async {
        while let Some(ended) = intakes.join_next().await {
            if let Ok(Err(error)) = ended {
                warn!(error = format!("{error:#}"), "an intake failed at its end");
            }
        }
        hall.batches.finish().await;
    });
    if timeout(grace, beating(heartbeat, &mut rest)).await.is_err() {
        warn!("the grace period is over: what is not safe yet is given up, and was not acknowledged");
        end.request();
        if timeout(END_LIMIT, beating(heartbeat, &mut rest)).await.is_err() {
            warn!("an intake does not end");
        }
    }
    info!("nothing is left in hand");
}

/// Both stores. Who waits for one hears of it in the log.
fn reach(settings: &Config, limit: Duration, say: Say) -> anyhow::Result<Reach> {
    Reach::new(ReachSettings {
        zookeeper: settings.zookeeper.clone(),
        redis: settings.redis.clone(),
        limit,
        directories: Directories::Create,
        say,
    })
}
