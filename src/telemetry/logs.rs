//! Log lines on stderr, for people or for machines.
//!
//! error = someone must act; warn = we coped; info = state changed; debug = one line an exchange.
//! What must not be logged is kept out by types: a secret has no `Debug` that shows it, a caller's
//! headers are left out of its `Debug`, and a violation never carries the value that broke.

use std::sync::OnceLock;

use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::{EnvFilter, reload};

/// How telemetry is told; metrics and traces have no settings of ours (`OTEL_*` says where spans go).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Plain lines or JSON.
    pub format: LogFormat,
    /// Level, or directives of the form `warn,stipula=debug`.
    pub filter: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { format: LogFormat::Plain, filter: "info".to_owned() }
    }
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Plain,
    /// One JSON object a line.
    Json,
}

/// Starts logging to stderr; `RUST_LOG` overrides the filter. `colours` only where stderr is a
/// terminal that wants them. A second start in one process (tests) changes nothing.
///
/// # Errors
/// Where the filter does not parse: the text says what is wrong with it.
pub fn start_logs(settings: &Settings, colours: bool) -> Result<(), String> {
    let (filter, _) = filter(settings)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(Utc)
        .with_ansi(colours);
    match settings.format {
        LogFormat::Plain => {
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            if lines.try_init().is_ok() {
                changes_by(handle);
            }
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            if lines.try_init().is_ok() {
                changes_by(handle);
            }
        }
    }
    Ok(())
}

/// Puts another filter in the place of the one in force.
type Change = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// How the filter of the log that was started is changed; one log a process.
static CHANGE: OnceLock<Change> = OnceLock::new();

fn changes_by<S: 'static>(handle: reload::Handle<EnvFilter, S>) {
    // Only the start that made the log gets here, and there is one.
    let _ = CHANGE.set(Box::new(move |filter| handle.reload(filter)));
}

/// Whether the filter of these settings parses.
///
/// # Errors
/// Where it does not: the text says what is wrong with it.
pub fn check_filter(settings: &Settings) -> Result<(), String> {
    filter(settings).map(drop)
}

/// Logs by the filter of these settings from now on; `RUST_LOG` overrides it as at the start.
///
/// # Errors
/// Where the filter does not parse, or no log was started.
pub fn change_filter(settings: &Settings) -> Result<(), String> {
    let (filter, fixed) = filter(settings)?;
    if fixed {
        return Ok(());
    }
    let change = CHANGE.get().ok_or("no log was started")?;
    change(filter).map_err(|error| error.to_string())
}

/// The filter, and whether the environment fixed it.
fn filter(settings: &Settings) -> Result<(EnvFilter, bool), String> {
    match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => Ok((parsed("RUST_LOG", &text)?, true)),
        _ => Ok((parsed("log.filter", &settings.filter)?, false)),
    }
}

fn parsed(from: &str, text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|error| {
        format!("{from}: expected a level or `target=level`, got {text:?}: {error}")
    })
}

/// RFC 3339 in UTC; the log is outside of the loop and may ask the system.
struct Utc;

impl FormatTime for Utc {
    fn format_time(
        &self,
        writer: &mut tracing_subscriber::fmt::format::Writer<'_>,
    ) -> std::fmt::Result {
        write!(writer, "{:.3}", jiff::Timestamp::now())
    }
}
