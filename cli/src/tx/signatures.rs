//! Transactions in files: reading them, and putting signatures together.
//!
//! Whoever reads a file checks every signature that is in it, so that a wrong one is found where it
//! came in.

use std::path::Path;

use tonle_model::bounded::Bounded;
use tonle_model::key::KeyPair;
use tonle_model::limits;
use tonle_model::transaction::{SignedTransaction, Transaction, TransactionSignature};
use tonle_model::verify::Verifier;

use crate::error::CliError;
use crate::file;

/// JSON is longer than SCALE, yet bounded.
pub const FILE_BYTES_MAX: u64 = 8 * limits::TRANSACTION_BYTES_MAX as u64;

/// Reads a transaction, however many have signed it.
pub fn read(path: &Path) -> Result<Transaction, CliError> {
    parse(&file::read(path, FILE_BYTES_MAX)?)
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

/// Checks every signature that is there.
pub fn check(transaction: &Transaction) -> Result<(), CliError> {
    let hash = transaction.payload.hash();
    let verifier = Verifier::new();
    let is_wrong = |signed: &&TransactionSignature| {
        !verifier.verify(&signed.public_key, hash.as_ref(), &signed.signature)
    };
    match transaction.signatures.iter().find(is_wrong) {
        Some(signed) => {
            let message = format!("the signature by {} is not valid", signed.public_key);
            Err(CliError::usage(message).help("take it out of the file, and let them sign again"))
        }
        None => Ok(()),
    }
}

/// Adds a signature, unless the key has signed.
pub fn sign(transaction: &mut Transaction, key: &KeyPair) -> Result<(), CliError> {
    let hash = transaction.payload.hash();
    let (public_key, signature) = (key.public_key(), key.sign(hash.as_ref()));
    add(transaction, TransactionSignature { public_key, signature })
}

fn add(transaction: &mut Transaction, signature: TransactionSignature) -> Result<(), CliError> {
    let mut all = transaction.signatures.to_vec();
    if all.iter().any(|signed| signed.public_key == signature.public_key) {
        return Ok(());
    }
    all.push(signature);
    let too_many = |error| CliError::usage(format!("signatures: {error}"));
    transaction.signatures = Bounded::new(all).map_err(too_many)?;
    Ok(())
}

/// One transaction with the signatures of all copies.
pub fn combine(copies: Vec<Transaction>) -> Result<Transaction, CliError> {
    let mut copies = copies.into_iter();
    let mut combined = copies.next().ok_or_else(|| CliError::usage("nothing to combine"))?;
    check(&combined)?;
    let hash = combined.payload.hash();
    for copy in copies {
        let other = copy.payload.hash();
        if other != hash {
            return Err(CliError::usage(format!("these are two transactions: {hash} and {other}"))
                .help("a signature is good for one; `tonle tx show` shows what each does"));
        }
        check(&copy)?;
        for signature in copy.signatures.into_vec() {
            add(&mut combined, signature)?;
        }
    }
    Ok(combined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parity_scale_codec::Encode;
    use tonle_model::hash::ChainHash;
    use tonle_model::instruction::Instruction;
    use tonle_model::transaction::{Payload, Step};

    fn key(number: u8) -> KeyPair {
        KeyPair::from_seed(&[number; 32])
    }

    fn signed(nonce: u64, keys: &[u8]) -> Transaction {
        let step = Step {
            authority: "sok@aclb".parse().unwrap(),
            instruction: Instruction::RegisterDomain { id: "ppcb".parse().unwrap() },
        };
        let payload = Payload {
            chain: ChainHash::default(),
            created_ms: 1,
            expires_ms: 2,
            nonce,
            reference: None,
            steps: Bounded::new(vec![step]).unwrap(),
        };
        let keys: Vec<_> = keys.iter().map(|number| key(*number)).collect();
        payload.sign(&keys.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_transaction_is_read_in_either_form() {
        let transaction = signed(3, &[7]);
        assert_eq!(parse(&transaction.encode()).unwrap(), transaction);
        let json = serde_json::to_vec_pretty(&transaction).unwrap();
        assert_eq!(parse(&json).unwrap(), transaction);
        for bad in [&b""[..], b"{}", b"hello", &transaction.encode()[1..]] {
            assert!(parse(bad).is_err());
        }
        let unsigned = signed(3, &[]);
        assert_eq!(parse(&serde_json::to_vec(&unsigned).unwrap()).unwrap(), unsigned);
    }

    #[test]
    fn signing_one_after_the_other_is_signing_at_once() {
        let mut transaction = signed(3, &[]);
        for number in [1, 2, 1] {
            sign(&mut transaction, &key(number)).unwrap();
        }
        assert_eq!(transaction, signed(3, &[1, 2]));
        check(&transaction).unwrap();
    }

    #[test]
    fn signatures_of_copies_are_combined_and_each_counts_once() {
        let copies = vec![signed(3, &[1, 2]), signed(3, &[]), signed(3, &[2, 3])];
        assert_eq!(combine(copies).unwrap(), signed(3, &[1, 2, 3]));
    }

    #[test]
    fn signatures_of_two_transactions_are_not_combined() {
        let error = combine(vec![signed(3, &[1]), signed(4, &[2])]).unwrap_err();
        assert!(error.to_string().contains("two transactions"), "{error}");
    }

    #[test]
    fn a_wrong_signature_is_found_with_its_key() {
        let mut wrong = signed(3, &[1]);
        wrong.signatures = signed(4, &[1]).signatures;
        let error = combine(vec![signed(3, &[2]), wrong.clone()]).unwrap_err();
        assert!(error.to_string().contains(&key(1).public_key().to_string()), "{error}");
        assert!(check(&wrong).is_err());
    }

    #[test]
    fn more_signatures_than_fit_are_refused() {
        let numbers: Vec<u8> = (0..=u8::try_from(limits::SIGNATURES_MAX).unwrap()).collect();
        let copies = numbers.iter().map(|number| signed(3, &[*number])).collect();
        assert!(combine(copies).is_err());
    }
}
