"""The state, what records do to it, and settlement (docs/protocol.md, sections 6, 8 and 12)."""

from collections import Counter

import wire
from crypto import address, hash_in, state_leaf, state_path, state_root
from market import MILLION, NO_TIME, PERIOD_LAST, References, Supply, has_no_more_time, most_total, ppm, reward_share

PROVIDERS_MAX, BUDGET_MAX = 20_000, 1_000_000 * MILLION
BALANCE, SEQUENCE, PROVIDER, DEMAND, PRICES, CARRIER, TOTALS, HALTED, ANCHOR, BROUGHT, BURNED, COHORT, PLEDGE, ACCUSED, NOTICE = range(15)


class Mismatch(Exception):
    """Something in the chain is not as it must be. An item of a block that is not is dropped under its rule's name."""

    def __init__(self, what, rule=None):
        super().__init__(what)
        self.rule = rule


def require(holds, what, rule=None):
    if not holds:
        raise Mismatch(what, rule)


def equal(got, expected, what, rule=None):
    if got != expected:
        show = lambda value: value.hex() if isinstance(value, bytes) else value
        raise Mismatch(f"{what} is {show(got)}, expected {show(expected)}", rule)


class State:
    def __init__(self, genesis):
        self.genesis, self.parameters = genesis, genesis["parameters"]
        self.balances, self.sequences, self.demands = dict(genesis["balances"]), {}, {}
        self.addresses = [provider["address"] for provider in genesis["providers"]]
        self.ids = {address: number for number, address in enumerate(self.addresses)}
        self.usage = {}  # by slot; of which nothing is taken there is no entry
        self.holders, self.prices, self.deposits = {}, {}, {}  # prices by slot, without zeros
        self.per_operation = {}  # what an offer locks for each operation
        self.active = [genesis["timestamp_ms"]] * len(self.addresses)  # in market time
        self.changed = set()  # providers whose offers the batch changed
        self.anchors, self.brought = {}, {}  # times, by hash of batch, block or commitment
        self.accused = {}  # height of the batch with evidence, by position of the validator
        self.cohorts, self.burned = {}, 0  # what is committed to, by height; what was paid for bytes
        providers = [provider["provider"] for provider in genesis["providers"]]
        self.supply = Supply(genesis["rules"], genesis["geometry"], genesis["horizon"], providers)
        self.references = References(genesis)
        self.carrier = 0
        self.valued, self.unvalued = self.supply, {}
        self.notices = {}  # by subject: 0 and an address, or 1 and a demand
        self.price_totals = {"updates": 0, "since_ms": 0, "authors": {}}
        self.totals = {"seen": 0, "settled": 0, "cancelled": 0, "expired": 0}
        self.leaves = {}  # by path
        self.time, self.halted = genesis["timestamp_ms"], 0  # of the last batch, and since genesis
        self.stale = {(kind, b"") for kind in (PRICES, CARRIER, TOTALS, HALTED, BURNED)}
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
            return wire.DEMAND_ENTRY.write(self.demands[name]) if name in self.demands else None
        if kind == TOTALS:
            return wire.DEMAND_TOTALS.write(self.totals)
        if kind == HALTED:
            return wire.U64.write(self.halted)
        if kind in (ANCHOR, BROUGHT):
            times = self.anchors if kind == ANCHOR else self.brought
            return wire.U64.write(times[name]) if name in times else None
        if kind == COHORT:
            return self.cohort_entry(name)
        if kind == ACCUSED:
            return wire.U64.write(self.accused[name])
        if kind == PLEDGE:
            return self.pledge_entry(*name)
        if kind == NOTICE:
            return wire.NOTICE.write(self.notices[name]) if name in self.notices else None
        if kind == PROVIDER:
            return wire.PROVIDER_ENTRY.write({
                "address": self.addresses[name], "provider": self.supply.providers[name],
                "usage": self.of_provider(self.usage, name), "holder": self.holders.get(name),
                "prices": self.of_provider(self.prices, name),
                "deposit": self.deposits.get(name, 0), "per_operation": self.per_operation.get(name, 0),
                "active_ms": self.active[name], "unvalued_since_ms": self.unvalued.get(name),
            })
        if kind == PRICES:
            return wire.PRICE_TOTALS.write(self.price_totals)
        return wire.MONEY.write({CARRIER: self.carrier, BURNED: self.burned}[kind])

    def of_provider(self, by_slot, number):
        return {period: value for (provider, period), value in sorted(by_slot.items()) if provider == number}

    def cohort_entry(self, height):
        cohort = self.cohorts.get(height)
        if cohort is None:
            return None
        return wire.TURNS.write(sorted(cohort["turns"]))

    def pledge_entry(self, height, miner):
        pledge = self.cohorts.get(height, {"pledges": {}})["pledges"].get(miner)
        if pledge is None:
            return None
        block = pledge["block"]
        return wire.PLEDGE.write({"commitment": pledge["commitment"], "block": block and block.whole})

    def key(self, kind, name):
        """The key of an entry."""
        if kind == PROVIDER:
            return bytes([kind]) + name.to_bytes(4, "big")
        if kind == COHORT:
            return bytes([kind]) + name.to_bytes(8, "big")
        if kind == ACCUSED:
            return bytes([kind]) + name.to_bytes(2, "big")
        if kind == NOTICE:
            return bytes([kind, name[0]]) + name[1]
        if kind == PLEDGE:
            return bytes([kind]) + name[0].to_bytes(8, "big") + name[1]
        return bytes([kind]) + name

    def root(self):
        for kind, name in self.stale:
            value = self.entry(kind, name)
            path = state_path(self.key(kind, name))
            if value is None:
                self.leaves.pop(path, None)
            else:
                self.leaves[path] = state_leaf(path, hash_in("StateValue", value))
        self.stale = set()
        return state_root(sorted(self.leaves.items()))

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
        held += sum(self.deposits.values())
        return sum(self.balances.values()) + held + self.carrier + self.burned

    def spend(self, author, amount):
        """A debit by a statement: what an account must keep stays."""
        left = self.balances.get(author, 0) - amount
        require(left >= self.parameters["account_min"], f"{author.hex()} keeps {left} and pays {amount}")
        self.debit(author, amount)

    # ---- The market ----

    def market(self):
        return list(self.demands.values())

    def leave(self, demand, total):
        """A demand leaves the market, and the state."""
        del self.demands[demand]
        self.totals[total] += 1
        self.stale |= {(DEMAND, demand), (TOTALS, b"")}

    def market_demands(self):
        return [entry["demand"] for entry in self.market()]

    def market_capacities(self):
        standing = Counter()
        for entry in self.market():
            if entry["status"][0] == "Composed":
                standing.update(entry["status"][1]["minutes"])
        capacities = {slot: self.supply.capacity(slot) for slot in self.supply.slots()}
        return {
            slot: None if capacity is None else max(0, capacity - self.used(slot)["frozen"], standing[slot])
            for slot, capacity in capacities.items()
        }

    def used(self, slot):
        return self.usage.get(slot, {"standing": 0, "frozen": 0})

    def use(self, slot, standing=0, frozen=0):
        used = self.used(slot)
        used = {"standing": used["standing"] + standing, "frozen": used["frozen"] + frozen}
        self.usage[slot] = used
        if used == {"standing": 0, "frozen": 0}:
            del self.usage[slot]
        self.stale.add((PROVIDER, slot[0]))

    def waits_for_time(self):
        relaxed = self.parameters["relax_after_ms"] + max(1, self.parameters["relax_over_ms"])
        return bool(self.cohorts) or any(
            entry["status"][0] == "Composed" or self.market_time() - entry["since_ms"] < relaxed
            for entry in self.market()
        )

    def has_open(self):
        return any(entry["status"][0] == "Open" for entry in self.demands.values())

    def has_expired(self):
        """The open demands whose time has come, by expiry and id."""
        return sorted(
            (entry["expires_ms"], demand) for demand, entry in self.demands.items()
            if entry["status"][0] == "Open" and entry["expires_ms"] <= self.time
        )

    def has_frozen(self):
        """The composed demands that are to be settled, by when they were and id."""
        return sorted(
            (self.freezes_at(entry["status"][1]), demand) for demand, entry in self.demands.items()
            if entry["status"][0] == "Composed" and self.is_frozen(entry["status"][1])
        )

    def has_calendar(self):
        return self.genesis["horizon"]["period_minutes"] is not None

    def freezes_at(self, standing):
        if self.has_calendar():
            return self.plannable_until(min(period for _, period in standing["slots"]))
        return standing["since_ms"] + self.parameters["freeze_after_ms"]

    def is_frozen(self, standing):
        now = self.time if self.has_calendar() else self.market_time()
        return self.freezes_at(standing) <= now

    # ---- The calendar ----

    def plannable_until(self, period):
        """Until when a period can be planned; None is for ever."""
        if not self.has_calendar() or period == PERIOD_LAST:
            return None
        begins = self.genesis["calendar_start_ms"] + period * self.parameters["period_ms"]
        return max(0, begins - self.parameters["frozen_zone_ms"])

    def move_on(self):
        """Periods that cannot be planned any more are over, and as many others can be planned."""
        since = self.time + self.parameters["frozen_zone_ms"] - self.genesis["calendar_start_ms"]
        if not self.has_calendar() or since < 0:
            return
        first, before = since // self.parameters["period_ms"] + 1, self.supply.horizon
        if first <= before["first"]:
            return
        last = before["first"] + before["periods"] - 1
        prices = {slot: price for slot, price in self.prices.items() if slot[1] >= first}
        for number, terms in enumerate(self.supply.providers):
            if terms["capacity"] is None:
                continue
            length = len(terms["capacity"]["pattern"])
            for period in range(max(first, last + 1), first + before["periods"]):
                like = last if length > before["periods"] else period - -(-(period - last) // length) * length
                price = self.prices.get((number, like), 0)
                if price:
                    prices[number, period] = price
        self.prices = prices
        self.usage = {slot: used for slot, used in self.usage.items() if slot[1] >= first}
        for name in ("supply", "valued"):
            supply = getattr(self, name)
            providers = [forgetting(terms, first) for terms in supply.providers]
            horizon = {**before, "first": first}
            setattr(self, name, Supply(supply.rules, supply.geometry, horizon, providers))
        if not self.unvalued:
            self.valued = self.supply
        self.stale |= {(PROVIDER, number) for number in range(len(self.addresses))}

    # ---- Time ----

    def market_time(self):
        """What all waits are measured in: the time of batches, less what was halted."""
        return self.time - self.halted

    def follow(self, parent):
        """A batch follows this one, which becomes an anchor; too old ones go, and the blocks brought on them."""
        self.anchors[parent] = self.time
        self.stale.add((ANCHOR, parent))
        oldest = self.time - self.parameters["anchor_window_ms"]
        for kind, times in ((ANCHOR, self.anchors), (BROUGHT, self.brought)):
            for name in [name for name, time in times.items() if time < oldest]:
                del times[name]
                self.stale.add((kind, name))

    def bring_block(self, block, anchor):
        """A block on this anchor has its turn."""
        self.brought[block] = self.anchors[anchor]
        self.stale.add((BROUGHT, block))

    def pass_time(self, timestamp):
        """A batch of this time begins."""
        self.halted += max(0, timestamp - self.time - self.parameters["halt_after_ms"])
        self.time = timestamp
        self.stale.add((HALTED, b""))
        self.move_on()

    # ---- Expiry, freezing and settlement ----

    def expire_due(self):
        due = self.has_expired()[:self.parameters["limits"]["records_per_batch"]]
        for _, demand in due:
            self.give_back(demand, "expired")
        return len(due)

    def give_back(self, demand, total):
        """An open demand leaves, with its escrow."""
        entry = self.demands[demand]
        self.credit(entry["author"], entry["escrow"])
        self.leave(demand, total)

    def settle_due(self):
        due = self.has_frozen()[:self.parameters["limits"]["records_per_batch"]]
        for _, demand in due:
            self.freeze(demand)
        return len(due)

    def freeze(self, demand):
        entry = self.demands[demand]
        standing = entry["status"][1]
        for number, owed in standing["owed"].items():
            self.credit(self.addresses[number], owed)
        self.carrier += standing["transport"]
        rest = entry["clearing"] - sum(standing["owed"].values()) - standing["transport"]
        require(rest >= 0, f"demand {demand.hex()}: its clearing account lacks {-rest}")
        dues = sum(standing["dues"].values())
        paid = self.first_composers_pay(entry, standing, dues)
        unearned = entry["escrow"] - paid - dues
        require(unearned >= 0, f"demand {demand.hex()}: its solvers get {-unearned} more than its fee")
        self.credit(standing["miner"], paid)
        for amender, due in standing["dues"].items():
            self.credit(amender, due)
        self.credit(entry["author"], rest + unearned)
        for slot, minutes in standing["minutes"].items():
            if slot[1] in self.supply.periods:
                self.use(slot, -minutes, minutes)
        for number in standing["owed"]:
            self.active[number] = self.market_time()
            holder = self.holders.get(number)
            if holder:
                holder["compositions"] -= 1
                if not holder["compositions"]:
                    del self.holders[number]
            self.stale.add((PROVIDER, number))
        self.leave(demand, "settled")
        self.release_deposits(standing["owed"])
        self.stale.add((CARRIER, b""))

    def first_composers_pay(self, entry, standing, dues):
        earned, schedule = standing["earned"], self.parameters["schedule"]
        vested, excess = earned, standing["first_cost"] - standing["cost"]
        if schedule["measure"][0] == "Certified" and excess > 0:
            share = reward_share(schedule, standing["first_cost"], excess)
            vested = min(earned, ppm(entry["solver_fee"], share))
        return min(vested, earned - min(earned, dues))

    # ---- Prices ----

    def pay_for_prices(self, amount):
        """To the authors of the prices by what each added to the bound; what is left over to the first by address."""
        authors = sorted(self.price_totals["authors"].items())
        if not authors:
            return
        whole = sum(part for _, part in authors)
        given = [amount * part // whole for _, part in authors]
        given[0] += amount - sum(given)
        for (author, _), share in zip(authors, given):
            self.credit(author, share)

    def updated_prices(self, author, raised):
        """Somebody's prices are in force from now on, which raise the bound by so much."""
        totals, half_life = self.price_totals, self.parameters["freeze_after_ms"]
        halvings = (self.market_time() - totals["since_ms"]) // half_life
        authors = totals["authors"]
        if halvings > 0:
            authors = {owner: part >> halvings for owner, part in authors.items() if part >> halvings}
        most = 1 << 62
        authors[author] = min(authors.get(author, 0) + min(raised, most), most)
        if len(authors) > 16:
            del authors[min(authors, key=lambda owner: (authors[owner], owner))]
        since = totals["since_ms"] + max(0, halvings) * half_life
        self.stale |= {(PROVIDER, number) for number in self.unvalued}
        self.valued, self.unvalued = self.supply, {}
        self.price_totals = {"updates": totals["updates"] + 1, "since_ms": since, "authors": dict(sorted(authors.items()))}
        self.stale.add((PRICES, b""))

    # ---- Deposits ----

    def vouched(self, number):
        """The minutes for which nothing is locked, or None for any number."""
        known = self.genesis["providers"]
        if number is None or number >= len(known):
            return 0
        capacity = known[number]["provider"]["capacity"]
        return None if capacity is None else most_total(capacity, self.supply.horizon["periods"])

    def deposit_for(self, number, operations, capacity, per_operation):
        vouched = self.vouched(number)
        offered = None if capacity is None else most_total(capacity, self.supply.horizon["periods"])
        minutes = 0 if offered is None or vouched is None else max(0, offered - vouched)
        places = per_operation * operations if operations else self.parameters["offer_deposit"]
        return places + self.parameters["minute_deposit"] * minutes

    def required_deposit(self, number):
        terms = self.supply.providers[number]
        required = self.deposit_for(number, len(terms["offers"]), terms["capacity"], self.per_operation.get(number, 0))
        notice = self.notices.get((0, self.addresses[number]))
        if notice and notice["change"][0] == "Offer":
            said = notice["change"][1]
            announced = self.deposit_for(number, len(said["offers"]), said["capacity"], said["deposit"])
            required = max(required, announced)
        return required

    def rested_on(self):
        """The providers that something standing uses."""
        standing = [entry["status"][1] for entry in self.demands.values() if entry["status"][0] == "Composed"]
        return {number for composition in standing for number in composition["owed"]}

    def release_deposits(self, numbers):
        """What is locked beyond the terms in force returns where nothing that stands rests on the provider."""
        rested_on = self.rested_on()
        for number in numbers:
            excess = self.deposits.get(number, 0) - self.required_deposit(number)
            if excess > 0 and number not in rested_on:
                self.credit(self.addresses[number], excess)
                self.deposits[number] -= excess
                self.stale.add((PROVIDER, number))

    # ---- Room ----

    def pass_work(self, more=()):
        """What a shortest path for each demand of the market takes, counting all offers; with one more of some operations."""
        counts = {}
        for operation in [name for terms in self.supply.providers for name in terms["offers"]] + list(more):
            counts[operation] = counts.get(operation, 0) + 1
        return sum(self.demand_work(entry["demand"], counts) for entry in self.demands.values())

    def demand_work(self, demand, counts):
        window = demand["window"]
        length = min(window["due"] - window["release"] + 1, self.supply.horizon["periods"])
        return path_work(demand["orders"], counts) * length

    def place_for(self, operation, deposit):
        """(True, None) if there is a free place, (True, number) if that provider gives way, else (False, None)."""
        limits = self.parameters["limits"]
        offering = [number for number, terms in enumerate(self.supply.providers) if operation in terms["offers"]]
        if len(offering) < limits["offers_per_operation"] and self.pass_work([operation]) <= limits["market_work"]:
            return True, None
        since, rested_on = self.market_time() - self.parameters["idle_after_ms"], self.rested_on()
        idle = [number for number in offering if self.active[number] <= since and number not in rested_on]
        less = [(self.per_operation.get(number, 0), self.active[number], number) for number in idle]
        less = [rank for rank in less if rank[0] < deposit]
        return (True, min(less)[2]) if less else (False, None)

    # ---- Evidence ----

    def accuse(self, evidence, height):
        require(evidence["height"] <= height, "its votes are of a later height")
        require(evidence["validator"] not in self.accused, "there is evidence against that validator already")
        self.accused[evidence["validator"]] = height
        self.stale.add((ACCUSED, evidence["validator"]))

    # ---- Records ----

    def bring(self, record, size, identity, height):
        self.height = height
        content = record["content"]
        author = address(content["author"])
        require(self.time < content["valid_until_ms"], "it is valid until before its batch")
        equal(content["sequence"], self.sequences.get(author, 0), "its sequence number")
        least = self.parameters["account_min"]
        require(self.balances.get(author, 0) >= least, f"its author has less than {least}")
        kind, said = content["statement"]
        fee = 0 if kind in ("OfferWithdrawal", "DemandCancellation") else size * self.parameters["fee_per_byte"]
        if fee:
            self.spend(author, fee)
            self.burned += fee
            self.stale.add((BURNED, b""))
        if kind == "Offer":
            self.offer(author, said)
        elif kind == "OfferWithdrawal":
            self.withdraw(author)
        elif kind == "Demand":
            self.demand(author, said, identity, height)
        elif kind == "DemandCancellation":
            self.cancel(author, said["demand"])
        elif kind == "Transfer":
            self.spend(author, said["amount"])
            self.credit(said["to"], said["amount"])
            require(self.balances[said["to"]] >= least, f"its recipient has less than {least} then")
        else:
            raise Mismatch(f"what a record of kind {kind} does is not known")
        self.sequences[author] = content["sequence"] + 1
        self.stale.add((SEQUENCE, author))

    def give_notice(self, subject, change):
        """What is stated comes true when the notice is over; whether it is to wait at all."""
        wait = self.parameters["notice_ms"]
        if wait:
            due = self.market_time() + wait
            self.notices[subject] = {"height": self.height, "due_ms": due, "change": change}
            self.stale.add((NOTICE, subject))
        return bool(wait)

    def notices_over(self):
        """Those whose time has come, by time and subject."""
        now = self.market_time()
        return sorted((notice["due_ms"], subject) for subject, notice in self.notices.items() if notice["due_ms"] <= now)

    def let_come_true(self):
        """What was announced is so, but for what does not precede all that is committed to."""
        self.value_aged()
        oldest = min(self.cohorts, default=None)
        over = [subject for _, subject in self.notices_over()]
        over = [subject for subject in over if oldest is None or self.notices[subject]["height"] < oldest]
        for subject in over[:self.parameters["limits"]["records_per_batch"]]:
            change, said = self.notices.pop(subject)["change"]
            self.stale.add((NOTICE, subject))
            if change == "Offer":
                self.set_terms(self.ids[subject[1]], said)
            elif change == "Withdrawal":
                self.offer_nothing(self.ids[subject[1]])
            else:
                entry = self.demands.get(subject[1])
                if entry and entry["status"][0] == "Open":
                    self.give_back(subject[1], "cancelled")

    def offer(self, author, said):
        before = self.supply.providers[self.ids[author]]["offers"] if author in self.ids else {}
        for operation in said["offers"]:
            if operation not in before:
                require(self.place_for(operation, said["deposit"])[0], f"there is no room for operation {operation}")
        if said["capacity"] is None and self.parameters["minute_deposit"]:
            require(self.vouched(self.ids.get(author)) is None, "it names no capacity")
        waits = self.give_notice((0, author), ("Offer", said))
        number = self.ids.get(author)
        if number is None:
            require(len(self.addresses) < PROVIDERS_MAX, "the market has as many providers as it may")
            number = self.ids[author] = len(self.addresses)
            self.addresses.append(author)
            self.active.append(self.market_time())
            if waits:
                self.set_terms(number, {**said, "offers": {}, "capacity": NO_TIME, "deposit": 0})
        if not waits:
            self.set_terms(number, said)
        missing = self.required_deposit(number) - self.deposits.get(number, 0)
        if missing > 0:
            self.spend(author, missing)
            self.deposits[number] = self.required_deposit(number)
        self.changed.add(number)
        self.stale.add((PROVIDER, number))

    def set_terms(self, number, said):
        """A provider's terms are these, but for new operations that there is no room for."""
        known = number < len(self.supply.providers)
        before = self.supply.providers[number]["offers"] if known else {}
        deposit, terms = said["deposit"], {name: said[name] for name in ("name", "site", "offers", "capacity")}
        kept = {operation: offer for operation, offer in said["offers"].items() if operation in before}
        # What it gives up makes room first.
        if known:
            self.supply = self.supply.with_provider(number, {**self.supply.providers[number], "offers": kept})
        for operation, offer in sorted(said["offers"].items()):
            if operation in before:
                continue
            is_room, victim = self.place_for(operation, said["deposit"])
            if victim is not None:
                self.give_way(victim, operation)
            if is_room:
                kept = dict(sorted({**kept, operation: offer}.items()))
                self.supply = self.supply.with_provider(number, {**terms, "offers": kept})
        said = {**terms, "offers": kept} if kept else {**terms, "offers": {}, "capacity": NO_TIME}
        if kept and not before:
            self.active[number] = self.market_time()
        elif deposit < self.per_operation.get(number, 0):
            self.active[number] = 0
        self.per_operation[number] = deposit
        self.value(number, said)
        self.supply = self.supply.with_provider(number, said)
        if said["capacity"] is None:
            self.prices = {slot: price for slot, price in self.prices.items() if slot[0] != number}
        self.changed.add(number)
        self.stale.add((PROVIDER, number))

    def give_way(self, number, operation):
        """A provider does not offer an operation any more, because another does."""
        for supply in ("supply", "valued"):
            terms = getattr(self, supply).providers[number]
            offers = {name: offer for name, offer in terms["offers"].items() if name != operation}
            terms = {**terms, "offers": offers, "capacity": terms["capacity"] if offers else NO_TIME}
            setattr(self, supply, getattr(self, supply).with_provider(number, terms))
        self.changed.add(number)
        self.stale.add((PROVIDER, number))

    def value(self, number, said):
        """Compositions are valued by terms of unlimited capacity, and by those that are nowhere better than the ones before."""
        before = self.valued.providers[number] if number < len(self.valued.providers) else None
        known = before is not None and number not in self.unvalued
        if said["capacity"] is None or known and is_nowhere_better(said, before):
            self.unvalued.pop(number, None)
        else:
            self.unvalued[number] = self.market_time()
            said = {**said, "offers": {}, "capacity": NO_TIME}
        self.valued = self.valued.with_provider(number, said)

    def value_aged(self):
        """Compositions are valued by offers that nobody priced for long."""
        patience = self.parameters["freeze_after_ms"]
        for number, since in list(self.unvalued.items()):
            if self.market_time() - since >= patience:
                del self.unvalued[number]
                self.valued = self.valued.with_provider(number, self.supply.providers[number])
                self.stale.add((PROVIDER, number))

    def withdraw(self, author):
        number = self.ids.get(author)
        offered = number is not None and self.supply.providers[number]["offers"]
        if (0, author) in self.notices:
            offered = self.notices[0, author]["change"][0] == "Offer"
        require(offered, "its author offers nothing that could be withdrawn")
        self.changed.add(number)
        if not self.give_notice((0, author), ("Withdrawal", None)):
            self.offer_nothing(number)

    def offer_nothing(self, number):
        terms = {**self.supply.providers[number], "offers": {}, "capacity": NO_TIME}
        self.supply = self.supply.with_provider(number, terms)
        self.valued = self.valued.with_provider(number, terms)
        self.changed.add(number)
        self.stale.add((PROVIDER, number))

    def demand(self, author, said, identity, height):
        lifetime = said["expires_ms"] - self.time
        longest = self.parameters["demand_lifetime_max_ms"]
        require(0 < lifetime <= longest, f"it expires {lifetime} ms after its batch")
        require(len(self.market()) < self.parameters["limits"]["market_demands"], "the market is full")
        counts = {}
        for operation in [name for terms in self.supply.providers for name in terms["offers"]]:
            counts[operation] = counts.get(operation, 0) + 1
        until = self.plannable_until(said["window"]["due"])
        require(until is None or until > self.time, "nothing of its window can be planned any more")
        work = self.pass_work() + self.demand_work(said, counts)
        require(work <= self.parameters["limits"]["market_work"], "there is no time to check another demand")
        escrow = said["budget"] + said["solver_fee"]
        self.spend(author, escrow)
        wanted = {name: said[name] for name in ("name", "site", "orders", "budget", "window")}
        self.demands[identity] = {
            "author": author, "demand": wanted, "solver_fee": said["solver_fee"], "since": height,
            "since_ms": self.market_time(), "expires_ms": said["expires_ms"] if until is None else min(until, said["expires_ms"]), "escrow": escrow, "clearing": 0, "status": ("Open", None),
        }
        self.totals["seen"] += 1
        self.stale |= {(DEMAND, identity), (TOTALS, b"")}

    def cancel(self, author, demand):
        entry = self.demands.get(demand)
        require(entry is not None, "it cancels a demand that is not in the market")
        equal(author, entry["author"], "the author of the cancellation")
        equal(entry["status"][0], "Open", "the cancelled demand's status")
        require((1, demand) not in self.notices, "the demand is about to be cancelled")
        if not self.give_notice((1, demand), ("Cancellation", None)):
            self.give_back(demand, "cancelled")


def forgetting(terms, first):
    """The same terms without exceptions from periods that are over."""
    calendar = terms["capacity"]
    if calendar is None:
        return terms
    exceptions = {period: minutes for period, minutes in calendar["exceptions"].items() if period >= first}
    return {**terms, "capacity": {**calendar, "exceptions": exceptions}}


def path_work(orders, counts):
    """The steps of a shortest path through layers of so many nodes."""
    sizes = [counts.get(operation, 0) for operation in orders]
    return sum(sizes) + sum(one * other for one, other in zip(sizes, sizes[1:]))


def is_nowhere_better(said, before):
    """The same place, nothing new, cheaper or faster, and no more time."""
    known = before["offers"]
    for operation, offer in said["offers"].items():
        if operation not in known:
            return False
        if offer["cost"] < known[operation]["cost"] or offer["minutes"] < known[operation]["minutes"]:
            return False
    if before["capacity"] is None or said["capacity"] is None:
        return before["capacity"] is said["capacity"] and said["site"] == before["site"]
    if not has_no_more_time(said["capacity"], before["capacity"]):
        return False
    return said["site"] == before["site"]
