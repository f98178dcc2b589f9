//! Block 0: what a network starts from (ledger.md, State).

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bounded::Bounded;
use crate::hash::{ChainHash, TaggedHasher};
use crate::id::AccountId;
use crate::string::Text;
use crate::transaction::Step;
use crate::validators::{Validator, ValidatorSet, ValidatorSetError};
use crate::{limits, tags};

/// What an unsigned GET may see (ledger.md, Reading).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicReads {
    /// Nothing.
    #[codec(index = 0)]
    None,
    /// Headers, certificates, validators, parameters.
    #[codec(index = 1)]
    Chain,
    /// Everything: for demonstrations.
    #[codec(index = 2)]
    All,
}

/// What all validators agree on by configuration rather than by code. Part of the state.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Δ of consensus.md: an upper guess at one message delay, 10 ms to 60 s.
    pub delta_ms: u32,
    /// Longest life of a transaction, 1 s to 10 min.
    pub max_ttl_ms: u32,
    /// What unsigned reads may see.
    pub public_reads: PublicReads,
    /// The account that owns the network: it holds every right that is about no domain, asset or
    /// account.
    pub operator: AccountId,
    /// Minutes that local time is ahead of UTC, -720 to 840: when the day of daily limits begins.
    #[serde(default)]
    pub utc_offset_min: i16,
}

/// Why a genesis is refused.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not the JSON of a genesis.
    #[error("the genesis is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// A parameter outside its range.
    #[error("parameter {name} is {value}, which is outside {range}")]
    Range {
        /// Which.
        name: &'static str,
        /// What it is.
        value: i64,
        /// What it may be.
        range: &'static str,
    },
    /// The validators are no set.
    #[error("genesis validators: {0}")]
    Validators(#[from] ValidatorSetError),
}

const TTL_MS_MAX: i64 = limits::TTL_MS_MAX as i64;

impl Parameters {
    /// Checks every range.
    pub fn check(&self) -> Result<(), GenesisError> {
        let check = |name, value: i64, allowed: std::ops::RangeInclusive<i64>, range| match allowed
            .contains(&value)
        {
            true => Ok(()),
            false => Err(GenesisError::Range { name, value, range }),
        };
        check("delta_ms", self.delta_ms.into(), 10..=60_000, "10 to 60000")?;
        check("max_ttl_ms", self.max_ttl_ms.into(), 1_000..=TTL_MS_MAX, "1000 to 600000")?;
        check("utc_offset_min", self.utc_offset_min.into(), -720..=840, "-720 to 840")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GenesisJson {
    name: Text<64>,
    #[serde(default)]
    demo: bool,
    created_ms: u64,
    parameters: Parameters,
    validators: Vec<Validator>,
    steps: Bounded<Step, { limits::GENESIS_STEPS_MAX }>,
}

/// A network's start. Its SCALE form names the chain.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Genesis {
    /// For people.
    pub name: Text<64>,
    /// Whether keys that everyone can compute are allowed.
    pub demo: bool,
    /// Block time of block 0, milliseconds since 1970.
    pub created_ms: u64,
    /// The parameters at height 0.
    pub parameters: Parameters,
    /// The validators of height 1.
    pub validators: ValidatorSet,
    /// Executed without signatures and with every right.
    pub steps: Bounded<Step, { limits::GENESIS_STEPS_MAX }>,
}

impl Genesis {
    /// Reads and checks `genesis.json`.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        let json: GenesisJson = serde_json::from_str(text)?;
        json.parameters.check()?;
        let validators = ValidatorSet::new(json.validators)?;
        Ok(Self {
            name: json.name,
            demo: json.demo,
            created_ms: json.created_ms,
            parameters: json.parameters,
            validators,
            steps: json.steps,
        })
    }

    /// Names the network.
    pub fn chain(&self) -> ChainHash {
        ChainHash(TaggedHasher::new(tags::CHAIN).part(self.encode()).finish())
    }
}
