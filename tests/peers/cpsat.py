"""CP-SAT on the layered graph: one Boolean per arc, flow conservation, capacities. No hint to start from.

Every provider keeps arcs to the ARCS next ones that are cheapest to go on with; all arcs of these markets would
not be built in the time the others search. The time limit holds for the solver; building comes on top."""

import os

import numpy as np

ARCS = 10


def run_cpsat(search):
    from ortools.sat.python import cp_model

    market, model = search.market, cp_model.CpModel()
    providers = range(len(market.providers))
    load, cost, starts = [[] for _ in providers], [], []
    for orders in market.orders:
        first = [model.new_bool_var("") for _ in providers]
        model.add_exactly_one(first)
        visits, layers = first, [first]
        for before, operation in zip(orders, orders[1:]):
            onward = market.leg + market.cost[:, operation]
            arriving = [[] for _ in providers]
            for at in providers:
                leaving = []
                for to in np.argsort(onward[at])[:ARCS]:
                    arc = model.new_bool_var("")
                    leaving.append(arc)
                    arriving[to].append(arc)
                    cost.append((arc, market.leg[at, to]))
                model.add(sum(leaving) == visits[at])
            visits = [model.new_bool_var("") for _ in providers]
            for at in providers:
                model.add(sum(arriving[at]) == visits[at])
            layers.append(visits)
        for operation, layer in zip(orders, layers):
            for at in providers:
                load[at].append((layer[at], int(market.minutes[at, operation])))
                cost.append((layer[at], market.cost[at, operation]))
        starts.append(layers)
    for at in providers:
        if np.isfinite(market.capacity[at]):
            model.add(sum(one * minutes for one, minutes in load[at]) <= int(market.capacity[at]))
    model.minimize(sum(one * round(100 * dollars) for one, dollars in cost))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = search.seconds
    solver.parameters.num_workers = os.cpu_count()
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return [None] * len(market.orders), 0
    chosen = [[next(at for at in providers if solver.value(layer[at])) for layer in layers] for layers in starts]
    return [np.array(one) for one in chosen], 0
