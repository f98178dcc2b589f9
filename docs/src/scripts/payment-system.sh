#!/usr/bin/env bash
# What a national payment system asks of its ledger, on two networks of one's own. Stops at the
# first thing that is not as it says.
#
#   TONLE_DIR=cambodia JAPAN_DIR=japan bash payment-system.sh
#
# Both are demo networks (`tonle localnet up --dir …`): everyone's key follows from the account's
# name, so `--account` is all that is needed to act as someone.
set -euo pipefail
: "${TONLE_DIR:?the directory of a localnet}" "${JAPAN_DIR:?the directory of another}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\n== %s\n' "$*"; }

# The value at a path of a command's JSON: field FIELD… < json
field() { python3 -c 'import json,sys
value = json.load(sys.stdin)
for name in sys.argv[1:]: value = value[int(name)] if name.isdigit() else value[name]
print(value)' "$@"; }

# refused CODE command…: the ledger must say no, for that reason.
refused() {
  local code=$1 status=0
  shift
  "$@" >"$work/out" 2>&1 || status=$?
  if [ "$status" -ne 1 ] || ! grep -q "$code" "$work/out"; then
    echo "expected $code from: $*" >&2
    cat "$work/out" >&2
    exit 1
  fi
  echo "refused: $(grep -m 1 "$code" "$work/out")"
}

as() { local who=$1; shift; tonle --account "$who" "$@"; }
available() { tonle --output json account balance "$1" | python3 -c 'import json,sys
print(next((b["available"] for b in json.load(sys.stdin)["balances"] if b["asset"] == sys.argv[1]), "0"))' "$2"; }
key() { tonle --output json account get "$1" | field signatories 0 public_key; }
hold_id() { field holds 0 id; }

say "Two banks issue nothing until three of five directors approve"
for bank in aclb wing; do
  keys=()
  for number in 1 2 3 4 5; do
    as "bank@$bank" account register "director$number@$bank" --wait >/dev/null 2>&1
    keys+=(--key "$(key "director$number@$bank")")
  done
  as "bank@$bank" account register "board@$bank" "${keys[@]}" --quorum 3 --wait >/dev/null
  as "bank@$bank" permission grant "register_assets:$bank" --to "board@$bank" --wait >/dev/null
  cat >"$work/issue.json" <<JSON
[
  {"register_asset": {"id": "note#$bank", "scale": 2}},
  {"mint": {"asset": "note#$bank", "to": "bank@$bank", "amount": "1000000"}}
]
JSON
  as "director1@$bank" --output json proposal new "board@$bank" \
    --instructions "$work/issue.json" --expires-in 1h --wait >"$work/proposal"
  proposal=$(field proposals 0 <"$work/proposal")
  as "director2@$bank" proposal approve "$proposal" --wait >/dev/null
  refused nothing_to_approve as "director2@$bank" proposal approve "$proposal" --wait
  [ "$(available "bank@$bank" "note#$bank")" = 0 ]
  as "director5@$bank" proposal approve "$proposal" --wait >/dev/null
  [ "$(available "bank@$bank" "note#$bank")" = 1000000.00 ]
  echo "note#$bank was issued by three of five"
done

say "Riel against dollars, in one transaction that both sign"
tonle tx new --out "$work/swap" \
  --step 'bank@aclb:{"transfer":{"asset":"khr#nbc","to":"bank@wing","amount":"4100000"}}' \
  --step 'bank@wing:{"transfer":{"asset":"usd#nbc","to":"bank@aclb","amount":"1000"}}' >/dev/null
as bank@aclb tx sign "$work/swap" --out "$work/one" >/dev/null
refused quorum_not_met tonle tx submit "$work/one" --wait
as bank@wing tx sign "$work/swap" --out "$work/two" >/dev/null
tonle tx combine "$work/one" "$work/two" --out "$work/both" >/dev/null
tonle tx submit "$work/both" --wait

say "A thief tries everything on what belongs to others"
before="$(available sok@aclb khr#nbc) $(tonle account get sok@aclb)"
thief=chan@aclb
thief_key=$(key "$thief")
later=$(($(date +%s) * 1000 + 600000))
while read -r instruction; do
  rm -f "$work/theft"
  tonle tx new --out "$work/theft" --step "$thief:$instruction" >/dev/null
  as "$thief" tx sign "$work/theft" >/dev/null 2>&1
  refused permission_denied tonle tx submit "$work/theft" --wait
done <<JSON
{"register_domain":{"id":"thieves"}}
{"register_account":{"id":"puppet@aclb","signatories":[{"public_key":"$thief_key","weight":1}],"quorum":1}}
{"register_asset":{"id":"fake#aclb","scale":0}}
{"unregister_account":{"id":"sok@aclb"}}
{"mint":{"asset":"khr#nbc","to":"$thief","amount":"1"}}
{"burn":{"asset":"khr#nbc","amount":"1"}}
{"transfer":{"asset":"khr#nbc","from":"sok@aclb","to":"$thief","amount":"1"}}
{"add_signatory":{"account":"sok@aclb","signatory":{"public_key":"$thief_key","weight":1}}}
{"remove_signatory":{"account":"sok@aclb","public_key":"$(key sok@aclb)"}}
{"set_quorum":{"account":"sok@aclb","quorum":1}}
{"freeze":{"account":"sok@aclb","incoming":true,"reason":"mine"}}
{"unfreeze":{"account":"sok@aclb"}}
{"set_tier":{"account":"$thief","tier":"bank"}}
{"set_limit":{"tier":"basic","asset":"khr#nbc"}}
{"register_role":{"id":"master","permissions":["mint:khr#nbc"]}}
{"grant":{"permission":"mint:khr#nbc","account":"$thief"}}
{"revoke":{"permission":"manage_accounts:aclb","account":"governor@nbc"}}
{"set_metadata":{"account":"sok@aclb","key":"kyc","value":"none"}}
{"remove_metadata":{"account":"sok@aclb","key":"kyc"}}
{"unregister_validator":{"public_key":"$(tonle --output json validator list | field 0 public_key)"}}
{"set_parameter":{"public_reads":"all"}}
JSON
tonle keys new --plain --out "$work/node.key" >/dev/null
tonle validator join "$work/node.key" --out "$work/joining" >/dev/null
refused permission_denied as "$thief" validator register gang "$work/joining" --wait
as sok@aclb --output json hold new --to dara@wing --amount 100 --asset khr#nbc \
  --expires-in 10m --wait >"$work/hold"
hold=$(hold_id <"$work/hold")
refused permission_denied as "$thief" hold settle "$hold" --wait
refused permission_denied as "$thief" hold release "$hold" --wait
as dara@wing hold release "$hold" --wait >/dev/null
cat >"$work/theft.json" <<JSON
[{"transfer": {"asset": "khr#nbc", "to": "$thief", "amount": "1"}}]
JSON
refused nothing_to_approve as "$thief" proposal new sok@aclb \
  --instructions "$work/theft.json" --expires-in 1h --wait
[ "$before" = "$(available sok@aclb khr#nbc) $(tonle account get sok@aclb)" ]
echo "nothing changed"

say "A frozen account neither pays nor holds; what was promised to it under a lock still comes"
as sok@aclb --output json hold new --to bopha@aclb --amount 5000 --asset khr#nbc \
  --expires-in 10m --new-preimage "$work/secret" --wait >"$work/hold"
as bank@aclb account freeze bopha@aclb --incoming --reason "court order 7" --wait >/dev/null
refused account_frozen as bopha@aclb transfer --to sok@aclb --amount 1 --asset khr#nbc --wait
refused account_frozen as bopha@aclb hold new --to sok@aclb --amount 1 --asset khr#nbc \
  --expires-in 10m --wait
refused account_frozen as sok@aclb transfer --to bopha@aclb --amount 1 --asset khr#nbc --wait
had=$(available bopha@aclb khr#nbc)
as dara@wing hold settle "$(hold_id <"$work/hold")" --preimage-file "$work/secret" --wait >/dev/null
[ "$(available bopha@aclb khr#nbc)" = $((had + 5000)) ]
as bank@aclb account unfreeze bopha@aclb --wait >/dev/null

say "What was paid to a thief comes back by order, as far as it is still there"
as sok@aclb --output json transfer --to "$thief" --amount 9000 --asset khr#nbc --wait >"$work/paid"
paid=$(field hash <"$work/paid")
had=$(available sok@aclb khr#nbc)
refused permission_denied as sok@aclb recall "$paid" --reason "I changed my mind" --wait
refused permission_denied as bank@aclb recall "$paid" --reason "a mistake" --wait
as bank@aclb account freeze "$thief" --reason "court order 8" --wait >/dev/null
as governor@nbc recall "$paid" --amount 5000 --reason "court order 8" --wait
refused recall_exceeded as governor@nbc recall "$paid" --amount 4001 --reason "again" --wait
as governor@nbc recall "$paid" --amount 4000 --reason "court order 8" --wait >/dev/null
[ "$(available sok@aclb khr#nbc)" = $((had + 9000)) ]

say "An invoice is paid once, out of twenty attempts through four validators"
mapfile -t urls < <(tonle --output json localnet status | python3 -c 'import json,sys
for row in json.load(sys.stdin): print(row["url"])')
expires=$(($(date +%s) * 1000 + 600000))
had=$(available coffee@devb khr#nbc)
for number in $(seq 20); do
  tonle --url "${urls[$((number % 4))]}" --account vanna@wing transfer --to coffee@devb \
    --amount 1000 --asset khr#nbc --invoice-id "bill 7" --invoice-expires-ms "$expires" \
    --wait >"$work/pay$number" 2>&1 || true &
done
wait
[ "$(available coffee@devb khr#nbc)" = $((had + 1000)) ]
[ "$(grep -l invoice_paid "$work"/pay* | wc -l)" = 19 ]
tonle invoice get coffee@devb "bill 7"

say "A daily limit stops the riel that crosses it"
as governor@nbc asset mint --asset khr#nbc --to dara@wing --amount 3000000 --wait >/dev/null
as dara@wing transfer --to noodles@wing --amount 1999999 --asset khr#nbc --wait >/dev/null
as dara@wing transfer --to noodles@wing --amount 1 --asset khr#nbc --wait >/dev/null
refused limit_exceeded as dara@wing transfer --to noodles@wing --amount 1 --asset khr#nbc --wait

say "A hold here is settled with the secret that a hold in Japan revealed"
as market@aclb --output json hold new --to sok@aclb --amount 7000 --asset khr#nbc \
  --expires-in 20m --new-preimage "$work/swap.secret" --wait >"$work/here"
lock=$(tonle --output json hold get "$(hold_id <"$work/here")" | field hash_lock)
japan() { local who=$1; shift; TONLE_DIR=$JAPAN_DIR tonle --account "$who" "$@"; }
japan sok@aclb --output json hold new --to market@aclb --amount 2 --asset usd#nbc \
  --expires-in 10m --hash-lock "$lock" --wait >"$work/there"
# The market, who knows the secret, takes the money there, and shows the secret by that.
japan market@aclb --output json hold settle "$(hold_id <"$work/there")" \
  --preimage-file "$work/swap.secret" --wait >"$work/settled"
shown=$(japan sok@aclb --output json block get "$(field height <"$work/settled")" |
  field transactions "$(field index <"$work/settled")" transaction payload steps 0 instruction \
    settle preimage)
as sok@aclb hold settle "$(hold_id <"$work/here")" --preimage "$shown" --wait

say "A bank reads its own customers and not another's"
as governor@nbc parameter set public_reads chain --wait >/dev/null
refused reads_not_public tonle account get sok@aclb
as bank@aclb query '{"account":{"id":"sok@aclb"}}' >/dev/null
refused permission_denied as bank@aclb query '{"account":{"id":"dara@wing"}}'
as dara@wing query '{"balances":{"account":"dara@wing"}}' >/dev/null
as governor@nbc query '{"history":{"account":"dara@wing","limit":3}}' >/dev/null

say "All is as it should be"
