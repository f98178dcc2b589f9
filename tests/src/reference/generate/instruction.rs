//! Instructions at random, each with an authority that may do it more often than not.

use tonle_model::amount::{Amount, Decimal};
use tonle_model::bounded::Bounded;
use tonle_model::genesis::PublicReads;
use tonle_model::hash::{Digest256, HoldId, ProposalId};
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::instruction::{Instruction, Invoice, Mintability, Parameter, Signatory};
use tonle_model::key::PublicKey;
use tonle_model::permission::Permission;
use tonle_model::preimage::Preimage;

use super::{Author, Scene};
use crate::reference::state::{DAY_MS, Hold, Proposal, State};
use crate::reference::world::{self, account, amount, name, right};

/// An authority and what it does.
pub(super) type Act = (AccountId, Instruction);

impl Author<'_> {
    /// An instruction; of a given account, as a proposal has it, or of whoever suits.
    pub(super) fn instruction(&mut self, scene: Scene<'_>, of: Option<&AccountId>) -> Act {
        let by = of.cloned().unwrap_or_else(|| self.account(scene));
        let has_holds = !scene.state.holds.is_empty() || self.random.once_in(16);
        let may_approve = of.is_none() && !scene.state.proposals.is_empty();
        let (suited, instruction) = match self.random.below(100) {
            _ if may_approve && self.random.once_in(6) => self.approval(scene, by.clone()),
            0..20 => self.transfer(scene, by.clone()),
            20..33 => self.hold(scene, by.clone()),
            33..43 if has_holds => self.settle(scene),
            43..48 if has_holds => self.release(scene),
            33..48 => self.hold(scene, by.clone()),
            48..52 => self.mint(scene),
            52..54 => self.burn(scene),
            54..57 => self.recall(scene, by.clone()),
            57..67 => self.accounts(scene, by.clone()),
            67..73 => self.oversight(scene),
            73..83 => self.rights(scene),
            83..87 => self.metadata(scene, by.clone()),
            87..94 if of.is_none() => self.approval(scene, by.clone()),
            94 | 95 if self.random.once_in(2) => self.validators(scene),
            94..96 => self.parameter(scene),
            _ => self.structure(scene),
        };
        match self.random.once_in(10) || of.is_some() {
            true => (by, instruction),
            false => (suited, instruction),
        }
    }

    /// Some account that holds a right, if there is one.
    pub(super) fn who_may(&mut self, scene: Scene<'_>, permission: &Permission) -> AccountId {
        let state = scene.state;
        let open = state.accounts.keys().filter(|id| state.open_account(id).is_some());
        let able: Vec<_> = open.filter(|id| state.holds_right(id, permission)).cloned().collect();
        self.random.pick_if_any(&able).unwrap_or_else(|| self.account(scene))
    }

    /// Itself, or one that may manage it.
    fn manager(&mut self, scene: Scene<'_>, id: &AccountId) -> AccountId {
        match self.random.once_in(2) {
            true => id.clone(),
            false => self.who_may(scene, &Permission::ManageAccounts(id.domain())),
        }
    }

    /// Somebody else, as a rule.
    fn other(&mut self, scene: Scene<'_>, than: &AccountId) -> AccountId {
        let first = self.account(scene);
        if first == *than { self.account(scene) } else { first }
    }

    /// One that has some riel, as a rule.
    fn payer(&mut self, scene: Scene<'_>) -> AccountId {
        let khr = world::asset("khr#nbc");
        let state = scene.state;
        let open = state.accounts.keys().filter(|id| state.open_account(id).is_some());
        let able: Vec<_> = open.filter(|id| state.balance(id, &khr).available > 0).collect();
        match self.random.pick_if_any(&able) {
            Some(payer) if !self.random.once_in(12) => payer.clone(),
            _ => self.account(scene),
        }
    }

    fn asset(&mut self, scene: Scene<'_>) -> AssetId {
        let all: Vec<_> = scene.state.assets.keys().cloned().collect();
        match self.random.below(24) {
            0 => world::asset("none#nbc"),
            1..6 => self.random.pick(&all),
            _ => world::asset("khr#nbc"),
        }
    }

    pub(super) fn written(&mut self, state: &State, id: &AssetId, minor: u128) -> Decimal {
        let scale = state.assets.get(id).map_or(0, |asset| asset.scale);
        match self.random.below(40) {
            // One decimal more than there is, where that can be written at all.
            0 => amount(&format!("0.{}1", "0".repeat(usize::from(scale.min(17))))),
            // Too large, under any scale but 0.
            1 => Amount::from_minor(u128::MAX).to_decimal(0),
            _ => Amount::from_minor(minor).to_decimal(scale),
        }
    }

    /// An amount at the edges of what an account has and may send.
    fn edge(&mut self, scene: Scene<'_>, payer: &AccountId, id: &AssetId) -> Decimal {
        let state = scene.state;
        let balance = state.balance(payer, id);
        let (tier, asset) = (state.accounts.get(payer), state.assets.get(id));
        let limit = tier.zip(asset).and_then(|(payer, asset)| asset.limits.get(&payer.tier));
        let sent = if balance.day == state.day(scene.time_ms) { balance.sent } else { 0 };
        let left = limit.map_or(balance.available, |limit| limit.saturating_sub(sent));
        let minor = match self.random.below(24) {
            0 => 0,
            1 => balance.available.saturating_add(1),
            2 => u128::MAX,
            3 => left.saturating_add(1),
            4 => left,
            5 | 6 => balance.available,
            7..10 => left.min(balance.available).max(1),
            10..12 => 1,
            _ => self.random.below(40) as u128 + 1,
        };
        self.written(state, id, minor)
    }

    /// An invoice that was paid or reserved, with all that is part of it; or another one.
    fn invoice(
        &mut self,
        scene: Scene<'_>,
        to: &mut AccountId,
        id: &mut AssetId,
        much: &mut Decimal,
    ) -> Invoice {
        let Scene { state, time_ms, .. } = scene;
        let known: Vec<_> = state.invoices.keys().collect();
        if let Some(key) = self.random.pick_if_any(&known)
            && self.random.once_in(2)
        {
            *to = key.payee.clone();
            *id = key.asset.clone();
            let scale = state.assets.get(id).map_or(0, |asset| asset.scale);
            *much = Amount::from_minor(key.amount).to_decimal(scale);
            let id = key.id.parse().expect("a short text");
            return Invoice { id, expires_ms: key.expires_ms };
        }
        let expires_ms = match self.random.below(12) {
            0 => time_ms - 1,
            1 => time_ms + DAY_MS + 1,
            2 => time_ms + DAY_MS,
            3 => time_ms,
            4..6 => time_ms + 1,
            _ => time_ms + self.random.pick(&[1_000, 5_000]),
        };
        let id = self.random.pick(&["a", "b", ""]);
        Invoice { id: id.parse().expect("a short text"), expires_ms }
    }

    pub(super) fn transfer(&mut self, scene: Scene<'_>, by: AccountId) -> Act {
        let from = self.random.once_in(5).then(|| self.payer(scene));
        let suited = match &from {
            Some(from) => self.who_may(scene, &Permission::TransferFrom(from.clone())),
            None if self.random.once_in(4) => by,
            None => self.payer(scene),
        };
        let payer = from.clone().unwrap_or_else(|| suited.clone());
        let (mut to, mut asset) = (self.other(scene, &payer), self.asset(scene));
        let mut much = self.edge(scene, &payer, &asset);
        let invoice = self.random.once_in(3);
        let invoice = invoice.then(|| self.invoice(scene, &mut to, &mut asset, &mut much));
        let memo = self.random.pick(&["", "rice"]).parse().expect("a short text");
        (suited, Instruction::Transfer { asset, from, to, amount: much, memo, invoice })
    }

    fn hold(&mut self, scene: Scene<'_>, by: AccountId) -> Act {
        let time_ms = scene.time_ms;
        let by = if self.random.once_in(4) { by } else { self.payer(scene) };
        let (mut to, mut asset) = (self.other(scene, &by), self.asset(scene));
        let mut much = self.edge(scene, &by, &asset);
        let has_lock = self.random.once_in(2);
        let has_arbiter = self.random.once_in(if has_lock { 16 } else { 2 });
        let has_invoice = self.random.once_in(if has_lock { 2 } else { 16 });
        let hash_lock = has_lock.then(|| self.lock());
        let arbiter = has_arbiter.then(|| self.account(scene));
        let invoice = has_invoice.then(|| self.invoice(scene, &mut to, &mut asset, &mut much));
        let expires_ms = match self.random.below(32) {
            0 => time_ms,
            1 => time_ms - 1,
            2 => time_ms + 365 * DAY_MS + 1,
            3 => time_ms + 365 * DAY_MS,
            4 => time_ms + 600_000,
            5 => time_ms + 600_001,
            6 => time_ms + 1,
            7..11 => time_ms + 1_000,
            _ => time_ms + self.random.pick(&[5_000, 20_000]),
        };
        let hold =
            Instruction::Hold { asset, to, amount: much, expires_ms, hash_lock, arbiter, invoice };
        (by, hold)
    }

    /// Mostly one that can be opened.
    fn lock(&mut self) -> Digest256 {
        match self.random.below(12) {
            0 => Preimage::new(&[1; 31]).expect("a short preimage").lock(),
            number => world::preimage(number as u8 % 3).lock(),
        }
    }

    fn some_hold(&mut self, state: &State) -> (HoldId, Option<Hold>) {
        let known: Vec<_> = state.holds.iter().collect();
        match self.random.pick_if_any(&known) {
            Some((id, hold)) if !self.random.once_in(16) => (*id, Some(hold.clone())),
            _ => (HoldId::default(), None),
        }
    }

    fn settle(&mut self, scene: Scene<'_>) -> Act {
        let (id, hold) = self.some_hold(scene.state);
        let Some(hold) = hold else {
            return (self.account(scene), Instruction::Settle { id, amount: None, preimage: None });
        };
        let parties = [Some(hold.to.clone()), hold.arbiter.clone()];
        let parties: Vec<_> = parties.into_iter().flatten().collect();
        let right_one = hold
            .hash_lock
            .and_then(|lock| (0..3).map(world::preimage).find(|preimage| preimage.lock() == lock));
        let preimage = match self.random.below(12) {
            0 => None,
            1 => Some(world::preimage(7)),
            2 => Some(Preimage::new(&[1; 31]).expect("a short preimage")),
            _ => right_one,
        };
        let suited = match hold.hash_lock {
            Some(_) => self.account(scene),
            None => self.random.pick(&parties),
        };
        let minor = match self.random.below(12) {
            0 => Some(0),
            1 => Some(hold.amount.saturating_add(1)),
            2 => Some(hold.amount),
            3 => Some(hold.amount - 1),
            4 => Some(1),
            _ => None,
        };
        let much = minor.map(|minor| self.written(scene.state, &hold.asset, minor));
        (suited, Instruction::Settle { id, amount: much, preimage })
    }

    fn release(&mut self, scene: Scene<'_>) -> Act {
        let (id, hold) = self.some_hold(scene.state);
        let suited = match hold {
            Some(hold) => {
                let parties = [Some(hold.to), hold.arbiter, Some(hold.from)];
                self.random.pick(&parties.into_iter().flatten().collect::<Vec<_>>())
            }
            None => self.account(scene),
        };
        (suited, Instruction::Release { id })
    }

    fn mint(&mut self, scene: Scene<'_>) -> Act {
        let (asset, to) = (self.asset(scene), self.account(scene));
        let known = scene.state.assets.get(&asset);
        let cap = known.and_then(|asset| asset.supply_cap).unwrap_or(u128::MAX);
        let left = cap - known.map_or(0, |asset| asset.supply);
        let minor = match self.random.below(12) {
            0 => 0,
            1 => left,
            2 => left.saturating_add(1),
            3 => u128::MAX,
            _ => self.random.below(100) as u128 + 1,
        };
        let much = self.written(scene.state, &asset, minor);
        let suited = self.who_may(scene, &Permission::Mint(asset.clone()));
        (suited, Instruction::Mint { asset, to, amount: much })
    }

    fn burn(&mut self, scene: Scene<'_>) -> Act {
        let asset = self.asset(scene);
        let suited = self.who_may(scene, &Permission::Burn(asset.clone()));
        let much = self.edge(scene, &suited, &asset);
        (suited, Instruction::Burn { asset, amount: much })
    }

    /// Keys and the end of accounts.
    fn accounts(&mut self, scene: Scene<'_>, by: AccountId) -> Act {
        let Scene { state, .. } = scene;
        let next = &state.next_parameters.operator;
        let is_heir = *next != state.parameters.operator && self.random.once_in(2);
        let id = match self.random.once_in(2) {
            _ if is_heir => next.clone(),
            true => by,
            false => self.account(scene),
        };
        let suited = self.manager(scene, &id);
        let known = scene.state.accounts.get(&id);
        let own: Vec<_> = known.map_or(Vec::new(), |account| account.signatories.clone());
        let instruction = match self.random.below(13) {
            0..4 => {
                let signatory = Signatory { public_key: self.key(), weight: self.weight() };
                Instruction::AddSignatory { account: id, signatory }
            }
            4..7 => {
                let own = self.random.pick_if_any(&own).map(|signatory| signatory.public_key);
                let key = own.filter(|_| !self.random.once_in(4)).unwrap_or_else(|| self.key());
                Instruction::RemoveSignatory { account: id, public_key: key }
            }
            7..10 => {
                let sum: u16 = own.iter().map(|signatory| signatory.weight).sum();
                let quorum = self.random.pick(&[0, 1, 1, 2, sum, sum + 1]);
                Instruction::SetQuorum { account: id, quorum }
            }
            _ => return self.unregister(scene, id),
        };
        (suited, instruction)
    }

    /// One that has nothing, as a rule.
    fn unregister(&mut self, scene: Scene<'_>, id: AccountId) -> Act {
        let state = scene.state;
        let is_empty = |id: &&AccountId| {
            state.assets.keys().all(|asset| state.balance(id, asset).available == 0)
        };
        let open = state.accounts.keys().filter(|id| state.open_account(id).is_some());
        let empty: Vec<_> = open.filter(is_empty).filter(|id| state.owned(id) == 0).collect();
        let empty = self.random.pick_if_any(&empty).filter(|_| !self.random.once_in(3));
        let id = empty.cloned().unwrap_or(id);
        (self.manager(scene, &id), Instruction::UnregisterAccount { id })
    }

    fn key(&mut self) -> PublicKey {
        match self.random.below(12) {
            0 => world::weak_key(),
            _ => world::key(self.random.pick(&["sok", "dara", "spare", "a", "b", "c", "f0"])),
        }
    }

    fn weight(&mut self) -> u16 {
        self.random.pick(&[0, 1, 1, 1, 1, 1, 2])
    }

    fn oversight(&mut self, scene: Scene<'_>) -> Act {
        let id = self.account(scene);
        let suited = self.who_may(scene, &Permission::ManageAccounts(id.domain()));
        let tier = self.tier();
        match self.random.below(8) {
            0 | 1 => {
                let reason = self.random.pick(&["", "court"]).parse().expect("a short text");
                let incoming = self.random.once_in(2);
                (suited, Instruction::Freeze { account: id, incoming, reason })
            }
            2 | 3 => (suited, Instruction::Unfreeze { account: id }),
            4 | 5 => (suited, Instruction::SetTier { account: id, tier }),
            _ => {
                let asset = self.asset(scene);
                let minor = self.random.pick(&[0, 100, 400, u128::MAX]);
                let per_day = self.written(scene.state, &asset, minor);
                let per_day = Some(per_day).filter(|_| !self.random.once_in(4));
                let owner = scene.state.assets.get(&asset).map(|asset| asset.owner.clone());
                let suited = owner.filter(|_| self.random.once_in(2));
                let suited =
                    suited.unwrap_or_else(|| self.who_may(scene, &Permission::SetParameters));
                (suited, Instruction::SetLimit { tier, asset, per_day })
            }
        }
    }

    fn tier(&mut self) -> Name {
        name(self.random.pick(&["basic", "gold", "free"]))
    }

    fn permission(&mut self) -> Permission {
        right(self.random.pick(&[
            "transfer_from:sok@aclb",
            "transfer_from:joint@aclb",
            "mint:usd#nbc",
            "burn:khr#nbc",
            "manage_accounts:aclb",
            "register_accounts:nbc",
            "register_assets:aclb",
            "read_accounts:aclb",
            "read_all_accounts",
            "manage_roles",
            "register_domains",
            "set_parameters",
            "manage_validators",
            "recall:khr#nbc",
        ]))
    }

    fn rights(&mut self, scene: Scene<'_>) -> Act {
        let state = scene.state;
        let id = self.account(scene);
        let role = name(self.random.pick(&["chief", "teller", "teller", "r0", "r1"]));
        let given = state.given.get(&id).cloned().unwrap_or_default();
        let permission = self.permission();
        let boss = self.who_may(scene, &Permission::ManageRoles);
        match self.random.below(11) {
            0 | 1 => {
                let count = self.random.below(3);
                let permissions = (0..count).map(|_| self.permission()).collect();
                let permissions = Bounded::new(permissions).expect("at most two");
                (boss, Instruction::RegisterRole { id: role, permissions })
            }
            2 | 3 => (boss, Instruction::GrantRole { role, account: id }),
            4 | 5 => {
                let own: Vec<_> = given.roles.into_iter().collect();
                let role = self.random.pick_if_any(&own).unwrap_or(role);
                let suited = if self.random.once_in(2) { boss } else { id.clone() };
                (suited, Instruction::RevokeRole { role, account: id })
            }
            6..9 => {
                let suited = self.who_may(scene, &permission);
                (suited, Instruction::Grant { permission, account: id })
            }
            _ => {
                let own: Vec<_> = given.permissions.into_iter().collect();
                let permission = self.random.pick_if_any(&own).unwrap_or(permission);
                let suited = self.who_may(scene, &permission);
                let suited = if self.random.once_in(2) { suited } else { id.clone() };
                (suited, Instruction::Revoke { permission, account: id })
            }
        }
    }

    fn metadata(&mut self, scene: Scene<'_>, by: AccountId) -> Act {
        let id = if self.random.once_in(2) { by } else { self.account(scene) };
        let suited = self.manager(scene, &id);
        let key = name(self.random.pick(&["a", "b", "n1"]));
        let notes = scene.state.metadata.get(&id);
        if self.random.once_in(3) {
            let own: Vec<_> = notes.into_iter().flat_map(|notes| notes.keys().cloned()).collect();
            let own = self.random.pick_if_any(&own).filter(|_| !self.random.once_in(3));
            let key = own.unwrap_or(key);
            return (suited, Instruction::RemoveMetadata { account: id, key });
        }
        let found = notes.and_then(|notes| notes.get(&key)).map_or("", String::as_str);
        let expected = match self.random.below(4) {
            0 => Some("2"),
            1 => Some(found),
            _ => None,
        };
        let expected = expected.map(|text| text.parse().expect("a short text"));
        let value = self.random.pick(&["", "1", "2"]).parse().expect("a short text");
        (suited, Instruction::SetMetadata { account: id, key, value, expected })
    }

    fn approval(&mut self, scene: Scene<'_>, by: AccountId) -> Act {
        let known: Vec<_> = scene.state.proposals.iter().collect();
        let found = self.random.pick_if_any(&known).filter(|_| !self.random.once_in(16));
        let id = found.map_or(ProposalId::default(), |(id, _)| *id);
        match (self.random.below(10), found) {
            (0 | 1, _) => self.propose(scene, by),
            (_, None) if !self.random.once_in(8) => self.propose(scene, by),
            (2..7, _) => (by, Instruction::Approve { id }),
            (7, Some((_, proposal))) => {
                let theirs = [&proposal.proposer, &proposal.account];
                (self.random.pick(&theirs).clone(), Instruction::Withdraw { id })
            }
            (_, Some((_, proposal))) => self.change_of_keys(proposal),
            (_, None) => (by, Instruction::Withdraw { id }),
        }
    }

    /// A key that approved goes or comes back.
    fn change_of_keys(&mut self, proposal: &Proposal) -> Act {
        let account = proposal.account.clone();
        let known = self.random.pick_if_any(&proposal.approvals);
        let public_key = known.unwrap_or_else(|| self.key());
        let instruction = match self.random.once_in(3) {
            true => {
                let signatory = Signatory { public_key, weight: 1 };
                Instruction::AddSignatory { account: account.clone(), signatory }
            }
            false => Instruction::RemoveSignatory { account: account.clone(), public_key },
        };
        (account, instruction)
    }

    fn propose(&mut self, scene: Scene<'_>, by: AccountId) -> Act {
        let several = account(self.random.pick(&["joint@aclb", "team@aclb"]));
        let account = if self.random.once_in(4) { self.account(scene) } else { several };
        let count = self.random.pick(&[0, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
        let mut instructions: Vec<_> = (0..count).map(|_| self.proposed(scene, &account)).collect();
        if self.random.once_in(24) {
            instructions.push(Instruction::Approve { id: ProposalId::default() });
        }
        let instructions = Bounded::new(instructions).expect("at most three");
        let expires_ms = match self.random.below(12) {
            0 => scene.time_ms,
            1 => scene.time_ms + 30 * DAY_MS,
            2 => scene.time_ms + 30 * DAY_MS + 1,
            3 => scene.time_ms + 1,
            _ => scene.time_ms + self.random.pick(&[1_000, 20_000]),
        };
        (by, Instruction::Propose { account, instructions, expires_ms })
    }

    /// What is proposed: mostly something that will do.
    fn proposed(&mut self, scene: Scene<'_>, account: &AccountId) -> Instruction {
        if self.random.once_in(4) {
            return self.instruction(scene, Some(account)).1;
        }
        let to = self.other(scene, account);
        world::pay("khr#nbc", to.as_str(), self.random.pick(&["1", "20", "301"]))
    }

    fn parameter(&mut self, scene: Scene<'_>) -> Act {
        let suited = self.who_may(scene, &Permission::SetParameters);
        let parameter = match self.random.below(8) {
            0 => Parameter::DeltaMs(self.random.pick(&[9, 10, 60_000, 60_001])),
            1 => Parameter::MaxTtlMs(self.random.pick(&[999, 1_000, 600_000, 600_001])),
            2 => Parameter::PublicReads(PublicReads::Chain),
            3 | 4 => Parameter::UtcOffsetMin(self.random.pick(&[-721, -720, 420, 840, 841])),
            _ => {
                let operator = scene.state.parameters.operator.clone();
                let by = if self.random.once_in(4) { suited } else { operator };
                let heir = Parameter::Operator(self.account(scene));
                return (by, Instruction::SetParameter(heir));
            }
        };
        (suited, Instruction::SetParameter(parameter))
    }

    /// Domains, accounts and assets.
    fn structure(&mut self, scene: Scene<'_>) -> Act {
        let domain = self.random.pick(&["nbc", "nbc", "aclb", "aclb", "wing", "wing", "d0", "no"]);
        match self.random.below(6) {
            0 => {
                let id = self.random.pick(&["d0", "d1", "aclb"]);
                let suited = self.who_may(scene, &Permission::RegisterDomains);
                (suited, world::domain(id))
            }
            1..4 => {
                let id = account(&format!("n{}@{domain}", self.random.below(3)));
                let count = self.random.pick(&[0, 1, 1, 1, 1, 2, 3]);
                let keys =
                    (0..count).map(|_| Signatory { public_key: self.key(), weight: self.weight() });
                let signatories = Bounded::new(keys.collect()).expect("at most three");
                let quorum = self.random.pick(&[0, 1, 1, 1, 1, 1, 2]);
                let tier = self.random.once_in(3).then(|| self.tier());
                let suited = self.who_may(scene, &Permission::RegisterAccounts(id.domain()));
                (suited, Instruction::RegisterAccount { id, signatories, quorum, tier })
            }
            _ => {
                let id: AssetId = world::asset(&format!("s{}#{domain}", self.random.below(2)));
                let scale = self.random.pick(&[0, 0, 2, 18, 19]);
                let supply_cap = self.random.pick(&[None, Some("1"), Some("0.001"), Some(MUCH)]);
                let mintability =
                    self.random.pick(&[Mintability::Always, Mintability::Once, Mintability::Never]);
                let suited = self.who_may(scene, &Permission::RegisterAssets(id.domain()));
                let supply_cap = supply_cap.map(amount);
                (suited, Instruction::RegisterAsset { id, scale, supply_cap, mintability })
            }
        }
    }
}

/// More than any asset with decimals can have.
const MUCH: &str = "340282366920938463463374607431768211455";
