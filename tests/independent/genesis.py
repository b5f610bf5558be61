"""What genesis and records must keep to by themselves (docs/protocol.md, sections 1, 5, 6 and 11)."""

import crypto
import wire
from ledger import BUDGET_MAX, Mismatch, PROVIDERS_MAX, equal, require
from market import MILLION, PERIOD_LAST, Supply, ppm

NAME_BYTES, ORDERS_MAX, OPERATIONS_MAX, PLACES_MAX = 64, 256, 4_096, 1_024
OFFER_COST_MAX, OFFER_MINUTES_MAX, CAPACITY_MAX = 1_000_000 * MILLION, 1_000_000, 1_000_000_000
DISTANCE_MAX, INTERVAL_MAX, POWER_MAX = 1 << 31, 30 * 86_400_000, 1 << 61
GENESIS_BYTES = 64 << 20
PERIODS_MAX, PERIOD_MAX = 128, 1 << 30
SHARES = (
    "solver_fee_ppm", "min_reward_ppm", "min_bound_gain_ppm", "price_share_ppm",
    "min_saving_ppm", "amender_share_ppm",
)

INTERVALS = ("relax_after_ms", "relax_over_ms", "idle_after_ms", "notice_ms", "quiet_batch_interval_ms", "amendment_interval_ms")
DEPOSIT_MAX = 1_000 * MILLION


def within(value, lowest, highest, what):
    require(lowest <= value <= highest, f"{what} is {value}, expected {lowest} to {highest}")


def check_name(name, what):
    within(len(name.encode("utf-8")), 0, NAME_BYTES, f"the length of the name of {what}")


def check_terms(genesis, supply, terms, what):
    """Name, site, offers and capacity of a provider."""
    check_name(terms["name"], what)
    require(supply.has_site(terms["site"]), f"the site of {what} is none of this market")
    require(terms["offers"], f"{what} offers nothing")
    for operation, offer in terms["offers"].items():
        require(operation < len(genesis["operations"]), f"{what} offers unknown operation {operation}")
        within(offer["cost"], 0, OFFER_COST_MAX, f"a cost of {what}")
        within(offer["minutes"], 0, OFFER_MINUTES_MAX, f"the minutes of an offer of {what}")
    if terms["capacity"] is not None:
        check_calendar(genesis, terms["capacity"], f"the capacity of {what}")


def check_calendar(genesis, calendar, what):
    pattern, exceptions = calendar["pattern"], calendar["exceptions"]
    for minutes in [*pattern, *exceptions.values()]:
        within(minutes, 0, CAPACITY_MAX, what)
    within(len(exceptions), 0, wire.CALENDAR_ENTRIES_MAX, f"the number of exceptions in {what}")
    within(max(exceptions, default=0), 0, PERIOD_MAX, f"the last period in {what}")
    is_single = genesis["horizon"]["period_minutes"] is None
    require(not is_single or len(pattern) == 1 and not exceptions, f"{what} differs between periods")


def check_demand_window(genesis, window):
    release, due = window["release"], window["due"]
    require(release <= due, "it is due before its release")
    within(release if due == PERIOD_LAST else due, 0, PERIOD_MAX, "the last period it speaks of")
    is_any = (release, due) == (0, PERIOD_LAST)
    require(is_any or genesis["horizon"]["period_minutes"] is not None, "it has a window, and there is one period")


def check_record(genesis, network, supply, record, data):
    """What is right or wrong with a record by itself; `data` is its canonical bytes."""
    content = record["content"]
    equal(content["network"], network, "its network")
    kind, said = content["statement"]
    if kind == "Offer":
        check_terms(genesis, supply, said, "the provider")
        within(said["deposit"], genesis["parameters"]["offer_deposit"], DEPOSIT_MAX, "its deposit")
    elif kind == "Demand":
        check_demand(genesis, supply, said)
    elif kind == "Transfer":
        require(said["amount"] > 0, f"it transfers {said['amount']}")
    within(len(data), 0, genesis["parameters"]["limits"]["record_bytes"], "its size")
    signed = wire.RECORD_CONTENT.write(content)
    fault = crypto.signature_fault("RecordSigning", signed, content["author"], record["signature"])
    require(fault is None, f"its signature: {fault}")


def check_demand(genesis, supply, said):
    check_name(said["name"], "the demand")
    require(supply.has_site(said["site"]), "its site is none of this market")
    within(len(said["orders"]), 1, ORDERS_MAX, "the number of its orders")
    known = all(operation < len(genesis["operations"]) for operation in said["orders"])
    require(known, "it orders an unknown operation")
    check_demand_window(genesis, said["window"])
    within(said["budget"], genesis["parameters"]["min_budget"] * len(said["orders"]), BUDGET_MAX, "its budget")
    least = ppm(said["budget"], genesis["parameters"]["solver_fee_ppm"])
    within(said["solver_fee"], least, BUDGET_MAX, "its solver fee")


def check_genesis(genesis, size):
    """`size` is the number of its canonical bytes."""
    equal(genesis["version"], 10, "the version of genesis")
    within(size, 0, GENESIS_BYTES, "the size of genesis")
    check_name(genesis["name"], "the network")
    check_parameters(genesis["parameters"])
    rules = genesis["rules"]
    within(rules["rate_per_km"], 0, 100 * MILLION, "rate_per_km")
    within(rules["value_of_minute"], 0, 100_000, "value_of_minute")
    within(rules["metres_per_minute"], 1, DISTANCE_MAX, "metres_per_minute")
    check_geometry(genesis["geometry"])
    check_window(genesis["window"])
    check_horizon(genesis)
    within(len(genesis["operations"]), 1, OPERATIONS_MAX, "the number of operations")
    for operation in genesis["operations"]:
        check_name(operation, "an operation")
    within(len(genesis["providers"]), 0, PROVIDERS_MAX, "the number of providers")
    supply = Supply(rules, genesis["geometry"], genesis["horizon"], [])
    for number, provider in enumerate(genesis["providers"]):
        check_terms(genesis, supply, provider["provider"], f"provider {number}")
    owners = [provider["address"] for provider in genesis["providers"]]
    require(len(set(owners)) == len(owners), "two providers have one address")
    require(all(balance >= 0 for balance in genesis["balances"].values()), "a balance is negative")
    within(sum(genesis["balances"].values()), 0, 1 << 61, "all money")
    within(genesis["miners"], 1, (1 << 32) - 1, "the number of miners")
    check_validators(genesis["validators"])


def check_horizon(genesis):
    horizon, parameters = genesis["horizon"], genesis["parameters"]
    equal(horizon["first"], 0, "the first period")
    minutes = horizon["period_minutes"]
    within(horizon["periods"], 1, 1 if minutes is None else PERIODS_MAX, "the number of periods")
    within(1 if minutes is None else minutes, 1, OFFER_MINUTES_MAX, "the minutes of a period")
    is_papers = parameters["allocation"][0] == "Dedicated" or parameters["schedule"]["measure"][0] == "Paper"
    require(minutes is None or not is_papers, "the rules of paper A know no calendar")


def check_geometry(geometry):
    kind, rows = geometry
    if kind == "Euclidean":
        return
    within(len(rows), 0, PLACES_MAX, "the number of places")
    for start, row in enumerate(rows):
        equal(len(row), len(rows), f"the length of row {start} of the distances")
        equal(row[start], 0, f"the distance of place {start} from itself")
        within(min(row), 0, DISTANCE_MAX, "a distance")
        within(max(row), 0, DISTANCE_MAX, "a distance")


def check_window(window):
    highest = 1 << 30
    within(window["west_m"], 1 - highest, highest, "the western edge of the window")
    within(window["south_m"], 1 - highest, highest, "the southern edge of the window")
    within(window["east_m"], window["west_m"] + 1, highest, "the eastern edge of the window")
    within(window["north_m"], window["south_m"] + 1, highest, "the northern edge of the window")


def check_validators(validators):
    within(len(validators), 1, 256, "the number of validators")
    within(sum(validators.values()), 1, POWER_MAX, "the sum of all votes")
    for key, power in validators.items():
        require(power >= 1, f"validator {key.hex()} has no votes")
        fault = crypto.key_fault(key)
        require(fault is None, f"validator {key.hex()}: {fault}")


def check_parameters(parameters):
    check_schedule(parameters["schedule"])
    for share in SHARES:
        within(parameters[share], 0, MILLION, share)
    for interval in INTERVALS:
        within(parameters[interval], 0, INTERVAL_MAX, interval)
    within(parameters["account_min"], 0, DEPOSIT_MAX, "account_min")
    within(parameters["min_budget"], 1, BUDGET_MAX, "min_budget")
    within(parameters["offer_deposit"], 0, DEPOSIT_MAX, "offer_deposit")
    within(parameters["minute_deposit"], 0, MILLION, "minute_deposit")
    within(parameters["price_bond"], 0, DEPOSIT_MAX, "price_bond")
    within(parameters["near_best_ppm"], 0, 1_000 * MILLION, "near_best_ppm")
    within(parameters["fee_per_byte"], 0, MILLION, "fee_per_byte")
    within(parameters["demand_lifetime_max_ms"], 1, INTERVAL_MAX, "demand_lifetime_max_ms")
    within(parameters["freeze_after_ms"], 1, INTERVAL_MAX, "freeze_after_ms")
    within(parameters["period_ms"], 1, INTERVAL_MAX, "period_ms")
    within(parameters["frozen_zone_ms"], 0, INTERVAL_MAX, "frozen_zone_ms")
    within(parameters["halt_after_ms"], 1, INTERVAL_MAX, "halt_after_ms")
    within(parameters["anchor_window_ms"], 0, INTERVAL_MAX, "anchor_window_ms")
    hidden = parameters["commit_reveal"]
    if hidden is not None:
        within(hidden["reveal_ms"], 0, INTERVAL_MAX, "commit_reveal.reveal_ms")
    held = parameters["held_providers_max"]
    require(held is None or held >= 1, "held_providers_max is 0")
    limits = parameters["limits"]
    within(limits["batch_bytes"], 1 << 10, 256 << 20, "limits.batch_bytes")
    within(limits["record_bytes"], 256, limits["batch_bytes"], "limits.record_bytes")
    within(limits["records_per_batch"], 1, MILLION, "limits.records_per_batch")
    within(limits["compositions_per_batch"], 1, MILLION, "limits.compositions_per_batch")
    within(limits["verification_work"], 1, (1 << 64) - 1, "limits.verification_work")
    within(limits["market_work"], 1, (1 << 64) - 1, "limits.market_work")
    within(limits["market_demands"], 1, MILLION, "limits.market_demands")
    within(limits["offers_per_operation"], 1, PROVIDERS_MAX, "limits.offers_per_operation")
    within(limits["clock_lead_ms"], 0, INTERVAL_MAX, "limits.clock_lead_ms")


def check_schedule(schedule):
    curve, (kind, ends) = schedule["curve"], schedule["measure"]
    equal(len(curve), 65, "the number of points of the curve")
    require(max(curve) <= MILLION, "a point of the curve is above the whole")
    require(all(one >= two for one, two in zip(curve, curve[1:])), "the curve rises")
    if kind == "Certified":
        full, none = ends["gap_full_ppm"], ends["gap_max_ppm"]
        within(full, 0, 1_000 * MILLION, "gap_full_ppm")
        within(none, 0, 1_000 * MILLION, "gap_max_ppm")
    else:
        full, none = -ends["full_at_ppm"], -ends["reference_margin_ppm"]
        within(-none, 0, 10 * MILLION, "reference_margin_ppm")
        within(-full, 0, 10 * MILLION, "full_at_ppm")
        within(ends["block_orders_min"], 1, (1 << 32) - 1, "block_orders_min")
    require(none > full, "full pay does not end before pay ends")
