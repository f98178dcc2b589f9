//! What to do about each code of the ledger and of a node.

/// What to do next about a stable code, if there is something to say beyond the detail.
pub fn of(code: &str) -> Option<&'static str> {
    Some(match code {
        "unknown_account" => "check the spelling; `tonle account list` shows who is there",
        "unknown_asset" => "`tonle asset list` shows what there is",
        "unknown_domain" => "`tonle domain list` shows the domains",
        "already_exists" => "choose another name; ids are never used twice",
        "permission_denied" => "act as the owner with --account, or ask the owner",
        "insufficient_balance" => "`tonle account balance` shows what there is; pay less",
        "zero_amount" => "give an amount of more than zero",
        "too_many_decimals" => "write no more decimals than the asset has: `tonle asset get`",
        "amount_overflow" => "pay less",
        "supply_cap_exceeded" => "`tonle asset get` shows supply and cap; mint less",
        "weak_key" => "make a proper key with `tonle keys new`",
        "invalid_quorum" => "name each key once, and a quorum that their weights can meet",
        "invalid_scale" => "an asset has at most 18 decimals",
        "same_account" => "payer and payee must differ",
        "internal" => "nothing was changed; please report this with the transaction's hash",
        "duplicate" => "it was sent before: `tonle tx get` shows what became of it",
        "expired" => "sign it again; if that repeats, check this machine's clock",
        "not_yet_valid" => "this machine's clock is ahead of the network's: set it",
        "window_too_long" => "give a shorter --ttl",
        "unknown_authority" => "check --account; `tonle account list` shows who is there",
        "quorum_not_met" => {
            "sign with a key of the account: --key-file; `tonle account get` \
             shows its keys"
        }
        "not_found" => "check the spelling, or ask another node with --url",
        "reads_not_public" => "this network answers only signed queries",
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
