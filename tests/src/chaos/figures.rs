//! What a case measured, and what it had to be.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// Longest time without a new block while one validator fails.
pub const GAP_S: f64 = 2.0;
/// Longest time until a validator that failed is where the others are.
pub const CAUGHT_UP_S: f64 = 5.0;

/// What a measure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mark {
    /// No more than that.
    AtMost(f64),
    /// No less than that.
    AtLeast(f64),
    /// Nothing: it is told because it says what the case was like.
    Told,
}

/// One measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Of what.
    pub what: String,
    /// How much.
    pub measured: f64,
    /// Of which unit; empty for a count.
    pub unit: &'static str,
    /// What it must be.
    pub mark: Mark,
}

impl Figure {
    /// A time, which must not be longer than so many seconds.
    pub fn within(what: impl Into<String>, measured: Duration, seconds: f64) -> Self {
        let mark = Mark::AtMost(seconds);
        Self { what: what.into(), measured: measured.as_secs_f64(), unit: "s", mark }
    }

    /// A number of anything but seconds.
    pub fn new(what: impl Into<String>, measured: f64, unit: &'static str, mark: Mark) -> Self {
        Self { what: what.into(), measured, unit, mark }
    }

    /// A count.
    pub fn count(what: impl Into<String>, measured: usize, mark: Mark) -> Self {
        Self::new(what, measured as f64, "", mark)
    }

    /// Whether it is what it must be.
    pub fn holds(&self) -> bool {
        match self.mark {
            Mark::AtMost(limit) => self.measured <= limit,
            Mark::AtLeast(limit) => self.measured >= limit,
            Mark::Told => true,
        }
    }

    /// What it must be, in words.
    pub fn rule(&self) -> String {
        match self.mark {
            Mark::AtMost(limit) => format!("at most {}", self.show(limit)),
            Mark::AtLeast(limit) => format!("at least {}", self.show(limit)),
            Mark::Told => String::new(),
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "what": self.what,
            "measured": self.measured,
            "unit": self.unit,
            "rule": self.rule(),
            "holds": self.holds(),
        })
    }

    fn show(&self, value: f64) -> String {
        let digits = match value {
            _ if value.fract() == 0.0 || value >= 1_000.0 => format!("{value:.0}"),
            _ => format!("{value:.2}"),
        };
        match self.unit {
            "" => digits,
            unit => format!("{digits} {unit}"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.show(self.measured))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_holds_up_to_its_mark() {
        let within = |ms| Figure::within("heal", Duration::from_millis(ms), 5.0);
        assert!(within(5_000).holds() && !within(5_001).holds());
        assert_eq!(within(1_250).to_string(), "1.25 s");
        assert_eq!(within(0).rule(), "at most 5 s");
        let least = |count| Figure::count("blocks", count, Mark::AtLeast(1.0));
        assert!(least(1).holds() && !least(0).holds());
        assert_eq!(Figure::new("rate", 15_432.4, "/s", Mark::Told).to_string(), "15432 /s");
    }
}
