"""A scenario as arrays, and what every peer shares: cost of genomes, repair, solution files."""

import json
import time

import numpy as np


class Market:
    """Offers, legs and orders of a scenario file on a plane, in dollars and minutes."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            scenario = json.load(file)
        rules = scenario["market"]
        if rules.get("deliver") or rules.get("value_of_minute"):
            raise SystemExit("the peers know neither delivery nor the value of time")
        providers, operations = scenario["providers"], scenario["operations"]
        self.name = scenario["name"]
        self.providers = [one["name"] for one in providers]
        self.demands = [one["name"] for one in scenario["demands"]]
        self.budget = np.array([one["budget"] for one in scenario["demands"]], float)
        self.capacity = np.array([one.get("capacity_minutes", np.inf) for one in providers], float)
        if any(name not in one["offers"] for one in providers for name in operations):
            raise SystemExit("the peers know only markets where every provider offers every operation")
        offers = [[one["offers"][name] for name in operations] for one in providers]
        self.cost = np.array([[float(offer["cost"]) for offer in row] for row in offers])
        self.minutes = np.array([[offer["minutes"] for offer in row] for row in offers], float)
        sites = np.array([[one["site"]["x_m"], one["site"]["y_m"]] for one in providers], float)
        metres = np.ceil(np.hypot(*(sites[:, None] - sites[None]).transpose(2, 0, 1)))
        self.leg = metres * float(rules["rate_per_km"]) / 1000
        number = {name: position for position, name in enumerate(operations)}
        self.orders = [np.array([number[name] for name in one["orders"]]) for one in scenario["demands"]]
        # The genome: the provider of each order, demand after demand.
        self.operation = np.concatenate(self.orders)
        self.demand_of = np.repeat(np.arange(len(self.orders)), [len(one) for one in self.orders])
        self.inner = np.flatnonzero(self.demand_of[1:] == self.demand_of[:-1])

    def costs(self, genomes):
        """Cost of each genome (a row each), and its minutes beyond the capacities."""
        cost = self.cost[genomes, self.operation].sum(axis=1)
        cost += self.leg[genomes[:, self.inner], genomes[:, self.inner + 1]].sum(axis=1)
        rows, width = len(genomes), len(self.providers)
        cells = genomes + width * np.arange(rows)[:, None]
        used = np.bincount(cells.ravel(), self.minutes[genomes, self.operation].ravel(), rows * width)
        return cost, np.maximum(used.reshape(rows, width) - self.capacity, 0).sum(axis=1)

    def repaired(self, genome):
        """Moves orders away from overused providers, the cheapest move first, until the capacities hold.
        Demands that nothing can be done for end unserved (None)."""
        genome, width = genome.copy(), len(self.providers)
        minutes = self.minutes[genome, self.operation]
        left = self.capacity - np.bincount(genome, minutes, width)
        dropped = set()
        while (left < 0).any():
            crowded = np.argmin(left)
            best, places = None, np.flatnonzero(genome == crowded)
            for place in [place for place in places if self.demand_of[place] not in dropped]:
                operation = self.operation[place]
                extra = self.cost[:, operation] - self.cost[crowded, operation]
                for step in (-1, 1):
                    beside = place + step
                    if 0 <= beside < len(genome) and self.demand_of[beside] == self.demand_of[place]:
                        extra = extra + self.leg[:, genome[beside]] - self.leg[crowded, genome[beside]]
                extra = np.where(self.minutes[:, operation] <= left, extra, np.inf)
                to = np.argmin(extra)
                if np.isfinite(extra[to]) and (best is None or extra[to] < best[0]):
                    best = (extra[to], place, to)
            if best is None:
                demand = max(self.demand_of[place] for place in places if self.demand_of[place] not in dropped)
                dropped.add(demand)
                for place in np.flatnonzero(self.demand_of == demand):
                    left[genome[place]] += self.minutes[genome[place], self.operation[place]]
            else:
                _, place, to = best
                left[crowded] += self.minutes[crowded, self.operation[place]]
                left[to] -= self.minutes[to, self.operation[place]]
                genome[place] = to
        parts = np.split(genome, np.cumsum([len(one) for one in self.orders])[:-1])
        return [None if demand in dropped else part for demand, part in enumerate(parts)]

    def write(self, compositions, path):
        """Writes a solution file for `miner check`."""
        named = [None if one is None else [self.providers[provider] for provider in one] for one in compositions]
        document = {"format": "mizan-solution", "version": 1, "compositions": dict(zip(self.demands, named))}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)


class Search:
    """Evaluates genomes by cost and a penalty for overused minutes, until the time is over; keeps the best."""

    PENALTY = 2.0  # $ a minute: more than moving an order of these markets to another provider costs

    def __init__(self, market, seconds, seed):
        self.market, self.seconds = market, seconds
        self.end = time.monotonic() + seconds
        self.random = np.random.default_rng(seed)
        self.evaluations, self.best, self.best_value = 0, None, np.inf

    def over(self):
        return time.monotonic() >= self.end

    def left(self):
        """What is left of the time, as a share."""
        return max(self.end - time.monotonic(), 0) / self.seconds

    def values(self, genomes):
        genomes = np.asarray(genomes, int)
        cost, excess = self.market.costs(genomes)
        value = cost + self.PENALTY * excess
        self.evaluations += len(genomes)
        if value.min() < self.best_value:
            self.best_value, self.best = value.min(), genomes[value.argmin()].copy()
        return value

    def result(self):
        return self.market.repaired(self.best), self.evaluations
