"""Tonle's encodings, hashes and signatures in plain Python, written from docs/src/encodings.md
alone: no code shared with Tonle. Slow and not constant-time: to check with, not to sign with.
"""
import hashlib

# Ed25519 with the ZIP-215 rule: [8]([S]B - R - [k]A) = 0, any encoding of A and R, canonical S.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)

def add(a, b):
    t = D * a[0] * b[0] * a[1] * b[1]
    return ((a[0] * b[1] + b[0] * a[1]) * pow(1 + t, -1, P) % P,
            (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P)

def mul(n, p):
    total = (0, 1)
    while n:
        total, p, n = add(total, p) if n & 1 else total, add(p, p), n >> 1
    return total

def point(b):
    n = int.from_bytes(b, "little")
    y, sign = n % 2**255 % P, n >> 255
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if x * x % P == xx else x * ROOT % P
    return ((P - x) % P if x & 1 != sign else x, y) if x * x % P == xx else None

B = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))

def verify(key, message, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return mul(8, mul(s, B)) == mul(8, add(r, mul(k, a)))

def compressed(p): return (p[1] | (p[0] & 1) << 255).to_bytes(32, "little")

def registrable(key):
    a = point(key)
    return a is not None and compressed(a) == key and mul(8, a) != (0, 1)

def public_key(seed):
    a = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & (2**254 - 8) | 2**254
    return compressed(mul(a, B))

# SCALE: an encoder takes a JSON value and gives bytes.
def number(size): return lambda n: n.to_bytes(size, "little")
u8, u16, u32, u64 = map(number, (1, 2, 4, 8))
def compact(n):
    for mode, size in ((0, 1), (1, 2), (2, 4)):
        if n < 1 << 8 * size - 2: return (n << 2 | mode).to_bytes(size, "little")
    size = (n.bit_length() + 7) // 8
    return bytes([size - 4 << 2 | 3]) + n.to_bytes(size, "little")
def raw(b): return compact(len(b)) + b
def text(s): return raw(s.encode())
def listed(f): return lambda items: compact(len(items)) + b"".join(map(f, items))
def option(f): return lambda v: b"\0" if v is None else b"\1" + f(v)
def struct(**fields): return lambda v: b"".join(f(v.get(k)) for k, f in fields.items())
def decimal(s): return compact(int(s.replace(".", ""))) + u8(len(s.partition(".")[2]))
def key(s): assert s[:6] == "ed0120"; return bytes.fromhex(s[6:])
hexed = bytes.fromhex
def variant(**kinds):
    def encode(v):
        name, body = (v, None) if isinstance(v, str) else next(iter(v.items()))
        return u8(kinds[name][0]) + kinds[name][1](body)
    return encode
def empty(_): return b""
def choice(names): return lambda s: u8(names.split().index(s))
def i16(n): return n.to_bytes(2, "little", signed=True)
def raw_hex(s): return raw(hexed(s))
def or_empty(s): return text(s or "")
def mintability(s): return choice("always once never")(s or "always")

signatory = struct(public_key=key, weight=u16)
signatories = listed(signatory)
invoice = struct(id=text, expires_ms=u64)
scopes = {name: i for i, name in enumerate((
    "register_domains register_accounts manage_accounts register_assets mint burn recall "
    "transfer_from read_accounts read_all_accounts manage_roles manage_validators set_parameters"
).split())}
def permission(s):
    name, colon, scope = s.partition(":")
    return u8(scopes[name]) + (text(scope) if colon else b"")
account, asset, name = text, text, text
parameter = variant(delta_ms=(0, u32), max_ttl_ms=(1, u32),
                    public_reads=(2, choice("none chain all")), operator=(3, account),
                    utc_offset_min=(4, i16))
instructions = dict(
    register_domain=(0, struct(id=name)),
    register_account=(1, struct(id=account, signatories=signatories, quorum=u16,
                                tier=option(name))),
    register_asset=(2, struct(id=asset, scale=u8, supply_cap=option(decimal),
                              mintability=mintability)),
    unregister_account=(3, struct(id=account)),
    mint=(10, struct(asset=asset, to=account, amount=decimal)),
    burn=(11, struct(asset=asset, amount=decimal)),
    transfer=(12, struct(asset=asset, **{"from": option(account)}, to=account, amount=decimal,
                         memo=or_empty, invoice=option(invoice))),
    hold=(20, struct(asset=asset, to=account, amount=decimal, expires_ms=u64,
                     hash_lock=option(hexed), arbiter=option(account), invoice=option(invoice))),
    settle=(21, struct(id=hexed, amount=option(decimal), preimage=option(raw_hex))),
    release=(22, struct(id=hexed)),
    add_signatory=(30, struct(account=account, signatory=signatory)),
    remove_signatory=(31, struct(account=account, public_key=key)),
    set_quorum=(32, struct(account=account, quorum=u16)),
    freeze=(40, struct(account=account, incoming=u8, reason=text)),
    unfreeze=(41, struct(account=account)),
    set_tier=(42, struct(account=account, tier=name)),
    set_limit=(43, struct(tier=name, asset=asset, per_day=option(decimal))),
    recall=(44, struct(**{"from": account}, to=account, asset=asset, amount=decimal,
                       transaction=hexed, step=u16, reason=text,
                       proof=lambda v: applied_proof(v))),
    register_role=(50, struct(id=name, permissions=listed(permission))),
    grant_role=(51, struct(role=name, account=account)),
    revoke_role=(52, struct(role=name, account=account)),
    grant=(53, struct(permission=permission, account=account)),
    revoke=(54, struct(permission=permission, account=account)),
    set_metadata=(60, struct(account=account, key=name, value=text, expected=option(text))),
    remove_metadata=(61, struct(account=account, key=name)),
    propose=(70, struct(account=account, instructions=lambda v: listed(instruction)(v),
                        expires_ms=u64)),
    approve=(71, struct(id=hexed)),
    withdraw=(72, struct(id=hexed)),
    register_validator=(80, struct(name=name, public_key=key,
                                   joining=lambda v: joining(v))),
    unregister_validator=(81, struct(public_key=key)),
    set_parameter=(82, parameter))
instruction = variant(**instructions)
step = struct(authority=text, instruction=instruction)
payload = struct(chain=hexed, created_ms=u64, expires_ms=u64, nonce=u64,
                 reference=option(text), steps=listed(step))
transaction = struct(payload=payload,
                     signatures=listed(struct(public_key=key, signature=hexed)))
page = dict(limit=option(u32), cursor=option(text))
queries = dict(
    account=(0, struct(id=account)),
    accounts=(1, struct(domain=option(name), **page)),
    balances=(2, struct(account=account, **page)),
    balance_at=(3, struct(account=account, asset=asset, time_ms=u64)),
    history=(4, struct(account=account, asset=option(asset), direction=option(choice("in out")),
                       since_ms=option(u64), until_ms=option(u64), **page)),
    holds=(5, struct(account=account, **page)),
    hold=(6, struct(id=hexed)),
    invoices=(7, struct(payee=account, id=text)),
    proposals=(8, struct(account=account)),
    proposal=(9, struct(id=hexed)),
    assets=(20, struct(**page)),
    asset=(21, struct(id=asset)),
    supply=(22, struct(asset=asset)),
    domains=(23, struct(**page)),
    roles=(24, struct(**page)),
    role=(25, struct(id=name)),
    parameters=(26, empty),
    validators=(27, empty),
    totals=(28, struct(asset=asset, **page)),
    stream=(29, struct(account=option(account))))
query_payload = struct(chain=hexed, account=account, created_ms=u64, nonce=u64,
                       query=variant(**queries))
signed_query = struct(payload=query_payload,
                      signatures=listed(struct(public_key=key, signature=hexed)))
batch_ref = struct(digest=hexed, author=key, seq=u64, tx_count=u32)
header = struct(chain=hexed, height=u64, parent=hexed, parent_result=hexed, timestamp_ms=u64,
                proposer=u16, proposed_view=u32, batches=listed(batch_ref))
kind = variant(notarize=(0, struct(block=hexed)), nullify=(1, empty),
               finalize=(2, struct(block=hexed, result=hexed)))
ballot = struct(height=u64, view=u32, kind=kind)
vote = struct(ballot=ballot, signer=u16, signature=hexed)
certificate = struct(ballot=ballot, signers=listed(u8), signatures=listed(hexed))
joining = struct(finalization=certificate, signature=hexed)
justification = struct(notarization=option(certificate), nullifications=listed(certificate))
status_message = struct(height=u64, view=u32, latest_of_receiver=option(vote))
validator_set = listed(struct(name=text, public_key=key))
parameters = struct(delta_ms=u32, max_ttl_ms=u32, public_reads=choice("none chain all"),
                    operator=text, utc_offset_min=lambda n: i16(n or 0))
genesis = struct(name=text, demo=u8, created_ms=u64, parameters=parameters,
                 validators=lambda v: validator_set(sorted(v, key=lambda one: one["public_key"])),
                 steps=listed(step))
def minor(units): return compact(int(units))
status = variant(active=(0, empty), frozen=(1, struct(incoming=u8, reason=text)), closed=(2, empty))
limit = struct(tier=name, per_day=minor)
state = dict(
    parameters=(1, parameters),
    validators=(2, validator_set),
    leader_marks=(3, listed(struct(validator=u16, until=u64))),
    domain=(4, struct(owner=account)),
    account=(5, struct(signatories=signatories, quorum=u16, tier=name, status=status)),
    asset=(6, struct(owner=account, scale=u8, supply=minor, supply_cap=option(minor),
                     mintability=mintability, limits=listed(limit))),
    balance=(7, struct(available=minor, held=minor, incoming=compact, day=compact, sent=minor)),
    rights=(8, struct(roles=listed(name), permissions=listed(permission), owned=compact)),
    role=(9, struct(permissions=listed(permission))),
    hold=(10, struct(**{"from": account}, to=account, asset=asset, amount=minor, expires_ms=u64,
                     hash_lock=option(hexed), arbiter=option(account), invoice=option(invoice),
                     day=compact)),
    invoice=(11, struct(payer=account, transaction=hexed, hold=option(hexed))),
    proposal=(12, struct(account=account, proposer=account, instructions=listed(instruction),
                         expires_ms=u64, approvals=listed(key))),
    proposals=(13, listed(hexed)),
    metadata=(14, listed(struct(name=name, value=text))),
    recalled=(15, minor),
    validator_changes=(16, listed(u64)),
    past_validators=(17, validator_set))
def state_key(kind, about):
    tag = u8(state[kind][0])
    if kind in ("hold", "proposal"): return tag + hexed(about[0])
    if kind == "recalled": return tag + hexed(about[0]) + about[1].to_bytes(2, "big")
    if kind == "past_validators": return tag + about[0].to_bytes(8, "big")
    if kind != "invoice": return tag + "\0".join(about).encode()
    *names, amount, expires_ms = about
    return (tag + "".join(part + "\0" for part in names).encode()
            + int(amount).to_bytes(16, "big") + expires_ms.to_bytes(8, "big"))

block_result = struct(state_root=hexed, receipts_root=hexed, next_validators=hexed)
certified_block = struct(header=header, result=block_result, finalization=certificate)
offer = struct(chain=hexed, height=u64, manifest_parts=u32)
manifest = struct(block=certified_block,
                  changes=listed(struct(block=certified_block, next_validators=validator_set)),
                  slots=u64, pieces=listed(struct(level=u8, root=hexed)))
def state_row(entry): return b"".join(raw_hex(entry[part]) for part in ("key", "value", "next"))

sibling = variant(left=(0, hexed), right=(1, hexed))
applied_proof = struct(payload=raw_hex, path=listed(sibling), result=block_result,
                       finalization=certificate)

def tagged(tag, *parts):
    return hashlib.blake2b(text("tonle." + tag) + b"".join(parts), digest_size=32).digest()

def hold_id(origin, place): return tagged("hold.v1", origin, u16(place))
def proposal_id(transaction, step): return tagged("account.proposal.v1", transaction, u16(step))

def merkle(level):
    while len(level) > 1:
        pairs = [level[i:i + 2] for i in range(0, len(level), 2)]
        level = [tagged("node.v1", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0] if level else tagged("empty.v1")

def batch(v):
    members = [*map(transaction, v["transactions"])]
    return (key(v["author"]) + u64(v["seq"]) + compact(len(members)) + b"".join(members)
            + hexed(v["signature"]))
def batch_digest(v):
    leaves = [tagged("batch.leaf.v1", transaction(one)) for one in v["transactions"]]
    return tagged("batch.v1", key(v["author"]) + u64(v["seq"]), u32(len(leaves)), merkle(leaves))
