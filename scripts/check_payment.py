"""Asks every validator itself whether a payment is committed, and prints what they say.

usage: check_payment.py PAID_JSON STATUS_JSON PAYER PAYEE ASSET
"""
import json
import sys
import urllib.parse
import urllib.request


def get(url, path):
    with urllib.request.urlopen(url + path, timeout=20) as answer:
        return json.load(answer)


def main():
    paid, nodes = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    parties, asset = sys.argv[3:5], sys.argv[5]
    seen = set()
    for node in nodes:
        url = node["url"].rstrip("/")
        transaction = get(url, f"/v1/transactions/{paid['hash']}?wait=10s")
        if transaction["status"] != "committed":
            sys.exit(f"{url} does not have the payment: {transaction}")
        block = get(url, f"/v1/blocks/{transaction['height']}")
        balances = [balance(url, party, asset) for party in parties]
        seen.add((transaction["height"], block["hash"], *balances))
        told = ", ".join(f"{party} has {held}" for party, held in zip(parties, balances))
        print(f"{url}: committed in block {transaction['height']} ({block['hash'][:12]}...), {told}")
    if len(nodes) != 4 or len(seen) != 1:
        sys.exit(f"{len(nodes)} validators tell {len(seen)} stories; four should tell one")
    print(f"Payment {paid['hash'][:12]}... is final: all four validators tell the same.")


def balance(url, account, asset):
    for held in get(url, f"/v1/accounts/{urllib.parse.quote(account)}/balances")["items"]:
        if held["asset"] == asset:
            return f"{held['available']} {asset}"
    return f"no {asset}"


main()
