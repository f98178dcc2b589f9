//! Work and the view timer (consensus.md, Idle): without work, nothing runs.

use tonle_model::number::View;

use crate::core::Core;
use crate::limits::{TIMER_DELTAS, TIMER_MS_MAX};
use crate::round::Timer;

/// Δ·1.5^v in milliseconds, so capped that a view's timer, which is three of it, stays within
/// its own cap.
pub(crate) fn patience_ms(delta_ms: u64, view: View) -> u64 {
    growing_us(delta_ms, view) / 1_000
}

/// The timer of a view: 3Δ·1.5^v, capped.
pub(crate) fn timer_ms(delta_ms: u64, view: View) -> u64 {
    growing_us(delta_ms, view).saturating_mul(TIMER_DELTAS) / 1_000
}

/// Microseconds, so that small Δ grow too.
fn growing_us(delta_ms: u64, view: View) -> u64 {
    let cap = TIMER_MS_MAX.saturating_mul(1_000) / TIMER_DELTAS;
    let mut grown = delta_ms.max(1).saturating_mul(1_000).min(cap);
    for _ in 0..view.0 {
        if grown >= cap {
            break;
        }
        grown = (grown.saturating_mul(3) / 2).min(cap);
    }
    grown
}

impl Core {
    /// Whether there is a reason to go on: transactions, a proposal not given up, a notarization,
    /// or others at least one of whom is honest and goes on.
    pub(crate) fn has_work(&self) -> bool {
        self.pool_work
            || self.round.notarized.is_some()
            || self.round.finalization.is_some()
            || self.has_open_proposal()
            || self.others_go_on()
    }

    /// A proposal for the current view counts until the view is given up, so that one Byzantine
    /// proposal cannot keep timers running for ever.
    fn has_open_proposal(&self) -> bool {
        let slot = self.round.slot(self.round.view);
        let nullified = slot.is_some_and(|slot| slot.own.nullified);
        let notarized = slot.is_some_and(|slot| slot.own.notarized.is_some());
        let proposed = self.round.pending.is_some() || notarized;
        proposed && !nullified && self.round.timer != Timer::Fired
    }

    fn others_go_on(&self) -> bool {
        let voters = self.round.voted_view.iter();
        let others = voters.filter(|(signer, _)| !self.is_me(**signer));
        let going_on = others.filter(|(_, view)| **view >= self.round.view).count();
        going_on > self.config.faults()
    }

    /// Arms the current view's timer once there is work. Nothing but a commit resets it.
    pub(crate) fn arm_timer(&mut self) -> bool {
        if self.round.timer != Timer::Disarmed || !self.has_work() {
            return false;
        }
        let timer_ms = timer_ms(self.config.delta_ms, self.round.view);
        self.round.timer = Timer::Armed(self.now_ms.saturating_add(timer_ms));
        true
    }

    /// A timer that comes due fires if there still is work, and disarms if not.
    pub(crate) fn fire_timer(&mut self) {
        let Timer::Armed(due_ms) = self.round.timer else { return };
        if due_ms <= self.now_ms {
            self.round.timer = if self.has_work() { Timer::Fired } else { Timer::Disarmed };
        }
    }

    pub(crate) fn timer_deadline(&self) -> Option<u64> {
        match self.round.timer {
            Timer::Armed(due_ms) if !self.is_decided() => Some(due_ms),
            _ => None,
        }
    }

    /// The height has its finalization: views and their timers are over.
    pub(crate) fn is_decided(&self) -> bool {
        self.round.finalization.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_grow_by_half_up_to_the_cap() {
        assert_eq!(timer_ms(500, View(0)), 1_500);
        assert_eq!(timer_ms(500, View(1)), 2_250);
        assert_eq!(timer_ms(500, View(2)), 3_375);
        assert_eq!(timer_ms(500, View(20)), TIMER_MS_MAX);
        assert_eq!(timer_ms(500, View(u32::MAX)), TIMER_MS_MAX);
        assert_eq!(timer_ms(u64::MAX, View(0)), TIMER_MS_MAX);
        assert!(timer_ms(0, View(5)) > timer_ms(0, View(0)));
        assert!((0..60).all(|v| 3 * patience_ms(7, View(v)) <= timer_ms(7, View(v))));
    }
}
