//! Where everything is, for whoever looks into a seed that came to nothing.

use bytes::Bytes;
use tonle_model::batch::Batch;
use tonle_model::hash::TransactionHash;
use tonle_model::number::Height;

use super::super::machine::Machine;
use super::Simulation;

impl Simulation {
    /// Where everyone is, for whoever asks why nothing moves.
    pub(super) fn standing(&self) -> String {
        let node = |(number, machine): (usize, &Machine)| match &machine.running {
            None => format!("{number} is down"),
            Some(running) => {
                let board = &running.assembly.board;
                format!("{number} at {}/{}", board.height(), board.view())
            }
        };
        let nodes: Vec<String> = self.machines.iter().enumerate().map(node).collect();
        let byzantine: Vec<_> = self.byzantine.keys().collect();
        let open = self.open();
        let first = open.first().map(|hash| self.whereabouts(hash));
        format!(
            "{}; Byzantine {byzantine:?}; {} payments undecided, the first {first:?}",
            nodes.join(", "),
            open.len(),
        )
    }

    /// Where an undecided payment is: for each node, what it would answer if it came again, and
    /// the blocks whose batches have it.
    fn whereabouts(&self, hash: &TransactionHash) -> Vec<String> {
        let Some(made) = self.clients.made.get(hash) else { return Vec::new() };
        let node = |(number, machine): (usize, &Machine)| {
            let running = machine.running.as_ref()?;
            let now_ms = running.assembly.clock.now_ms();
            let again = running.world.admit(&made.transaction, now_ms);
            let has = |bytes: &Bytes| {
                let batch = Batch::decode(&machine.chain_hash(), bytes.clone());
                batch.is_ok_and(|one| one.transactions().iter().any(|tx| tx.hash() == *hash))
            };
            let undecided = running.chain.undecided();
            let bytes = |digest| running.chain.batch(digest).ok().flatten();
            let held = undecided.iter().filter_map(bytes).filter(has).count();
            let blocks: Vec<u64> = (1..=self.checks.height())
                .filter(|height| {
                    let batches = running.chain.batches_of(Height(*height)).ok().flatten();
                    batches.is_some_and(|batches| batches.iter().any(has))
                })
                .collect();
            Some(format!("{number}: {again:?}, in {held} undecided batches, in blocks {blocks:?}"))
        };
        self.machines.iter().enumerate().filter_map(node).collect()
    }
}
