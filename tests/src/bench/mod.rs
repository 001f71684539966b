//! What is measured, and against what: every reference is either a fixed aim or the same work done by bare parts in the same run.

pub mod audit;
pub mod bare;
pub mod edc;
pub mod idle;
pub mod negotiation;
pub mod policy;
pub mod signatures;
pub mod stream;
pub mod withdrawal;

use serde_json::{Map, Value, json};
use std::{
    fs,
    time::{Duration, Instant},
};

/// One figure with what it is compared to.
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// Of what; the reference has the same unit.
    pub unit: &'static str,
    /// What it is compared to, in words.
    pub reference: &'static str,
    /// How much that is.
    pub reference_value: f64,
}

impl Figure {
    /// Prints the line; `more` is an object of further members.
    pub fn print(&self, more: Value) {
        let mut line = Map::new();
        line.insert("name".into(), self.name.into());
        line.insert("value".into(), rounded(self.value));
        line.insert("unit".into(), self.unit.into());
        line.insert("reference".into(), self.reference.into());
        line.insert("reference_value".into(), rounded(self.reference_value));
        line.insert("ratio".into(), rounded(self.value / self.reference_value));
        if let Value::Object(more) = more {
            line.extend(more);
        }
        line.insert("machine".into(), machine());
        println!("{}", Value::Object(line));
    }
}

/// Four significant digits are more than any of these figures is good for.
fn rounded(value: f64) -> Value {
    if value == 0.0 || !value.is_finite() {
        return json!(value);
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits.clamp(0, 9));
    json!((value * scale).round() / scale)
}

fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib: u64 = memory
        .split_whitespace()
        .next()
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    json!({
        "cpu": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "memoryMiB": kib / 1024,
        "load1": read("/proc/loadavg").split_whitespace().next().and_then(|load| load.parse::<f64>().ok()),
    })
}

/// The middle of some measurements; the mean of the two middle ones when their number is even.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Milliseconds since a moment.
pub fn millis_since(begun: Instant) -> f64 {
    millis(begun.elapsed())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
