//! Faults that must not cost much: a validator down for good, a client that floods, a node that
//! joins.

use std::time::{Duration, Instant};

use tonle_client::api::NodeStatus;

use super::figures::{Figure, Mark};
use super::stage::Stage;
use super::{EVERYONE, Plan};
use crate::hosts::book::Crowd;
use crate::hosts::load::Pace;
use crate::hosts::network::VALIDATORS;
use crate::hosts::people::ACCOUNTS;
use crate::hosts::{Outcome, PATIENCE, wait_for};

/// The one that is down for good.
const DOWN: usize = 3;
const DOWN_SHARE: f64 = 0.75;
const FLOOD_SHARE: f64 = 0.8;
/// What the flooding client keeps under way: more than all others together.
const FLOOD: usize = 16_000;
/// Before the throughput beside a flood is measured.
const RISE: Duration = Duration::from_secs(2);
const JOIN_PER_SECOND: f64 = 15_000.0;
/// Longest that history or accounts may take to be made, and to be fetched.
const HISTORY: Duration = Duration::from_secs(600);
/// How much history a joining node is measured with.
const SHORT_HISTORY: usize = 20_000;
const LONG_HISTORY: usize = 300_000;
/// How many accounts a snapshot has.
const SHORT_ACCOUNTS: usize = 10_000;
const LONG_ACCOUNTS: usize = 1_000_000;
const SNAPSHOT_S: f64 = 60.0;

/// A leader crashes and stays away. Before and after it, all that is decided is asked for.
pub fn leader_down(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    let before = stage.saturate(plan.measure())?;
    let time_outs = stage.count_time_outs()?;
    stage.network.kill(DOWN)?;
    stage.running.retain(|index| *index != DOWN);
    let after = stage.saturate(plan.measure())?;
    let time_outs = stage.time_outs_since(&time_outs, plan)?;
    Ok(vec![
        Figure::new("decided with all", before, "/s", Mark::Told),
        Figure::new("decided with one down", after, "/s", Mark::Told),
        Figure::new("share", after / before, "", plan.over_time(Mark::AtLeast(DOWN_SHARE))),
        time_outs,
    ])
}

/// One account sends as much as it can; the others hardly feel it.
pub fn flood(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    let all = u16::try_from(ACCOUNTS).map_err(|error| error.to_string())?;
    let pace = Pace::PerSecond(plan.rate);
    let others = stage.network.pay_from(1..all, pace, Crowd::Many);
    stage.join(others)?;
    let alone = stage.per_second(Crowd::Many, plan.measure())?;
    let flood = stage.network.pay_from(0..1, Pace::UnderWay(FLOOD), Crowd::Flood);
    stage.join(flood)?;
    stage.network.hold(RISE)?;
    let from = Instant::now();
    let beside = stage.per_second(Crowd::Many, plan.measure())?;
    let until = Instant::now();
    let flooded = {
        let book = stage.network.clients().book();
        book.decided_between(Crowd::Flood, from, until) as f64 / (until - from).as_secs_f64()
    };
    Ok(vec![
        Figure::new("the others alone", alone, "/s", Mark::Told),
        // A flood of which nothing is decided never came in.
        Figure::new("the flood", flooded, "/s", Mark::AtLeast(1.0)),
        Figure::new("the others beside it", beside, "/s", Mark::Told),
        Figure::new("share", beside / alone, "", plan.over_time(Mark::AtLeast(FLOOD_SHARE))),
    ])
}

/// A node with an empty disk fetches the whole chain, checks every certificate and executes every
/// block.
pub fn join(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    let wanted = plan.choose(SHORT_HISTORY, LONG_HISTORY);
    stage.saturate(Duration::from_secs(1))?;
    let made = || Ok((stage.network.clients().book().transactions() >= wanted).then_some(()));
    wait_for("a history", HISTORY, made)?;
    stage.settle()?;
    let agreed = stage.network.agreed(&EVERYONE)?;
    let transactions = stage.network.clients().book().transactions();
    let time = joined(stage, &agreed)?;
    if plan.long {
        // A few blocks are not worth a word.
        let told = || Ok(stage.network.log(VALIDATORS).contains("caught up").then_some(()));
        wait_for("the new node to say that it has caught up", PATIENCE, told)?;
    }
    let rate = transactions as f64 / time.as_secs_f64();
    Ok(vec![
        Figure::count("payments in the chain", transactions, Mark::Told),
        Figure::new("joined, its start included, in", time.as_secs_f64(), "s", Mark::Told),
        Figure::new(
            "payments a second",
            rate,
            "/s",
            plan.over_time(Mark::AtLeast(JOIN_PER_SECOND)),
        ),
    ])
}

/// A node with an empty disk takes the state of many accounts from its peers, checked piece by
/// piece.
pub fn join_from_snapshot(stage: &mut Stage, plan: &Plan) -> Outcome<Vec<Figure>> {
    let accounts = plan.choose(SHORT_ACCOUNTS, LONG_ACCOUNTS);
    let network = &mut stage.network;
    let opening = network.clients().clone().open_accounts(accounts);
    let opened = network.ask(async { tokio::time::timeout(HISTORY, opening).await });
    opened.map_err(|_| format!("waited {HISTORY:?} for {accounts} accounts to be opened"))?;
    let agreed = network.agreed(&EVERYONE)?;
    let time = joined(stage, &agreed)?;
    // The whole chain may be younger than the window of a snapshot, so that no block is missing.
    if !stage.network.log(VALIDATORS).contains("joined from a snapshot") {
        return Err("the new node did not join from a snapshot".to_owned());
    }
    Ok(vec![
        Figure::count("accounts", accounts, Mark::Told),
        Figure::within("joined, its start included", time, SNAPSHOT_S),
    ])
}

/// Starts the node that follows; tells how long it took until it was where the others are.
fn joined(stage: &mut Stage, agreed: &NodeStatus) -> Outcome<Duration> {
    stage.network.spawn(VALIDATORS)?;
    let there = || {
        let status = stage.network.status(VALIDATORS);
        Ok(status.ok().filter(|status| status.height >= agreed.height))
    };
    let (status, time) = wait_for("the new node to have it all", HISTORY, there)?;
    match (status.hash, status.state_root) == (agreed.hash, agreed.state_root) {
        true => Ok(time),
        false => Err("the new node came to another state".to_owned()),
    }
}
