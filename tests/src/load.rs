//! Payments that go on while something happens to a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tonle_client::api::TransactionStatus;
use tonle_model::hash::TransactionHash;

use crate::localnet::{Localnet, runtime};
use crate::payments::payment;

/// Longest wait for one of them to be decided.
const WAIT: Duration = Duration::from_secs(20);

/// Between two of them: a chain that grows as fast as it can takes ever longer to be read again.
const PACE: Duration = Duration::from_millis(200);

/// One payment after the other, through one validator.
pub struct Payments {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<TransactionHash>>,
}

impl Payments {
    /// Begins to pay through a validator that nothing happens to.
    pub fn start(net: &Localnet, through: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, chain, until) = (net.client(through), net.chain(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = runtime();
            let mut settled = Vec::new();
            while !until.load(Ordering::Relaxed) {
                let transaction = payment(chain, "sok@aclb", "dara@wing", "1");
                let hash = transaction.payload.hash();
                let status = runtime.block_on(async {
                    client.submit(&transaction).await.expect("a sound validator takes it");
                    let status = client.status(&hash, Some(WAIT)).await;
                    tokio::time::sleep(PACE).await;
                    status.expect("a sound validator answers")
                });
                assert!(matches!(status, TransactionStatus::Committed { .. }), "{status:?}");
                settled.push(hash);
            }
            settled
        });
        Self { stop, thread }
    }

    /// Ends; returns what was settled, which is all that was paid.
    pub fn stop(self) -> Vec<TransactionHash> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every payment was settled")
    }
}
