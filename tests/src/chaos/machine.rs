//! Machines that misbehave: one that stands still for a while, one whose clock is wrong.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Plan;
use super::figures::{CAUGHT_UP_S, Figure, GAP_S, Mark};
use super::stage::Stage;
use crate::hosts::Outcome;
use crate::payments::now_ms;

/// The one whose clock is wrong: the last one, as [`crate::hosts::network::Options`] has it.
const WRONG: usize = 3;
const PAUSED: usize = 2;
const PAUSE: Duration = Duration::from_secs(10);
const UNDER_WAY: Duration = Duration::from_secs(1);
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// How old the last line of a log may be.
const TOLERANCE_S: i64 = 300;

/// One stands still, as a machine that swaps or migrates; nobody waits for it.
pub fn pause(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let network = &mut stage.network;
    let from = Instant::now();
    network.signal(PAUSED, Signal::STOP)?;
    // What it had said before is read.
    network.hold(UNDER_WAY)?;
    let before = network.clients().book().head(PAUSED).height.0;
    network.hold(PAUSE - UNDER_WAY)?;
    let shown = network.clients().book().head(PAUSED).height.0 - before;
    network.signal(PAUSED, Signal::CONT)?;
    let continued = Instant::now();
    let back = network.caught_up_after(PAUSED, continued)?;
    let gap = network.clients().book().gap(from, continued);
    Ok(vec![
        Figure::new("blocks that it shows meanwhile", shown as f64, "", Mark::AtMost(0.0)),
        Figure::within("longest gap in commits", gap, GAP_S),
        Figure::within("caught up after it", back, CAUGHT_UP_S),
    ])
}

/// A clock is an hour off. Its validator is one of the f; the others go on, at the price of one
/// time-out each time it leads.
pub fn wrong_clock(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    it_is_wrong(stage)?;
    let (time_outs, from) = (stage.count_time_outs()?, Instant::now());
    stage.network.hold(2 * plan.fault())?;
    let until = Instant::now();
    let time_outs = stage.time_outs_since(&time_outs, plan)?;
    let book = stage.network.clients().book();
    let (gap, blocks) = (book.gap(from, until), book.blocks_between(from, until));
    Ok(vec![
        Figure::count("blocks", blocks, Mark::AtLeast(1.0)),
        Figure::within("longest gap in commits", gap, GAP_S),
        time_outs,
    ])
}

/// A case whose fault does not strike shows nothing: this validator's own log must be an hour off.
fn it_is_wrong(stage: &Stage) -> Outcome<()> {
    let log = stage.network.log(WRONG);
    let line = log.lines().next_back().unwrap_or_default();
    let shown = second_of_day(line).ok_or_else(|| format!("no time of day in {line:?}"))?;
    let now = i64::try_from(now_ms() / 1_000).map_err(|error| error.to_string())?;
    let off = (shown - now).rem_euclid(DAY_S);
    let off = off.min(DAY_S - off);
    match (off - HOUR_S).abs() <= TOLERANCE_S {
        true => Ok(()),
        false => Err(format!("the clock is {off} s off, and should be {HOUR_S} s off")),
    }
}

/// The time that a log line begins with, as in `2026-11-23T17:04:56.876389Z`.
fn second_of_day(line: &str) -> Option<i64> {
    let (_, time) = line.split_once('T')?;
    let mut parts = time.get(..8)?.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hours * HOUR_S + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_log_line_is_read() {
        assert_eq!(second_of_day("2026-11-23T17:04:56.876389Z  INFO opened"), Some(61_496));
        assert_eq!(second_of_day("something else"), None);
        assert_eq!(second_of_day("A Text of words"), None);
    }
}
