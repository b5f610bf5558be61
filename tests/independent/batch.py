"""What a batch does to the state (docs/protocol.md, sections 10 and 11)."""

from crypto import address
from ledger import DEMAND, PROVIDER, BOUNTY, equal, require
from market import MILLION, ceil_div, least_raised_bound, ppm, required_share, reward_share

PRICE_MAX = 1_000 * MILLION


class Part:
    """A composition that fits: of an open demand, or in place of what stands (`before`)."""

    def __init__(self, composition, entry, found):
        self.composition, self.entry, self.found = composition, entry, found
        self.demand = composition["demand"]
        self.before = entry["status"][1] if entry["status"][0] == "Composed" else None
        self.price = self.before["price"] if self.before else found.cost
        self.clearing, self.due = entry["clearing"] + self.change, 0
        self.reduced_cost = self.earned = 0

    @property
    def change(self):
        """What it adds to the cost of composed demands."""
        return self.found.cost - (self.before["cost"] if self.before else 0)


class Batch:
    """One batch taking effect on a state, step by step as in section 10; steps 1, 3 and 12 are the
    caller's. It begins before its records: what is composed is composed of the offers of then, and valued at
    the prices of then."""

    def __init__(self, state, header):
        self.state, self.height = state, header["height"]
        self.miner = address(header["miner"])
        self.supply, self.prices = state.supply, state.prices
        self.staged = {}  # by demand
        self.cost = self.displacement = self.reduced_cost = self.reward = 0

    def meter(self, demands, reprices):
        state, known = self.state, []
        for demand in demands:
            if demand in state.demands:
                known.append(state.demands[demand]["demand"])
        work = sum(map(self.supply.work, known))
        if reprices:
            work += 2 * sum(map(state.supply.work, state.market_demands()))
        limit = state.parameters["limits"]["verification_work"]
        require(work <= limit, f"checking takes {work} steps, at most {limit} are allowed")

    # ---- Steps 4 and 5 ----

    def stage(self, composition):
        """A composition of an open demand."""
        state, entry = self.state, self.entry_of(composition)
        equal(entry["status"][0], "Open", "the status of its demand")
        part = self.fitting(composition, entry)
        dedicated = state.parameters["allocation"][0] == "Dedicated"
        if dedicated:
            self.check_held(part.found.minutes)
        self.take(part.found.minutes, 1)
        if dedicated:
            for number in part.found.minutes:
                none = {"miner": self.miner, "compositions": 0}
                state.holders.setdefault(number, none)["compositions"] += 1
        self.value(part)
        self.award([part], part.found.cost, part.reduced_cost)
        self.staged[part.demand] = part
        self.cost += part.change

    def entry_of(self, composition):
        entry = self.state.demands.get(composition["demand"])
        require(entry is not None, "its demand is not in the market")
        require(composition["demand"] not in self.staged, "its demand is composed twice in the batch")
        overdue = entry["status"][0] == "Open" and entry["expires_ms"] <= self.state.time
        require(not overdue, "its demand has expired")
        return entry

    def fitting(self, composition, entry):
        """Checks a composition against the demand and what is left now."""
        wanted, chosen, providers = entry["demand"], composition["providers"], self.supply.providers
        equal(len(chosen), len(wanted["orders"]), "the number of its providers")
        for number, operation in zip(chosen, wanted["orders"]):
            require(number < len(providers), f"there is no provider {number}")
            offers = providers[number]["offers"]
            require(operation in offers, f"provider {number} does not offer operation {operation}")
        found = self.supply.evaluate(wanted, chosen)
        require(found.cost <= wanted["budget"], f"it costs {found.cost}, budget {wanted['budget']}")
        for number, minutes in found.minutes.items():
            usage, capacity = self.state.usage[number], providers[number]["capacity"]
            used = usage["standing"] + usage["frozen"]
            fits = capacity is None or used + minutes <= max(capacity, used)
            require(fits, f"provider {number} is used {used + minutes} min, capacity {capacity}")
        equal(composition["cost"], found.cost, "its cost")
        equal(composition["minutes"], sum(found.minutes.values()), "its minutes")
        return Part(composition, entry, found)

    def take(self, minutes, sign):
        for number, taken in minutes.items():
            self.state.usage[number]["standing"] += sign * taken
            self.state.stale.add((PROVIDER, number))

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

    # ---- Step 6 ----

    def amend(self, amendment):
        """Replaces what stands, all of it at once."""
        partial = self.state.parameters["allocation"][0] == "Partial"
        require(partial, "in dedicated allocation there are no amendments")
        changes, entries = False, []
        for part in amendment["parts"]:
            entry = self.entry_of(part["composition"])
            status, standing = entry["status"]
            composed = status == "Composed"
            frozen = composed and self.state.is_frozen(standing)
            require(not frozen, "it replaces what is to be settled")
            equal(part["replaces"], standing["version"] if composed else 0, "the version replaced")
            if composed:
                changes |= standing["providers"] != part["composition"]["providers"]
                self.take(standing["minutes"], -1)
            entries.append(entry)
        composed = any(part["replaces"] for part in amendment["parts"])
        require(composed, "it replaces no composition")
        parts = []
        for part, entry in zip(amendment["parts"], entries):
            parts.append(self.fitting(part["composition"], entry))
            self.take(parts[-1].found.minutes, 1)
        require(changes, "it changes no composition that it replaces")
        displaced = self.settle_balance(parts)
        added = sum(map(self.value, parts))
        firsts = [part for part in parts if part.before is None]
        self.award(firsts, sum(part.found.cost for part in firsts) + displaced, max(0, added))
        for part in parts:
            self.staged[part.demand] = part
            self.cost += part.change

    def settle_balance(self, parts):
        """Who saves, who pays for room, and what the amender is due. Returns what is displaced."""
        parameters = self.state.parameters
        firsts = [part for part in parts if part.before is None]
        saving = -sum(part.change for part in parts if part.before)
        if not firsts:
            before = sum(part.before["cost"] for part in parts)
            least = max(1, ceil_div(before * parameters["min_saving_ppm"], MILLION))
            require(saving >= least, f"it saves {saving}, expected at least {least}")
        displacement = displaced = max(0, -saving)
        self.displacement += displacement
        for part in firsts:
            charge = min(displaced, part.entry["demand"]["budget"] - part.found.cost)
            part.price += charge
            displaced -= charge
        require(displaced == 0, f"its budgets lack {displaced} for the room it makes")
        for part, share in zip(parts, shares(max(0, saving), [part.price for part in parts])):
            part.clearing += share
            dues = sum(part.before["dues"].values()) if part.before else 0
            due = ppm(share, parameters["amender_share_ppm"])
            part.due = min(due, part.entry["solver_fee"] - dues)
        return displacement

    # ---- What it is worth ----

    def value(self, part):
        """Returns what the part adds to reduced cost."""
        wanted, priced = part.entry["demand"], self.supply.at(self.prices)
        part.reduced_cost = added = priced.reduced_cost(wanted, part.found)
        if part.before:
            charges = (priced.price(number) * taken for number, taken in part.before["minutes"].items())
            added -= part.before["cost"] + sum(charges) - priced.least(wanted)
        self.reduced_cost += added
        return added

    def award(self, firsts, cost, reduced_cost):
        """What first compositions earn by this cost and reduced cost, which is enough for each."""
        schedule = self.state.parameters["schedule"]
        if schedule["measure"][0] == "Paper":
            return  # see judge
        for part in firsts:
            part.earned, required = self.pay(part, reward_share(schedule, cost, reduced_cost, 0))
            require(part.earned >= required, f"it earns {part.earned}, expected at least {required}")
            self.reward += part.earned

    def pay(self, part, share):
        """What a share of its fee is, and what its demand requires."""
        fee, age = part.entry["solver_fee"], self.state.market_time() - part.entry["since_ms"]
        return ppm(fee, share), ppm(fee, required_share(self.state.parameters, age))

    def judge(self):
        """By a measure of paper A a batch is judged as a whole."""
        schedule = self.state.parameters["schedule"]
        firsts = [part for part in self.staged.values() if part.before is None]
        if schedule["measure"][0] != "Paper" or not firsts:
            return
        cost = sum(part.found.cost for part in firsts) + self.displacement
        orders = sum(len(part.composition["providers"]) for part in firsts)
        share, required = reward_share(schedule, cost, 0, orders), 0
        for part in firsts:
            part.earned, least = self.pay(part, share)
            self.reward += part.earned
            required += least
        require(self.reward >= required, f"the batch earns {self.reward}, expected at least {required}")

    # ---- The end ----

    def enter_all(self):
        state = self.state
        for part in self.staged.values():
            self.enter(part)
        replaced = (part.before["minutes"] for part in self.staged.values() if part.before)
        state.release_deposits(sorted(set().union(*replaced, state.changed)))
        state.changed = set()

    def enter(self, part):
        state, entry, found, before = self.state, part.entry, part.found, part.before
        standing = {
            "version": 1, "providers": part.composition["providers"], "miner": self.miner,
            "since": self.height, "since_ms": self.state.market_time(), "height": self.height,
            "amended_by": None,
            "timestamp_ms": part.composition["timestamp_ms"],
            "minutes": dict(sorted(found.minutes.items())), "owed": dict(sorted(found.owed.items())),
            "transport": found.transport, "time_value": found.time_value, "cost": found.cost,
            "first_cost": found.cost, "price": part.price, "reduced_cost": part.reduced_cost, "earned": part.earned,
            "dues": {},
        }
        if before:
            kept = ("miner", "since", "since_ms", "first_cost", "earned")
            standing |= {name: before[name] for name in kept}
            standing |= {"version": before["version"] + 1, "amended_by": self.miner}
            standing["dues"] = dict(before["dues"])
        else:
            entry["escrow"] = entry["solver_fee"]
            state.credit(entry["author"], entry["demand"]["budget"] - part.price)
        if part.due:
            standing["dues"][self.miner] = standing["dues"].get(self.miner, 0) + part.due
        require(part.clearing >= found.cost, "a clearing account does not cover what is owed")
        entry["status"], entry["clearing"] = ("Composed", standing), part.clearing
        state.stale.add((DEMAND, part.demand))

    def reprice(self, prices):
        """Returns the bound before and after."""
        state = self.state
        capacities, entries = state.market_capacities(), state.market()
        require(len(prices) <= len(capacities), "there are more prices than providers")
        prices = prices + [0] * (len(capacities) - len(prices))
        for number, (price, capacity) in enumerate(zip(prices, capacities)):
            require(0 <= price <= PRICE_MAX, f"the price of provider {number} is {price}")
            require(price == 0 or capacity is not None, f"unlimited provider {number} has a price")
        before = state.supply.at(state.prices).bound(entries, capacities)
        after = state.supply.at(prices).bound(entries, capacities)
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


def shares(saving, prices):
    """A saving by price, floored; one unit each of what is left over to the first."""
    weights = prices if any(prices) else [1] * len(prices)
    found = [saving * weight // sum(weights) for weight in weights]
    left = saving - sum(found)
    return [share + (position < left) for position, share in enumerate(found)]
