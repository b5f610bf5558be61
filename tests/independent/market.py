"""Distances, costs, shortest paths, bounds, rewards (docs/protocol.md, sections 9 and 11); all integers."""

from fractions import Fraction
from heapq import nsmallest
from math import floor, isqrt
from operator import add

MILLION = 1_000_000


def ppm(amount, share):
    return amount * share // MILLION


def ceil_div(numerator, denominator):
    return -(-numerator // denominator)


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

    def __init__(self, rules, geometry, providers):
        self.rules, self.geometry, self.providers = rules, geometry, providers
        self.offering, self.legs, self.rows, self.views = {}, {}, {}, {}
        for number, provider in enumerate(self.providers):
            for operation, offer in provider["offers"].items():
                # An order that takes longer than its provider has time in all is no node.
                if provider["capacity"] is None or offer["minutes"] <= provider["capacity"]:
                    self.offering.setdefault(operation, []).append(number)

    def with_provider(self, number, terms):
        """Another supply, in which this provider, perhaps a new one, has these terms."""
        return Supply(self.rules, self.geometry, self.providers[:number] + [terms] + self.providers[number + 1:])

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
        minutes = ceil_div(self.distance(start, end), self.rules["metres_per_minute"])
        return self.rules["value_of_minute"] * minutes

    def leg(self, start, end):
        return self.transport(start, end) + self.travel_time_value(start, end)

    def evaluate(self, demand, chosen):
        """Judges one composition of a demand; every order must be offered by its provider."""
        found, value = Evaluation(), self.rules["value_of_minute"]
        sites = []
        for number, operation in zip(chosen, demand["orders"], strict=True):
            provider = self.providers[number]
            offer = provider["offers"][operation]
            found.processing += offer["cost"]
            found.time_value += value * offer["minutes"]
            found.minutes[number] = found.minutes.get(number, 0) + offer["minutes"]
            found.owed[number] = found.owed.get(number, 0) + offer["cost"]
            sites.append(provider["site"])
        if self.rules["deliver"]:
            sites.append(demand["site"])
        for start, end in zip(sites, sites[1:]):
            found.transport += self.transport(start, end)
            found.time_value += self.travel_time_value(start, end)
        return found

    def work(self, demand):
        counts = [len(self.offering.get(operation, ())) for operation in demand["orders"]]
        return sum(counts) + sum(before * after for before, after in zip(counts, counts[1:]))

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
        """This supply at dual prices, which are a list by provider id."""
        key = tuple(prices)
        if key not in self.views:
            self.views[key] = PricedSupply(self, key)
        return self.views[key]


class PricedSupply:
    """Shortest paths at fixed prices, each worked out once."""

    def __init__(self, supply, prices):
        self.supply, self.prices = supply, prices
        self.nodes, self.found = {}, {}

    def price(self, number):
        return self.prices[number] if number < len(self.prices) else 0

    def node_costs(self, operation):
        if operation not in self.nodes:
            value, costs = self.supply.rules["value_of_minute"], []
            for number in self.supply.offering.get(operation, ()):
                offer = self.supply.providers[number]["offers"][operation]
                costs.append(offer["cost"] + (value + self.price(number)) * offer["minutes"])
            self.nodes[operation] = costs
        return self.nodes[operation]

    def shortest(self, demand):
        """The least cost + charges over all compositions, or None if an order is offered by nobody."""
        orders, supply = demand["orders"], self.supply
        if not all(self.node_costs(operation) for operation in orders):
            return None
        to_go = self.node_costs(orders[-1])
        if supply.rules["deliver"]:
            ends = (supply.providers[number]["site"] for number in supply.offering[orders[-1]])
            to_go = [rest + supply.leg(end, demand["site"]) for rest, end in zip(to_go, ends)]
        for operation, onward in zip(orders[-2::-1], orders[:0:-1]):
            rows = supply.legs_between(operation, onward)
            to_go = [
                cost + min(map(add, row, to_go)) for cost, row in zip(self.node_costs(operation), rows)
            ]
        return min(to_go)

    def carried(self, demand, left):
        """The carried path of a demand where so many minutes are left of each provider (None is unlimited), as
        (cost with charges, providers); None if neither way of looking for it finds anything within the budget."""
        if not all(self.node_costs(operation) for operation in demand["orders"]):
            return None
        left = [None if minutes is None else max(0, minutes) for minutes in left]
        found = [self.labelled(demand, left), self.roomy(demand, left)]
        evaluate, budget = self.supply.evaluate, demand["budget"]
        kept = [one for one in found if one and evaluate(demand, one[1]).cost <= budget]
        return min(kept, default=None)

    def labelled(self, demand, left):
        """The least of the first order's labels, each (cost, providers)."""
        supply, orders = self.supply, demand["orders"]
        labels = []
        for place in range(len(orders) - 1, -1, -1):
            operation, extended = orders[place], []
            for number, cost in zip(supply.offering[operation], self.node_costs(operation)):
                minutes = supply.providers[number]["offers"][operation]["minutes"]
                if left[number] is not None and minutes > left[number]:
                    continue
                if place == len(orders) - 1:
                    site = supply.providers[number]["site"]
                    delivery = supply.leg(site, demand["site"]) if supply.rules["deliver"] else 0
                    extended.append((cost + delivery, [number], {number: minutes}))
                    continue
                onward = [
                    (cost + supply.leg_between(number, path[0]) + rest, path, taken)
                    for rest, path, taken in labels
                    if left[number] is None or taken.get(number, 0) + minutes <= left[number]
                ]
                for total, path, taken in nsmallest(4, onward, key=lambda label: label[:2]):
                    both = {**taken, number: taken.get(number, 0) + minutes}
                    extended.append((total, [number] + path, both))
            labels = extended
        best = min((label[:2] for label in labels), default=None)
        return best

    def roomy(self, demand, left):
        """The shortest path over the providers with room for all orders of the demand that they offer."""
        supply, orders = self.supply, demand["orders"]
        wanted = {}
        for operation in orders:
            for number in supply.offering[operation]:
                minutes = supply.providers[number]["offers"][operation]["minutes"]
                wanted[number] = wanted.get(number, 0) + minutes
        has_room = {number for number, sum_of in wanted.items() if left[number] is None or sum_of <= left[number]}
        paths = []
        for place in range(len(orders) - 1, -1, -1):
            operation, extended = orders[place], []
            for number, cost in zip(supply.offering[operation], self.node_costs(operation)):
                if number not in has_room:
                    continue
                if place == len(orders) - 1:
                    site = supply.providers[number]["site"]
                    delivery = supply.leg(site, demand["site"]) if supply.rules["deliver"] else 0
                    extended.append((cost + delivery, [number]))
                elif paths:
                    legs = ((cost + supply.leg_between(number, path[0]) + rest, path) for rest, path in paths)
                    total, path = min(legs)
                    extended.append((total, [number] + path))
            paths = extended
        return min(paths, default=None)

    def least(self, demand):
        """What the demand adds to the cost of any plan, at least."""
        site = repr(demand["site"]) if self.supply.rules["deliver"] else None
        key = (tuple(demand["orders"]), site)
        if key not in self.found:
            self.found[key] = self.shortest(demand)
        path = self.found[key]
        return demand["budget"] if path is None else min(path, demand["budget"])

    def reduced_cost(self, demand, evaluation):
        charges = sum(self.price(number) * minutes for number, minutes in evaluation.minutes.items())
        return evaluation.cost + charges - self.least(demand)

    def least_cost(self, entry):
        """The same for a demand on chain: what stands for it is one way more to serve it."""
        least, (status, *standing) = self.least(entry["demand"]), entry["status"]
        if status != "Composed":
            return least
        minutes = standing[0]["minutes"].items()
        return min(least, standing[0]["cost"] + sum(self.price(number) * taken for number, taken in minutes))

    def bound(self, entries, capacities):
        """LB over these entries with these capacities left (None is unlimited)."""
        priced = sum(self.price(number) * (left or 0) for number, left in enumerate(capacities))
        return sum(map(self.least_cost, entries)) - priced


class References:
    """What random assignments cost on average in each strip of genesis, and in the whole market (section 11)."""

    WHOLE = "the whole market"

    def __init__(self, genesis):
        providers = [provider["provider"] for provider in genesis["providers"]]
        self.supply = Supply(genesis["rules"], genesis["geometry"], providers)
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
            self.parts[area, supply] = Supply(supply.rules, supply.geometry, providers)
        return self.parts[area, supply].at(()).shortest(demand)

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
