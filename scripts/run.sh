#!/usr/bin/env bash
# `make run`: builds, starts four validators, pays end to end and looks at all four for it.
# ONESHOT=1 stops then, with the exit status saying whether it worked; otherwise it stays.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/network.sh

payer=sok@aclb
payee=dara@wing
amount=20000
asset=khr#nbc

build

if [ "${ONESHOT:-}" = 1 ]; then
    use_scratch
    start_network "$scratch/network" --api-port 0 --p2p-port 0
else
    start_network .tonle
fi

echo
echo "\$ tonle transfer --account $payer --to $payee --amount $amount --asset $asset --wait"
paid=$("$tonle" --output json transfer --account "$payer" --to "$payee" --amount "$amount" \
    --asset "$asset" --memo "rice and fish" --wait)
status=$("$tonle" --output json localnet status --dir "$network_dir")
# Four separate looks: the payment counts only when each validator says so itself.
python3 scripts/check_payment.py "$paid" "$status" "$payer" "$payee" "$asset"

[ "${ONESHOT:-}" = 1 ] && exit 0

cat <<TEXT

Four validators are running. In another terminal:

  $tonle account balance $payer
  $tonle transfer --account $payee --to coffee@devb --amount 2.50 --asset usd#nbc --wait
  $tonle localnet status
  $tonle localnet kill 2       # three of four go on; restart 2 brings it back
  $tonle block follow

Logs, keys and data are in $network_dir/. The book begins at docs/src/introduction.md.
Ctrl-C stops the network; the next \`make run\` goes on from the same chain.
TEXT
# Not in the foreground: bash runs a trap only when the command it waits for is `wait`.
sleep infinity &
keeper=$!
wait "$keeper"
