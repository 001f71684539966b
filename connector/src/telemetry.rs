//! Logging: to stderr, as text or as JSON, at levels that can be changed while the daemon runs. What is logged is the rooms' business.

use std::io::{self, IsTerminal};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// The text names no levels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a log level, expected error, warn, info, debug, trace or off, or a list such as \"info,connector=debug,hyper=warn\""
)]
pub struct LevelError(String);

/// Changes the level of a running daemon.
#[derive(Clone)]
pub struct Handle(reload::Handle<Targets, Registry>);

impl Handle {
    /// Takes over the level; text or JSON stays as it was at the start.
    pub fn set(&self, level: &str) -> Result<(), LevelError> {
        let targets = targets(level)?;
        // The only failure is that the subscriber is gone; then there is nobody to log to.
        drop(self.0.reload(targets));
        Ok(())
    }
}

/// Which events a level text lets through: one level, or a comma-separated list of `part=level` with at most one bare level.
pub fn targets(text: &str) -> Result<Targets, LevelError> {
    let refuse = |part: &str| LevelError(part.chars().take(64).collect());
    let mut targets = Targets::new();
    for part in text.split(',').map(str::trim) {
        // An empty name would parse, as `error`.
        let level = |name: &str| {
            Some(name)
                .filter(|name| !name.is_empty())
                .and_then(|name| name.parse::<LevelFilter>().ok())
        };
        let level = |name: &str| level(name).ok_or_else(|| refuse(part));
        targets = match part.split_once('=') {
            // `Targets` itself would read a misspelt level as the name of a part, and log nothing else.
            None => targets.with_default(level(part)?),
            Some(("", _)) => return Err(refuse(part)),
            Some((target, name)) => targets.with_target(target, level(name)?),
        };
    }
    Ok(targets)
}

/// Sets up logging for this process. A level that cannot be read counts as `info`; a second call changes nothing.
pub fn init(level: &str, json: bool) -> Handle {
    let targets = targets(level).unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let (filter, handle) = reload::Layer::new(targets);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_ansi(io::stderr().is_terminal()).boxed()
    };
    drop(tracing_subscriber::registry().with(filter).with(lines).try_init());
    Handle(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{Level, subscriber};

    #[test]
    fn a_level_applies_to_all_or_to_one_part() {
        let all = targets("debug").unwrap();
        assert!(all.would_enable("anything", &Level::DEBUG) && !all.would_enable("anything", &Level::TRACE));
        let parts = targets("info, connector=debug,hyper=warn").unwrap();
        assert!(parts.would_enable("connector::net", &Level::DEBUG) && parts.would_enable("other", &Level::INFO));
        assert!(!parts.would_enable("hyper::client", &Level::INFO) && !parts.would_enable("other", &Level::DEBUG));
        assert!(!targets("connector=debug").unwrap().would_enable("hyper", &Level::ERROR));
    }

    #[test]
    fn a_misspelt_level_is_refused_and_named() {
        for bad in [
            "inof",
            "info,debg",
            "connector=loud",
            "=info",
            "",
            "info,,debug",
            "connector=debug=x",
        ] {
            assert!(targets(bad).is_err(), "{bad:?}");
        }
        assert!(targets("info,debg").unwrap_err().to_string().contains("\"debg\""));
    }

    #[test]
    fn the_level_changes_while_running() {
        let (filter, handle) = reload::Layer::new(targets("info").unwrap());
        let handle = Handle(handle);
        subscriber::with_default(tracing_subscriber::registry().with(filter), || {
            assert!(!tracing::enabled!(Level::DEBUG));
            handle.set("debug").unwrap();
            assert!(tracing::enabled!(Level::DEBUG));
            assert!(handle.set("loud").is_err());
            assert!(tracing::enabled!(Level::DEBUG), "a refused level changes nothing");
        });
    }
}
