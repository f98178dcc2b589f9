//! `tonle tx`: transactions that exist already.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Subcommand;
use tonle_client::api::{SubmitReply, Wait};
use tonle_model::hash::TransactionHash;
use tonle_model::limits;
use tonle_model::transaction::{SignedTransaction, Transaction};

use crate::context::Context;
use crate::error::CliError;
use crate::submit;

/// JSON is longer than SCALE, yet bounded.
const FILE_BYTES_MAX: u64 = 8 * limits::TRANSACTION_BYTES_MAX as u64;

const EXAMPLES: &str = "\
Examples:
  tonle tx get 3f…
  tonle tx wait 3f… --timeout 30s
  tonle tx submit signed.json --wait";

/// What to do about transactions.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum TxCommand {
    /// Where a transaction stands
    Get {
        /// Its hash
        hash: TransactionHash,
    },
    /// Wait until a transaction is final
    Wait {
        /// Its hash
        hash: TransactionHash,
        /// For how long at most
        #[arg(long, value_name = "TIME", default_value = "60s")]
        timeout: Wait,
    },
    /// Send a signed transaction
    Submit {
        /// JSON or SCALE; - is standard input
        file: PathBuf,
        /// Wait until it is final, for so long at most [10s if no time is given]
        #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "10s")]
        wait: Option<Wait>,
    },
}

/// Does it.
pub async fn run(command: TxCommand, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    match command {
        TxCommand::Get { hash } => {
            let status = submit::status_anywhere(&nodes, &hash, None)
                .await?
                .ok_or_else(|| CliError::refused("not_found", format!("no node knows {hash}")))?;
            submit::show(context, &SubmitReply { hash, status }, None)
        }
        TxCommand::Wait { hash, timeout } => {
            let deadline = Instant::now() + timeout.duration();
            let status = submit::wait_final(&nodes, &hash, None, deadline).await?;
            submit::show(context, &SubmitReply { hash, status }, None)
        }
        TxCommand::Submit { file, wait } => {
            let transaction = parse(&read(&file)?)?;
            submit::deliver(context, &nodes, &transaction, wait.map(Wait::duration)).await
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error| CliError::usage(format!("{}: {error}", path.display()));
    let mut input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(failed)?),
    };
    let mut bytes = Vec::new();
    input.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(CliError::usage(format!("{} is too long", path.display()))),
        false => Ok(bytes),
    }
}

/// Reads either form: JSON begins with a brace, SCALE with a chain hash.
fn parse(bytes: &[u8]) -> Result<Transaction, CliError> {
    let as_json = || serde_json::from_slice::<Transaction>(bytes);
    let scale_error = match SignedTransaction::decode(bytes.to_vec().into()) {
        Ok(signed) => return Ok(signed.transaction().clone()),
        Err(error) => error,
    };
    match bytes.trim_ascii_start().first() {
        Some(b'{') => as_json().map_err(|error| CliError::usage(format!("not valid: {error}"))),
        _ => Err(CliError::usage(format!("not a transaction in JSON or SCALE: {scale_error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parity_scale_codec::Encode;
    use tonle_model::bounded::Bounded;
    use tonle_model::hash::ChainHash;
    use tonle_model::key::KeyPair;
    use tonle_model::transaction::{Instruction, Payload, Step};

    fn transaction() -> Transaction {
        let step = Step {
            authority: "sok@aclb".parse().unwrap(),
            instruction: Instruction::RegisterDomain { id: "ppcb".parse().unwrap() },
        };
        let payload = Payload {
            chain: ChainHash::default(),
            created_ms: 1,
            expires_ms: 2,
            nonce: 3,
            reference: None,
            steps: Bounded::new(vec![step]).unwrap(),
        };
        payload.sign(&[&KeyPair::from_seed(&[7; 32])])
    }

    #[test]
    fn a_transaction_is_read_in_either_form() {
        let transaction = transaction();
        assert_eq!(parse(&transaction.encode()).unwrap(), transaction);
        let json = serde_json::to_vec_pretty(&transaction).unwrap();
        assert_eq!(parse(&json).unwrap(), transaction);
        for bad in [&b""[..], b"{}", b"hello", &transaction.encode()[1..]] {
            assert!(parse(bad).is_err());
        }
    }
}
