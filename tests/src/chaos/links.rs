//! Links that fail: partitions, loss and delay.

use std::time::{Duration, Instant};

use super::figures::{Figure, Mark};
use super::stage::Stage;
use super::{EVERYONE, Plan};
use crate::hosts::Outcome;
use crate::hosts::network::VALIDATORS;

/// The one that is cut off, and the others.
const ONE: usize = 3;
const OTHERS: [usize; VALIDATORS - 1] = [0, 1, 2];
/// After a cut, what was under way may still be decided for so long.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// How soon all goes on once links work again.
const HEAL_S: f64 = 5.0;
const LOSS_PERCENT: u32 = 30;
const DELAY: Duration = Duration::from_millis(200);

/// One is cut off: it commits nothing, the others go on, and it is back soon after.
pub fn minority(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let network = &mut stage.network;
    let from = Instant::now();
    network.hosts.cut(&[ONE], &OTHERS)?;
    network.hosts.cut(&OTHERS, &[ONE])?;
    network.hold(UNDER_WAY)?;
    let before = network.clients().book().head(ONE).height;
    network.hold(plan.fault())?;
    let healed = Instant::now();
    let (gap, alone) = {
        let book = network.clients().book();
        (book.gap(from, healed), book.head(ONE).height.0 - before.0)
    };
    let dropped = heal(stage)?;
    let network = &stage.network;
    let back = network.caught_up_after(ONE, healed)?;
    Ok(vec![
        dropped,
        Figure::new("blocks that the one cut off commits", alone as f64, "", Mark::AtMost(0.0)),
        Figure::within("longest gap in commits of the others", gap, HEAL_S),
        Figure::within("caught up after the heal", back, HEAL_S),
    ])
}

/// Two and two: nobody has a quorum, so nobody commits anything; then all go on.
pub fn halves(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let network = &mut stage.network;
    network.hosts.cut(&[0, 1], &[2, 3])?;
    network.hosts.cut(&[2, 3], &[0, 1])?;
    network.hold(UNDER_WAY)?;
    let from = Instant::now();
    network.hold(plan.fault())?;
    let healed = Instant::now();
    let blocks = network.clients().book().blocks_between(from, healed);
    let dropped = heal(stage)?;
    let first = stage.network.first_block_after(healed)?;
    let back = all_back(stage, healed)?;
    Ok(vec![
        dropped,
        Figure::count("blocks that either half commits", blocks, Mark::AtMost(0.0)),
        Figure::within("first block after the heal", first, HEAL_S),
        Figure::within("all caught up after the heal", back, HEAL_S),
    ])
}

/// One is not heard, then does not hear: the others go on either way. Who hears nobody commits
/// nothing; who is only not heard may commit what the others decide.
pub fn one_way(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let mut figures = Vec::new();
    for (from, to, what, commits) in [
        (&[ONE][..], &OTHERS[..], "not heard", Mark::Told),
        (&OTHERS, &[ONE], "deaf", Mark::AtMost(0.0)),
    ] {
        let network = &mut stage.network;
        let cut = Instant::now();
        network.hosts.cut(from, to)?;
        network.hold(UNDER_WAY)?;
        let before = network.clients().book().head(ONE).height;
        network.hold(plan.fault())?;
        let healed = Instant::now();
        let (gap, alone) = {
            let book = network.clients().book();
            (book.gap(cut, healed), book.head(ONE).height.0 - before.0)
        };
        figures.push(heal(stage)?);
        let back = stage.network.caught_up_after(ONE, healed)?;
        let blocks_of = format!("blocks that the one commits while {what}");
        figures.push(Figure::new(blocks_of, alone as f64, "", commits));
        let gap_of = format!("longest gap in commits while one is {what}");
        figures.push(Figure::within(gap_of, gap, HEAL_S));
        figures.push(Figure::within(format!("caught up after being {what}"), back, HEAL_S));
    }
    Ok(figures)
}

/// A third of all packets is lost: slow, and alive.
pub fn loss(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let network = &mut stage.network;
    network.hosts.lose(LOSS_PERCENT)?;
    let from = Instant::now();
    network.hold(2 * plan.fault())?;
    let healed = Instant::now();
    let blocks = network.clients().book().blocks_between(from, healed);
    let dropped = heal(stage)?;
    let back = all_back(stage, healed)?;
    let seconds = (healed - from).as_secs();
    Ok(vec![
        dropped,
        Figure::count(format!("blocks in {seconds} s of it"), blocks, Mark::AtLeast(1.0)),
        Figure::within("all caught up after it", back, HEAL_S),
    ])
}

/// Links take 200 ms each way, which is less than the network's Δ: no view may fail for it.
pub fn delay(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    stage.network.delay.set(DELAY);
    // What was under way on the faster links is through.
    stage.network.hold(UNDER_WAY)?;
    let (time_outs, from) = (stage.count_time_outs()?, Instant::now());
    stage.network.hold(plan.fault())?;
    let until = Instant::now();
    let (blocks, pace) = {
        let book = stage.network.clients().book();
        (book.blocks_between(from, until), book.pace(from, until).unwrap_or_default())
    };
    let failed = stage.time_outs_since(&time_outs, plan)?.measured;
    stage.network.delay.set(Duration::ZERO);
    // Three hops: less than that, and the links were not slow.
    let hops = Mark::AtLeast(3.0 * DELAY.as_secs_f64());
    Ok(vec![
        // With one block there is no time from block to block.
        Figure::count("blocks", blocks, Mark::AtLeast(2.0)),
        Figure::new("mean time from block to block", pace.as_secs_f64(), "s", hops),
        Figure::new("time-outs", failed, "", Mark::AtMost(0.0)),
    ])
}

/// Links work again; tells how many packets were lost, for a fault that did not strike shows
/// nothing.
fn heal(stage: &mut Stage) -> Outcome<Figure> {
    let dropped = stage.network.hosts.dropped()?;
    stage.network.hosts.heal()?;
    Ok(Figure::new("packets dropped", dropped as f64, "", Mark::AtLeast(1.0)))
}

/// Waits until everyone is where the others are; tells how long the last one took.
fn all_back(stage: &Stage, moment: Instant) -> Outcome<Duration> {
    let back = EVERYONE.map(|index| stage.network.caught_up_after(index, moment));
    let back: Outcome<Vec<_>> = back.into_iter().collect();
    back.map(|times| times.into_iter().max().unwrap_or_default())
}
