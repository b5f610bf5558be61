"""Distances, costs, shortest paths, bounds, rewards (docs/protocol.md, sections 9 and 11); all integers."""

from fractions import Fraction
from heapq import nsmallest
from math import floor, isqrt
from operator import add

MILLION = 1_000_000
PERIOD_LAST = (1 << 32) - 1
INFINITE = float("inf")
NO_TIME = {"pattern": [0], "exceptions": {}}


def ppm(amount, share):
    return amount * share // MILLION


def ceil_div(numerator, denominator):
    return -(-numerator // denominator)


def minutes_in(calendar, period):
    """How long a provider works in a period."""
    pattern = calendar["pattern"]
    return calendar["exceptions"].get(period, pattern[period % len(pattern)])


def most_total(calendar, periods):
    """The most minutes in any so many periods, all exceptions that add some counted."""
    pattern, exceptions = calendar["pattern"], calendar["exceptions"]
    length = len(pattern)
    repeated = max(sum(pattern[(first + step) % length] for step in range(periods)) for first in range(length))
    return repeated + sum(max(0, minutes - pattern[period % length]) for period, minutes in exceptions.items())


def has_no_more_time(calendar, other):
    """Certainly no more minutes in any period."""
    if len(calendar["pattern"]) != len(other["pattern"]):
        return False
    repeated = zip(calendar["pattern"], other["pattern"])
    excepted = set(calendar["exceptions"]) | set(other["exceptions"])
    excepted = ((minutes_in(calendar, period), minutes_in(other, period)) for period in excepted)
    return all(own <= others for own, others in [*repeated, *excepted])


class Evaluation:
    """What one composition costs and uses."""

    def __init__(self):
        self.processing = self.transport = self.time_value = 0
        self.minutes, self.owed = {}, {}

    @property
    def cost(self):
        return self.processing + self.transport + self.time_value


class Supply:
    """The live offers, and how travel between providers is charged. Ids are positions in `providers`."""

    def __init__(self, rules, geometry, horizon, providers):
        self.rules, self.geometry, self.horizon, self.providers = rules, geometry, horizon, providers
        self.periods = range(horizon["first"], horizon["first"] + horizon["periods"])
        self.offering, self.legs, self.rows, self.views = {}, {}, {}, {}
        for number, provider in enumerate(self.providers):
            for operation, offer in provider["offers"].items():
                # An order that takes longer than its provider has time in any period is no node.
                if any(self.is_open((number, period), offer["minutes"]) for period in self.periods):
                    self.offering.setdefault(operation, []).append(number)

    def capacity(self, slot):
        """The minutes of a slot; None is unlimited."""
        calendar = self.providers[slot[0]]["capacity"]
        return None if calendar is None else minutes_in(calendar, slot[1])

    def is_open(self, slot, minutes):
        capacity = self.capacity(slot)
        return capacity is None or minutes <= capacity

    def slots(self):
        return [(number, period) for number in range(len(self.providers)) for period in self.periods]

    def within(self, demand):
        """The periods in which the orders of a demand may be done."""
        window = demand["window"]
        return [period for period in self.periods if window["release"] <= period <= window["due"]]

    def with_provider(self, number, terms):
        """Another supply, in which this provider, perhaps a new one, has these terms."""
        providers = self.providers[:number] + [terms] + self.providers[number + 1:]
        return Supply(self.rules, self.geometry, self.horizon, providers)

    def has_site(self, site):
        kind, content = site
        if self.geometry[0] == "Euclidean":
            return kind == "Point" and all(abs(content[axis]) < 1 << 30 for axis in ("x_m", "y_m"))
        return kind == "Place" and content < len(self.geometry[1])

    def distance(self, start, end):
        if self.geometry[0] == "Matrix":
            return self.geometry[1][start[1]][end[1]]
        dx, dy = start[1]["x_m"] - end[1]["x_m"], start[1]["y_m"] - end[1]["y_m"]
        square = dx * dx + dy * dy
        root = isqrt(square)
        return root + (root * root < square)

    def transport(self, start, end):
        return ceil_div(self.rules["rate_per_km"] * self.distance(start, end), 1000)

    def travel_time_value(self, start, end):
        return self.rules["value_of_minute"] * self.travel_minutes(start, end)

    def travel_minutes(self, start, end):
        return ceil_div(self.distance(start, end), self.rules["metres_per_minute"])

    def leg(self, start, end):
        return self.transport(start, end) + self.travel_time_value(start, end)

    def evaluate(self, demand, chosen):
        """Judges one composition of a demand; every order must be offered by its provider."""
        found, value = Evaluation(), self.rules["value_of_minute"]
        sites = []
        for slot, operation in zip(chosen, demand["orders"], strict=True):
            number = slot[0]
            provider = self.providers[number]
            offer = provider["offers"][operation]
            found.processing += offer["cost"]
            found.time_value += value * offer["minutes"]
            found.minutes[slot] = found.minutes.get(slot, 0) + offer["minutes"]
            found.owed[number] = found.owed.get(number, 0) + offer["cost"]
            sites.append(provider["site"])
        if self.rules["deliver"]:
            sites.append(demand["site"])
        for start, end in zip(sites, sites[1:]):
            found.transport += self.transport(start, end)
            found.time_value += self.travel_time_value(start, end)
        return found

    def taken_of_periods(self, demand, chosen):
        """What a demand takes of each period: its orders, and the legs that begin there."""
        taken = {}
        for place, (slot, operation) in enumerate(zip(chosen, demand["orders"])):
            site = self.providers[slot[0]]["site"]
            ahead = chosen[place + 1:place + 2]
            ends = [self.providers[ahead[0][0]]["site"]] if ahead else [demand["site"]] * self.rules["deliver"]
            minutes = self.providers[slot[0]]["offers"][operation]["minutes"]
            minutes += sum(self.travel_minutes(site, end) for end in ends)
            taken[slot[1]] = taken.get(slot[1], 0) + minutes
        return taken

    def is_long_enough(self, demand, chosen):
        """Every period has time for what the demand takes of it."""
        most = self.horizon["period_minutes"]
        return most is None or all(minutes <= most for minutes in self.taken_of_periods(demand, chosen).values())

    def work(self, demand):
        counts = [len(self.offering.get(operation, ())) for operation in demand["orders"]]
        once = sum(counts) + sum(before * after for before, after in zip(counts, counts[1:]))
        return once * len(self.within(demand))

    def legs_between(self, first, second):
        """For each provider of one operation, the legs to each provider of the next."""
        if (first, second) not in self.rows:
            ends = self.offering.get(second, ())
            self.rows[first, second] = [
                [self.leg_between(start, end) for end in ends] for start in self.offering.get(first, ())
            ]
        return self.rows[first, second]

    def leg_between(self, start, end):
        if (start, end) not in self.legs:
            sites = self.providers[start]["site"], self.providers[end]["site"]
            self.legs[start, end] = self.leg(*sites)
        return self.legs[start, end]

    def at(self, prices):
        """This supply at dual prices, which are a dict by slot."""
        key = tuple(sorted(prices.items()))
        if key not in self.views:
            self.views[key] = PricedSupply(self, dict(prices))
        return self.views[key]


class PricedSupply:
    """Shortest paths at fixed prices, each worked out once."""

    def __init__(self, supply, prices):
        self.supply, self.prices = supply, prices
        self.nodes, self.found = {}, {}

    def price(self, slot):
        return self.prices.get(slot, 0)

    def node_costs(self, operation, period):
        """What its offers cost in a period, with their minutes; infinite where they have no time for one order."""
        if (operation, period) not in self.nodes:
            value, costs = self.supply.rules["value_of_minute"], []
            for number in self.supply.offering.get(operation, ()):
                offer, slot = self.supply.providers[number]["offers"][operation], (number, period)
                cost = offer["cost"] + (value + self.price(slot)) * offer["minutes"]
                costs.append(cost if self.supply.is_open(slot, offer["minutes"]) else INFINITE)
            self.nodes[operation, period] = costs
        return self.nodes[operation, period]

    def is_offered(self, demand):
        return all(self.supply.offering.get(operation) for operation in demand["orders"])

    def shortest(self, demand):
        """The least cost + charges over all compositions, or None if there is none."""
        orders, supply, periods = demand["orders"], self.supply, self.supply.within(demand)
        if not self.is_offered(demand) or not periods:
            return None
        # By provider, from a period on; the last period first.
        delivery = [0] * len(supply.offering[orders[-1]])
        if supply.rules["deliver"]:
            ends = (supply.providers[number]["site"] for number in supply.offering[orders[-1]])
            delivery = [supply.leg(end, demand["site"]) for end in ends]
        to_go = {}
        for period in reversed(periods):
            costs = list(map(add, self.node_costs(orders[-1], period), delivery))
            to_go[period] = list(map(min, costs, to_go.get(period + 1, costs)))
        for operation, onward in zip(orders[-2::-1], orders[:0:-1]):
            rows, before, ahead = supply.legs_between(operation, onward), to_go, None
            to_go = {}
            for period in reversed(periods):
                if before[period] != before.get(period + 1):
                    ahead = [min(map(add, row, before[period])) for row in rows]
                costs = list(map(add, self.node_costs(operation, period), ahead))
                to_go[period] = list(map(min, costs, to_go.get(period + 1, costs)))
        least = min(to_go[periods[0]])
        return None if least == INFINITE else least

    def carried(self, demand, left):
        """The carried path of a demand where so many minutes are left of each slot (None is unlimited), as
        (cost with charges, slots); None if neither way of looking for it finds anything within the budget."""
        if not self.is_offered(demand) or not self.supply.within(demand):
            return None
        left = {slot: None if minutes is None else max(0, minutes) for slot, minutes in left.items()}
        found = [self.labelled(demand, left), self.roomy(demand, left)]
        evaluate, budget = self.supply.evaluate, demand["budget"]
        is_kept = lambda chosen: evaluate(demand, chosen).cost <= budget and self.supply.is_long_enough(demand, chosen)
        return min((one for one in found if one and is_kept(one[1])), default=None)

    def labelled(self, demand, left):
        """The least of the first order's labels, as (cost, slots). A label knows what it takes of each slot, and of its first period."""
        supply, orders, periods = self.supply, demand["orders"], self.supply.within(demand)
        most = supply.horizon["period_minutes"]
        site = lambda number: supply.providers[number]["site"]
        travel = lambda start, end: 0 if most is None else supply.travel_minutes(start, end)
        labels = []
        for place in range(len(orders) - 1, -1, -1):
            operation, extended = orders[place], []
            onward_from = self.onward(labels, periods)
            for index, number in enumerate(supply.offering[operation]):
                minutes = supply.providers[number]["offers"][operation]["minutes"]
                for period in periods:
                    slot, cost = (number, period), self.node_costs(operation, period)[index]
                    if cost == INFINITE or left[slot] is not None and minutes > left[slot]:
                        continue
                    if place == len(orders) - 1:
                        leg = supply.leg(site(number), demand["site"]) if supply.rules["deliver"] else 0
                        way = travel(site(number), demand["site"]) if supply.rules["deliver"] else 0
                        if most is None or minutes + way <= most:
                            extended.append((cost + leg, [slot], {slot: minutes}, minutes + way))
                        continue
                    onward = []
                    for rest, path, taken, within in onward_from[period]:
                        total = cost + supply.leg_between(number, path[0][0]) + rest
                        within = minutes + travel(site(number), site(path[0][0])) + (within if path[0][1] == period else 0)
                        fits = left[slot] is None or taken.get(slot, 0) + minutes <= left[slot]
                        if fits and (most is None or within <= most):
                            onward.append((total, path, taken, within))
                    best = nsmallest(4, onward, key=lambda label: label[:2])
                    for total, path, taken, within in sorted(best, key=lambda label: label[1]):
                        both = {**taken, slot: taken.get(slot, 0) + minutes}
                        extended.append((total, [slot] + path, both, within))
            labels = extended
        return min((label[:2] for label in labels), default=None)

    def onward(self, labels, periods):
        """The labels with which a path goes on from each period: where there are several, of each provider the best four."""
        if len(periods) == 1:
            return {periods[0]: labels}
        by_provider = {}
        for label in labels:
            by_provider.setdefault(label[1][0][0], []).append(label)
        onward = {}
        for period in periods:
            onward[period] = []
            for of_provider in by_provider.values():
                late = [label for label in of_provider if label[1][0][1] >= period]
                onward[period] += nsmallest(4, late, key=lambda label: label[:2])
        return onward

    def roomy(self, demand, left):
        """The shortest path over the slots with room for all orders of the demand that their providers offer."""
        supply, orders, periods = self.supply, demand["orders"], self.supply.within(demand)
        wanted = {}
        for operation in orders:
            for number in supply.offering[operation]:
                minutes = supply.providers[number]["offers"][operation]["minutes"]
                wanted[number] = wanted.get(number, 0) + minutes
        has_room = lambda slot: left[slot] is None or wanted[slot[0]] <= left[slot]
        paths = []
        for place in range(len(orders) - 1, -1, -1):
            operation, extended = orders[place], []
            for index, number in enumerate(supply.offering[operation]):
                for period in periods:
                    cost = self.node_costs(operation, period)[index]
                    if cost == INFINITE or not has_room((number, period)):
                        continue
                    if place == len(orders) - 1:
                        site = supply.providers[number]["site"]
                        delivery = supply.leg(site, demand["site"]) if supply.rules["deliver"] else 0
                        extended.append((cost + delivery, [(number, period)]))
                        continue
                    late = [one for one in paths if one[1][0][1] >= period]
                    if late:
                        legs = ((cost + supply.leg_between(number, path[0][0]) + rest, path) for rest, path in late)
                        total, path = min(legs)
                        extended.append((total, [(number, period)] + path))
            paths = extended
        return min(paths, default=None)

    def least(self, demand):
        """What the demand adds to the cost of any plan, at least."""
        site = repr(demand["site"]) if self.supply.rules["deliver"] else None
        key = (tuple(demand["orders"]), site, tuple(self.supply.within(demand)))
        if key not in self.found:
            self.found[key] = self.shortest(demand)
        path = self.found[key]
        return demand["budget"] if path is None else min(path, demand["budget"])

    def reduced_cost(self, demand, evaluation):
        charges = sum(self.price(slot) * minutes for slot, minutes in evaluation.minutes.items())
        return evaluation.cost + charges - self.least(demand)

    def least_cost(self, entry):
        """The same for a demand on chain: what stands for it is one way more to serve it."""
        least, (status, *standing) = self.least(entry["demand"]), entry["status"]
        if status != "Composed":
            return least
        minutes = standing[0]["minutes"].items()
        return min(least, standing[0]["cost"] + sum(self.price(slot) * taken for slot, taken in minutes))

    def bound(self, entries, capacities):
        """LB over these entries with these capacities left (None is unlimited)."""
        priced = sum(self.price(slot) * (left or 0) for slot, left in capacities.items())
        return sum(map(self.least_cost, entries)) - priced


class References:
    """What random assignments cost on average in each strip of genesis, and in the whole market (section 11)."""

    WHOLE = "the whole market"

    def __init__(self, genesis):
        providers = [provider["provider"] for provider in genesis["providers"]]
        self.supply = Supply(genesis["rules"], genesis["geometry"], genesis["horizon"], providers)
        self.window, self.strips = genesis["window"], genesis["miners"]
        self.legs, self.parts = {}, {}

    def strip(self, site):
        kind, content = site
        if kind == "Place":
            return 0
        west, east = self.window["west_m"], self.window["east_m"]
        return min(max((content["x_m"] - west) * self.strips // (east - west), 0), self.strips - 1)

    def is_within(self, area, site):
        return area == self.WHOLE or self.strip(site) == area

    def offering(self, area, operation):
        providers = self.supply.providers
        return [number for number in self.supply.offering.get(operation, ()) if self.is_within(area, providers[number]["site"])]

    def area(self, demand):
        """Where a demand is composed, or None."""
        for area in (self.strip(demand["site"]), self.WHOLE):
            if all(self.offering(area, operation) for operation in demand["orders"]):
                return area
        return None

    def mean_leg(self, starts, ends):
        key = tuple(starts), tuple(ends)
        if key not in self.legs:
            total = sum(self.supply.leg_between(start, end) for start in starts for end in ends)
            self.legs[key] = Fraction(total, len(starts) * len(ends))
        return self.legs[key]

    def least(self, area, supply, demand):
        """The cheapest composition of what this supply offers in the area."""
        if (area, supply) not in self.parts:
            providers = [
                one if self.is_within(area, one["site"]) else {**one, "offers": {}} for one in supply.providers
            ]
            self.parts[area, supply] = Supply(supply.rules, supply.geometry, supply.horizon, providers)
        return self.parts[area, supply].at({}).shortest(demand)

    def cost(self, area, demand):
        """The mean over all assignments within the area, floored."""
        supply = self.supply
        value, mean = supply.rules["value_of_minute"], Fraction(0)
        offering = [self.offering(area, operation) for operation in demand["orders"]]
        for operation, members in zip(demand["orders"], offering):
            offers = [supply.providers[number]["offers"][operation] for number in members]
            mean += Fraction(sum(offer["cost"] + value * offer["minutes"] for offer in offers), len(offers))
        for starts, ends in zip(offering, offering[1:]):
            mean += self.mean_leg(starts, ends)
        if supply.rules["deliver"] and offering:
            sites = [supply.providers[number]["site"] for number in offering[-1]]
            mean += Fraction(sum(supply.leg(site, demand["site"]) for site in sites), len(sites))
        return floor(mean)


def least_gain(before, gain_ppm):
    return max(1, ceil_div(abs(before) * gain_ppm, MILLION))


def reward_share(schedule, cost, reduced_cost, orders=0, reference=0):
    """The share of its fees, in ppm, that a composition or block earns."""
    curve, (kind, ends) = schedule["curve"], schedule["measure"]
    if kind == "Certified":
        x, per, full, none = reduced_cost * MILLION, cost, ends["gap_full_ppm"], ends["gap_max_ppm"]
    else:
        root = isqrt(max(orders, ends["block_orders_min"]) * MILLION * MILLION // 100)
        x, per = (cost - reference) * root, reference
        full, none = -ends["full_at_ppm"], -ends["reference_margin_ppm"]
    return share_at(curve, x, per, full, none)


def share_near_optimum(schedule, cost, least):
    """The same by what a block costs beyond the least."""
    return share_at(schedule["curve"], (cost - least) * MILLION, cost, 5_000, 100_000)


def share_at(curve, x, per, full, none):
    beyond, span = x - full * per, (none - full) * per
    if beyond <= 0:
        return curve[0]
    if beyond >= span:
        return 0
    step, rest = divmod(64 * beyond, span)
    return curve[step] - ceil_div((curve[step] - curve[step + 1]) * rest, span)


def required_share(parameters, age):
    """The share of its fee, in ppm, that a demand of this age in milliseconds must earn its solver."""
    if parameters["schedule"]["measure"][0] == "Paper":
        return max(1, parameters["min_reward_ppm"])
    relaxing = max(0, age - parameters["relax_after_ms"])
    over = parameters["relax_over_ms"]
    if relaxing == 0:
        return parameters["min_reward_ppm"]
    return parameters["min_reward_ppm"] * max(0, over - relaxing) // over if over else 0
