//! Rights as tokens with a scope, and roles as named sets of them (ledger.md, Instructions).
//!
//! Nothing is allowed by default but acting on what is one's own: the operator owns the network,
//! a domain's owner the domain, an asset's owner the asset, and an account itself. Whoever holds a
//! token, by ownership, directly or by a role, may use it and may hand it on; so rights travel but
//! never grow.

use std::fmt;
use std::str::FromStr;

use parity_scale_codec::{Decode, Encode};

use crate::bounded::Bounded;
use crate::id::{AccountId, AssetId, DomainId, IdError};
use crate::limits;

/// One right. JSON and text form: its name, and what it is about after a colon:
/// `mint:khr#nbc`, `manage_roles`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Permission {
    /// Make domains.
    #[codec(index = 0)]
    RegisterDomains,
    /// Open accounts in a domain.
    #[codec(index = 1)]
    RegisterAccounts(DomainId),
    /// Recover keys, freeze, set tiers and close accounts of a domain.
    #[codec(index = 2)]
    ManageAccounts(DomainId),
    /// Make assets in a domain.
    #[codec(index = 3)]
    RegisterAssets(DomainId),
    /// Make units of an asset.
    #[codec(index = 4)]
    Mint(AssetId),
    /// Unmake units of an asset out of one's own balance.
    #[codec(index = 5)]
    Burn(AssetId),
    /// Pay back a payment of an asset without its payee.
    #[codec(index = 6)]
    Recall(AssetId),
    /// Pay out of an account.
    #[codec(index = 7)]
    TransferFrom(AccountId),
    /// Read accounts of a domain.
    #[codec(index = 8)]
    ReadAccounts(DomainId),
    /// Read every account.
    #[codec(index = 9)]
    ReadAllAccounts,
    /// Make, give and take roles.
    #[codec(index = 10)]
    ManageRoles,
    /// Change the validators.
    #[codec(index = 11)]
    ManageValidators,
    /// Change parameters and limits.
    #[codec(index = 12)]
    SetParameters,
}

/// Why a text is not a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// No such right.
    #[error(
        "no such permission: register_domains, register_accounts:DOMAIN, manage_accounts:DOMAIN, \
         register_assets:DOMAIN, mint:ASSET, burn:ASSET, recall:ASSET, transfer_from:ACCOUNT, \
         read_accounts:DOMAIN, read_all_accounts, manage_roles, manage_validators, set_parameters"
    )]
    Name,
    /// What it is about is not well-formed.
    #[error("what the permission is about: {0}")]
    Scope(#[from] IdError),
}

impl fmt::Display for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, scope) = match self {
            Self::RegisterDomains => ("register_domains", ""),
            Self::RegisterAccounts(domain) => ("register_accounts", domain.as_str()),
            Self::ManageAccounts(domain) => ("manage_accounts", domain.as_str()),
            Self::RegisterAssets(domain) => ("register_assets", domain.as_str()),
            Self::Mint(asset) => ("mint", asset.as_str()),
            Self::Burn(asset) => ("burn", asset.as_str()),
            Self::Recall(asset) => ("recall", asset.as_str()),
            Self::TransferFrom(account) => ("transfer_from", account.as_str()),
            Self::ReadAccounts(domain) => ("read_accounts", domain.as_str()),
            Self::ReadAllAccounts => ("read_all_accounts", ""),
            Self::ManageRoles => ("manage_roles", ""),
            Self::ManageValidators => ("manage_validators", ""),
            Self::SetParameters => ("set_parameters", ""),
        };
        formatter.write_str(name)?;
        match scope {
            "" => Ok(()),
            scope => write!(formatter, ":{scope}"),
        }
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let Some((name, scope)) = text.split_once(':') else {
            return match text {
                "register_domains" => Ok(Self::RegisterDomains),
                "read_all_accounts" => Ok(Self::ReadAllAccounts),
                "manage_roles" => Ok(Self::ManageRoles),
                "manage_validators" => Ok(Self::ManageValidators),
                "set_parameters" => Ok(Self::SetParameters),
                _ => Err(PermissionError::Name),
            };
        };
        Ok(match name {
            "register_accounts" => Self::RegisterAccounts(scope.parse()?),
            "manage_accounts" => Self::ManageAccounts(scope.parse()?),
            "register_assets" => Self::RegisterAssets(scope.parse()?),
            "mint" => Self::Mint(scope.parse()?),
            "burn" => Self::Burn(scope.parse()?),
            "recall" => Self::Recall(scope.parse()?),
            "transfer_from" => Self::TransferFrom(scope.parse()?),
            "read_accounts" => Self::ReadAccounts(scope.parse()?),
            _ => return Err(PermissionError::Name),
        })
    }
}

crate::text::json_as_text!(Permission);

/// The rights of a role, or those that one account was given.
pub type Permissions = Bounded<Permission, { limits::PERMISSIONS_MAX }>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_have_one_spelling() {
        for text in [
            "register_domains",
            "register_accounts:aclb",
            "manage_accounts:aclb",
            "register_assets:nbc",
            "mint:khr#nbc",
            "burn:khr#nbc",
            "recall:khr#nbc",
            "transfer_from:sok@aclb",
            "read_accounts:aclb",
            "read_all_accounts",
            "manage_roles",
            "manage_validators",
            "set_parameters",
        ] {
            let permission: Permission = text.parse().unwrap();
            assert_eq!(permission.to_string(), text);
            assert_eq!(Permission::decode(&mut &permission.encode()[..]).unwrap(), permission);
        }
        for bad in
            ["", "mint", "mint:", "mint:khr", "mint:khr#nbc ", "manage_roles:aclb", "Mint:khr#nbc"]
        {
            assert!(bad.parse::<Permission>().is_err(), "{bad:?}");
        }
    }
}
