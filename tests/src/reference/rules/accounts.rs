//! Domains, accounts and assets.

use std::collections::{BTreeMap, BTreeSet};

use tonle_model::id::{AccountId, DomainId, Name};
use tonle_model::instruction::{Instruction, Signatory};
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Account, Asset, Done, Run, Status, ensure, minor_units};

/// Most decimals of an asset.
const DECIMALS_MAX: u8 = 18;
/// Most assets of an account that is closed.
const CLOSED_ASSETS_MAX: usize = 256;

/// Every key once, no weight of zero, and a quorum that can be met.
pub(super) fn check_quorum(signatories: &[Signatory], quorum: u16) -> Done {
    let keys: BTreeSet<_> = signatories.iter().map(|signatory| signatory.public_key).collect();
    let sum: u64 = signatories.iter().map(|signatory| u64::from(signatory.weight)).sum();
    let is_sound = keys.len() == signatories.len()
        && signatories.iter().all(|signatory| signatory.weight > 0)
        && quorum > 0
        && u64::from(quorum) <= sum;
    ensure(is_sound, RejectionCode::InvalidQuorum)
}

impl Run<'_> {
    pub(super) fn register_domain(&mut self, by: &AccountId, id: &DomainId) -> Done {
        self.permit(by, Permission::RegisterDomains)?;
        ensure(!self.state.domains.contains_key(id), RejectionCode::AlreadyExists)?;
        self.state.domains.insert(id.clone(), by.clone());
        self.state.given.entry(by.clone()).or_default();
        Ok(())
    }

    pub(super) fn register_account(&mut self, by: &AccountId, instruction: &Instruction) -> Done {
        let Instruction::RegisterAccount { id, signatories, quorum, tier } = instruction else {
            return Err(RejectionCode::Internal);
        };
        let domain = id.domain();
        ensure(self.state.domains.contains_key(&domain), RejectionCode::UnknownDomain)?;
        self.permit(by, Permission::RegisterAccounts(domain.clone()))?;
        let basic: Name = "basic".parse().expect("a name");
        let tier = tier.clone().unwrap_or_else(|| basic.clone());
        if tier != basic {
            self.permit(by, Permission::ManageAccounts(domain))?;
        }
        ensure(!self.state.accounts.contains_key(id), RejectionCode::AlreadyExists)?;
        check_quorum(signatories, *quorum)?;
        let is_strong = |signatory: &Signatory| signatory.public_key.check_registrable().is_ok();
        ensure(signatories.iter().all(is_strong), RejectionCode::WeakKey)?;
        let signatories = signatories.to_vec();
        let account = Account { signatories, quorum: *quorum, tier, status: Status::Active };
        self.state.accounts.insert(id.clone(), account);
        Ok(())
    }

    pub(super) fn register_asset(&mut self, by: &AccountId, instruction: &Instruction) -> Done {
        let Instruction::RegisterAsset { id, scale, supply_cap, mintability } = instruction else {
            return Err(RejectionCode::Internal);
        };
        let domain = id.domain();
        ensure(self.state.domains.contains_key(&domain), RejectionCode::UnknownDomain)?;
        self.permit(by, Permission::RegisterAssets(domain))?;
        ensure(!self.state.assets.contains_key(id), RejectionCode::AlreadyExists)?;
        ensure(*scale <= DECIMALS_MAX, RejectionCode::InvalidScale)?;
        let supply_cap = supply_cap.map(|cap| minor_units(cap, *scale)).transpose()?;
        let asset = Asset {
            owner: by.clone(),
            scale: *scale,
            supply: 0,
            supply_cap,
            mintability: *mintability,
            limits: BTreeMap::new(),
        };
        self.state.assets.insert(id.clone(), asset);
        self.state.given.entry(by.clone()).or_default();
        Ok(())
    }

    pub(super) fn unregister_account(&mut self, by: &AccountId, id: &AccountId) -> Done {
        let account = self.account(id)?;
        self.permit_keys(by, id)?;
        ensure(!self.is_owner(id), RejectionCode::AccountNotEmpty)?;
        let assets: Vec<_> =
            self.state.balances.keys().filter(|(owner, _)| owner == id).cloned().collect();
        ensure(assets.len() <= CLOSED_ASSETS_MAX, RejectionCode::TooMany)?;
        for (_, asset) in assets {
            let owned = self.state.balance(id, &asset).available + self.state.held(id, &asset);
            let is_empty = owned == 0 && self.state.incoming(id, &asset) == 0;
            ensure(is_empty, RejectionCode::AccountNotEmpty)?;
        }
        for proposal in self.state.proposals_of.get(id).cloned().unwrap_or_default() {
            self.state.drop_proposal(&proposal);
        }
        self.state.given.remove(id);
        self.state.metadata.remove(id);
        let closed = Account { status: Status::Closed, ..account };
        self.state.accounts.insert(id.clone(), closed);
        Ok(())
    }
}
