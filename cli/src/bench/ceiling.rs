//! What this machine could do at best: every validator checks every signature once, so no ledger
//! on it settles more than cores x checks per core / validators.

use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tonle_model::transaction::SignedTransaction;
use tonle_model::verify::{Claim, Verifier};

use super::presign::Chunk;
use crate::error::CliError;

/// How long each core checks, in processor time: what else runs on the machine meanwhile must not
/// lower the ceiling, and so flatter the share.
const MEASURE: Duration = Duration::from_millis(1_500);

/// The ceiling and what it is made of.
#[derive(Debug, Clone, Copy)]
pub struct Ceiling {
    /// Transfers a second.
    pub per_second: f64,
    /// Cores that checked at once.
    pub cores: usize,
    /// Microseconds of one core for one check in a batch of 256.
    pub check_us: f64,
    /// Validators that share the machine.
    pub validators: usize,
    /// Keys among those signatures.
    pub signers: usize,
}

/// Measures on all cores at once, in batches as they come (256), with all keys known.
pub fn measure(sample: &[Chunk], validators: usize) -> Result<Ceiling, CliError> {
    let transactions = sample
        .iter()
        .map(|chunk| {
            let each = (0..chunk.hashes.len()).filter_map(|position| chunk.transaction(position));
            each.map(SignedTransaction::decode).collect::<Result<Vec<_>, _>>()
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CliError::failed(error.to_string()))?;
    let signers: std::collections::BTreeSet<_> =
        transactions.iter().flatten().flat_map(SignedTransaction::signers).collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // A batch that is not full would make the check look dearer than it is.
    let full = transactions.iter().map(Vec::len).max().unwrap_or(0);
    let batches: Vec<Vec<Claim<'_>>> = transactions
        .iter()
        .filter(|batch| batch.len() == full)
        .map(|batch| batch.iter().flat_map(SignedTransaction::claims).collect())
        .collect();
    let rates: Result<Vec<f64>, CliError> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| checks(&batches))).collect();
        let failed = |_| CliError::failed("a checking thread failed");
        workers.into_iter().map(|worker| worker.join().map_err(failed)?).collect()
    });
    let all: f64 = rates?.iter().sum();
    Ok(Ceiling {
        per_second: all / validators.max(1) as f64,
        cores,
        check_us: 1e6 * cores as f64 / all,
        validators,
        signers: signers.len(),
    })
}

/// Checks a second on one core.
fn checks(batches: &[Vec<Claim<'_>>]) -> Result<f64, CliError> {
    let verifier = Verifier::new();
    let check = |batch: &Vec<Claim<'_>>| {
        let wrong = |_| CliError::failed("a signature made for the bench is not valid");
        verifier.verify_batch(batch).map(|()| batch.len()).map_err(wrong)
    };
    // Once round without the clock, so that all keys are known, as they are to a validator.
    for batch in batches {
        check(batch)?;
    }
    let start = processor_time();
    let mut checked = 0;
    for batch in batches.iter().cycle() {
        if processor_time().saturating_sub(start) >= MEASURE {
            break;
        }
        checked += check(batch)?;
    }
    Ok(checked as f64 / processor_time().saturating_sub(start).as_secs_f64())
}

/// What this thread has used.
fn processor_time() -> Duration {
    // Neither seconds nor nanoseconds of a processor clock are ever negative.
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}
