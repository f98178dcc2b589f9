//! Processes that end: killed, restarted, or without power.

use std::time::{Duration, Instant};

use super::figures::{CAUGHT_UP_S, Figure, GAP_S, Mark};
use super::stage::Stage;
use super::{EVERYONE, Plan};
use crate::hosts::Outcome;
use crate::hosts::disk::Disk;
use crate::hosts::network::{Network, VALIDATORS};
use crate::random::Random;

const FIRST_BLOCK_S: f64 = 5.0;
/// What a node says when the chain has blocks that the state has not.
const REDONE: &str = "redone from the chain";

/// The worst of all cycles.
#[derive(Default)]
struct Worst {
    gap: Duration,
    caught_up: Duration,
    first_block: Duration,
}

/// One after the other is killed and started again.
pub fn kill_one(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let (cycles, mut random, mut worst) = (plan.choose(3, 200), plan.random(), Worst::default());
    for cycle in 0..cycles {
        let victim = random.below(VALIDATORS);
        let from = Instant::now();
        stage.network.kill(victim)?;
        stage.network.hold(milliseconds(&mut random, 100, 2_000))?;
        come_back(&mut stage.network, victim, from, &mut worst)?;
        tell(plan, cycle, &worst);
    }
    Ok(vec![
        Figure::count("cycles", cycles, Mark::Told),
        Figure::within("longest gap in commits", worst.gap, GAP_S),
        Figure::within("longest to catch up after the start", worst.caught_up, CAUGHT_UP_S),
    ])
}

/// One after the other is asked to end and started again, as for a new version.
pub fn rolling(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let mut worst = Worst::default();
    for _ in 0..plan.choose(1, 5) {
        for index in EVERYONE {
            let from = Instant::now();
            stage.network.stop(index)?;
            come_back(&mut stage.network, index, from, &mut worst)?;
        }
    }
    Ok(vec![
        Figure::within("longest gap in commits", worst.gap, GAP_S),
        Figure::within("longest to catch up after the start", worst.caught_up, CAUGHT_UP_S),
    ])
}

/// Starts a validator again and waits until it is one of the others: until then it counts as
/// failed, and no second one may fail.
fn come_back(network: &mut Network, index: usize, from: Instant, worst: &mut Worst) -> Outcome<()> {
    let started = Instant::now();
    network.spawn(index)?;
    let caught_up = network.caught_up_after(index, started)?;
    network.ready(index)?;
    let gap = network.clients().book().gap(from, Instant::now());
    worst.caught_up = worst.caught_up.max(caught_up);
    worst.gap = worst.gap.max(gap);
    Ok(())
}

/// All are killed at one moment and started again.
pub fn kill_all(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let cycles = plan.choose(2, 50);
    let worst = all_end(stage, plan, cycles, |_| Ok(()))?;
    Ok(vec![
        Figure::count("cycles", cycles, Mark::Told),
        Figure::within("longest to the first block after the start", worst, FIRST_BLOCK_S),
    ])
}

/// All lose their power at one moment: what they had not synced is gone.
pub fn power(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    stage.pay(plan.rate)?;
    let cycles = plan.choose(2, 20);
    let worst = all_end(stage, plan, cycles, |network| {
        Disk::cut_power(&network.disks)?;
        network.disks.iter().try_for_each(Disk::remount)
    })?;
    let redone: u64 = EVERYONE.iter().map(|index| redone(&stage.network.log(*index))).sum();
    Ok(vec![
        Figure::count("cycles", cycles, Mark::Told),
        Figure::within("longest to the first block after the start", worst, FIRST_BLOCK_S),
        // The state is not synced: unless some of it was lost, no power was cut.
        Figure::new("blocks lost by states, redone", redone as f64, "", Mark::AtLeast(1.0)),
    ])
}

/// Kills all again and again, and tells how long it took at most until they went on.
fn all_end(
    stage: &mut Stage,
    plan: &Plan,
    cycles: usize,
    down: impl Fn(&Network) -> Outcome<()>,
) -> Outcome<Duration> {
    let (mut random, mut worst) = (plan.random(), Worst::default());
    for cycle in 0..cycles {
        // Not always at the same moment of a block, nor of a start.
        stage.network.hold(milliseconds(&mut random, 200, 1_500))?;
        stage.network.kill_all(&EVERYONE)?;
        down(&stage.network)?;
        EVERYONE.iter().try_for_each(|index| stage.network.spawn(*index))?;
        let started = Instant::now();
        let first = stage.network.first_block_after(started)?;
        if first.as_secs_f64() > FIRST_BLOCK_S {
            eprintln!("    cycle {}: first block after {:.2} s", cycle + 1, first.as_secs_f64());
        }
        worst.first_block = worst.first_block.max(first);
        tell(plan, cycle, &worst);
    }
    Ok(worst.first_block)
}

/// How many blocks a node had to redo, in all its starts.
fn redone(log: &str) -> u64 {
    let number = |line: &str, name: &str| -> Option<u64> {
        let rest = line.split_once(&format!("{name}="))?.1;
        rest.split_whitespace().next()?.parse().ok()
    };
    let lines = log.lines().filter(|line| line.contains(REDONE));
    lines.filter_map(|line| number(line, "after")?.checked_sub(number(line, "before")?)).sum()
}

fn milliseconds(random: &mut Random, low: u64, high: u64) -> Duration {
    Duration::from_millis(random.between(low, high))
}

/// Long runs say where they are.
fn tell(plan: &Plan, cycle: usize, worst: &Worst) {
    if plan.long && (cycle + 1).is_multiple_of(10) {
        let Worst { gap, caught_up, first_block } = worst;
        let worst = gap.max(caught_up).max(first_block).as_secs_f64();
        eprintln!("    {} cycles, the longest anything took: {worst:.2} s", cycle + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_were_redone_are_read_from_the_log() {
        let line = |before, after| format!("INFO open: {REDONE} before={before} after={after}\n");
        assert_eq!(redone(&format!("{}other\n{}", line(3, 10), line(20, 21))), 8);
        assert_eq!(redone("INFO opened"), 0);
    }
}
