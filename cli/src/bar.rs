//! A bar that says how far something long is, how fast it goes and how long it will take.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::output::{Format, Output};

/// Marks of a whole bar.
pub const WIDTH: u8 = 30;
/// Pause between two drawings on a terminal.
const PACE: Duration = Duration::from_millis(100);
/// Pause between two lines where nothing can be drawn over.
const LINE_PACE: Duration = Duration::from_secs(5);

/// Draws on the error stream; silent for scripts.
pub struct Bar {
    format: Format,
    on_terminal: bool,
    started: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    /// A bar that begins now.
    pub fn new(output: &Output) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        Self { format: output.format(), on_terminal, started: Instant::now(), drawn: None }
    }

    /// So much of so much is done, which was so many bytes.
    pub fn draw(&mut self, done: u64, of: u64, bytes: u64) {
        let pace = if self.on_terminal { PACE } else { LINE_PACE };
        let last = self.drawn.unwrap_or(self.started);
        if self.format == Format::Json || last.elapsed() < pace {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = line(done, of, bytes, self.started.elapsed());
        let mut stream = std::io::stderr().lock();
        // Nobody waits for a bar that cannot be drawn.
        let _undrawn = match self.on_terminal {
            true => write!(stream, "\r{line}\u{1b}[K").and_then(|()| stream.flush()),
            false => writeln!(stream, "{line}"),
        };
    }

    /// Makes room for what is printed next.
    pub fn end(&mut self) {
        if self.drawn.take().is_some() && self.on_terminal {
            let _undrawn = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn line(done: u64, of: u64, bytes: u64, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = bytes.saturating_mul(1_000) / millis / 1_000_000;
    let left_ms = of.saturating_sub(done).saturating_mul(millis).checked_div(done).unwrap_or(0);
    format!("{}, {rate} MB/s, {} s left", tonle_client::bar(done, of, WIDTH), left_ms / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_share_rate_and_what_is_left() {
        let text = line(1, 3, 20_000_000, Duration::from_secs(2));
        assert_eq!(text, "[##########....................] 33 %, 10 MB/s, 4 s left");
        assert!(line(0, 0, 0, Duration::ZERO).contains("0 %"));
        assert!(line(5, 5, 1, Duration::from_secs(1)).contains("100 %"));
    }
}
