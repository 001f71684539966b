//! Configuration files: never a panic, and every error says something.
#![no_main]

use connector::config::Config;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    match Config::parse(text, Path::new("/etc/connector.toml"), Path::new("/etc")) {
        Ok(config) => assert!(!config.root().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
