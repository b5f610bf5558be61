#!/usr/bin/env python3
"""Runs `miner solve` and other people's solvers on the same scenarios, one after another, each with the same wall
time on the same machine, and prints one table. Costs and gaps are those of `miner check`, the independent judge.

Makes a virtual environment with the packages of requirements.txt and runs itself in it."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = [ROOT / f"scenarios/tehran/problem-{number}-capacitated.json" for number in (1, 2)]
    parser.add_argument("scenarios", nargs="*", type=Path, default=default, help="scenario files (on a plane)")
    parser.add_argument("--seconds", type=float, default=30, help="wall time of each solver on each scenario")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", help="run these solvers only")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--miner", type=Path, default=target / "release/miner", help="the program, built for release")
    parser.add_argument("--venv", type=Path, default=target / "peers-venv", help="where the packages are installed")
    return parser.parse_args()


def enter(environment):
    """Goes on in the virtual environment, which is made if need be."""
    python = environment / "bin/python"
    if not python.exists():
        print(f"installing packages into {environment}", file=sys.stderr)
        venv.create(environment, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", "--requirement", HERE / "requirements.txt"]
    subprocess.run(install, check=True)
    os.execv(python, [str(python), *sys.argv])


def run_miner(options, scenario, solution):
    command = [options.miner, "solve", scenario, "--time", str(options.seconds), "--rng-seed", str(options.seed)]
    output = subprocess.run([*command, "--json", "--solution", solution], check=True, capture_output=True)
    report = json.loads(output.stdout)
    return report["seconds"], report["evaluations_per_second"]


def run_peer(solver, options, market, solution):
    from market import Search

    begin = time.monotonic()
    search = Search(market, options.seconds, options.seed)
    compositions, evaluations = solver(search)
    seconds = time.monotonic() - begin
    market.write(compositions, solution)
    return seconds, evaluations / seconds


def judge(options, scenario, solution):
    output = subprocess.run([options.miner, "check", scenario, solution, "--json"], capture_output=True)
    verdict = json.loads(output.stdout)
    if verdict["violations"]:
        raise SystemExit(f"{scenario}: the judge refuses {verdict['violations'][0]}")
    return verdict


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    options = arguments()
    if Path(sys.prefix).resolve() != options.venv.resolve():
        enter(options.venv.resolve())
    from cpsat import run_cpsat
    from genetic import run_deap, run_pygad, run_pymoo
    from lns import run_lns
    from market import Market

    peers = {"numpy LNS": run_lns, "pymoo": run_pymoo, "DEAP": run_deap, "PyGAD": run_pygad, "CP-SAT": run_cpsat}
    print(f"{date.today()}, {os.cpu_count()} cores of {processor()}, {options.seconds:g} s each\n")
    print("| scenario | solver | cost $ | unserved | gap to certified bound % | seconds | evaluations/s |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for scenario in options.scenarios:
        market = Market(scenario)
        for name in ["miner solve", *peers]:
            if options.only and name not in options.only:
                continue
            with tempfile.TemporaryDirectory() as directory:
                solution = Path(directory) / "solution.json"
                if name == "miner solve":
                    seconds, rate = run_miner(options, scenario, solution)
                else:
                    seconds, rate = run_peer(peers[name], options, market, solution)
                verdict = judge(options, scenario, solution)
            cost, gap, unserved = verdict["penalised_cost"], verdict["gap_percent"], len(verdict["unserved"])
            rate = f"{rate:,.0f}" if rate else "-"
            print(f"| {market.name} | {name} | {float(cost):,.0f} | {unserved} | {gap:.2f} | {seconds:.1f} | {rate} |",
                  flush=True)


if __name__ == "__main__":
    main()
