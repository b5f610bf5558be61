#!/usr/bin/env python3
"""Checks a chain exported by `miner chain export` from genesis to its head, sharing no code with it.

    python3 verify_chain.py chain.json [--network ID]

Written from docs/protocol.md. Prints what was checked and ends with 0; at the first thing that is not as it
must be, prints the place and ends with 1. Needs the packages of requirements.txt.
"""

import sys

sys.dont_write_bytecode = True

import argparse
import json
import time
from collections import Counter
from decimal import Decimal

try:
    import crypto
except ImportError as error:
    sys.exit(f"{error}; install the packages of requirements.txt: pip install PyNaCl blake3")
import wire
from genesis import check_genesis, check_record
import cohorts
from batch import Batch, Block
from ledger import Mismatch, State, equal, require

ITEMS = (
    ("record", wire.RECORD), ("block", wire.SIGNED_HEADER), ("price_update", wire.PRICE_UPDATE),
    ("composition", wire.COMPOSITION), ("amendment", wire.AMENDMENT), ("commitment", wire.SIGNED_COMMITMENT),
    ("evidence", wire.DOUBLE_VOTE),
)
RECORD, BLOCK, PRICE_UPDATE, COMPOSITION, AMENDMENT, COMMITMENT, EVIDENCE = range(len(ITEMS))


class Checker:
    """Follows a chain batch by batch."""

    def __init__(self, export, network):
        equal(export["format"], "mizan chain export", "the format")
        equal(export["version"], 2, "the version of the format")
        self.counts, self.rewards = Counter(), 0
        self.genesis = self.part(wire.GENESIS, export["genesis"], "genesis")
        self.network = crypto.hash_in("Genesis", bytes.fromhex(export["genesis"]["bytes"]))
        equal(self.network.hex(), export["network"], "the network id")
        if network is not None:
            equal(self.network.hex(), network.lower(), "the network id")
        check_genesis(self.genesis, len(export["genesis"]["bytes"]) // 2)
        self.state = State(self.genesis)
        self.money = self.state.money()
        self.height, self.head = 0, self.network
        # What the next header says of what the last batch led to, and whether that is a reason for an empty one.
        self.outcomes_root, self.state_root = crypto.merkle_root([]), self.state.root()
        self.awaits_seal, self.dropped = False, []

    def part(self, kind, encoded, what):
        """Decodes one part and compares it with its readable form."""
        try:
            value = wire.decode(kind, bytes.fromhex(encoded["bytes"]))
        except (wire.WireError, ValueError) as error:
            raise Mismatch(f"{what}: {error}") from error
        agree = kind.readable(value) == encoded["fields"]
        require(agree, f"{what}: the fields say something else than the bytes")
        return value

    def batch(self, exported):
        header = self.part(wire.HEADER, exported["header"], "header")
        header_bytes = bytes.fromhex(exported["header"]["bytes"])
        found = crypto.hash_in("Header", header_bytes)
        equal(exported["hash"], found.hex(), "the batch's hash")
        signature = bytes.fromhex(exported["signature"])
        self.check_form(header, header_bytes, signature)
        leaves = [bytes.fromhex(item["bytes"]) for item in exported["items"]]
        evidence, records, commitments, signed_blocks = self.items(exported["items"], leaves)
        self.check_items(header, header_bytes, leaves, (evidence, records, commitments, signed_blocks))
        self.check_evidence(evidence)
        self.check_commitments(commitments)
        blocks = [self.block(signed, items) for signed, items in signed_blocks]
        self.check_contents(header, records, blocks)
        self.check_place(header, commitments, blocks, bool(leaves))
        self.certificate(exported["certificate"], header["height"], found)
        self.take_effect(header, evidence, records, commitments, blocks)
        self.height, self.head = header["height"], found
        self.counts["batches"] += 1

    def check_form(self, header, header_bytes, signature):
        equal(header["version"], 9, "the batch's version")
        equal(header["network"], self.network, "the batch's network")
        fault = crypto.signature_fault("Header", header_bytes, header["proposer"], signature)
        require(fault is None, f"the proposer's signature: {fault}")
        self.counts["signatures of proposers"] += 1

    def items(self, exported, leaves):
        """The items, decoded: evidence, records, commitments, and of each block its signed header and its items by kind."""
        evidence, records, commitments, blocks, last = [], [], [], [], EVIDENCE
        for index, (item, leaf) in enumerate(zip(exported, leaves)):
            what = f"item {index}"
            require(leaf, f"{what} is empty")
            number = leaf[0]
            # Behind anything a block may come; behind the items of one only those of the same kind or later.
            in_block = PRICE_UPDATE <= number <= AMENDMENT and BLOCK <= last <= number
            front = (EVIDENCE, RECORD, COMMITMENT)
            in_front = number in front and last in front and front.index(last) <= front.index(number)
            in_order = number == BLOCK or in_block or in_front
            require(number < len(ITEMS) and in_order, f"{what} of kind {number} where none may be")
            last, (name, kind) = number, ITEMS[number]
            equal(list(item["fields"]), [name], f"{what}: its kind")
            body = {"bytes": leaf[1:].hex(), "fields": item["fields"][name]}
            decoded = self.part(kind, body, what)
            if number == RECORD:
                records.append((leaf[1:], decoded))
            elif number == EVIDENCE:
                evidence.append(decoded)
            elif number == COMMITMENT:
                commitments.append(decoded)
            elif number == BLOCK:
                blocks.append((decoded, []))
            else:
                blocks[-1][1].append((leaf, decoded))
        return evidence, records, commitments, blocks

    def check_items(self, header, header_bytes, leaves, found):
        evidence, records, commitments, blocks = found
        limits = self.genesis["parameters"]["limits"]
        equal(header["item_count"], len(leaves), "the number of items")
        equal(header["contents_root"], crypto.merkle_root(leaves), "the contents root")
        self.counts["items under Merkle roots"] += len(leaves)
        require(len(records) <= limits["records_per_batch"], "too many records")
        require(len(commitments) <= limits["compositions_per_batch"], "too many commitments")
        require(len(blocks) <= limits["compositions_per_batch"], "too many blocks")
        # Header, signature, items, and the lengths of lists; an option is as long as a list of none or one.
        size = len(header_bytes) + 64 + sum(len(leaf) - 1 for leaf in leaves)
        lists = [len(evidence), len(records), len(commitments), len(blocks)]
        for _, items in blocks:
            kinds = Counter(leaf[0] for leaf, _ in items)
            lists += [kinds[kind] for kind in (PRICE_UPDATE, COMPOSITION, AMENDMENT)]
        size += sum(len(wire.varint(length)) for length in lists)
        require(size <= limits["batch_bytes"], f"the batch has {size} bytes")

    def check_evidence(self, evidence):
        validators = list(self.genesis["validators"])
        for number, found in enumerate(evidence):
            position, (one, other) = found["validator"], found["batches"]
            equal(found["network"], self.network, f"evidence {number}: its network")
            ordered = (one is not None, one or b"") < (other is not None, other or b"")
            require(ordered, f"evidence {number}: its votes are the same, or not in order")
            require(position < len(validators), f"evidence {number}: there is no validator {position}")
            for batch, signature in zip(found["batches"], found["signatures"]):
                vote = {name: found[name] for name in ("network", "height", "round", "kind")}
                signed = wire.VOTE.write({**vote, "batch": batch})
                fault = crypto.signature_fault("Vote", signed, validators[position], signature)
                require(fault is None, f"evidence {number}: a vote against validator {position}: {fault}")
            self.counts["validators who voted twice"] += 1

    def check_commitments(self, commitments):
        for number, signed in enumerate(commitments):
            try:
                cohorts.check_commitment(self.genesis, self.network, signed)
            except Mismatch as error:
                raise Mismatch(f"commitment {number}: {error}") from error
            self.counts["signatures of commitments"] += 1
        miners = [signed["commitment"]["miner"] for signed in commitments]
        require(len(set(miners)) == len(miners), "two commitments of one miner")

    def block(self, signed, items):
        """A block that is what its header says."""
        header, leaves = signed["header"], [leaf for leaf, _ in items]
        header_bytes = wire.BLOCK_HEADER.write(header)
        identity = crypto.hash_in("BlockHeader", header_bytes)
        try:
            equal(header["version"], 6, "its version")
            equal(header["network"], self.network, "its network")
            require(leaves, "it brings nothing")
            equal(header["item_count"], len(leaves), "the number of its items")
            equal(header["merkle_root"], crypto.merkle_root(leaves), "its Merkle root")
            fault = crypto.signature_fault("BlockHeader", header_bytes, header["miner"], signed["signature"])
            require(fault is None, f"the miner's signature: {fault}")
        except Mismatch as error:
            raise Mismatch(f"block {identity.hex()}: {error}") from error
        self.counts["signatures of miners"] += 1
        of_kind = lambda kind: [item for leaf, item in items if leaf[0] == kind]
        updates = of_kind(PRICE_UPDATE)
        require(len(updates) <= 1, "two price updates")
        update = updates[0] if updates else None
        return Block(identity, signed, (update, of_kind(COMPOSITION), of_kind(AMENDMENT)))

    def check_contents(self, header, records, blocks):
        limits = self.genesis["parameters"]["limits"]
        everything = [composition for block in blocks for composition in block.composed()]
        require(len(everything) <= limits["compositions_per_batch"], "too many compositions")
        for amendment in (amendment for block in blocks for amendment in block.amendments):
            demands = [part["composition"]["demand"] for part in amendment["parts"]]
            require(demands, "an amendment is empty")
            require(demands == sorted(demands), "the parts of an amendment do not ascend")
        in_clear = self.genesis["parameters"]["commit_reveal"] is None
        for composition in everything if in_clear else []:
            late = composition["timestamp_ms"] > header["timestamp_ms"]
            require(not late, f"the composition of {composition['demand'].hex()} is dated after its batch")
        for block in blocks:
            composed = [composition["demand"] for composition in block.composed()]
            require(len(set(composed)) == len(composed), "a demand is composed twice")
        require(len({block.identity for block in blocks}) == len(blocks), "a block stands twice")
        ids = [crypto.hash_in("Record", data) for data, _ in records]
        require(len(set(ids)) == len(ids), "a record stands twice")
        for identity, (data, record) in zip(ids, records):
            try:
                check_record(self.genesis, self.network, self.state.supply, record, data)
            except Mismatch as error:
                raise Mismatch(f"record {identity.hex()}: {error}") from error
            self.counts["signatures of records"] += 1

    def check_place(self, header, commitments, blocks, has_items):
        compositions = [composition for block in blocks for composition in block.compositions]
        amendments = [amendment for block in blocks for amendment in block.amendments]
        equal(header["height"], self.height + 1, "the height")
        equal(header["parent"], self.head, "the parent")
        parent_time = self.state.time
        require(header["timestamp_ms"] > parent_time, "the batch is not later than its parent")
        dropped = f" after a batch of which was dropped: {'; '.join(self.dropped)}" if self.dropped else ""
        equal(header["outcomes_root"], self.outcomes_root, f"the outcomes root{dropped}")
        equal(header["state_root"], self.state_root, "the state root")
        self.counts["state roots"] += 1
        equal(header["turn"] < header["height"], True, "its turn for commitments of batches before it")
        urgent = commitments or self.state.cohorts
        if not urgent and not compositions and all(part["replaces"] for part in parts_of(amendments)):
            name = "amendment_interval_ms" if amendments else "quiet_batch_interval_ms"
            late_enough = header["timestamp_ms"] >= parent_time + self.genesis["parameters"][name]
            require(late_enough, "a batch that composes no open demand comes too soon after its parent")
        self.state.follow(self.head)
        first, awaited = self.state.supply.horizon["first"], self.state.has_open()
        self.state.pass_time(header["timestamp_ms"])
        waits = has_items or self.awaits_seal or self.state.waits_for_time() or self.state.has_expired()
        waits = waits or self.state.notices_over()
        waits = waits or awaited and self.state.supply.horizon["first"] > first
        require(waits, "the batch is empty, nothing waits for time to pass, and nothing expires")

    def certificate(self, exported, height, batch):
        certificate = self.part(wire.CERTIFICATE, exported, "certificate")
        equal(certificate["height"], height, "the certificate's height")
        equal(certificate["batch"], batch, "the certificate's batch")
        validators, signatures = list(self.genesis["validators"].items()), certificate["signatures"]
        quorum = 2 * sum(power for _, power in validators) // 3 + 1
        votes = sum(validators[position][1] for position, _ in signatures if position < len(validators))
        require(votes >= quorum, f"{votes} votes, a quorum is {quorum}")
        vote = wire.VOTE.write({
            "network": self.network, "height": height, "round": certificate["round"],
            "kind": ("Precommit", None), "batch": batch,
        })
        last = -1
        for position, signature in signatures:
            require(last < position < len(validators), f"the vote of validator {position} is out of place")
            fault = crypto.signature_fault("Vote", vote, validators[position][0], signature)
            require(fault is None, f"the vote of validator {position}: {fault}")
            last = position
            self.counts["signatures of votes"] += 1

    def take_effect(self, header, evidence, records, commitments, blocks):
        state, height = self.state, header["height"]
        settled, expired = state.settle_due(), state.expire_due()
        self.counts["settlements"] += settled
        self.counts["expiries"] += expired
        batch = Batch(state, header)  # before what changes offers: notices, and records
        state.let_come_true()
        for number, found in enumerate(evidence):
            try:
                state.accuse(found, height)
            except Mismatch as error:
                raise Mismatch(f"evidence {number}: {error}") from error
        for data, record in records:
            identity = crypto.hash_in("Record", data)
            try:
                state.bring(record, len(data), identity, height)
            except Mismatch as error:
                raise Mismatch(f"record {identity.hex()}: {error}") from error
        if self.genesis["parameters"]["commit_reveal"] is not None:
            height, cohort, blocks, batch.seed = self.take_turn(header, commitments, blocks)
        else:
            for block in blocks:
                batch.check_admission(block)
        taken = batch.take_effect(blocks)
        if len(taken) < len(blocks):
            cohorts.put_back(state, height, cohort, [block for block in blocks if block not in taken])
        blocks = taken
        self.outcomes_root = crypto.merkle_root([block.outcome() for block in blocks])
        self.dropped = [str(why) for block in blocks for why in block.dropped.values()]
        self.awaits_seal = bool(header["item_count"] or blocks or settled or expired)
        for block in blocks:
            amendments_at = block.first + len(block.compositions)
            taken = set(range(block.items)) - set(block.dropped)
            self.counts["price updates"] += sum(item < block.first for item in taken)
            self.counts["compositions"] += sum(block.first <= item < amendments_at for item in taken)
            self.counts["amendments"] += sum(item >= amendments_at for item in taken)
            self.counts["items that were dropped"] += len(block.dropped)
        self.counts["blocks"] += len(blocks)
        self.rewards += batch.reward
        equal(state.money(), self.money, "all money")
        try:
            self.state_root = state.root()
        except wire.WireError as error:
            raise Mismatch(f"the state after the batch: {error}") from error

    def take_turn(self, header, commitments, revealed):
        """The blocks that take effect with a batch where miners commit to them, and what their lots are drawn by."""
        state = self.state
        for number, signed in enumerate(commitments):
            try:
                cohorts.commit(state, signed, header["height"])
            except Mismatch as error:
                raise Mismatch(f"commitment {number}: {error}") from error
        for block in revealed:
            try:
                cohorts.reveal(state, block)
            except Mismatch as error:
                raise Mismatch(f"block {block.identity.hex()}: {error}") from error
        self.counts["commitments"] += len(commitments)
        self.counts["blocks revealed"] += len(revealed)
        due = cohorts.take_turn(state, header["proposer"], header["turn"])
        if due is None:
            return None, None, [], header["parent"]
        for block in due[2]:
            block.is_committed = True
        return due

    def report(self):
        state, statuses = self.state, Counter(entry["status"][0] for entry in self.state.demands.values())
        statuses.update(Frozen=state.totals["settled"], Cancelled=state.totals["cancelled"])
        statuses.update(Expired=state.totals["expired"])
        capacities, entries = state.market_capacities(), state.market()
        bound = state.supply.at(state.prices).bound(entries, capacities)
        dollars = lambda micros: f"{Decimal(micros) / 1_000_000:,.6f} $"
        yield f"network {self.network.hex()} ({self.genesis['name']})"
        yield f"head {self.head.hex()} at height {self.height}"
        yield f"state root {state.root().hex()}"
        for what in sorted(self.counts):
            yield f"checked {self.counts[what]} {what}"
        yield f"checked rewards of {dollars(self.rewards)}"
        stand = ", ".join(f"{count} {name.lower()}" for name, count in sorted(statuses.items()) if count)
        yield f"demands {stand or 'none'}"
        yield f"certified bound of the market {dollars(bound)}"
        yield f"money {dollars(self.money)} at every height"


def parts_of(amendments):
    return [part for amendment in amendments for part in amendment["parts"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("chain", help="a file written by `miner chain export`")
    parser.add_argument("--network", help="the id of the network it must be (64 hexadecimal digits)")
    arguments = parser.parse_args()
    begun, place = time.monotonic(), "the file"
    try:
        with open(arguments.chain, encoding="utf-8") as file:
            export = json.load(file, parse_float=Decimal)
        place = "genesis"
        checker = Checker(export, arguments.network)
        for number, batch in enumerate(export["batches"], 1):
            place = f"batch {number}"
            checker.batch(batch)
    except (Mismatch, wire.WireError) as error:
        print(f"MISMATCH in {place}: {error}")
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        print(f"MALFORMED in {place}: {type(error).__name__}: {error}")
        return 1
    for line in checker.report():
        print(line)
    print(f"everything stands ({time.monotonic() - begun:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
