#!/usr/bin/env python3
"""Checks proofs of payments and balances, written from docs/src/proofs.md and encodings.md alone.

usage: check_proof.py GENESIS_JSON FILE...     exit status 1 if one of them proves nothing
       check_proof.py GENESIS_JSON -           one proof a line; says of each what it thinks
"""
import functools, json, re, sys
import tonle
from tonle import *

valid = functools.lru_cache(None)(tonle.verify)
ACCOUNT = "(?=.{1,64}$)[a-z0-9_]{1,32}@[a-z0-9_]{1,32}"
ASSET = ACCOUNT.replace("@", "#")
NUMBER = "0|[1-9][0-9]*"

def need(condition, otherwise):
    if not condition: raise ValueError(otherwise)

def fields(value, names, optional=""):
    need(set(names.split()) <= set(value) <= set((names + " " + optional).split()),
         f"the fields are {names} {optional}".strip())
    return [value.get(name) for name in (names + " " + optional).split()]

def unique(pairs):
    need(len(dict(pairs)) == len(pairs), "a name is there twice")
    return dict(pairs)

def strict(value):
    """One spelling: hex is lower-case and unspaced. Texts of people are left alone."""
    if isinstance(value, dict):
        [strict(one) for name, one in value.items() if name not in ("payload", "wanted")]
    elif isinstance(value, list):
        [strict(one) for one in value]
    elif isinstance(value, str):
        need(re.fullmatch(r"[a-z0-9_@#]*", value), f"{value!r} is not spelt so")

def in_order(validators):
    keys = [one["public_key"] for one in validators]
    need(0 < len(keys) <= 100 and keys == sorted(set(keys)), "this is no validator set")
    return validators

def certified(chain, block, validators):
    """A quorum of the validators finalized this block with this result."""
    head, result, proof = fields(block, "header result finalization")
    said, signers, signatures = fields(proof, "ballot signers signatures")
    hashes = {"block": tagged("block.v1", header(head)).hex(),
              "result": tagged("result.v1", block_result(result)).hex()}
    need(hexed(head["chain"]) == chain, "the block is of another network")
    need(said == {"height": head["height"], "view": said["view"], "kind": {"finalize": hashes}},
         "the certificate does not finalize this block with this result")
    count = len(validators)
    need(len(signers) == (count + 7) // 8 and all(0 <= byte < 256 for byte in signers), "bitmap")
    signed = [i for i in range(8 * len(signers)) if signers[i // 8] >> i % 8 & 1]
    need(len(signed) == len(signatures) == count - (count - 1) // 3 and max(signed) < count,
         "this is not exactly a quorum")
    message = tagged("vote.v1", chain, ballot(said))
    for i, signature in zip(signed, signatures):
        need(valid(key(validators[i]["public_key"]), message, hexed(signature)), "signature")
    return head, result

def reaches(leaf, path, root):
    need(len(path) <= 64, "the path is too long")
    for (side, sibling), in map(dict.items, path):
        pair = {"left": (hexed(sibling), leaf), "right": (leaf, hexed(sibling))}[side]
        leaf = tagged("node.v1", *pair)
    need(leaf == hexed(root), "the block does not contain this")

def name_of(wanted):
    """The kind of the entry and the names and numbers in its key."""
    (kind, about), = wanted.items()
    names, shapes = {
        "balance": ("account asset", (ACCOUNT, ASSET)), "account": ("id", (ACCOUNT,)),
        "invoice": ("payee id asset amount_minor expires_ms",
                    (ACCOUNT, r"[^\x00-\x1f\x7f-\x9f]*", ASSET, NUMBER)),
    }[kind]
    parts = fields(about, names)
    need(all(map(re.fullmatch, shapes, parts)), "this is no name of an entry")
    need(kind != "invoice" or len(parts[1].encode()) <= 64, "the invoice's id is too long")
    return kind, parts

def units(value):
    """The two amounts that the value of a balance begins with: compact numbers."""
    for _ in range(2):
        size = (1, 2, 4, (value[0] >> 2) + 5)[value[0] & 3]
        head, value = value[:size], value[size:]
        big = head[0] & 3 == 3
        yield int.from_bytes(head[1:], "little") if big else int.from_bytes(head, "little") >> 2

def check_claim(claim, path, head, result):
    if claim["kind"] == "transaction":
        _, receipt, what = fields(claim, "kind receipt", "payload")
        transaction, outcome = fields(receipt, "transaction outcome")
        need(outcome == {"status": "applied"}, "the transaction was not applied")
        reaches(tagged("receipt.v1", hexed(transaction), b"\0"), path, result["receipts_root"])
        need(what is None or tagged("transaction.v1", payload(what)).hex() == transaction,
             "the payload belongs to another transaction")
        return f"transaction {transaction} was applied"
    _, wanted, leaf = fields(claim, "kind wanted leaf")
    here, value, after = map(hexed, fields(leaf, "key value next"))
    reaches(tagged("state.leaf.v1", raw(here), raw(value), raw(after)), path, result["state_root"])
    kind, about = name_of(wanted)
    place = state_key(kind, about)
    if claim["kind"] == "presence":
        need(here == place, "the leaf is another entry's")
        told = ["value " + value.hex()] if kind != "balance" else map(str, units(value))
        return f"{kind} {about}: " + " ".join(told)
    need(claim["kind"] == "absence", "there is no such kind")
    need(here and here < place and (not after or place < after), "the leaf does not span the place")
    need(kind != "invoice" or head["timestamp_ms"] <= about[4], "an expired invoice is forgotten")
    return f"no {kind} {about}"

def check(proof, start):
    chain, height = tagged("chain.v1", genesis(start)), 0
    strict(proof)
    found, claim, path, block, listed_validators, changes = fields(
        proof, "chain claim path block validators validator_changes")
    need(hexed(found) == chain, "the proof is about another network")
    validators = sorted(start["validators"], key=lambda one: one["public_key"])
    for change in changes:
        changed, others = fields(change, "block next_validators")
        head, result = certified(chain, changed, validators)
        need(in_order(others) != validators and head["height"] > height
             and tagged("validators.v1", validator_set(others)).hex() == result["next_validators"],
             "the validators do not follow from the genesis")
        validators, height = others, head["height"]
    need(in_order(listed_validators) == validators and block["header"]["height"] > height,
         "the validators do not follow from the genesis")
    head, result = certified(chain, block, validators)
    return f"proven at height {head['height']}: {check_claim(claim, path, head, result)}"

def said_of(text, start):
    try:
        return check(json.loads(text, object_pairs_hook=unique), start)
    except Exception as error:
        return f"refused: {type(error).__name__}: {error}"

def main():
    with open(sys.argv[1]) as file: start = json.load(file)
    if sys.argv[2:] == ["-"]:
        for line in sys.stdin: print(said_of(line, start))
        return
    answers = []
    for name in sys.argv[2:]:
        with open(name) as file: answers.append(said_of(file.read(), start))
        print(f"{name}: {answers[-1]}")
    sys.exit(any(answer.startswith("refused") for answer in answers))

main()
