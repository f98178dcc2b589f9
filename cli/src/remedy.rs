//! What to do about each code of the ledger and of a node.

/// What to do next about a stable code, if there is something to say beyond the detail.
pub fn of(code: &str) -> Option<&'static str> {
    Some(match code {
        "unknown_account" => "check the spelling; `tonle account list` shows who is there",
        "unknown_asset" => "`tonle asset list` shows what there is",
        "unknown_domain" => "`tonle domain list` shows the domains",
        "already_exists" => "choose another name; ids are never used twice",
        "permission_denied" => {
            "act with --account as the owner, or as who was given the right: `tonle permission`"
        }
        "insufficient_balance" => "`tonle account balance` shows what there is; pay less",
        "zero_amount" => "give an amount of more than zero",
        "too_many_decimals" => "write no more decimals than the asset has: `tonle asset get`",
        "amount_overflow" => "pay less",
        "supply_cap_exceeded" => "`tonle asset get` shows supply and cap; mint less",
        "weak_key" => "make a proper key with `tonle keys new`",
        "invalid_quorum" => "name each key once, and a quorum that their weights can meet",
        "invalid_scale" => "an asset has at most 18 decimals",
        "same_account" => "payer and payee must differ",
        "account_frozen" => "`tonle account get` shows why; ask the account's bank",
        "limit_exceeded" => {
            "`tonle account balance` shows what was sent today; wait for tomorrow, or ask the \
             bank for a higher tier"
        }
        "invoice_paid" => "nothing more is due: `tonle invoice get` shows who paid",
        "invoice_reserved" => "a hold is about to pay it: `tonle invoice get` shows which",
        "invoice_expired" => "ask the payee for a new one",
        "invalid_expiry" => {
            "give one that is ahead: an invoice at most a day, a hold a year, or 10 minutes with \
             an invoice, a proposal 30 days"
        }
        "unknown_hold" => "`tonle hold list` shows the open holds; this one may be settled",
        "hold_expired" => "it only goes back now: `tonle hold release`",
        "hold_not_expired" => "wait until it expires, or ask the payee to release it",
        "hold_exceeded" => "`tonle hold get` shows how much is held; settle at most that",
        "invalid_hold" => "leave out the arbiter with a hash lock, and the invoice without one",
        "wrong_preimage" => "show the 32 bytes whose SHA-256 `tonle hold get` shows as hash lock",
        "partial_settle" => "leave out --amount: a hash-locked hold settles in full",
        "account_not_empty" => {
            "pay out its balances and wait for its holds; what owns a domain or an asset cannot \
             be closed"
        }
        "unknown_signatory" => "`tonle account get` shows the account's keys",
        "too_many" => "remove what is no longer needed first",
        "not_mintable" => "its issuer has ruled it out for good: `tonle asset get`",
        "unknown_role" => "`tonle role list` shows the roles",
        "not_granted" => "`tonle account get` shows what the account was given",
        "unknown_metadata" => "`tonle account get` shows what is noted",
        "metadata_changed" => "read it again with `tonle account get`, and decide again",
        "invalid_proposal" => "give at least one instruction, none of them about proposals",
        "unknown_proposal" => {
            "`tonle proposal list` shows the open ones; this one may have run or been withdrawn"
        }
        "proposal_expired" => "propose it again: `tonle proposal new`",
        "nothing_to_approve" => {
            "sign with --key-file for a key of the proposal's account that has not approved yet"
        }
        "out_of_range" => {
            "stay within the range that is named; `tonle parameter list` shows what holds now"
        }
        "unproven_payment" => {
            "recall a transfer that was applied, by its hash and step: `tonle tx get` shows both"
        }
        "recall_exceeded" => {
            "give a smaller --amount; `tonle account history` shows what came back"
        }
        "absent_key" => "sign a newer block where the key is: `tonle validator join`",
        "unknown_validator" => "`tonle validator list` shows the validators and their keys",
        "last_validator" => "register another validator first",
        "validators_changing" => "send it again: validators change by one in a block",
        "internal" => "nothing was changed; please report this with the transaction's hash",
        _ => return of_the_way_there(code),
    })
}

/// About what keeps a transaction or a question from being taken in at all.
fn of_the_way_there(code: &str) -> Option<&'static str> {
    Some(match code {
        "duplicate" => "it was sent before: `tonle tx get` shows what became of it",
        "expired" => "sign it again; if that repeats, check this machine's clock",
        "not_yet_valid" => "this machine's clock is ahead of the network's: set it",
        "window_too_long" => "give a shorter --ttl",
        "unknown_authority" => "check --account; `tonle account list` shows who is there",
        "quorum_not_met" => {
            "sign with more keys of the account, which `tonle account get` shows: --key-file \
             takes several, and `tonle tx sign` lets others sign"
        }
        "not_held" => "ask a node that has been there from the genesis on, with --url",
        "not_found" => "check the spelling, or ask another node with --url",
        "reads_not_public" => "this network answers only signed queries",
        "unknown_token" => "ask the same node for a new one; its tokens last an hour",
        "not_ready" => "wait for the node to catch up, or give another one with --url",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::receipt::{RejectionCode, VoidCode};

    #[test]
    fn every_code_of_the_ledger_has_a_remedy() {
        for code in RejectionCode::ALL {
            assert!(of(code.code()).is_some(), "{code}");
        }
        for code in VoidCode::ALL {
            assert!(of(code.code()).is_some(), "{code}");
        }
    }
}
