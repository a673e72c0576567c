//! Log lines on stderr, for people or for machines.
//!
//! error = someone must act; warn = we coped; info = state changed; debug = one line an exchange.
//! What must not be logged is kept out by types: a secret has no `Debug` that shows it, a caller's
//! headers are left out of its `Debug`, and a violation never carries the value that broke.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::FormatTime;

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
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => parsed("RUST_LOG", &text)?,
        _ => parsed("log.filter", &settings.filter)?,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(Utc)
        .with_ansi(colours);
    let _ = match settings.format {
        LogFormat::Plain => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
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
