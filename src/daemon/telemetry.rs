//! Starts the log: words for a terminal, one JSON object a line for everything else; always on stderr.

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::error::Error;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal, in colour.
    Terminal,
    /// For machines.
    Json,
}

/// Starts the log of the process.
///
/// `level` is a level (`error warn info debug trace`, or `off`) for bowline itself, where libraries speak one level less; or
/// directives such as `info,bowline::apply=trace`.
///
/// # Errors
/// A level that is none; a log that was started before.
pub fn start(level: &str, terminal: bool) -> Result<(), Error> {
    let format = if terminal { Format::Terminal } else { Format::Json };
    tracing::subscriber::set_global_default(subscriber(level, format, std::io::stderr)?)
        .map_err(|error| Error::new("cannot start the log").because(error))
}

/// The log as a value: what it lets through, how it writes, and where.
///
/// # Errors
/// A level that is none.
pub fn subscriber<W>(level: &str, format: Format, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(writer);
    Ok(match format {
        Format::Terminal => Box::new(lines.with_target(false).with_ansi(true).finish()),
        Format::Json => {
            Box::new(lines.json().flatten_event(true).with_current_span(false).with_span_list(false).finish())
        }
    })
}

fn filter(level: &str) -> Result<EnvFilter, Error> {
    let directives = match level.parse::<LevelFilter>() {
        // Libraries say at info what is only debug to us.
        // kube tells each failed try as an error; what comes of it is told by us.
        Ok(own) => format!("{},kube_client::client::builder=off,bowline={own}", below(own)),
        Err(_) => level.to_owned(),
    };
    EnvFilter::try_new(directives).map_err(|error| {
        Error::new(format!("log level {level} cannot be read"))
            .because(error)
            .hint("write error, warn, info, debug or trace, or directives such as info,bowline::apply=trace")
    })
}

/// One level less: what libraries may say.
fn below(own: LevelFilter) -> LevelFilter {
    match own {
        LevelFilter::TRACE => LevelFilter::DEBUG,
        LevelFilter::DEBUG => LevelFilter::INFO,
        LevelFilter::INFO => LevelFilter::WARN,
        own => own,
    }
}
