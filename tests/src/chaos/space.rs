//! Disks that are full.

use std::time::{Duration, Instant};

use super::figures::{Figure, Mark};
use super::stage::Stage;
use super::{EVERYONE, Plan};
use crate::hosts::load::Reception;
use crate::hosts::network::Network;
use crate::hosts::{Outcome, PATIENCE, wait_for};

/// What is left when it is nearly full: half of the reserve.
const LEFT_BYTES: u64 = super::RESERVE_MIB * 1024 * 1024 / 2;
const REFUSED_S: f64 = 1.0;
const GOES_ON_S: f64 = 10.0;
/// What was under way when the disk ran full may still be decided for so long.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// The exit code that means a disk (operating.md).
const DISK: i32 = 3;
/// What the system says of a write for which there is no space (ENOSPC).
const NO_SPACE: &str = "No space left on device";

/// All run below their reserve: they say so at once, promise nothing, and go on by themselves.
pub fn below_reserve(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let network = &mut stage.network;
    network.disks[0].fill(LEFT_BYTES)?;
    let full = Instant::now();
    for index in EVERYONE {
        let refuses = || match network.ask(network.clients().takes_in(index))? {
            Reception::NotReady => Ok(Some(())),
            Reception::TakesIn | Reception::Busy => Ok(None),
            Reception::Nobody => Err(format!("validator {index} cannot be reached")),
        };
        wait_for("a validator to refuse payments", PATIENCE, refuses)?;
    }
    let refused = full.elapsed();
    network.hold(UNDER_WAY)?;
    let from = Instant::now();
    network.hold(plan.fault())?;
    let blocks = network.clients().book().blocks_between(from, Instant::now());
    network.disks[0].empty()?;
    let freed = Instant::now();
    // Nobody may have ended.
    let open = all_take_in(network, freed, |network| network.hold(Duration::ZERO))?;
    let first = network.first_block_after(freed)?;
    Ok(vec![
        Figure::within("all refuse payments (503)", refused, REFUSED_S),
        Figure::count("blocks while full", blocks, Mark::AtMost(0.0)),
        Figure::within("first block after there is space", first, GOES_ON_S),
        Figure::within("all take payments in again", open, GOES_ON_S),
    ])
}

/// Not a byte is left, at once, below whatever is being written, and there is no reserve that would
/// tell before: whose write fails ends with the exit code that says why, and nothing that was
/// promised is lost.
pub fn no_byte_left(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let network = &mut stage.network;
    network.freeze(&EVERYONE)?;
    network.disks[0].release()?;
    network.disks[0].fill(0)?;
    network.thaw(&EVERYONE)?;
    let mut ends = network.watch_ends(UNDER_WAY)?;
    let from = Instant::now();
    ends.extend(network.watch_ends(plan.fault())?);
    let blocks = network.clients().book().blocks_between(from, Instant::now());
    network.disks[0].empty()?;
    let freed = Instant::now();
    ends.iter().try_for_each(|(index, _)| network.spawn(*index))?;
    // As whoever watches over a process would, also over one that was still about to end.
    let open = all_take_in(network, freed, |network| {
        let late = network.ends()?;
        late.iter().try_for_each(|(index, _)| network.spawn(*index))?;
        ends.extend(late);
        Ok(())
    })?;
    let first = network.first_block_after(freed)?;
    let other = ends.iter().filter(|(_, code)| *code != DISK).count();
    let failed = EVERYONE.iter().filter(|index| network.log(**index).contains(NO_SPACE)).count();
    Ok(vec![
        // Unless a write failed, the disk was not full for anyone.
        Figure::count("validators whose log tells of a failed write", failed, Mark::AtLeast(1.0)),
        Figure::count("validators that ended", ends.len(), Mark::AtLeast(1.0)),
        Figure::count("of them with another exit code than 3", other, Mark::AtMost(0.0)),
        Figure::count("blocks while full", blocks, Mark::AtMost(0.0)),
        Figure::within("first block after there is space", first, GOES_ON_S),
        Figure::within("all take payments in again", open, GOES_ON_S),
    ])
}

/// Waits until every validator takes payments in, and sees to something meanwhile; tells how long
/// after a moment that was.
fn all_take_in(
    network: &mut Network,
    moment: Instant,
    mut meanwhile: impl FnMut(&mut Network) -> Outcome<()>,
) -> Outcome<Duration> {
    for index in EVERYONE {
        let takes = || {
            meanwhile(network)?;
            let reception = network.ask(network.clients().takes_in(index))?;
            Ok((reception == Reception::TakesIn).then_some(()))
        };
        wait_for("a validator to take payments in", PATIENCE, takes)?;
    }
    Ok(moment.elapsed())
}
