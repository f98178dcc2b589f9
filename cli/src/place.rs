//! Whose place it is to do something: who acts on a demo network when nobody is named, so that a
//! first try needs no set-up.

use tonle_client::Client;
use tonle_model::hash::{HoldId, ProposalId};
use tonle_model::id::{AccountId, AssetId, DomainId};
use tonle_model::permission::Permission;

use crate::error::CliError;
use crate::nodes::Nodes;

/// Whose place something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Anyone's.
    Anyone,
    /// That account's.
    Account(AccountId),
    /// The owner's of a domain.
    Domain(DomainId),
    /// The owner's of an asset.
    Asset(AssetId),
    /// The operator's of the network.
    Operator,
    /// The payee's of a hold.
    Payee(HoldId),
    /// The proposer's of a proposal.
    Proposer(ProposalId),
}

impl Place {
    /// The place of whoever can hand out a right.
    pub fn of_right(permission: &Permission) -> Self {
        use Permission as P;
        match permission {
            P::RegisterDomains
            | P::ReadAllAccounts
            | P::ManageRoles
            | P::ManageValidators
            | P::SetParameters => Self::Operator,
            P::RegisterAccounts(domain)
            | P::ManageAccounts(domain)
            | P::RegisterAssets(domain)
            | P::ReadAccounts(domain) => Self::Domain(domain.clone()),
            P::Mint(asset) | P::Burn(asset) | P::Recall(asset) => Self::Asset(asset.clone()),
            P::TransferFrom(account) => Self::Account(account.clone()),
        }
    }

    /// The account, as the ledger says; `None` if it is anyone's.
    pub async fn account(&self, nodes: &Nodes) -> Result<Option<AccountId>, CliError> {
        Ok(Some(match self {
            Self::Anyone => return Ok(None),
            Self::Account(account) => account.clone(),
            Self::Domain(id) => {
                let domains = nodes.ask(Client::domains).await?;
                let domain = domains.into_iter().find(|domain| domain.id == *id);
                let unknown =
                    || CliError::refused("unknown_domain", format!("there is no domain {id}"));
                domain.ok_or_else(unknown)?.owner
            }
            Self::Asset(id) => nodes.ask(async |node: &Client| node.asset(id).await).await?.owner,
            Self::Operator => nodes.ask(Client::parameters).await?.operator,
            Self::Payee(id) => nodes.ask(async |node: &Client| node.hold(id).await).await?.to,
            Self::Proposer(id) => {
                nodes.ask(async |node: &Client| node.proposal(id).await).await?.proposer
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_comes_with_owning_what_it_is_about() {
        let place = |text: &str| Place::of_right(&text.parse().unwrap());
        assert_eq!(place("mint:khr#nbc"), Place::Asset("khr#nbc".parse().unwrap()));
        assert_eq!(place("manage_accounts:aclb"), Place::Domain("aclb".parse().unwrap()));
        assert_eq!(place("transfer_from:sok@aclb"), Place::Account("sok@aclb".parse().unwrap()));
        assert_eq!(place("set_parameters"), Place::Operator);
    }
}
