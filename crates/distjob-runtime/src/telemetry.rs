//! The log: to stderr, as text or JSON, at a level that can change while the program runs.

use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt as _;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::{LogConfig, LogFormat};

/// This crate logs the connect request, credentials and all, at debug.
const TALKATIVE: &str = "zookeeper_client";

/// The handle of the running log.
#[derive(Clone, Debug)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is neither one nor a list of directives.
    #[error("use the log level {0:?}: {1}")]
    Level(String, #[source] tracing_subscriber::filter::ParseError),
    /// There is a log already; a process has one.
    #[error("install the log: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
    /// The log is gone.
    #[error("change the log level: {0}")]
    Reload(#[from] reload::Error),
}

/// Installs the log of this process.
///
/// # Errors
/// When the level is bad, or a log was installed before.
pub fn init(config: &LogConfig) -> Result<Telemetry, TelemetryError> {
    let stderr = std::io::stderr();
    let look = Look {
        ansi: stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        time: !goes_to_journal(),
    };
    let (subscriber, telemetry) = build(config, look, std::io::stderr)?;
    subscriber.try_init()?;
    Ok(telemetry)
}

impl Telemetry {
    /// Logs at this level, or by these directives, from now on.
    ///
    /// # Errors
    /// When it is neither.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        self.filter.reload(filter(level)?)?;
        Ok(())
    }
}

/// How lines of text look.
#[derive(Clone, Copy, Debug)]
struct Look {
    ansi: bool,
    time: bool,
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(level).map_err(|error| TelemetryError::Level(level.to_owned(), error))
}

fn build<W>(
    config: &LogConfig,
    look: Look,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync, Telemetry), TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(&config.level)?);
    let lines = fmt::layer().with_writer(writer).with_ansi(look.ansi);
    let lines = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text if look.time => lines.boxed(),
        LogFormat::Text => lines.without_time().boxed(),
    };
    let subscriber = Registry::default().with(filter).with(cap()).with(lines);
    Ok((subscriber, Telemetry { filter: handle }))
}

/// Lets through all but what must not be in a log at any level.
fn cap() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| !metadata.target().starts_with(TALKATIVE) || *metadata.level() <= Level::INFO)
}

/// Whether stderr is the journal, which keeps the time itself: then `JOURNAL_STREAM` names its device and inode.
fn goes_to_journal() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| {
        std::fs::metadata("/proc/self/fd/2")
            .is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn log(level: &str, format: LogFormat, say: impl FnOnce(&Telemetry)) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let config = LogConfig {
            level: level.to_owned(),
            format,
        };
        let look = Look {
            ansi: false,
            time: false,
        };
        let (subscriber, telemetry) = build(&config, look, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || say(&telemetry));
        sink.text()
    }

    #[test]
    fn the_zookeeper_client_never_logs_below_info() {
        let text = log("trace", LogFormat::Text, |_| {
            debug!(target: "zookeeper_client::session", "the secret");
            info!(target: "zookeeper_client::session", "connected");
            debug!("our own");
        });
        assert!(
            !text.contains("secret") && text.contains("connected") && text.contains("our own"),
            "{text}"
        );
    }

    #[test]
    fn a_quiet_level_quietens_the_zookeeper_client_too() {
        let text = log(
            "warn",
            LogFormat::Text,
            |_| info!(target: "zookeeper_client", "connected"),
        );
        assert_eq!(text, "");
    }

    #[test]
    fn the_level_changes_while_the_program_runs() {
        let text = log("info", LogFormat::Text, |telemetry| {
            debug!("before");
            telemetry.set_level("debug").unwrap();
            debug!("after");
            assert!(telemetry.set_level("a=b=c").is_err());
            debug!("still");
        });
        assert!(
            !text.contains("before") && text.contains("after") && text.contains("still"),
            "{text}"
        );
    }

    #[test]
    fn json_lines_have_their_fields_at_the_top() {
        let text = log("info", LogFormat::Json, |_| {
            info!(job.id = "j", n = 3, "submitted");
        });
        for part in [
            r#""level":"INFO""#,
            r#""message":"submitted""#,
            r#""job.id":"j""#,
            r#""n":3"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
