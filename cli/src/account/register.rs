//! Opening accounts.

use std::str::FromStr;

use clap::Args;
use tonle_client::Client;
use tonle_model::bounded::Bounded;
use tonle_model::id::{AccountId, Name};
use tonle_model::instruction::{Instruction, Signatory};
use tonle_model::key::{KeyPair, PublicKey};

use crate::context::Context;
use crate::error::CliError;
use crate::place::Place;
use crate::submit::{self, SubmitArgs};

/// Whom to open an account for.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Its name, such as maly@wing
    id: AccountId,
    /// A key that acts for it, with its weight if not 1: ed0120…:2; may be given several times
    #[arg(long = "key", value_name = "KEY[:WEIGHT]")]
    keys: Vec<WeightedKey>,
    /// The weight that must sign
    #[arg(long, default_value_t = 1)]
    quorum: u16,
    /// Which daily limits apply [default: basic]
    #[arg(long)]
    tier: Option<Name>,
    #[command(flatten)]
    submit: SubmitArgs,
}

/// A key and how much it counts.
#[derive(Debug, Clone)]
pub struct WeightedKey(Signatory);

impl WeightedKey {
    /// As an account has it.
    pub fn signatory(self) -> Signatory {
        self.0
    }
}

impl FromStr for WeightedKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, weight) = match text.split_once(':') {
            Some((key, weight)) => {
                (key, weight.parse().map_err(|_| "a weight is 1 to 65535".to_owned())?)
            }
            None => (text, 1),
        };
        let public_key: PublicKey = key.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(Signatory { public_key, weight }))
    }
}

/// Opens it.
pub async fn run(args: RegisterArgs, context: &Context) -> Result<(), CliError> {
    let RegisterArgs { id, keys, quorum, tier, submit } = args;
    let mut signatories: Vec<_> = keys.into_iter().map(WeightedKey::signatory).collect();
    if signatories.is_empty() {
        if !context.nodes()?.ask(Client::node_status).await?.demo {
            return Err(CliError::usage("an account needs a key")
                .help("make one with `tonle keys new` and give its public half with --key"));
        }
        context.output.note("no --key given: the account gets its demo key");
        let public_key = KeyPair::demo(id.as_str()).public_key();
        signatories.push(Signatory { public_key, weight: 1 });
    }
    let signatories =
        Bounded::new(signatories).map_err(|error| CliError::usage(error.to_string()))?;
    let place = Place::Domain(id.domain());
    let instruction = Instruction::RegisterAccount { id, signatories, quorum, tier };
    submit::act(context, place, instruction, &submit).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_carry_its_weight() {
        let key = KeyPair::from_seed(&[7; 32]).public_key();
        let parse = |text: &str| text.parse::<WeightedKey>().map(|key| key.0);
        assert_eq!(parse(&key.to_string()), Ok(Signatory { public_key: key, weight: 1 }));
        assert_eq!(parse(&format!("{key}:3")), Ok(Signatory { public_key: key, weight: 3 }));
        for bad in ["", ":1", "ed0120", &format!("{key}:"), &format!("{key}:65536")] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
