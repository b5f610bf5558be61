"""General genetic-algorithm packages on the genome "provider of each order", as their manuals would do it.

All get the same population, two-point crossover, about one or two reset genes a child, and whole generations
evaluated at once by numpy, which is the fastest that any of them can do."""

import numpy as np

POPULATION = 100


def run_pymoo(search):
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.pntx import TwoPointCrossover
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    genes, providers = len(search.market.operation), len(search.market.providers)

    class Reset(Mutation):
        def _do(self, problem, X, **_):
            resets = search.random.random(X.shape) < 1.5 / genes
            return np.where(resets, search.random.integers(0, providers, X.shape), X)

    class Compositions(Problem):
        def _evaluate(self, x, out, *_, **__):
            out["F"] = search.values(x)

    problem = Compositions(n_var=genes, n_obj=1, xl=0, xu=providers - 1, vtype=int)
    algorithm = GA(POPULATION, sampling=IntegerRandomSampling(), crossover=TwoPointCrossover(), mutation=Reset(),
                   eliminate_duplicates=False)
    algorithm.setup(problem, seed=int(search.random.integers(1 << 30)), verbose=False)
    while not search.over():
        algorithm.next()
    return search.result()


def run_deap(search):
    import random

    from deap import algorithms, base, creator, tools

    genes, providers = len(search.market.operation), len(search.market.providers)
    random.seed(int(search.random.integers(1 << 30)))
    if not hasattr(creator, "Genome"):
        creator.create("Fitness", base.Fitness, weights=(-1.0,))
        creator.create("Genome", list, fitness=creator.Fitness)
    toolbox = base.Toolbox()
    toolbox.register("mate", tools.cxTwoPoint)
    toolbox.register("mutate", tools.mutUniformInt, low=0, up=providers - 1, indpb=1.5 / genes)

    def evaluate(population):
        for one, value in zip(population, search.values(population)):
            one.fitness.values = (value,)
        return population

    first = search.random.integers(0, providers, (POPULATION, genes)).tolist()
    population = evaluate([creator.Genome(genome) for genome in first])
    while not search.over():
        parents = tools.selTournament(population, POPULATION - 1, tournsize=3)
        elite = tools.selBest(population, 1)
        population = elite + evaluate(algorithms.varAnd(parents, toolbox, cxpb=0.8, mutpb=1.0))
    return search.result()


def run_pygad(search):
    import pygad

    genes, providers = len(search.market.operation), len(search.market.providers)
    engine = pygad.GA(
        num_generations=1_000_000_000,
        sol_per_pop=POPULATION,
        num_parents_mating=POPULATION // 2,
        num_genes=genes,
        gene_type=int,
        init_range_low=0,
        init_range_high=providers,
        random_mutation_min_val=0,
        random_mutation_max_val=providers,
        mutation_by_replacement=True,
        mutation_num_genes=2,
        parent_selection_type="tournament",
        crossover_type="two_points",
        keep_elitism=1,
        fitness_batch_size=POPULATION,
        fitness_func=lambda _, genomes, __: -search.values(genomes),
        on_generation=lambda _: "stop" if search.over() else None,
        random_seed=int(search.random.integers(1 << 30)),
        suppress_warnings=True,
    )
    engine.run()
    return search.result()
