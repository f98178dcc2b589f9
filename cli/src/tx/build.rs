//! Building a transaction for others to sign.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use tonle_client::Client;
use tonle_model::bounded::Bounded;
use tonle_model::hash::ChainHash;
use tonle_model::limits;
use tonle_model::string::Text;
use tonle_model::transaction::{Payload, Step, Transaction};

use super::signatures::FILE_BYTES_MAX;
use crate::context::Context;
use crate::error::CliError;
use crate::span::Span;
use crate::submit::nonce;
use crate::{file, time};

/// What it is to do.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// A step: who acts, a colon, and the instruction in JSON; may be given several times
    #[arg(long = "step", value_name = "ACCOUNT:JSON")]
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    steps: Vec<StepText>,
    /// The whole payload in JSON instead; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The network it is for [default: that of the node]
    #[arg(long, value_name = "HASH", conflicts_with = "file")]
    chain: Option<ChainHash>,
    /// How long it may be committed; a network has its own maximum
    #[arg(long, value_name = "TIME", default_value = "10m", conflicts_with = "file")]
    ttl: Span,
    /// Applies once: a second transaction of an account with it is refused as a duplicate
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    reference: Option<Text<{ limits::REFERENCE_BYTES_MAX }>>,
    /// Where to write it; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A step as `sok@aclb:{"transfer": …}`.
#[derive(Debug, Clone)]
pub struct StepText(Step);

impl FromStr for StepText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (authority, json) = text.split_once(':').ok_or("who acts, a colon, what is done")?;
        let authority = authority.parse().map_err(|error| format!("{authority:?}: {error}"))?;
        let instruction =
            serde_json::from_str(json).map_err(|error| format!("the instruction: {error}"))?;
        Ok(Self(Step { authority, instruction }))
    }
}

/// The transaction, unsigned, and where to write it.
pub async fn transaction(
    args: NewArgs,
    context: &Context,
) -> Result<(PathBuf, Transaction), CliError> {
    let NewArgs { steps, file: path, chain, ttl, reference, out } = args;
    let payload = match path {
        Some(path) => {
            let bytes = file::read(&path, FILE_BYTES_MAX)?;
            serde_json::from_slice(&bytes).map_err(|error| {
                CliError::usage(format!("{} is no payload: {error}", path.display()))
            })?
        }
        None => {
            let chain = match chain {
                Some(chain) => chain,
                None => context.nodes()?.ask(Client::node_status).await?.chain,
            };
            let created_ms = time::now_ms();
            let steps = steps.into_iter().map(|step| step.0).collect();
            Payload {
                chain,
                created_ms,
                expires_ms: created_ms.saturating_add(ttl.ms()),
                nonce: nonce()?,
                reference,
                steps: Bounded::new(steps).map_err(|error| CliError::usage(error.to_string()))?,
            }
        }
    };
    Ok((out, Transaction { payload, signatures: Bounded::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_who_acts_and_what_is_done() {
        let text = r#"sok@aclb:{"burn": {"asset": "khr#nbc", "amount": "1"}}"#;
        let step = text.parse::<StepText>().unwrap().0;
        assert_eq!(step.authority.as_str(), "sok@aclb");
        for bad in ["", "sok@aclb", "sok:{}", "sok@aclb:{}", "sok@aclb:{\"steal\":{}}"] {
            assert!(bad.parse::<StepText>().is_err(), "{bad}");
        }
    }
}
