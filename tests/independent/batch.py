"""What a batch does to the state (docs/protocol.md, sections 10 and 11)."""

import wire
from crypto import address, hash_in
from ledger import BURNED, DEMAND, PROVIDER, Mismatch, equal, require
from market import MILLION, ceil_div, least_gain, ppm, required_share, reward_share, share_near_optimum

PRICE_MAX = 1_000 * MILLION
CARRIED_PATH_WORK = 5


class Block:
    """A block of the batch, and why its items do not take effect: text and rule by position."""

    def __init__(self, identity, signed, body):
        header = signed["header"]
        self.identity, self.anchor, self.key = identity, header["anchor"], header["miner"]
        self.nonce, self.is_committed = header["nonce"], False
        names = ("price_update", "compositions", "amendments")
        self.whole = {"signed": signed, "body": dict(zip(names, body))}
        self.miner = address(self.key)
        self.update, self.compositions, self.amendments = body
        self.first = 0 if self.update is None else 1
        self.items = self.first + len(self.compositions) + len(self.amendments)
        self.dropped = {}

    def composed(self):
        """Everything it composes, in order."""
        parts = [part["composition"] for amendment in self.amendments for part in amendment["parts"]]
        return self.compositions + parts

    def drop(self, item, error):
        require(error.rule is not None, f"block {self.identity.hex()}: {error}")
        self.dropped.setdefault(item, error)

    def drop_all(self, error):
        for item in range(self.items):
            self.drop(item, error)

    def is_of_use(self):
        return len(self.dropped) < self.items

    def outcome(self):
        dropped = [(item, error.rule) for item, error in sorted(self.dropped.items())]
        return wire.OUTCOME.write({"block": self.identity, "dropped": dropped})


class Part:
    """A composition that fits: of an open demand, or in place of what stands (`before`)."""

    def __init__(self, block, composition, entry, found):
        self.block, self.composition, self.entry, self.found = block, composition, entry, found
        self.demand = composition["demand"]
        self.before = entry["status"][1] if entry["status"][0] == "Composed" else None
        self.price = self.before["price"] if self.before else found.cost
        self.clearing, self.due = entry["clearing"] + self.change, 0
        self.reduced_cost = self.least = self.valued = self.priced = 0
        self.earned = self.for_prices = self.fee = 0

    @property
    def change(self):
        """What it adds to the cost of composed demands."""
        return self.found.cost - (self.before["cost"] if self.before else 0)


class Batch:
    """One batch taking effect on a state, step by step as in section 10; steps 1, 3 and 12 are the
    caller's. It begins before its records: what is composed is composed of the offers of then, and valued at
    the prices of then."""

    def __init__(self, state, header):
        self.state, self.height, self.seed = state, header["height"], header["parent"]
        self.supply, self.prices, self.valued = state.supply, state.prices, state.valued
        self.staged = {}  # by demand
        self.work = self.reward = 0
        self.bound_in_force = None

    def check_admission(self, block):
        """A block in clear may come with this batch."""
        state = self.state
        require(block.anchor in state.anchors, f"block {block.identity.hex()}: its anchor is none of the last batches")
        require(block.identity not in state.brought, f"block {block.identity.hex()}: an earlier batch has brought it")

    def take_effect(self, blocks):
        """Steps 4 to 11. What became of the blocks is in them. Returns those that were not left for the next batch."""
        if any(block.is_committed for block in blocks):
            blocks = sorted(blocks, key=self.lot)
        admitted = []
        for block in blocks:
            try:
                self.admit(block)
            except Mismatch as error:
                is_late = block.is_committed and admitted and error.rule == "verification-work"
                if is_late and self.work_of(block) <= self.state.parameters["limits"]["verification_work"]:
                    continue
                block.drop_all(error)
            admitted.append(block)
        blocks = admitted
        parameters = self.state.parameters
        if parameters["allocation"][0] == "Dedicated" or parameters["schedule"]["measure"][0] == "Paper":
            self.take_whole(blocks)
        else:
            self.compose(blocks)
            self.amend_all(blocks)
        self.enter_all()
        self.reprice_once(blocks)
        return blocks

    # ---- Step 4 ----

    def admit(self, block):
        """The block has its turn, if there is time to check it."""
        self.spend(self.work_of(block))
        if not block.is_committed:
            self.state.bring_block(block.identity, block.anchor)

    def work_of(self, block):
        demands = self.state.demands
        known = [composition["demand"] for composition in block.composed()]
        return sum(self.supply.work(demands[demand]["demand"]) for demand in known if demand in demands)

    def spend(self, work):
        limit = self.state.parameters["limits"]["verification_work"]
        what = f"checking takes {self.work + work} steps, at most {limit} are allowed"
        require(self.work + work <= limit, what, "verification-work")
        self.work += work

    def lot(self, block, demand=None):
        """What decides between equals."""
        return hash_in("Order", wire.LOT.write({"seed": self.seed, "miner": block.key, "demand": demand}))

    # ---- Step 5 ----

    def compose(self, blocks):
        """The better ones first, whichever block they are in."""
        judged = []
        for place, block in enumerate(blocks):
            if not block.is_of_use():
                continue
            for item, composition in enumerate(block.compositions, block.first):
                try:
                    part, share = self.judged(block, composition)
                except Mismatch as error:
                    block.drop(item, error)
                    continue
                loss = quotient(part.reduced_cost * MILLION, max(part.found.cost, 1))
                judged.append((-share, loss, self.lot(block, part.demand), place, item, part))
        for *_, item, part in sorted(judged, key=lambda one: one[:4]):
            try:
                self.reserve(part)
            except Mismatch as error:
                part.block.drop(item, error)

    def amend_all(self, blocks):
        """The greater saving first, but those of one block in its order."""
        queues = {place: 0 for place, block in enumerate(blocks) if block.is_of_use() and block.amendments}
        while queues:
            rank = lambda place: (*self.amendment_rank(blocks[place], queues[place]), place)
            place = min(queues, key=rank)
            block, number = blocks[place], queues[place]
            try:
                self.amend(block, block.amendments[number])
            except Mismatch as error:
                block.drop(block.first + len(block.compositions) + number, error)
            queues[place] += 1
            if queues[place] == len(block.amendments):
                del queues[place]

    def amendment_rank(self, block, number):
        parts, saving, price = block.amendments[number]["parts"], 0, 0
        for part in parts:
            entry = self.state.demands.get(part["composition"]["demand"])
            if entry and entry["status"][0] == "Composed":
                standing = entry["status"][1]
                saving += standing["cost"] - part["composition"]["cost"]
                price += standing["price"]
        saved = quotient(saving * MILLION, max(price, 1))
        return -saved, self.lot(block, parts[0]["composition"]["demand"])

    # ---- Step 7 ----

    def take_whole(self, blocks):
        """Block by block, in order of their lots; each whole or not at all."""
        for block in sorted(blocks, key=self.lot):
            if not block.is_of_use():
                continue
            saved, staged, reward = self.saved(), dict(self.staged), self.reward
            try:
                for composition in block.compositions:
                    self.reserve(self.judged(block, composition)[0])
                displacement = sum(self.amend(block, amendment) for amendment in block.amendments)
                self.judge(block, displacement)
            except Mismatch as error:
                self.put_back(saved)
                self.staged, self.reward = staged, reward
                for item in range(block.first, block.items):
                    block.drop(item, error)

    def saved(self):
        """The minutes and holders of providers as they are, to be put back."""
        holders = {number: dict(holder) for number, holder in self.state.holders.items()}
        return dict(self.state.usage), holders

    def put_back(self, saved):
        self.state.usage, self.state.holders = saved

    # ---- One composition ----

    def judged(self, block, composition):
        """A composition of an open demand, fine by itself, and the share of the fee that it earns."""
        self.check_date(block, composition)
        entry = self.entry_of(composition)
        equal(entry["status"][0], "Open", "the status of its demand", "already-composed")
        part = self.fitting(block, composition, entry)
        self.value(part)
        self.award([part], part.found.cost, part.reduced_cost)
        schedule = self.state.parameters["schedule"]
        return part, reward_share(schedule, part.found.cost, part.reduced_cost)

    def reserve(self, part):
        """There is room for it after those before it."""
        state = self.state
        self.check_once(part.composition)
        self.check_room(part.found)
        if state.parameters["allocation"][0] == "Dedicated":
            self.check_held(part.block.miner, part.found.owed)
            for number in part.found.owed:
                none = {"miner": part.block.miner, "compositions": 0}
                state.holders.setdefault(number, none)["compositions"] += 1
        self.check_near_best(part, {})
        self.take(part.found.minutes, 1)
        self.staged[part.demand] = part
        self.reward += part.earned

    def check_once(self, composition):
        is_staged = composition["demand"] in self.staged
        require(not is_staged, "its demand is composed twice in the batch", "duplicate-composition")

    def entry_of(self, composition):
        entry = self.state.demands.get(composition["demand"])
        require(entry is not None, "its demand is not in the market", "unknown-demand")
        overdue = entry["status"][0] == "Open" and entry["expires_ms"] <= self.state.time
        require(not overdue, "its demand has expired", "expired-demand")
        return entry

    def check_date(self, block, composition):
        """What was committed to says of its date what it likes, but for the far future."""
        latest = self.state.time + self.state.parameters["limits"]["clock_lead_ms"]
        late = block.is_committed and composition["timestamp_ms"] > latest
        require(not late, "it is dated long after its batch", "composition-timestamp")

    def fitting(self, block, composition, entry):
        """Checks a composition against the demand and the offers."""
        wanted, chosen, providers = entry["demand"], composition["slots"], self.supply.providers
        equal(len(chosen), len(wanted["orders"]), "the number of its slots", "order-count")
        self.check_periods(wanted, chosen)
        for (number, _), operation in zip(chosen, wanted["orders"]):
            require(number < len(providers), f"there is no provider {number}", "unknown-provider")
            offers = providers[number]["offers"]
            rule = "not-offered" if offers else "offer-withdrawn"
            require(operation in offers, f"provider {number} does not offer operation {operation}", rule)
        found = self.supply.evaluate(wanted, chosen)
        require(self.supply.is_long_enough(wanted, chosen), "it takes more of a period than that has", "period-minutes")
        require(found.cost <= wanted["budget"], f"it costs {found.cost}, budget {wanted['budget']}", "budget")
        equal(composition["cost"], found.cost, "its cost", "cost")
        equal(composition["minutes"], sum(found.minutes.values()), "its minutes", "minutes")
        return Part(block, composition, entry, found)

    def check_periods(self, wanted, chosen):
        """Each order is done when the demand wants it, and none before the one that comes before it."""
        periods, before = self.supply.within(wanted), 0
        for _, period in chosen:
            require(period in periods, f"an order is done in period {period}, expected one of {periods}", "window")
            require(period >= before, f"an order is done in period {period} after one in {before}", "period-order")
            before = period

    def check_room(self, found):
        for slot, minutes in found.minutes.items():
            number, usage, capacity = slot[0], self.state.used(slot), self.supply.capacity(slot)
            used = usage["standing"] + usage["frozen"]
            fits = capacity is None or used + minutes <= max(capacity, used)
            what = f"provider {number} is used {used + minutes} min, capacity {capacity}"
            require(fits, what, "capacity")

    def take(self, minutes, sign):
        for slot, taken in minutes.items():
            self.state.use(slot, sign * taken)

    def check_held(self, miner, used):
        state = self.state
        held = {number for number, holder in state.holders.items() if holder["miner"] == miner}
        for number in used:
            holder = state.holders.get(number)
            is_free = not holder or holder["miner"] == miner
            require(is_free, f"another miner holds provider {number}", "provider-held")
        limit = state.parameters["held_providers_max"]
        if limit is None:
            limit = -(-len(state.addresses) // state.genesis["miners"])
        count = len(held | set(used))
        what = f"its miner holds {count} providers, at most {limit} are allowed"
        require(count <= limit, what, "providers-held-max")

    # ---- Step 6 ----

    def amend(self, block, amendment):
        """Replaces what stands, all of it at once, or nothing. Returns what is displaced."""
        for part in amendment["parts"]:
            self.check_date(block, part["composition"])
        saved = self.saved()
        try:
            return self.exchange(block, amendment)
        except Mismatch:
            self.put_back(saved)
            raise

    def exchange(self, block, amendment):
        partial = self.state.parameters["allocation"][0] == "Partial"
        require(partial, "in dedicated allocation there are no amendments", "amendments-off")
        changes, entries = False, []
        for part in amendment["parts"]:
            self.check_once(part["composition"])
            entry = self.entry_of(part["composition"])
            status, standing = entry["status"]
            composed = status == "Composed"
            frozen = composed and self.state.is_frozen(standing)
            require(not frozen, "it replaces what is to be settled", "frozen-demand")
            version = standing["version"] if composed else 0
            equal(part["replaces"], version, "the version replaced", "stale-amendment")
            if composed:
                changes |= standing["slots"] != part["composition"]["slots"]
                self.take(standing["minutes"], -1)
            entries.append(entry)
        composed = any(part["replaces"] for part in amendment["parts"])
        require(composed, "it replaces no composition", "nothing-replaced")
        parts = []
        for part, entry in zip(amendment["parts"], entries):
            parts.append(self.fitting(block, part["composition"], entry))
            self.check_room(parts[-1].found)
            self.take(parts[-1].found.minutes, 1)
        require(changes, "it changes no composition that it replaces", "nothing-changed")
        for part in parts:
            self.check_dearer(part)
        displaced = self.settle_balance(parts)
        added = sum(map(self.value, parts))
        for part in parts:
            same = part.before and part.before["slots"] == part.composition["slots"] and not part.change
            if not same:
                self.check_near_best(part, part.found.minutes)
        firsts = [part for part in parts if part.before is None]
        self.award(firsts, sum(part.found.cost for part in firsts) + displaced, max(0, added))
        for part in parts:
            self.staged[part.demand] = part
            self.reward += part.earned
        return displaced

    def settle_balance(self, parts):
        """Who saves, who pays for room, and what the amender is due. Returns what is displaced."""
        parameters = self.state.parameters
        firsts = [part for part in parts if part.before is None]
        saving = -sum(part.change for part in parts if part.before)
        before = sum(part.before["cost"] for part in parts if part.before)
        least = max(1, ceil_div(before * parameters["min_saving_ppm"], MILLION))
        if not firsts:
            require(saving >= least, f"it saves {saving}, expected at least {least}", "saving")
        displacement = displaced = max(0, -saving)
        for part in firsts:
            charge = min(displaced, part.entry["demand"]["budget"] - part.found.cost)
            part.price += charge
            displaced -= charge
        require(displaced == 0, f"its budgets lack {displaced} for the room it makes", "room")
        if saving < least:
            self.check_room_needed(parts, firsts)
        falls = [max(0, -part.change) if part.before else 0 for part in parts]
        for part, share in zip(parts, shares(max(0, saving), falls)):
            part.clearing += share
            dues = sum(part.before["dues"].values()) if part.before else 0
            due = ppm(share, parameters["amender_share_ppm"])
            part.due = min(due, part.entry["solver_fee"] - dues)
        return displacement

    # ---- What is left ----

    def left(self, back):
        """The minutes left of each slot, with these given back; None is unlimited."""
        minutes = {}
        for slot in self.supply.slots():
            usage, capacity = self.state.used(slot), self.supply.capacity(slot)
            used = usage["standing"] + usage["frozen"] - back.get(slot, 0)
            minutes[slot] = None if capacity is None else max(0, capacity - used)
        return minutes

    def carried(self, demand, prices, left):
        self.spend(CARRIED_PATH_WORK * self.supply.work(demand))
        return self.supply.at(prices).carried(demand, left)

    def check_near_best(self, part, back):
        """Nothing that is left, with these minutes given back, serves the demand much better."""
        parameters, entry = self.state.parameters, part.entry
        if parameters["schedule"]["measure"][0] != "Certified" or parameters["allocation"][0] != "Partial":
            return
        near = MILLION + parameters["near_best_ppm"]
        wanted, cost = entry["demand"], part.priced
        if cost * MILLION <= part.least * near:
            return
        left = self.left(back)
        best = self.carried(wanted, self.prices, left)
        if best is None:
            best, cost = self.carried(wanted, {}, left), part.found.cost
        if best is not None:
            what = f"it costs {cost}, what is left serves its demand for {best[0]}"
            require(cost * MILLION <= best[0] * near, what, "near-best")
            return
        waited = self.state.market_time() - entry["since_ms"]
        relaxed = parameters["relax_after_ms"] + max(1, parameters["relax_over_ms"])
        require(waited >= relaxed, "nothing left compares with it, and its demand has not waited", "near-best")

    def check_dearer(self, part):
        """It becomes dearer only if what stands for its demand has no room beside the others."""
        if part.before is None or part.change <= 0:
            return
        left = self.left(part.found.minutes)
        before = part.before["minutes"].items()
        fits = all(slot in left and (left[slot] is None or taken <= left[slot]) for slot, taken in before)
        require(not fits, f"it costs {part.change} more though what stands has room", "dearer-part")

    def check_room_needed(self, parts, firsts):
        """Those for whom room is made have no other way, in what was left before the set."""
        back = {}
        for part in parts:
            for number, taken in part.found.minutes.items():
                back[number] = back.get(number, 0) + taken
            for number, taken in (part.before["minutes"] if part.before else {}).items():
                back[number] = back.get(number, 0) - taken
        left = self.left(back)
        for part in firsts:
            other = self.carried(part.entry["demand"], {}, left)
            require(other is None, "its newcomer can be composed without it", "room-not-needed")

    # ---- What it is worth ----

    def value(self, part):
        """Returns what the part adds to reduced cost."""
        wanted, priced = part.entry["demand"], self.supply.at(self.prices)
        part.least, part.valued = priced.least(wanted), self.valued.at(self.prices).least(wanted)
        part.priced = part.least + priced.reduced_cost(wanted, part.found)
        part.reduced_cost = max(0, part.priced - part.valued)
        if not part.before:
            return part.reduced_cost
        charges = (priced.price(number) * taken for number, taken in part.before["minutes"].items())
        return part.priced - part.before["cost"] - sum(charges)

    def award(self, firsts, cost, reduced_cost):
        """What first compositions earn by this cost and reduced cost, which is enough for each."""
        schedule = self.state.parameters["schedule"]
        if schedule["measure"][0] == "Paper":
            return  # see judge
        for part in firsts:
            part.fee = fee_of(part)
            paid, required = self.pay(part, reward_share(schedule, cost, reduced_cost))
            require(paid >= required, f"it earns {paid}, expected at least {required}", "reward")

    def pay(self, part, share):
        """What a share of its fee is, of which the authors of the prices get some, and what its demand requires."""
        fee, age = part.fee, self.state.market_time() - part.entry["since_ms"]
        paid, price_share = ppm(fee, share), self.state.parameters["price_share_ppm"]
        part.for_prices = ppm(paid, price_share) if self.state.price_totals["authors"] else 0
        part.earned = paid - part.for_prices
        return paid, ppm(fee, required_share(self.state.parameters, age))

    def judge(self, block, displacement):
        """By the measure of paper A a block is judged as a whole, against the references of its area."""
        schedule, references = self.state.parameters["schedule"], self.state.references
        if schedule["measure"][0] != "Paper":
            return
        cost, orders, reference, area_of_block, firsts = displacement, 0, 0, None, []
        for part in self.staged.values():
            if part.block is not block:
                continue
            wanted, chosen = part.entry["demand"], part.composition["slots"]
            area = references.area(wanted)
            require(area is not None, "genesis does not offer everything it orders", "no-reference")
            area_of_block = area if area_of_block is None else area_of_block
            equal(area, area_of_block, "the area of its demand", "area")
            for number, _ in chosen:
                inside = references.is_within(area, self.supply.providers[number]["site"])
                require(inside, f"provider {number} lies outside the area of the block", "provider-area")
            if part.before is None:
                firsts.append(part)
                cost += part.found.cost
                orders += len(chosen)
                reference += references.cost(area, wanted)
        if not firsts:
            return
        share = reward_share(schedule, cost, 0, orders, reference)
        required = required_share(self.state.parameters, 0)
        if share < required:
            wanted = (part.entry["demand"] for part in firsts)
            least = sum(references.least(area_of_block, self.supply, demand) for demand in wanted)
            share = max(share, share_near_optimum(schedule, cost, least))
        what = f"the block costs {cost}, its reference {reference}: that earns {share} ppm, expected at least {required}"
        require(share >= required, what, "reference")
        for part in firsts:
            part.fee = fee_of(part)
            self.pay(part, share)
            self.reward += part.earned

    # ---- The end ----

    def enter_all(self):
        state = self.state
        for part in self.staged.values():
            self.enter(part)
        state.pay_for_prices(sum(part.for_prices for part in self.staged.values()))
        replaced = (part.before["owed"] for part in self.staged.values() if part.before)
        state.release_deposits(sorted(set().union(*replaced, state.changed)))
        state.changed = set()

    def enter(self, part):
        state, entry, found, before = self.state, part.entry, part.found, part.before
        standing = {
            "version": 1, "slots": part.composition["slots"], "miner": part.block.miner,
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
            standing |= {"version": before["version"] + 1, "amended_by": part.block.miner}
            standing["dues"] = dict(before["dues"])
        else:
            state.credit(entry["author"], entry["demand"]["budget"] - part.price)
            state.credit(entry["author"], entry["solver_fee"] - part.fee)
            entry["solver_fee"] = entry["escrow"] = part.fee - part.for_prices
        if part.due:
            miner = part.block.miner
            standing["dues"][miner] = standing["dues"].get(miner, 0) + part.due
        require(part.clearing >= found.cost, "a clearing account does not cover what is owed")
        entry["status"], entry["clearing"] = ("Composed", standing), part.clearing
        state.stale.add((DEMAND, part.demand))

    def reprice_once(self, blocks):
        """One price update takes effect, on what the batch leaves: the greatest claim that is true."""
        is_done = False
        bringing = [block for block in blocks if block.update is not None and 0 not in block.dropped]
        for block in sorted(bringing, key=lambda block: (-block.update["gain"], self.lot(block))):
            try:
                require(not is_done, "another price update takes effect", "one-price-update")
                self.reprice(block.miner, block.update)
                is_done = True
            except Mismatch as error:
                block.drop(0, error)

    def reprice(self, miner, update):
        state, prices, bond = self.state, update["prices"], self.state.parameters["price_bond"]
        equal(update["replaces"], state.price_totals["updates"], "the updates before it", "stale-prices")
        capacities, entries = state.market_capacities(), state.market()
        for slot, price in prices.items():
            require(slot in capacities, f"there is no slot {slot}, and it has a price", "price")
            require(0 <= price <= PRICE_MAX, f"the price of slot {slot} is {price}", "price")
            require(capacities[slot] is not None, f"unlimited slot {slot} has a price", "price")
        spendable = max(0, state.balances.get(miner, 0) - state.parameters["account_min"])
        require(spendable >= bond, f"its miner can spend {spendable}, the bond takes {bond}", "price-bond")
        market_pass = sum(map(state.supply.work, state.market_demands()))
        self.spend(market_pass if self.bound_in_force is not None else 2 * market_pass)
        if self.bound_in_force is None:
            bound = state.supply.at(state.prices).bound(entries, capacities)
            self.bound_in_force = bound if -(1 << 63) <= bound < 1 << 63 else -(1 << 63)
        before = self.bound_in_force
        least = least_gain(before, state.parameters["min_bound_gain_ppm"])
        require(update["gain"] >= least, f"it claims to gain {update['gain']}, expected {least}", "bound-gain")
        after = state.supply.at(prices).bound(entries, capacities)
        if not before + update["gain"] <= after < 1 << 63 or after < -(1 << 63):
            if bond:
                state.debit(miner, bond)
                state.burned += bond
                state.stale.add((BURNED, b""))
            raise Mismatch(f"the bound becomes {after}, claimed {before + update['gain']}", "false-gain")
        changed = set(prices.items()) ^ set(state.prices.items())
        state.stale |= {(PROVIDER, slot[0]) for slot, _ in changed}
        state.prices = prices
        state.updated_prices(miner, after - before)


def fee_of(part):
    """What there is to earn for a first composition."""
    entry = part.entry
    return ceil_div(entry["solver_fee"] * max(0, min(part.valued, part.priced)), entry["demand"]["budget"])


def quotient(number, divisor):
    """Rounded towards zero."""
    return abs(number) // divisor * (1 if number >= 0 else -1)


def shares(saving, falls):
    """A saving by what each falls, floored; one unit each of what is left over to the first that fall."""
    if not any(falls):
        return [0] * len(falls)
    found = [saving * fall // sum(falls) for fall in falls]
    left = saving - sum(found)
    for position, fall in enumerate(falls):
        if fall and left:
            found[position], left = found[position] + 1, left - 1
    return found
