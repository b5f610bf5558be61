"""Commitments, and the blocks they are to (docs/protocol.md, section 10): what waits until it takes effect."""

import crypto
import wire
from ledger import BROUGHT, BURNED, COHORT, PLEDGE, equal, require

OVERHEAD_BYTES, COMPOSITION_BYTES, WAITING_BATCHES = 512, 36, 4


def check_commitment(genesis, network, signed):
    """What is right or wrong with a commitment by itself."""
    require(genesis["parameters"]["commit_reveal"] is not None, "nothing is committed to in this network")
    commitment = signed["commitment"]
    equal(commitment["version"], 1, "its version")
    equal(commitment["network"], network, "its network")
    size, composed = commitment["bytes"], commitment["compositions"]
    fits = batches_needed([commitment], genesis["parameters"]["limits"]) <= 1
    require(size > 0 and composed * COMPOSITION_BYTES <= size and fits, "it states a size that no block has")
    data = wire.COMMITMENT.write(commitment)
    fault = crypto.signature_fault("Commitment", data, commitment["miner"], signed["signature"])
    require(fault is None, f"its miner's signature: {fault}")


def batches_needed(commitments, limits):
    """How many batches hold blocks of these sizes."""
    room = max(0, limits["batch_bytes"] - OVERHEAD_BYTES)
    total = lambda what: sum(one[what] for one in commitments)
    parts = lambda taken, most: 0 if not taken else -(-taken // most) if most else 1 << 64
    most = limits["compositions_per_batch"]
    return max(parts(total("bytes"), room), parts(total("compositions"), most), parts(len(commitments), most))


def pledges(state):
    return [pledge for cohort in state.cohorts.values() for pledge in cohort["pledges"].values()]


def fee(state, signed):
    """What a commitment costs: a composition as much as the bytes that a batch has for each."""
    limits, commitment = state.parameters["limits"], signed["commitment"]
    each = limits["batch_bytes"] // limits["compositions_per_batch"]
    block = max(commitment["bytes"], max(1, commitment["compositions"]) * each)
    size = len(wire.SIGNED_COMMITMENT.write(signed)) + block
    return size * state.parameters["fee_per_byte"]


def commit(state, signed, height):
    """A commitment takes effect: its miner pays for it."""
    commitment, limits = signed["commitment"], state.parameters["limits"]
    name = crypto.hash_in("Commitment", wire.COMMITMENT.write(commitment))
    require(commitment["anchor"] in state.anchors, "its anchor is none of the last batches")
    require(name not in state.brought, "an earlier batch has brought it")
    waiting = pledges(state)
    same = lambda one: (one["commitment"]["miner"], one["commitment"]["block"]) == (commitment["miner"], commitment["block"])
    require(not any(map(same, waiting)), "its miner has committed to its block")
    hidden = [one["commitment"] for one in waiting if one["block"] is None] + [commitment]
    require(batches_needed(hidden, limits) <= 1, "no room before others are revealed")
    everything = [one["commitment"] for one in waiting] + [commitment]
    require(batches_needed(everything, limits) <= WAITING_BATCHES, "no room before others have taken effect")
    cost, miner = fee(state, signed), crypto.address(commitment["miner"])
    spendable = max(0, state.balances.get(miner, 0) - state.parameters["account_min"])
    require(cost <= spendable, f"it costs {cost}, and its miner can spend {spendable}")
    if cost:
        state.debit(miner, cost)
        state.burned += cost
        state.stale.add((BURNED, b""))
    state.brought[name] = state.anchors[commitment["anchor"]]
    cohort = state.cohorts.setdefault(height, {"turns": set(), "pledges": {}})
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


def take_turn(state, proposer, turn):
    """The proposer had a turn to bring blocks of cohorts up to this one. The height of the cohort that is due now, the cohort,
    its blocks and its seed; or None."""
    validators = list(state.genesis["validators"].items())
    position = next((at for at, (key, _) in enumerate(validators) if key == proposer), None)
    for height, cohort in state.cohorts.items():
        if position is not None and height <= turn:
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
    return height, cohort, blocks, crypto.hash_in("Order", nonces)


def put_back(state, height, cohort, blocks):
    """What there is no time to check takes effect with the next batch."""
    pledges = {block.key: cohort["pledges"][block.key] for block in blocks}
    state.cohorts[height] = {"turns": cohort["turns"], "pledges": pledges}
    state.stale |= {(COHORT, height)} | {(PLEDGE, (height, miner)) for miner in pledges}
