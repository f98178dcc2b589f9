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
empty = lambda _: b""

signatory = struct(public_key=key, weight=u16)
instruction = variant(
    register_domain=(0, struct(id=text)),
    register_account=(1, struct(id=text, signatories=listed(signatory), quorum=u16)),
    register_asset=(2, struct(id=text, scale=u8, supply_cap=option(decimal))),
    mint=(10, struct(asset=text, to=text, amount=decimal)),
    burn=(11, struct(asset=text, amount=decimal)),
    transfer=(12, struct(asset=text, **{"from": option(text)}, to=text, amount=decimal,
                         memo=lambda s: text(s or ""))))
step = struct(authority=text, instruction=instruction)
payload = struct(chain=hexed, created_ms=u64, expires_ms=u64, nonce=u64,
                 reference=option(text), steps=listed(step))
transaction = struct(payload=payload,
                     signatures=listed(struct(public_key=key, signature=hexed)))
batch_ref = struct(digest=hexed, author=key, seq=u64, tx_count=u32)
header = struct(chain=hexed, height=u64, parent=hexed, parent_result=hexed, timestamp_ms=u64,
                proposer=u16, proposed_view=u32, batches=listed(batch_ref))
kind = variant(notarize=(0, struct(block=hexed)), nullify=(1, empty),
               finalize=(2, struct(block=hexed, result=hexed)))
ballot = struct(height=u64, view=u32, kind=kind)
vote = struct(ballot=ballot, signer=u16, signature=hexed)
certificate = struct(ballot=ballot, signers=listed(u8), signatures=listed(hexed))
justification = struct(notarization=option(certificate), nullifications=listed(certificate))
status_message = struct(height=u64, view=u32, latest_of_receiver=option(vote))
validator_set = listed(struct(name=text, public_key=key))
parameters = struct(delta_ms=u32, max_ttl_ms=u32,
                    public_reads=lambda s: u8(["none", "chain", "all"].index(s)), operator=text)
genesis = struct(name=text, demo=u8, created_ms=u64, parameters=parameters,
                 validators=lambda v: validator_set(sorted(v, key=lambda one: one["public_key"])),
                 steps=listed(step))
block_result = struct(state_root=hexed, receipts_root=hexed, next_validators=hexed)

def tagged(tag, *parts):
    return hashlib.blake2b(text("tonle." + tag) + b"".join(parts), digest_size=32).digest()

def merkle(level):
    while len(level) > 1:
        pairs = [level[i:i + 2] for i in range(0, len(level), 2)]
        level = [tagged("node.v1", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0] if level else tagged("empty.v1")
