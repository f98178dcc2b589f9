//! What a seed has in store: how many validators, which of them are Byzantine, what the links are
//! like, and what strikes when.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::links::Weather;
use crate::random::Random;

/// How long faults strike.
pub const ROUGH_MS: u64 = 40_000;
/// Nothing strikes before that: the first nodes must meet.
const CALM_MS: u64 = 1_000;
/// A clock that is off by more than this, either way, counts among the faulty. Two of them that are
/// off either way, and drift once, are within what validators allow a leader.
const SKEW_MS_MAX: u64 = 1_200;
/// So far off is a clock that is, at least.
const FAR_MS_MIN: u64 = 60_000;
/// And at most.
const FAR_MS_MAX: u64 = 3_600_000;

/// Something that strikes at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strike {
    /// The process is killed; `power` goes with it, and with that what was not synced.
    Kill {
        /// Which node.
        node: usize,
        /// For how long.
        down_ms: u64,
        /// Whether the machine loses power too.
        power: bool,
    },
    /// Power fails in the next synced write.
    TornWrite {
        /// Which node.
        node: usize,
        /// For how long.
        down_ms: u64,
        /// Whether the write is on the disk.
        lands: bool,
    },
    /// Writes fail.
    DiskError {
        /// Which node.
        node: usize,
        /// For how long.
        down_ms: u64,
        /// Of the state, or else of the chain.
        of_state: bool,
    },
    /// There is no room on the disk.
    DiskFull {
        /// Which node.
        node: usize,
        /// For how long.
        ms: u64,
    },
    /// All are killed.
    KillAll {
        /// For how long, at most.
        down_ms: u64,
        /// Whether they lose power too.
        power: bool,
    },
    /// The disks are copied.
    Backup {
        /// Which node.
        node: usize,
    },
    /// The node is killed and comes back with the copy.
    OldDisk {
        /// Which node.
        node: usize,
        /// Whether the mark is restored too.
        with_mark: bool,
    },
    /// A Byzantine node forgets all.
    Amnesia {
        /// Which node.
        node: usize,
    },
    /// A Byzantine node says nothing.
    Silence {
        /// Which node.
        node: usize,
        /// For how long.
        ms: u64,
    },
    /// The nodes whose bits are set and the others do not hear each other.
    Partition {
        /// One bit a node.
        side: u64,
        /// For how long.
        ms: u64,
    },
    /// One does not hear another.
    OneWay {
        /// Who is not heard.
        from: usize,
        /// By whom.
        to: usize,
        /// For how long.
        ms: u64,
    },
    /// A node is slow.
    Slow {
        /// Which.
        node: usize,
        /// For how long.
        ms: u64,
    },
    /// A clock goes too fast or too slowly.
    Drift {
        /// Whose.
        node: usize,
        /// How fast.
        rate_permille: u64,
        /// For how long.
        ms: u64,
    },
    /// A clock is put forward or back.
    Jump {
        /// Whose.
        node: usize,
        /// How far ahead of true time it is then, or behind if negative.
        ahead_ms: i64,
    },
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// n.
    pub validators: usize,
    /// Who is Byzantine, and what they do.
    pub byzantine: BTreeMap<usize, Vec<Fault>>,
    /// Who comes back with an old disk, and so may not vote any more.
    pub restored: Option<usize>,
    /// By how much clocks are ahead from the start, or behind if negative.
    pub offsets_ms: Vec<i64>,
    /// What links are like.
    pub weather: Weather,
    /// What strikes when, from the start; in order.
    pub strikes: Vec<(u64, Strike)>,
}

impl Plan {
    /// What a seed has in store.
    pub fn new(random: &mut Random) -> Self {
        let validators = random.pick(&[4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 6, 7]);
        let mut faulty = (validators - 1) / 3;
        let mut byzantine = BTreeMap::new();
        while faulty > 0 && random.permille(600) {
            byzantine.entry(random.below(validators)).or_insert_with(|| deeds(random));
            faulty -= 1;
        }
        let mut offsets_ms: Vec<i64> = (0..validators).map(|_| skew_ms(random)).collect();
        if faulty > 0 && random.permille(300) {
            let node = random.below(validators);
            let far_ms = random.between(FAR_MS_MIN, FAR_MS_MAX).cast_signed();
            offsets_ms[node] = if random.permille(500) { far_ms } else { -far_ms };
            faulty -= usize::from(!byzantine.contains_key(&node));
        }
        let restored = (faulty > 0 && random.permille(500)).then(|| random.below(validators));
        let restored = restored.filter(|node| !byzantine.contains_key(node));
        let mut plan = Self {
            validators,
            byzantine,
            restored,
            offsets_ms,
            weather: weather(random),
            strikes: Vec::new(),
        };
        plan.draw_strikes(random);
        plan
    }

    fn draw_strikes(&mut self, random: &mut Random) {
        for _ in 0..random.between(4, 14) {
            let strike = self.strike(random);
            self.strikes.push((random.between(CALM_MS, ROUGH_MS - 1), strike));
        }
        if let Some(node) = self.restored {
            let at_ms = random.between(CALM_MS, ROUGH_MS / 2);
            let with_mark = random.permille(500);
            self.strikes.push((at_ms, Strike::Backup { node }));
            let later_ms = random.between(at_ms + 1, ROUGH_MS - 1);
            self.strikes.push((later_ms, Strike::OldDisk { node, with_mark }));
        }
        for (node, deeds) in &self.byzantine {
            let (node, at_ms) = (*node, random.between(CALM_MS, ROUGH_MS - 1));
            if deeds.contains(&Fault::Amnesia) {
                self.strikes.push((at_ms, Strike::Amnesia { node }));
            }
            if deeds.contains(&Fault::Silence) {
                let ms = random.between(2_000, 20_000);
                self.strikes.push((at_ms, Strike::Silence { node, ms }));
            }
        }
        self.strikes.sort_by_key(|(at_ms, _)| *at_ms);
    }

    fn strike(&self, random: &mut Random) -> Strike {
        let node = random.below(self.validators);
        let to = (node + 1 + random.below(self.validators - 1)) % self.validators;
        let ms = random.between(500, 12_000);
        let power = random.permille(500);
        match random.below(12) {
            0 | 1 => Strike::Kill { node, down_ms: ms, power },
            2 => Strike::TornWrite { node, down_ms: ms, lands: power },
            3 => Strike::DiskError { node, down_ms: ms, of_state: power },
            4 => Strike::DiskFull { node, ms },
            5 => Strike::KillAll { down_ms: ms / 2, power },
            6 | 7 => Strike::Partition { side: random.number() % (1 << self.validators), ms },
            8 => Strike::OneWay { from: node, to, ms },
            9 => Strike::Slow { node, ms },
            10 => Strike::Drift { node, rate_permille: random.between(900, 1_100), ms },
            _ => Strike::Jump { node, ahead_ms: skew_ms(random) },
        }
    }
}

/// How far ahead or behind a clock is that is not off.
fn skew_ms(random: &mut Random) -> i64 {
    random.between(0, 2 * SKEW_MS_MAX).cast_signed() - SKEW_MS_MAX.cast_signed()
}

fn deeds(random: &mut Random) -> Vec<Fault> {
    (0..random.between(1, 4)).map(|_| random.pick(Fault::BYZANTINE)).collect()
}

fn weather(random: &mut Random) -> Weather {
    let latency_ms = random.pick(&[10, 40, 100, 200]);
    if random.permille(200) {
        return Weather::calm(latency_ms);
    }
    Weather {
        loss_permille: random.pick(&[0, 10, 50, 150]),
        duplication_permille: random.pick(&[0, 20, 100]),
        delay_permille: random.pick(&[0, 10, 50]),
        reorders: random.permille(500),
        latency_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_off_either_way_and_far_off_with_the_faulty_alone() {
        let (mut near, mut far) = ((0u32, 0u32), (0u32, 0u32));
        for seed in 0..500 {
            let plan = Plan::new(&mut Random::new(seed));
            let is_far = |ms: i64| ms.unsigned_abs() > SKEW_MS_MAX;
            let off = (0..plan.validators).filter(|node| is_far(plan.offsets_ms[*node]));
            let others: Vec<usize> =
                off.filter(|node| !plan.byzantine.contains_key(node)).collect();
            let restored = plan.restored.filter(|node| !others.contains(node));
            let faulty = plan.byzantine.len() + others.len() + usize::from(restored.is_some());
            assert!(faulty <= (plan.validators - 1) / 3, "seed {seed}");
            let jumps = plan.strikes.iter().filter_map(|(_, strike)| match strike {
                Strike::Jump { ahead_ms, .. } => Some(*ahead_ms),
                _ => None,
            });
            for ms in jumps.inspect(|ms| assert!(!is_far(*ms))).chain(plan.offsets_ms.clone()) {
                let counts = if is_far(ms) { &mut far } else { &mut near };
                counts.0 += u32::from(ms < 0);
                counts.1 += u32::from(ms > 0);
            }
        }
        assert!(near.0.min(near.1) > 500, "{near:?}");
        assert!(far.0.min(far.1) > 10, "{far:?}");
    }
}
