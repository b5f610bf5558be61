"""A large-neighbourhood search in numpy: dual prices by subgradient steps, then a few demands at a time are
taken out and composed anew by shortest paths on the capacity that the others leave, under simulated annealing."""

import numpy as np

HEAT = 2.0  # $ by which a change may be for the worse, in the mean, at the start; falls to nothing


def cheapest(market, demand, prices, left):
    """The cheapest composition of a demand at these prices that `left` minutes allow, or None."""
    orders, closed = market.orders[demand], np.zeros(len(left), bool)
    while True:
        fits = (market.minutes[:, orders] <= left[:, None]) & ~closed[:, None]
        nodes = np.where(fits, market.cost[:, orders] + prices[:, None] * market.minutes[:, orders], np.inf)
        value, choices = nodes[:, -1], []
        for layer in range(len(orders) - 2, -1, -1):
            onward = market.leg + value
            choices.append(onward.argmin(axis=1))
            value = nodes[:, layer] + onward.min(axis=1)
        if not np.isfinite(value.min()):
            return None
        path = [int(value.argmin())]
        for choice in reversed(choices):
            path.append(int(choice[path[-1]]))
        path = np.array(path)
        over = np.bincount(path, market.minutes[path, orders], len(left)) > left
        if not over.any():
            return path
        closed |= over  # its orders fit one by one but not together


def used(market, demand, path):
    return np.bincount(path, market.minutes[path, market.orders[demand]], len(market.providers))


def cost(market, demand, path):
    return market.cost[path, market.orders[demand]].sum() + market.leg[path[:-1], path[1:]].sum()


def run_lns(search):
    market, demands = search.market, range(len(search.market.orders))
    prices, free = np.zeros(len(market.capacity)), np.full(len(market.capacity), np.inf)
    limits = np.clip(market.capacity, 1, 1e18)  # finite and above zero, to divide by
    for step in range(60):
        excess = sum(used(market, one, cheapest(market, one, prices, free)) for one in demands) - limits
        prices = np.maximum(prices + 0.3 * 0.95**step * excess / limits, 0)
    left, plan, total = market.capacity.copy(), [None] * len(demands), market.budget.sum()
    evaluations, removed, best = 0, list(demands), (np.inf, plan)
    while not search.over():
        before = (left.copy(), [plan[one] for one in removed], total)
        for one in removed:
            if plan[one] is not None:
                left += used(market, one, plan[one])
                total += market.budget[one] - cost(market, one, plan[one])
        # Prices make room for others at first; later, any share of them may be the right guide.
        guide = prices * search.random.uniform(0, 1.2) if evaluations else prices
        for one in search.random.permutation(removed):
            plan[one] = cheapest(market, one, guide, left)
            if plan[one] is not None:
                left -= used(market, one, plan[one])
                total += cost(market, one, plan[one]) - market.budget[one]
        evaluations += 1
        if total < best[0]:
            best = (total, plan.copy())
        if total > before[2] + HEAT * search.left() * search.random.exponential():
            left, total = before[0], before[2]
            for one, path in zip(removed, before[1]):
                plan[one] = path
        removed = search.random.choice(len(demands), search.random.integers(1, 4), replace=False)
    return best[1], evaluations
