//! What the mains of all programs have in common, so that each is a few lines.
//!
//! ```text
//! configuration ─ log ─ runtime ─ signals ─ admin listener ─ the program's own run ─ exit status
//! ```
//!
//! The program's part is one future, which gets a [`Context`] and returns when it has left in good order.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::admin::{Admin, AdminState};
use crate::config::{self, CommonArgs, Listen, Loaded, Settings};
use crate::exit::Status;
use crate::health::{Heartbeat, Readiness};
use crate::metrics::Metrics;
use crate::shutdown::{self, Reloads, Stop};
use crate::supervise::{Supervisor, feed_watchdog};
use crate::systemd::{self, Notifier};
use crate::telemetry;
use crate::threads;

/// The version of all programs.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What makes a program this one.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name of the binary and of its file in `/etc/distjob`, without the extension.
    pub name: &'static str,
    /// The text of its configuration file as it is shipped.
    pub embedded_config: &'static str,
}

/// What a daemon works with.
#[derive(Debug)]
pub struct Context<T> {
    /// The configuration at the start.
    pub settings: Arc<T>,
    /// The configuration in force: changes at SIGHUP, and then only in [`Settings::RELOADABLE`] keys.
    pub updates: watch::Receiver<Arc<T>>,
    /// The request to drain and leave.
    pub stop: Stop,
    /// For the main loop to say that it turns.
    pub heartbeat: Heartbeat,
    /// For the conditions without which the daemon is not ready.
    pub readiness: Readiness,
    /// For the daemon's metrics.
    pub metrics: Metrics,
}

impl<T> Context<T> {
    /// What a daemon works with that runs inside another program: nobody but the holder of `stop` asks it to stop, and its
    /// settings never change.
    #[must_use]
    pub fn inside(settings: T, stop: Stop) -> Self {
        let settings = Arc::new(settings);
        // A receiver whose sender is gone keeps its value, and never tells of a change.
        let (_, updates) = watch::channel(Arc::clone(&settings));
        Self {
            settings,
            updates,
            stop,
            heartbeat: Heartbeat::new(None),
            readiness: Readiness::new(Notifier::new()),
            metrics: Metrics::default(),
        }
    }
}

impl Program {
    /// Runs a daemon until `run` returns. The status to exit with is that of its outcome, see [`exit`](crate::exit);
    /// an error is logged.
    #[must_use]
    pub fn daemon<T, F, R>(self, args: &CommonArgs, run: F) -> ExitCode
    where
        T: Settings,
        F: FnOnce(Context<T>) -> R,
        R: Future<Output = anyhow::Result<()>>,
    {
        let Start {
            loaded,
            telemetry,
            runtime,
        } = match self.start::<T>(args) {
            Ok(start) => start,
            Err(status) => return status.into(),
        };
        let file = loaded.file.as_ref().map(|path| path.display());
        match file {
            Some(file) => info!(version = VERSION, config = %file, "starting"),
            None => info!(version = VERSION, config = "embedded default", "starting"),
        }
        let outcome = runtime.block_on(self.supervised(loaded, telemetry, run));
        // What still runs now was not worth waiting for.
        runtime.shutdown_background();
        match outcome {
            Ok(()) => {
                info!("stopped");
                Status::Success.into()
            }
            Err(failure) => {
                error!("{failure:#}");
                Status::of(&failure).into()
            }
        }
    }

    /// Runs a tool until `run` returns with its status. An error goes to stderr.
    ///
    /// It gets its configuration and the request to stop that a first SIGINT or SIGTERM makes, and must look at it:
    /// what has nothing to tidy up goes into [`Stop::unless_requested`].
    #[must_use]
    pub fn tool<T, F, R>(self, args: &CommonArgs, run: F) -> ExitCode
    where
        T: Settings,
        F: FnOnce(Arc<T>, Stop) -> R,
        R: Future<Output = anyhow::Result<Status>>,
    {
        let Start {
            loaded,
            telemetry: _telemetry,
            runtime,
        } = match self.start::<T>(args) {
            Ok(start) => start,
            Err(status) => return status.into(),
        };
        let outcome = runtime.block_on(async {
            let stop = Stop::new();
            let mut tasks = JoinSet::new();
            tasks.spawn(shutdown::signals(stop.clone(), None).context("install signal handlers")?);
            run(loaded.settings, stop).await
        });
        runtime.shutdown_background();
        let status = outcome.unwrap_or_else(|failure| {
            self.complain(format_args!("{failure:#}"));
            Status::of(&failure)
        });
        status.into()
    }

    /// The common start. The error is the status to end with at once, which may well be success.
    fn start<T: Settings>(self, args: &CommonArgs) -> Result<Start<T>, Status> {
        let loaded = config::load::<T>(self.name, self.embedded_config, args).map_err(|error| {
            for message in error.messages() {
                self.complain(message);
            }
            Status::Config
        })?;
        if args.print_config || args.check_config {
            let text = match args.print_config {
                true => loaded.to_toml(),
                false => "configuration is valid\n".to_owned(),
            };
            // Whoever closed stdout does not want to read it.
            let _ = io::stdout().write_all(text.as_bytes());
            return Err(Status::Success);
        }
        let telemetry = telemetry::init(loaded.settings.log()).map_err(|error| {
            self.complain(error);
            Status::Failure
        })?;
        let runtime = threads::runtime().map_err(|error| {
            self.complain(format_args!("start the runtime: {error}"));
            Status::Failure
        })?;
        Ok(Start {
            loaded,
            telemetry,
            runtime,
        })
    }

    /// Runs a daemon's future with everything around it, which ends when the future does.
    async fn supervised<T, F, R>(
        self,
        loaded: Loaded<T>,
        telemetry: telemetry::Telemetry,
        run: F,
    ) -> anyhow::Result<()>
    where
        T: Settings,
        F: FnOnce(Context<T>) -> R,
        R: Future<Output = anyhow::Result<()>>,
    {
        let stop = Stop::new();
        let reloads = Reloads::default();
        let notifier = Notifier::new();
        let readiness = Readiness::new(notifier.clone());
        let watchdog = systemd::watchdog_limit();
        let heartbeat = Heartbeat::new(watchdog);
        let metrics = Metrics::for_program(self.name, VERSION);
        let (updates, updated) = watch::channel(Arc::clone(&loaded.settings));
        let context = Context {
            settings: Arc::clone(&loaded.settings),
            updates: updated,
            stop: stop.clone(),
            heartbeat: heartbeat.clone(),
            readiness: readiness.clone(),
            metrics: metrics.clone(),
        };

        let mut tasks = JoinSet::new();
        tasks.spawn(
            shutdown::signals(stop.clone(), Some(reloads.clone())).context("install signal handlers")?,
        );
        if let Listen::On(address) = loaded.settings.admin().listen {
            let state = AdminState {
                metrics,
                heartbeat: heartbeat.clone(),
                readiness: readiness.clone(),
            };
            tasks.spawn(bind_admin(address).await?.serve(state));
        }
        if let Some(limit) = watchdog {
            tasks.spawn(feed_watchdog(limit, heartbeat, notifier.clone()));
        }
        let supervisor = Supervisor {
            loaded,
            telemetry,
            updates,
            stop,
            reloads,
            readiness: readiness.clone(),
            notifier,
        };
        tasks.spawn(supervisor.run());
        let outcome = run(context).await;
        readiness.stopping();
        outcome
    }

    fn complain(self, message: impl Display) {
        eprintln!("{}: {message}", self.name);
    }
}

async fn bind_admin(address: SocketAddr) -> anyhow::Result<Admin> {
    let admin = Admin::bind(address)
        .await
        .with_context(|| format!("bind the admin listener to {address} (see [admin] listen)"))?;
    info!("admin listener on {}", admin.address()?);
    Ok(admin)
}

/// What the common start makes.
struct Start<T> {
    loaded: Loaded<T>,
    telemetry: telemetry::Telemetry,
    runtime: Runtime,
}
