//! A validator that lies: `tonled` in all but what it says. It proposes two blocks when it leads,
//! and votes twice in every view. Its log tells when each of that struck for the first time. For
//! tests only.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use clap::Parser;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::validators::ValidatorSet;
use tonle_node::config::{Arguments, Config};
use tonle_node::driver::Outbox;
use tonle_node::network::Lane;
use tonle_node::node::{self, NodeError};
use tonle_node::open::Opened;
use tonle_node::outbox::NetworkOutbox;
use tonle_node::wire::Announcement;
use tonle_tests::hosts::liar::{DEEDS, confession};
use tonle_tests::payments::now_ms;
use tonle_tests::random::Random;
use tonle_tests::simulator::byzantine::{Byzantine, Said};
use tonle_tests::simulator::fault::Tally;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("byzantine: {error}");
            error.exit_code()
        }
    }
}

fn run() -> Result<(), NodeError> {
    let config = Config::load(Arguments::parse())?;
    tonle_node::logging::start(&config.log, config.log_format)?;
    // What others remember of its lies does not silence it.
    let vouched = Some(Height(u64::MAX));
    node::run_behind(&config, vouched, |network, opened| Box::new(Mouth::new(network, opened)))
}

/// Says what the liar makes of each frame.
struct Mouth {
    network: NetworkOutbox,
    /// By their numbers.
    validators: Vec<PublicKey>,
    own: PublicKey,
    liar: Mutex<Liar>,
}

struct Liar {
    byzantine: Byzantine,
    random: Random,
    struck: Tally,
}

impl Liar {
    fn say(&mut self, to: &[usize], frame: &Bytes) -> Said {
        let Self { byzantine, random, struck } = self;
        let new: Vec<_> = DEEDS.into_iter().filter(|deed| struck.of(*deed) == 0).collect();
        let said = byzantine.say(now_ms(), to, frame, random, struck);
        let new = new.into_iter().filter(|deed| struck.of(*deed) > 0);
        new.for_each(|deed| eprintln!("{}", confession(deed)));
        said
    }
}

impl Mouth {
    fn new(network: NetworkOutbox, opened: &Opened) -> Self {
        let validators = opened.world.reader().validators();
        let validators: Vec<_> = validators.iter().map(|one| one.public_key).collect();
        let own = opened.key.public_key();
        let me = validators.iter().position(|key| *key == own).unwrap_or_default();
        let (key, chain) = (opened.key.clone(), opened.chain_hash);
        let byzantine = Byzantine::new(DEEDS.to_vec(), key, chain, me, validators.len());
        let liar = Liar { byzantine, random: Random::new(1), struck: Tally::default() };
        Self { network, validators, own, liar: Mutex::new(liar) }
    }

    fn say(&self, to: &[usize], lane: Lane, frame: &Bytes) {
        let said = self.liar.lock().unwrap_or_else(PoisonError::into_inner).say(to, frame);
        for (to, frame) in said {
            if let Some(key) = self.validators.get(to) {
                self.network.send(key, lane, frame);
            }
        }
    }
}

impl Outbox for Mouth {
    fn send(&self, to: &PublicKey, lane: Lane, frame: Bytes) {
        match self.validators.iter().position(|key| key == to) {
            Some(index) => self.say(&[index], lane, &frame),
            None => self.network.send(to, lane, frame),
        }
    }

    fn broadcast(&self, lane: Lane, frame: Bytes) {
        let others = self.validators.iter().enumerate().filter(|(_, key)| **key != self.own);
        let others: Vec<_> = others.map(|(index, _)| index).collect();
        self.say(&others, lane, &frame);
    }

    fn announce(&self, announcement: &Announcement) {
        self.network.announce(announcement);
    }

    fn set_validators(&self, validators: &ValidatorSet) {
        self.network.set_validators(validators);
    }

    fn blame(&self, peer: &PublicKey) {
        self.network.blame(peer);
    }
}
