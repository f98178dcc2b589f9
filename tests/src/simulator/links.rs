//! The ways between nodes: what is lost, late, doubled, overtaken or cut.

use std::collections::BTreeMap;

use super::fault::{Fault, Tally};
use crate::random::Random;

/// How rough the links are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather {
    /// So many of a thousand messages are lost.
    pub loss_permille: u64,
    /// So many come twice.
    pub duplication_permille: u64,
    /// So many take ten times as long.
    pub delay_permille: u64,
    /// Messages of a link may overtake each other.
    pub reorders: bool,
    /// A message takes so long at least, and up to twice that.
    pub latency_ms: u64,
}

impl Weather {
    /// Nothing is lost, and everything comes soon.
    pub fn calm(latency_ms: u64) -> Self {
        Self {
            loss_permille: 0,
            duplication_permille: 0,
            delay_permille: 0,
            reorders: false,
            latency_ms,
        }
    }
}

/// All links, each from one node to another.
pub struct Links {
    /// Of all links.
    pub weather: Weather,
    /// Cut until then, and by what.
    cut: BTreeMap<(usize, usize), (u64, Fault)>,
    /// When the last message of a link arrives.
    last_ms: BTreeMap<(usize, usize), u64>,
}

impl Links {
    /// Links in some weather.
    pub fn new(weather: Weather) -> Self {
        Self { weather, cut: BTreeMap::new(), last_ms: BTreeMap::new() }
    }

    /// Cuts one: what is lost by that is counted as this fault.
    pub fn cut(&mut self, from: usize, to: usize, until_ms: u64, fault: Fault) {
        self.cut.insert((from, to), (until_ms, fault));
    }

    /// Mends all, and calms the weather.
    pub fn heal(&mut self, latency_ms: u64) {
        self.cut.clear();
        self.weather = Weather::calm(latency_ms);
    }

    /// When a message of now arrives: never, once, or twice.
    pub fn arrivals(
        &mut self,
        (from, to): (usize, usize),
        now_ms: u64,
        random: &mut Random,
        struck: &mut Tally,
    ) -> Vec<u64> {
        if let Some((until_ms, fault)) = self.cut.get(&(from, to))
            && now_ms < *until_ms
        {
            struck.count(*fault);
            return Vec::new();
        }
        if random.permille(self.weather.loss_permille) {
            struck.count(Fault::Loss);
            return Vec::new();
        }
        let copies = if random.permille(self.weather.duplication_permille) {
            struck.count(Fault::Duplication);
            2
        } else {
            1
        };
        (0..copies).map(|_| self.arrival((from, to), now_ms, random, struck)).collect()
    }

    fn arrival(
        &mut self,
        link: (usize, usize),
        now_ms: u64,
        random: &mut Random,
        struck: &mut Tally,
    ) -> u64 {
        let latency_ms = self.weather.latency_ms;
        let mut takes_ms = latency_ms + random.below(latency_ms as usize + 1) as u64;
        if random.permille(self.weather.delay_permille) {
            struck.count(Fault::Delay);
            takes_ms *= 10;
        }
        let last_ms = self.last_ms.entry(link).or_default();
        let mut at_ms = now_ms + takes_ms;
        if at_ms < *last_ms {
            if self.weather.reorders {
                struck.count(Fault::Reordering);
            } else {
                at_ms = *last_ms;
            }
        }
        *last_ms = at_ms.max(*last_ms);
        at_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_counts_for_each_message_that_it_costs() {
        let (mut random, mut struck) = (Random::new(1), Tally::default());
        let mut links = Links::new(Weather::calm(10));
        links.cut(0, 1, 100, Fault::Partition);
        links.cut(1, 0, 100, Fault::OneWayPartition);
        let mut arrive = |from, to, now_ms| {
            let arrivals = links.arrivals((from, to), now_ms, &mut random, &mut struck);
            (arrivals.len(), struck.of(Fault::Partition), struck.of(Fault::OneWayPartition))
        };
        assert_eq!(arrive(0, 2, 99), (1, 0, 0), "another link");
        assert_eq!(arrive(0, 1, 99), (0, 1, 0));
        assert_eq!(arrive(1, 0, 99), (0, 1, 1));
        assert_eq!(arrive(0, 1, 100), (1, 1, 1), "mended");
    }
}
