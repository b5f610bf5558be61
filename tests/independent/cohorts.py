"""Commitments, and the blocks they are to (docs/protocol.md, section 9): what waits until it takes effect."""

import crypto
import wire
from ledger import BROUGHT, BURNED, COHORT, PLEDGE, equal, require

OVERHEAD_BYTES = 512


def check_commitment(genesis, network, signed):
    """What is right or wrong with a commitment by itself."""
    require(genesis["parameters"]["commit_reveal"] is not None, "nothing is committed to in this network")
    commitment = signed["commitment"]
    equal(commitment["version"], 1, "its version")
    equal(commitment["network"], network, "its network")
    require(commitment["bytes"] > 0, "it states a block of no bytes")
    data = wire.COMMITMENT.write(commitment)
    fault = crypto.signature_fault("Commitment", data, commitment["miner"], signed["signature"])
    require(fault is None, f"its miner's signature: {fault}")


def unrevealed(state):
    return [
        pledge["commitment"] for cohort in state.cohorts.values()
        for pledge in cohort["pledges"].values() if pledge["block"] is None
    ]


def commit(state, signed, height):
    """A commitment takes effect: its miner pays for it."""
    commitment, limits = signed["commitment"], state.parameters["limits"]
    name = crypto.hash_in("Commitment", wire.COMMITMENT.write(commitment))
    require(commitment["anchor"] in state.anchors, "its anchor is none of the last batches")
    require(name not in state.brought, "an earlier batch has brought it")
    waiting = unrevealed(state) + [commitment]
    total = lambda what: sum(one[what] for one in waiting)
    require(total("bytes") <= max(0, limits["batch_bytes"] - OVERHEAD_BYTES), "no room for its bytes")
    require(total("compositions") <= limits["compositions_per_batch"], "no room for its compositions")
    require(len(waiting) <= limits["compositions_per_batch"], "too many blocks are not revealed")
    size = len(wire.SIGNED_COMMITMENT.write(signed)) + commitment["bytes"]
    fee = size * state.parameters["commit_reveal"]["fee_per_byte"]
    miner = crypto.address(commitment["miner"])
    spendable = max(0, state.balances.get(miner, 0) - state.parameters["account_min"])
    require(fee <= spendable, f"it costs {fee}, and its miner can spend {spendable}")
    if fee:
        state.debit(miner, fee)
        state.burned += fee
        state.stale.add((BURNED, b""))
    state.brought[name] = state.anchors[commitment["anchor"]]
    cohort = state.cohorts.setdefault(height, {"since_ms": state.time, "turns": set(), "pledges": {}})
    cohort["pledges"][commitment["miner"]] = {"commitment": commitment, "block": None}
    state.stale |= {(BROUGHT, name), (COHORT, height), (PLEDGE, (height, commitment["miner"]))}


def reveal(state, block):
    """A block joins the cohort that it was committed to in."""
    for height, cohort in sorted(state.cohorts.items()):
        pledge = cohort["pledges"].get(block.key)
        if pledge is None or pledge["commitment"]["block"] != block.identity:
            continue
        commitment = pledge["commitment"]
        require(pledge["block"] is None, "it was revealed before")
        require(len(wire.BLOCK.write(block.whole)) <= commitment["bytes"], "it is larger than it was to be")
        require(len(block.composed()) <= commitment["compositions"], "it has more compositions than it was to")
        equal(block.anchor, commitment["anchor"], "its anchor")
        pledge["block"] = block
        state.stale.add((PLEDGE, (height, block.key)))
        return
    require(False, "nobody has committed to it")


def take_turn(state, proposer):
    """The proposer had a turn to bring blocks. The cohort that is due now, by miner, and its seed; or None."""
    validators = list(state.genesis["validators"].items())
    position = next((at for at, (key, _) in enumerate(validators) if key == proposer), None)
    wait = state.parameters["commit_reveal"]["reveal_ms"]
    for height, cohort in state.cohorts.items():
        if position is not None and state.time >= cohort["since_ms"] + wait:
            cohort["turns"].add(position)
            state.stale.add((COHORT, height))
    if not state.cohorts:
        return None
    height = min(state.cohorts)
    power = sum(validators[at][1] for at in state.cohorts[height]["turns"])
    if power <= (sum(power for _, power in validators) - 1) // 3:
        return None
    cohort = state.cohorts.pop(height)
    state.stale |= {(COHORT, height)} | {(PLEDGE, (height, miner)) for miner in cohort["pledges"]}
    pledges = [cohort["pledges"][miner] for miner in sorted(cohort["pledges"])]
    blocks = [pledge["block"] for pledge in pledges if pledge["block"] is not None]
    nonces = wire.NONCES.write([block.nonce for block in blocks])
    return blocks, crypto.hash_in("Order", nonces)
