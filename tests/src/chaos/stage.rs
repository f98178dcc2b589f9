//! Where a case plays: a network, who pays on it, and what is measured by the way.

use std::time::{Duration, Instant};

use super::figures::{Figure, Mark};
use super::{EVERYONE, Plan};
use crate::hosts::book::Crowd;
use crate::hosts::load::{Load, Pace};
use crate::hosts::network::Network;
use crate::hosts::sound::{self, Sound};
use crate::hosts::{Outcome, PATIENCE};

/// Blocks that are seen before a fault strikes.
const BLOCKS_BEFORE: u64 = 5;
/// Payments under way when as many are wanted as are decided; as `tonle bench` has it.
const SATURATION: usize = 16_000;
/// Before a throughput is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// For so many heights a validator that failed does not lead (consensus.md, Leader).
const MARKED_HEIGHTS: f64 = 64.0;

/// The stage.
pub struct Stage {
    /// The network.
    pub network: Network,
    /// Validators that must be sound when the case is over.
    pub running: Vec<usize>,
    loads: Vec<Load>,
}

/// Where a count of time-outs began, for each validator.
pub struct TimeOuts(Vec<Seen>);

/// What a validator counted.
struct Seen {
    validator: usize,
    height: f64,
    failed: f64,
}

impl Stage {
    /// Nobody pays yet.
    pub fn new(network: Network) -> Self {
        Self { network, running: EVERYONE.to_vec(), loads: Vec::new() }
    }

    /// Everyone pays at a rate from now on.
    pub fn pay(&mut self, per_second: u32) -> Outcome<()> {
        let load = self.network.pay(Pace::PerSecond(per_second));
        self.join(load)
    }

    /// Somebody else pays too from now on.
    pub fn join(&mut self, load: Load) -> Outcome<()> {
        self.loads.push(load);
        self.network.blocks(BLOCKS_BEFORE).map(drop)
    }

    /// Everyone pays as much as is decided; tells how many a second that is.
    pub fn saturate(&mut self, time: Duration) -> Outcome<f64> {
        if self.loads.is_empty() {
            let load = self.network.pay(Pace::UnderWay(SATURATION));
            self.join(load)?;
        }
        self.network.hold(WARM_UP)?;
        self.per_second(Crowd::Many, time)
    }

    /// What is decided a second from now on.
    pub fn per_second(&mut self, crowd: Crowd, time: Duration) -> Outcome<f64> {
        let from = Instant::now();
        self.network.hold(time)?;
        let until = Instant::now();
        let decided = self.network.clients().book().decided_between(crowd, from, until);
        Ok(decided as f64 / (until - from).as_secs_f64())
    }

    /// Clients stop; waits until all that they paid is decided.
    pub fn settle(&mut self) -> Outcome<()> {
        // All stop before any is waited for.
        let loads = std::mem::take(&mut self.loads);
        loads.iter().for_each(Load::stop);
        loads.into_iter().try_for_each(|load| load.finish(PATIENCE))
    }

    /// The case is over: all must be sound.
    pub fn close(&mut self) -> Outcome<Sound> {
        self.settle()?;
        sound::check(&self.network, &self.running)
    }

    /// Begins to count time-outs, as each running validator sees them.
    pub fn count_time_outs(&self) -> Outcome<TimeOuts> {
        let seen = self.running.iter().map(|validator| self.seen(*validator));
        seen.collect::<Outcome<Vec<_>>>().map(TimeOuts)
    }

    /// The most that any of them that still runs saw since, held to what one failing validator may
    /// cause in so many heights.
    pub fn time_outs_since(&self, start: &TimeOuts, plan: &Plan) -> Outcome<Figure> {
        let left = start.0.iter().filter(|seen| self.running.contains(&seen.validator));
        let counts = left.map(|then| {
            let now = self.seen(then.validator)?;
            Ok((now.failed - then.failed, now.height - then.height))
        });
        let (failed, heights) = worst(&counts.collect::<Outcome<Vec<_>>>()?)?;
        let mark = plan.over_time(Mark::AtMost(allowed_in(heights)));
        Ok(Figure::new(format!("time-outs in {heights} heights"), failed, "", mark))
    }

    fn seen(&self, validator: usize) -> Outcome<Seen> {
        let height = self.network.metric(validator, "tonle_height")?;
        let failed = self.network.metric(validator, "tonle_views_failed_total")?;
        Ok(Seen { validator, height, failed })
    }
}

/// The most time-outs; of equals those in the fewest heights.
fn worst(counts: &[(f64, f64)]) -> Outcome<(f64, f64)> {
    let order = |one: &(f64, f64), other: &(f64, f64)| {
        one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1))
    };
    let worst = counts.iter().copied().max_by(order);
    worst.ok_or_else(|| "no validator runs whose time-outs were counted".to_owned())
}

/// One time-out, and one each time the mark has ended: at most one in any 64 heights.
fn allowed_in(heights: f64) -> f64 {
    (heights / MARKED_HEIGHTS).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_out_is_allowed_in_64_heights() {
        let allowed = [0.0, 1.0, 64.0, 65.0, 128.0, 129.0].map(allowed_in);
        assert_eq!(allowed, [0.0, 1.0, 1.0, 2.0, 2.0, 3.0]);
    }

    #[test]
    fn the_validator_that_saw_most_time_outs_counts() {
        assert_eq!(worst(&[(1.0, 70.0), (2.0, 70.0), (0.0, 69.0)]), Ok((2.0, 70.0)));
        assert_eq!(worst(&[(1.0, 65.0), (1.0, 64.0), (0.0, 9.0)]), Ok((1.0, 64.0)));
        assert!(worst(&[]).is_err());
    }
}
