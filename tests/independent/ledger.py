"""The state and what a block does to it (docs/protocol.md, sections 6, 8, 10 and 12)."""

import wire
from crypto import address, hash_in, state_root
from market import (
    MILLION, Supply, least_raised_bound, ppm, required_share, reward_share,
)

PROVIDERS_MAX, PRICE_MAX, BUDGET_MAX = 20_000, 1_000 * MILLION, 1_000_000 * MILLION
BALANCE, SEQUENCE, PROVIDER, DEMAND, BOUNTY, CARRIER = range(6)


class Mismatch(Exception):
    """Something in the chain is not as it must be."""


def require(holds, what):
    if not holds:
        raise Mismatch(what)


def equal(got, expected, what):
    if got != expected:
        show = lambda value: value.hex() if isinstance(value, bytes) else value
        raise Mismatch(f"{what} is {show(got)}, expected {show(expected)}")


class State:
    def __init__(self, genesis):
        self.genesis, self.parameters = genesis, genesis["parameters"]
        self.balances, self.sequences, self.demands = dict(genesis["balances"]), {}, {}
        self.addresses = [provider["address"] for provider in genesis["providers"]]
        self.ids = {address: number for number, address in enumerate(self.addresses)}
        self.usage = [{"standing": 0, "frozen": 0} for _ in self.addresses]
        self.holders, self.prices = {}, [0] * len(self.addresses)
        providers = [provider["provider"] for provider in genesis["providers"]]
        self.supply = Supply(genesis["rules"], genesis["geometry"], providers)
        self.bounty, self.carrier = genesis["bounty"], 0
        self.leaves = {}
        self.stale = {(BOUNTY, b""), (CARRIER, b"")}
        self.stale |= {(BALANCE, owner) for owner in self.balances}
        self.stale |= {(PROVIDER, number) for number in range(len(self.addresses))}

    # ---- Entries and root ----

    def entry(self, kind, name):
        """The value of one entry, or None if there is none."""
        if kind == BALANCE:
            return wire.MONEY.write(self.balances[name]) if name in self.balances else None
        if kind == SEQUENCE:
            return wire.U64.write(self.sequences[name])
        if kind == DEMAND:
            return wire.DEMAND_ENTRY.write(self.demands[name])
        if kind == PROVIDER:
            return wire.PROVIDER_ENTRY.write({
                "address": self.addresses[name], "provider": self.supply.providers[name],
                "usage": self.usage[name], "holder": self.holders.get(name), "price": self.prices[name],
            })
        return wire.MONEY.write(self.bounty if kind == BOUNTY else self.carrier)

    def root(self):
        for kind, name in self.stale:
            value = self.entry(kind, name)
            key = bytes([kind]) + (name.to_bytes(4, "big") if kind == PROVIDER else name)
            if value is None:
                self.leaves.pop(key, None)
            else:
                self.leaves[key] = hash_in(
                    "StateEntry", wire.varint(len(key)), key, wire.varint(len(value)), value
                )
        self.stale = set()
        return state_root([self.leaves[key] for key in sorted(self.leaves)])

    # ---- Money ----

    def credit(self, owner, amount):
        require(amount >= 0, f"a credit of {amount}")
        if amount:
            self.balances[owner] = self.balances.get(owner, 0) + amount
            self.stale.add((BALANCE, owner))

    def debit(self, owner, amount):
        left = self.balances.get(owner, 0) - amount
        require(left >= 0, f"{owner.hex()} has {left + amount} and pays {amount}")
        if left:
            self.balances[owner] = left
        else:
            self.balances.pop(owner, None)
        self.stale.add((BALANCE, owner))

    def money(self):
        held = sum(entry["escrow"] + entry["clearing"] for entry in self.demands.values())
        return sum(self.balances.values()) + held + self.bounty + self.carrier

    # ---- The market ----

    def market(self):
        return [
            entry for entry in self.demands.values() if entry["status"][0] in ("Open", "Composed")
        ]

    def market_demands(self):
        return [entry["demand"] for entry in self.market()]

    def market_capacities(self):
        providers = zip(self.supply.providers, self.usage)
        return [
            None if provider["capacity"] is None else max(0, provider["capacity"] - usage["frozen"])
            for provider, usage in providers
        ]

    def waits_for_heights(self, height):
        relaxed = self.parameters["relax_after_heights"] + self.parameters["relax_over_heights"]
        return any(
            entry["status"][0] == "Composed" or height - entry["since"] < relaxed
            for entry in self.market()
        )

    # ---- Freezing and settlement ----

    def settle_due(self, height):
        after, due = self.parameters["freeze_after_heights"], []
        for demand, entry in self.demands.items():
            status, standing = entry["status"]
            if status == "Composed" and standing["since"] + after <= height:
                due.append(demand)
        for demand in sorted(due):
            self.freeze(demand, height)
        return len(due)

    def freeze(self, demand, height):
        entry = self.demands[demand]
        standing = entry["status"][1]
        for number, owed in standing["owed"].items():
            self.credit(self.addresses[number], owed)
        self.carrier += standing["transport"]
        rest = entry["clearing"] - sum(standing["owed"].values()) - standing["transport"]
        require(rest >= 0, f"demand {demand.hex()}: its clearing account lacks {-rest}")
        share = ppm(standing["earned"], self.parameters["bounty_share_ppm"])
        self.bounty += share
        self.credit(standing["miner"], standing["earned"] - share)
        self.credit(entry["author"], rest + entry["escrow"] - standing["earned"])
        for number, minutes in standing["minutes"].items():
            self.usage[number]["standing"] -= minutes
            self.usage[number]["frozen"] += minutes
            holder = self.holders.get(number)
            if holder:
                holder["compositions"] -= 1
                if not holder["compositions"]:
                    del self.holders[number]
            self.stale.add((PROVIDER, number))
        entry["escrow"] = entry["clearing"] = 0
        entry["status"] = ("Frozen", {"composition": standing, "height": height})
        self.stale |= {(DEMAND, demand), (BOUNTY, b""), (CARRIER, b"")}

    # ---- Records ----

    def bring(self, record, identity, height):
        content = record["content"]
        author = address(content["author"])
        require(content["valid_from"] <= height <= content["valid_until"], "it is outside its window")
        equal(content["sequence"], self.sequences.get(author, 0), "its sequence number")
        kind, said = content["statement"]
        if kind == "Offer":
            self.offer(author, said)
        elif kind == "OfferWithdrawal":
            self.withdraw(author)
        elif kind == "Demand":
            self.demand(author, said, identity, height)
        elif kind == "DemandCancellation":
            self.cancel(author, said["demand"], height)
        else:
            self.debit(author, said["amount"])
            self.credit(said["to"], said["amount"])
        self.sequences[author] = content["sequence"] + 1
        self.stale.add((SEQUENCE, author))

    def offer(self, author, said):
        number = self.ids.get(author)
        if number is None:
            require(len(self.addresses) < PROVIDERS_MAX, "the market has as many providers as it may")
            number = self.ids[author] = len(self.addresses)
            self.addresses.append(author)
            self.usage.append({"standing": 0, "frozen": 0})
            self.prices.append(0)
            self.supply.providers.append(said)
        self.supply.providers[number] = said
        if said["capacity"] is None:
            self.prices[number] = 0
        self.supply.changed()
        self.stale.add((PROVIDER, number))

    def withdraw(self, author):
        number = self.ids.get(author)
        offered = number is not None and self.supply.providers[number]["offers"]
        require(offered, "its author offers nothing that could be withdrawn")
        terms = self.supply.providers[number]
        self.supply.providers[number] = {**terms, "offers": {}, "capacity": 0}
        self.supply.changed()
        self.stale.add((PROVIDER, number))

    def demand(self, author, said, identity, height):
        require(len(self.market()) < self.parameters["limits"]["market_demands"], "the market is full")
        escrow = said["budget"] + said["solver_fee"]
        self.debit(author, escrow)
        wanted = {name: said[name] for name in ("name", "site", "orders", "budget")}
        self.demands[identity] = {
            "author": author, "demand": wanted, "solver_fee": said["solver_fee"], "since": height,
            "escrow": escrow, "clearing": 0, "status": ("Open", None),
        }
        self.stale.add((DEMAND, identity))

    def cancel(self, author, demand, height):
        entry = self.demands.get(demand)
        require(entry is not None, "it cancels a demand that is not on chain")
        equal(author, entry["author"], "the author of the cancellation")
        equal(entry["status"][0], "Open", "the cancelled demand's status")
        self.credit(author, entry["escrow"])
        entry["escrow"], entry["status"] = 0, ("Cancelled", {"height": height})
        self.stale.add((DEMAND, demand))


class Block:
    """One block taking effect on a state, step by step as in section 10; steps 1, 3 and 11 are the
    caller's."""

    def __init__(self, state, height, miner):
        self.state, self.height, self.miner = state, height, address(miner)
        self.staged = {}

    def meter(self, demands, reprices):
        state, known = self.state, []
        for demand in demands:
            if demand in state.demands:
                known.append(state.demands[demand]["demand"])
        work = sum(map(state.supply.work, known))
        if reprices:
            work += 2 * sum(map(state.supply.work, state.market_demands()))
        limit = state.parameters["limits"]["verification_work"]
        require(work <= limit, f"checking takes {work} steps, at most {limit} are allowed")

    def stage(self, composition):
        """Step 5 for one composition."""
        state, demand, chosen = self.state, composition["demand"], composition["providers"]
        entry = state.demands.get(demand)
        require(entry is not None, "its demand is not on chain")
        require(demand not in self.staged, "its demand is composed twice in the block")
        equal(entry["status"][0], "Open", "the status of its demand")
        wanted, providers = entry["demand"], state.supply.providers
        equal(len(chosen), len(wanted["orders"]), "the number of its providers")
        for number, operation in zip(chosen, wanted["orders"]):
            require(number < len(providers), f"there is no provider {number}")
            offers = providers[number]["offers"]
            require(operation in offers, f"provider {number} does not offer operation {operation}")
        found = state.supply.evaluate(wanted, chosen)
        require(found.cost <= wanted["budget"], f"it costs {found.cost}, budget {wanted['budget']}")
        for number, minutes in found.minutes.items():
            usage, capacity = state.usage[number], providers[number]["capacity"]
            used = usage["standing"] + usage["frozen"]
            fits = capacity is None or used + minutes <= max(capacity, used)
            require(fits, f"provider {number} is used {used + minutes} min, capacity {capacity}")
        dedicated = state.parameters["allocation"][0] == "Dedicated"
        if dedicated:
            self.check_held(found.minutes)
        equal(composition["cost"], found.cost, "its cost")
        equal(composition["minutes"], sum(found.minutes.values()), "its minutes")
        for number, minutes in found.minutes.items():
            state.usage[number]["standing"] += minutes
            if dedicated:
                none = {"miner": self.miner, "compositions": 0}
                state.holders.setdefault(number, none)["compositions"] += 1
            state.stale.add((PROVIDER, number))
        self.staged[demand] = (composition, found)

    def check_held(self, used):
        state = self.state
        held = {number for number, holder in state.holders.items() if holder["miner"] == self.miner}
        for number in used:
            holder = state.holders.get(number)
            require(not holder or holder["miner"] == self.miner, f"another miner holds provider {number}")
        limit = state.parameters["held_providers_max"]
        if limit is None:
            limit = -(-len(state.addresses) // state.genesis["miners"])
        count = len(held | set(used))
        require(count <= limit, f"its miner holds {count} providers, at most {limit} are allowed")

    def reprice(self, prices):
        """Step 7; returns the bound before and after."""
        state = self.state
        capacities, demands = state.market_capacities(), state.market_demands()
        require(len(prices) <= len(capacities), "there are more prices than providers")
        prices = prices + [0] * (len(capacities) - len(prices))
        for number, (price, capacity) in enumerate(zip(prices, capacities)):
            require(0 <= price <= PRICE_MAX, f"the price of provider {number} is {price}")
            require(price == 0 or capacity is not None, f"unlimited provider {number} has a price")
        before = state.supply.at(state.prices).bound(demands, capacities)
        after = state.supply.at(prices).bound(demands, capacities)
        if not -(1 << 63) <= before < 1 << 63:
            before = -(1 << 63)
        least = least_raised_bound(before, state.parameters["min_bound_gain_ppm"])
        require(least <= after < 1 << 63, f"the bound becomes {after}, expected at least {least}")
        pay = ppm(state.bounty, state.parameters["bounty_pay_ppm"])
        state.bounty -= pay
        state.credit(self.miner, pay)
        changed = (number for number, price in enumerate(prices) if price != state.prices[number])
        state.stale |= {(PROVIDER, number) for number in changed} | {(BOUNTY, b"")}
        state.prices = prices
        return before, after

    def judge(self):
        """Steps 8 to 10; returns total cost, total regret and the reward."""
        state, parameters, totals = self.state, self.state.parameters, [0, 0, 0]
        priced, regrets = state.supply.at(state.prices), {}
        for demand, (composition, found) in self.staged.items():
            regrets[demand] = priced.regret(state.demands[demand]["demand"], found)
            added = (found.cost, regrets[demand], len(composition["providers"]))
            totals = [total + more for total, more in zip(totals, added)]
        share = reward_share(parameters["schedule"], *totals) if self.staged else 0
        reward = required = 0
        for demand, (composition, found) in self.staged.items():
            entry = state.demands[demand]
            fee, age = entry["solver_fee"], self.height - entry["since"]
            earned = ppm(fee, share)
            reward += earned
            required += ppm(fee, required_share(parameters, age))
            self.enter(demand, composition, found, regrets[demand], earned)
        require(reward >= required, f"the block earns {reward}, expected at least {required}")
        return totals[0], totals[1], reward

    def enter(self, demand, composition, found, regret, earned):
        state, entry = self.state, self.state.demands[demand]
        entry["status"] = ("Composed", {
            "version": 1, "providers": composition["providers"], "miner": self.miner,
            "since": self.height, "height": self.height, "amended_by": None,
            "timestamp_ms": composition["timestamp_ms"],
            "minutes": dict(sorted(found.minutes.items())), "owed": dict(sorted(found.owed.items())),
            "transport": found.transport, "time_value": found.time_value, "cost": found.cost,
            "first_cost": found.cost, "price": found.cost, "regret": regret, "earned": earned, "dues": {},
        })
        entry["clearing"], entry["escrow"] = found.cost, entry["solver_fee"]
        state.credit(entry["author"], entry["demand"]["budget"] - found.cost)
        state.stale.add((DEMAND, demand))
