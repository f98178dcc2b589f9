#!/usr/bin/env python3
"""Reproduces tests/vectors/ with tonle.py.

usage: check_vectors.py VECTORS_DIR GENESIS_JSON
"""
import json, re, sys
from tonle import *

checks = 0
def same(got, want):
    global checks
    checks += 1
    got = got.hex() if isinstance(got, bytes) else got
    assert got == want, f"computed {got}\n  where the vector has {want}"

def scaled(encode, case): same(encode(case["json"]), case["scale"])
def signed(author, message, signature): same(verify(key(author), message, hexed(signature)), True)

def check_compact(v):
    for case in v["valid"]: same(compact(int(case["value"])), case["scale"])
    for bad in map(hexed, v["invalid"]):
        big = bad[0] & 3 == 3
        n = int.from_bytes(bad[1:], "little") if big else int.from_bytes(bad, "little") >> 2
        same(compact(n) == bad, False)

def check_ids(v):
    shapes = {"domain": r"[a-z0-9_]{1,32}", "account": r"[a-z0-9_]{1,32}@[a-z0-9_]{1,32}",
              "asset": r"[a-z0-9_]{1,32}#[a-z0-9_]{1,32}"}
    for group in v:
        valid = lambda s: bool(re.fullmatch(shapes[group["kind"]], s)) and len(s) <= 64
        for case in group["valid"]:
            same(text(case["text"]), case["scale"]); same(valid(case["text"]), True)
        for bad in group["invalid"]: same(valid(bad), False)

def check_decimals(v):
    def valid(s):
        digits = s.replace(".", "")
        return bool(re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]{1,18})?", s)) and int(digits) < 2**128
    for case in v["valid"]: same(decimal(case["text"]), case["scale"]); assert valid(case["text"])
    for bad in v["invalid"]: same(valid(bad), False)
    for case in v["minor_units"]:
        whole, _, fraction = case["text"].partition(".")
        same(str(int(whole + fraction.ljust(case["asset_scale"], "0"))), case["minor"])

def check_keys(v):
    for case in v:
        if case["demo_name"]:
            same(tagged("demo.key.v1", case["demo_name"].encode()), case["seed"])
        same("ed0120" + public_key(hexed(case["seed"])).hex(), case["public_key"])
        same(key(case["public_key"]), case["scale"])
        signed(case["public_key"], hexed(case["message"]), case["signature"])

def check_signatures(v):
    for case in v:
        message, signature = hexed(case["message"]), hexed(case["signature"])
        same(verify(key(case["public_key"]), message, signature), case["valid"])
        same(registrable(key(case["public_key"])), case["registrable"])

def check_hashes(v):
    for case in v:
        same(tagged(case["tag"].removeprefix("tonle."), hexed(case["input"])), case["hash"])

def check_merkle(v):
    for case in v: same(merkle([*map(hexed, case["leaves"])]), case["root"])

def check_derived(v):
    for case in v["holds"]: same(hold_id(hexed(case["origin"]), case["place"]), case["id"])
    for case in v["proposals"]:
        same(proposal_id(hexed(case["transaction"]), case["step"]), case["id"])
    for case in v["preimages"]:
        same(raw_hex(case["preimage"]), case["scale"])
        same(hashlib.sha256(hexed(case["preimage"])).digest(), case["sha256"])
        same(len(hexed(case["preimage"])) == 32, case["opens"])

def check_instructions(v):
    for case in v: scaled(instruction, case)
    cases = [case["json"] for case in v]
    same({name for case in cases for name in case}, {*instructions})
    [all_of_them, *_] = [case["register_role"] for case in cases if "register_role" in case]
    same({one.partition(":")[0] for one in all_of_them["permissions"]}, {*scopes})

def check_transactions(v):
    for case in v:
        scaled(transaction, case)
        body = payload(case["json"]["payload"])
        digest = tagged("transaction.v1", body)
        same(body, case["payload_scale"]); same(digest, case["hash"])
        same(tagged("batch.leaf.v1", hexed(case["scale"])), case["batch_leaf"])
        for one in case["json"]["signatures"]: signed(one["public_key"], digest, one["signature"])

def check_queries(v):
    for case in v:
        scaled(signed_query, case)
        digest = tagged("query.v1", query_payload(case["json"]["payload"]))
        same(digest, case["hash"])
        for one in case["json"]["signatures"]: signed(one["public_key"], digest, one["signature"])
    cases = [case["json"]["payload"]["query"] for case in v]
    same({name for case in cases for name in (case if isinstance(case, dict) else [case])},
         {*queries})

def check_batches(v):
    for case in v:
        digest = batch_digest(case)
        signing = tagged("batch.signature.v1", hexed(case["chain"]), digest)
        same(batch(case), case["scale"])
        same(digest, case["digest"]); same(signing, case["signing_hash"])
        signed(case["author"], signing, case["signature"])
        scaled(batch_ref, case["reference"])
        same(case["reference"]["json"]["digest"], case["digest"])

def check_blocks(v):
    for case in v:
        scaled(header, case); same(tagged("block.v1", header(case["json"])), case["hash"])

def same_set(v):
    same(validator_set(v["json"]), v["scale"])
    same(tagged("validators.v1", hexed(v["scale"])), v["hash"])

def check_votes(v):
    chain = hexed(v["chain"])
    same_set(v["validators"])
    keys = [one["public_key"] for one in v["validators"]["json"]]
    for case in v["ballots"]:
        scaled(ballot, case["ballot"]); scaled(vote, case["vote"])
        signing = tagged("vote.v1", chain, hexed(case["ballot"]["scale"]))
        same(signing, case["signing_hash"])
        one = case["vote"]["json"]
        signed(keys[one["signer"]], signing, one["signature"])
    for case in v["certificates"]:
        same_set(case["validators"]); scaled(certificate, case["certificate"])
        one, members = case["certificate"]["json"], case["validators"]["json"]
        signers = [i for i in range(8 * len(one["signers"])) if one["signers"][i // 8] >> i % 8 & 1]
        same(len(members) - (len(members) - 1) // 3, case["quorum"])
        same(len(signers), case["quorum"]); same(len(one["signatures"]), case["quorum"])
        signing = tagged("vote.v1", chain, ballot(one["ballot"]))
        for i, signature in zip(signers, one["signatures"]):
            signed(members[i]["public_key"], signing, signature)
    one = v["proposal"]
    place = u64(one["height"]) + u32(one["view"])
    signing = tagged("proposal.v1", chain, place, tagged("block.v1", header(one["header"])))
    same(signing, one["signing_hash"])
    same(place + header(one["header"]) + justification(one) + hexed(one["signature"]),
         one["scale"])
    signed(one["signer"], signing, one["signature"])
    for case in v["statuses"]: same(status_message(case), case["scale"])

def check_receipts(v):
    codes = {case["json"]: hexed(case["scale"]) for case in v["rejection_codes"]}
    assert len(set(codes.values())) == len(codes)
    same(b"".join(hexed(case["scale"]) for case in v["void_codes"]),
         bytes(range(len(v["void_codes"]))).hex())
    def outcome(o):
        return b"\0" if o["status"] == "applied" else b"\1" + codes[o["code"]] + u16(o["step"])
    for case in v["receipts"]:
        scaled(struct(transaction=hexed, outcome=outcome), case)
        same(tagged("receipt.v1", hexed(case["scale"])), case["leaf"])
    result = v["result"]
    scaled(block_result, result)
    same(merkle([hexed(case["leaf"]) for case in v["receipts"]]), result["json"]["receipts_root"])
    same(tagged("result.v1", hexed(result["scale"])), result["hash"])

def check_genesis(v):
    scaled(genesis, v)
    same(tagged("chain.v1", hexed(v["scale"])), v["chain"])
    demo = genesis(json.load(open(sys.argv[2])))
    same(tagged("chain.v1", demo), v["demo_chain"]); same(len(demo), v["demo_bytes"])

def check_state(v):
    same({case["kind"] for case in v["entries"]}, {*state})
    for case in v["entries"]:
        same(state_key(case["kind"], case["about"]), case["key"])
        same(state[case["kind"]][1](case["json"]), case["value"])
        same(tagged("state.leaf.v1", state_row(case)), case["leaf"])
    following = [case["key"] for case in v["entries"]][1:] + [""]
    same([case["next"] for case in v["entries"]], following)
    same(tagged("state.leaf.v1", b"\0\0\0"), v["removed"]["leaf"])

def check_snapshot(v):
    outcomes = listed(option(lambda outcome: {"applied": b"\0"}[outcome["status"]]))
    def item(one):
        if "block" not in one: return b"\1" + raw(batch(one))
        return b"\0" + certified_block(one["block"]) + outcomes(one["outcomes"])
    parts = [manifest(v["manifest"])]
    parts += [b"".join(raw(state_row(row)) for row in piece) for piece in v["pieces"]]
    parts += [b"".join(map(item, v["window"]))]
    framed = b"".join(u32(len(part)) + part for part in parts)
    same(b"tonle snapshot 1" + offer(v["offer"]) + framed, v["file"])
    same(tagged("chain.v1", genesis(v["genesis"])), v["offer"]["chain"])
    last = v["manifest"]["block"]
    leaves = [[tagged("state.leaf.v1", state_row(row)) for row in piece] for piece in v["pieces"]]
    same([merkle(piece).hex() for piece in leaves],
         [piece["root"] for piece in v["manifest"]["pieces"]])
    same([(len(piece) - 1).bit_length() for piece in leaves],
         [piece["level"] for piece in v["manifest"]["pieces"]])
    same(merkle(sum(leaves, [])), last["result"]["state_root"])
    same(sum(map(len, leaves)), v["manifest"]["slots"])
    blocks = [one for one in v["window"] if "block" in one]
    batches = iter([one for one in v["window"] if "block" not in one])
    same(blocks[0]["block"], last)
    named = last["finalization"]["ballot"]["kind"]["finalize"]
    for one in blocks:
        head, result, proof = (one["block"][part] for part in ("header", "result", "finalization"))
        hashes = {"block": tagged("block.v1", header(head)).hex(),
                  "result": tagged("result.v1", block_result(result)).hex()}
        same(hashes, named); same(hashes, proof["ballot"]["kind"]["finalize"])
        named = {"block": head["parent"], "result": head["parent_result"]}
        own = [next(batches) for _ in head["batches"]]
        same([batch_digest(held).hex() for held in own],
             [ref["digest"] for ref in head["batches"]])
        members = [member["payload"] for held in own for member in held["transactions"]]
        same(len(members), len(one["outcomes"]))
        receipts = [tagged("receipt.v1", tagged("transaction.v1", payload(member)), b"\0")
                    for member, outcome in zip(members, one["outcomes"]) if outcome]
        same(merkle(receipts), result["receipts_root"])
    changed = [change["block"]["header"]["height"] for change in v["manifest"]["changes"]]
    same(changed, [1]); same(head["height"], 1)
    same(named["block"], tagged("block.v1", header({
        "chain": head["chain"], "height": 0, "parent": "00" * 32, "parent_result": "00" * 32,
        "timestamp_ms": v["genesis"]["created_ms"], "proposer": 0, "proposed_view": 0,
        "batches": []})).hex())

def main():
    for name in [name[6:] for name in globals() if name.startswith("check_")]:
        before = checks
        with open(f"{sys.argv[1]}/{name}.json") as file: vectors = json.load(file)
        try:
            globals()["check_" + name](vectors)
        except Exception as error:
            sys.exit(f"{name}: {type(error).__name__}: {error}")
        print(f"{name}: {checks - before} checks")

main()
