"""Hashes, keys, signatures, Merkle trees and the state tree (docs/protocol.md, sections 3, 4 and 8)."""

from functools import lru_cache

from blake3 import blake3
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

CONTEXTS = {
    "Address": "mizan 2026-11 address v1",
    "Genesis": "mizan 2026-11 genesis v1",
    "RecordSigning": "mizan 2026-11 record signing v1",
    "Record": "mizan 2026-11 record id v1",
    "Header": "mizan 2026-11 header v1",
    "BlockHeader": "mizan 2026-11 block header v1",
    "Commitment": "mizan 2026-11 commitment v1",
    "Order": "mizan 2026-11 order v1",
    "MerkleLeaf": "mizan 2026-11 merkle leaf v1",
    "MerkleNode": "mizan 2026-11 merkle node v1",
    "StatePath": "mizan 2026-11 state path v1",
    "StateValue": "mizan 2026-11 state value v1",
    "StateLeaf": "mizan 2026-11 state leaf v1",
    "StateNode": "mizan 2026-11 state node v1",
    "Vote": "mizan 2026-11 vote v1",
}
HASHERS = {domain: blake3(derive_key_context=context) for domain, context in CONTEXTS.items()}


def hash_in(domain, *parts):
    """The hash of the parts, concatenated, in a domain."""
    hasher = HASHERS[domain].copy()
    for part in parts:
        hasher.update(part)
    return hasher.digest()


@lru_cache(maxsize=None)
def address(key):
    return hash_in("Address", key)


# ---- ed25519: what libsodium does not tell, whether a key is a point and not of small order ----

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def point(key):
    """The affine point a key encodes, or None (RFC 8032, section 5.1.3)."""
    number = int.from_bytes(key, "little")
    sign, y = number >> 255, (number & (1 << 255) - 1) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        return None
    return (P - x if x & 1 != sign else x) % P, y


def doubled(x, y):
    """Twice a point, by the addition law of the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2."""
    product = D * x * x * y * y
    return (
        2 * x * y * pow(1 + product, P - 2, P) % P,
        (y * y + x * x) * pow(1 - product, P - 2, P) % P,
    )


@lru_cache(maxsize=None)
def key_fault(key):
    """Why a key is refused, or None."""
    found = point(key)
    if found is None:
        return "the key is no point of the curve"
    for _ in range(3):
        found = doubled(*found)
    return "the key is weak (small order)" if found == (0, 1) else None


def signature_fault(domain, content, key, signature):
    """Why a signature over `content` in a domain is refused, or None."""
    fault = key_fault(key)
    if fault:
        return fault
    try:
        # libsodium's check is the strict one: it refuses S out of range and R of small order.
        VerifyKey(key).verify(hash_in(domain, content), signature)
    except BadSignatureError:
        return "the signature does not match its content and key"
    return None


# ---- Merkle trees ----

def merkle_root(leaves):
    level = [hash_in("MerkleLeaf", leaf) for leaf in leaves]
    if not level:
        return bytes(32)
    while len(level) > 1:
        pairs = [hash_in("MerkleNode", left, right) for left, right in zip(level[::2], level[1::2])]
        level = pairs + level[len(level) - len(level) % 2:]
    return level[0]


# ---- The state tree ----

PATH_BITS, EMPTY = 256, bytes(32)


def state_path(key):
    return hash_in("StatePath", key)


def state_leaf(path, value_hash):
    return hash_in("StateLeaf", path, value_hash)


def goes_right(path, depth):
    return path[depth // 8] >> (7 - depth % 8) & 1 == 1


def state_root(leaves, depth=0):
    """The root over pairs of path and leaf hash that ascend by path and agree in the first `depth` bits."""
    if len(leaves) < 2:
        return leaves[0][1] if leaves else EMPTY
    lefts = [leaf for leaf in leaves if not goes_right(leaf[0], depth)]
    rights = leaves[len(lefts):]
    return hash_in("StateNode", state_root(lefts, depth + 1), state_root(rights, depth + 1))


def state_proof_holds(root, key, value, siblings, neighbour):
    """Whether a proof shows that under `root` the key has this value, or none if that is None. `neighbour` is the path
    and the hash of the value of the pair at which the way ends, or None."""
    path, depth = state_path(key), len(siblings)
    if depth > PATH_BITS or (value is not None and neighbour is not None):
        return False
    if value is not None:
        node = state_leaf(path, hash_in("StateValue", value))
    elif neighbour is None:
        node = EMPTY
    else:
        other = neighbour[0]
        if other == path or any(goes_right(other, at) != goes_right(path, at) for at in range(depth)):
            return False
        node = state_leaf(*neighbour)
    for at in range(depth - 1, -1, -1):
        pair = (siblings[at], node) if goes_right(path, at) else (node, siblings[at])
        node = hash_in("StateNode", *pair)
    return node == root
