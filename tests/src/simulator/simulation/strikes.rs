//! What strikes, when its time has come.

use tonle_node::driver::Event;

use super::super::check::Held;
use super::super::fault::Fault;
use super::super::plan::Strike;
use super::{Happening, Simulation};

impl Simulation {
    pub(super) fn strike(&mut self, strike: Strike) -> Held {
        self.trace.line(0, format_args!("strikes: {strike:?}"));
        let now_ms = self.now_ms;
        match strike {
            Strike::Kill { node, down_ms, power } => {
                self.kill(node)?;
                self.after_at_most(down_ms, Happening::Start { node, power });
            }
            Strike::TornWrite { node, down_ms, lands } => {
                self.machines[node].chain_disk.lose_power_in_next_sync(lands);
                let start = Happening::Start { node, power: true };
                self.after_at_most(down_ms, start);
            }
            Strike::DiskError { node, down_ms, of_state } => {
                let machine = &self.machines[node];
                let disk = if of_state { &machine.state_disk } else { &machine.chain_disk };
                disk.break_writes();
                let start = Happening::Start { node, power: false };
                self.after_at_most(down_ms, start);
            }
            Strike::DiskFull { node, ms } => return self.fill_disk(node, ms),
            Strike::KillAll { down_ms, power } => {
                if self.machines.iter().any(|machine| machine.running.is_some()) {
                    self.struck.count(Fault::AllCrash);
                }
                (0..self.machines.len()).try_for_each(|node| self.stop(node))?;
                for node in 0..self.machines.len() {
                    let down_ms = self.random.between(1, down_ms.max(1));
                    self.after_at_most(down_ms, Happening::Start { node, power });
                }
            }
            Strike::Backup { node } => {
                self.backups.insert(node, (self.machines[node].backup(), self.checks.time()));
            }
            Strike::OldDisk { node, with_mark } => return self.put_old_disk(node, with_mark),
            Strike::Amnesia { node } => {
                self.struck.count(Fault::Amnesia);
                self.stop(node)?;
                self.machines[node].forget();
                return self.start(node, false);
            }
            Strike::Silence { node, ms } => {
                if let Some(mouth) = self.byzantine.get_mut(&node) {
                    mouth.silent_until_ms = now_ms + ms;
                }
            }
            Strike::Partition { side, ms } => self.part(side, ms),
            Strike::OneWay { from, to, ms } => {
                self.links.cut(from, to, now_ms + ms, Fault::OneWayPartition);
            }
            Strike::Slow { node, ms } => self.slow_until_ms[node] = now_ms + ms,
            Strike::Drift { node, rate_permille, ms } => {
                let machine = &mut self.machines[node];
                if rate_permille != 1_000 && machine.running.is_some() {
                    self.struck.count(Fault::ClockDrift);
                }
                machine.clock.keep_pace(now_ms, rate_permille);
                self.after_at_most(ms, Happening::PaceAgain { node });
            }
            Strike::Jump { node, ahead_ms } => return self.put_clock(node, ahead_ms),
        }
        Ok(())
    }

    fn put_old_disk(&mut self, node: usize, with_mark: bool) -> Held {
        let Some((backup, saved)) = self.backups.remove(&node) else { return Ok(()) };
        self.struck.count(Fault::OldDisk);
        self.stop(node)?;
        self.machines[node].restore(backup, with_mark);
        self.restored.insert(node);
        let is_honest = |other: &usize| *other != node && !self.byzantine.contains_key(other);
        let honest: Vec<_> = (0..self.machines.len()).filter(is_honest).collect();
        self.checks.returned(node, saved, &honest);
        self.start(node, false)
    }

    fn put_clock(&mut self, node: usize, ahead_ms: i64) -> Held {
        let machine = &mut self.machines[node];
        let jumped_ms = machine.clock.put(self.now_ms, ahead_ms);
        if machine.running.is_some() && jumped_ms != 0 {
            let is_forward = jumped_ms > 0;
            self.struck.count(if is_forward { Fault::ClockJump } else { Fault::ClockJumpBack });
        }
        self.turn(node)
    }

    /// What the watcher of a node's disk does when that fills (`node/src/disk.rs`).
    fn fill_disk(&mut self, node: usize, ms: u64) -> Held {
        let incarnation = self.machines[node].incarnation;
        let Some(running) = &self.machines[node].running else { return Ok(()) };
        self.struck.count(Fault::DiskFull);
        running.assembly.board.set_disk_full(true);
        running.tell(Event::Paused(true));
        self.after_at_most(ms, Happening::RoomOnDisk { node, incarnation });
        // What came before that may still make it vote in this turn.
        self.turn(node)?;
        if self.honest(node).is_some() {
            self.checks.filled(node, &self.machines[node].chain_disk);
        }
        Ok(())
    }

    /// What that watcher does when there is room again.
    pub(super) fn find_room(&mut self, node: usize, incarnation: u64) -> Held {
        let Some(running) = self.current(node, incarnation) else { return Ok(()) };
        running.assembly.board.set_disk_full(false);
        running.tell(Event::Paused(false));
        self.checks.emptied(node);
        self.turn(node)
    }

    fn part(&mut self, side: u64, ms: u64) {
        let is_in = |node: usize| side >> node & 1 == 1;
        for from in 0..self.machines.len() {
            for to in (0..self.machines.len()).filter(|to| is_in(from) != is_in(*to)) {
                self.links.cut(from, to, self.now_ms + ms, Fault::Partition);
            }
        }
    }
}
