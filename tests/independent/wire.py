"""Canonical bytes (docs/protocol.md, section 2) and the structures written in them (sections 5 to 8, 13).

A type here is an object with three methods: `read(reader)` gives a Python value, `write(value)` its canonical
bytes, `readable(value)` what an export shows under `fields`. Structures are dicts, enums are pairs of the
variant's name and its content, maps are dicts in ascending order of key, byte arrays are bytes.
"""

import math
from decimal import Decimal


class WireError(Exception):
    """Bytes that are not the canonical form of anything."""


class Reader:
    """Takes bytes from the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise WireError(f"the bytes end at {len(self.data)}, {count} more expected at {self.at}")
        self.at += count
        return self.data[self.at - count:self.at]

    def varint(self, bits):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= bits:
                raise WireError(f"a number longer than {bits} bits at {self.at}")
        if value >= 1 << bits:
            raise WireError(f"{value} does not fit {bits} bits, at {self.at}")
        return value


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Unsigned:
    def __init__(self, bits):
        self.bits = bits

    def read(self, reader):
        return reader.take(1)[0] if self.bits == 8 else reader.varint(self.bits)

    def write(self, value):
        if not 0 <= value < 1 << self.bits:
            raise WireError(f"{value} is no unsigned number of {self.bits} bits")
        return bytes([value]) if self.bits == 8 else varint(value)

    def readable(self, value):
        return value


class Signed:
    """i64 in zigzag form."""

    def read(self, reader):
        folded = reader.varint(64)
        return folded >> 1 if folded & 1 == 0 else -(folded >> 1) - 1

    def write(self, value):
        if not -(1 << 63) <= value < 1 << 63:
            raise WireError(f"{value} does not fit 64 bits")
        return varint(2 * value if value >= 0 else -2 * value - 1)

    def readable(self, value):
        return value


class Money(Signed):
    """Micro-units; readable as dollars."""

    def readable(self, value):
        dollars = Decimal(value) / 1_000_000
        if value % 1_000_000 and abs(value) >= (1 << 31) * 1_000_000:
            return f"{dollars:.6f}"
        return dollars


class Bool:
    def read(self, reader):
        byte = reader.take(1)[0]
        if byte > 1:
            raise WireError(f"{byte} is no truth value")
        return byte == 1

    def write(self, value):
        return bytes([value])

    def readable(self, value):
        return value


class Raw:
    """A byte array of fixed length."""

    def __init__(self, length):
        self.length = length

    def read(self, reader):
        return reader.take(self.length)

    def write(self, value):
        if len(value) != self.length:
            raise WireError(f"{len(value)} bytes, expected {self.length}")
        return value

    def readable(self, value):
        return value.hex()


class Text:
    def read(self, reader):
        try:
            return reader.take(reader.varint(64)).decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError(f"a string that is not UTF-8: {error}") from error

    def write(self, value):
        encoded = value.encode("utf-8")
        return varint(len(encoded)) + encoded

    def readable(self, value):
        return value


class Optional:
    def __init__(self, inner):
        self.inner = inner

    def read(self, reader):
        tag = reader.take(1)[0]
        if tag > 1:
            raise WireError(f"{tag} is no option tag")
        return self.inner.read(reader) if tag else None

    def write(self, value):
        return b"\0" if value is None else b"\1" + self.inner.write(value)

    def readable(self, value):
        return None if value is None else self.inner.readable(value)


class Sequence:
    def __init__(self, inner):
        self.inner = inner

    def read(self, reader):
        return [self.inner.read(reader) for _ in range(reader.varint(64))]

    def write(self, value):
        return varint(len(value)) + b"".join(map(self.inner.write, value))

    def readable(self, value):
        return [self.inner.readable(element) for element in value]


class Map:
    def __init__(self, key, value):
        self.key, self.value = key, value

    def read(self, reader):
        pairs, last = {}, None
        for _ in range(reader.varint(64)):
            key = self.key.read(reader)
            if last is not None and key <= last:
                raise WireError("the keys of a map do not ascend")
            pairs[key] = self.value.read(reader)
            last = key
        return pairs

    def write(self, value):
        pairs = (self.key.write(key) + self.value.write(value[key]) for key in sorted(value))
        return varint(len(value)) + b"".join(pairs)

    def readable(self, value):
        return {str(self.key.readable(key)): self.value.readable(value[key]) for key in value}


class Struct:
    def __init__(self, **fields):
        self.fields = fields

    def read(self, reader):
        return {name: field.read(reader) for name, field in self.fields.items()}

    def write(self, value):
        if value.keys() != self.fields.keys():
            raise WireError(f"fields {list(value)}, expected {list(self.fields)}")
        return b"".join(field.write(value[name]) for name, field in self.fields.items())

    def readable(self, value):
        return {name: field.readable(value[name]) for name, field in self.fields.items()}


class Tuple:
    def __init__(self, *parts):
        self.parts = parts

    def read(self, reader):
        return tuple(part.read(reader) for part in self.parts)

    def write(self, value):
        return b"".join(part.write(element) for part, element in zip(self.parts, value, strict=True))

    def readable(self, value):
        return [part.readable(element) for part, element in zip(self.parts, value, strict=True)]


class Enum:
    """Variants in order: a name, and the type of its content or None."""

    def __init__(self, *variants, lower_case=False):
        self.variants, self.lower_case = variants, lower_case

    def read(self, reader):
        number = reader.varint(32)
        if number >= len(self.variants):
            raise WireError(f"there is no variant {number}")
        name, content = self.variants[number]
        return (name, content.read(reader) if content else None)

    def write(self, value):
        for number, (name, content) in enumerate(self.variants):
            if name == value[0]:
                return varint(number) + (content.write(value[1]) if content else b"")
        raise WireError(f"there is no variant {value[0]}")

    def readable(self, value):
        content = dict(self.variants)[value[0]]
        name = value[0].lower() if self.lower_case else value[0]
        return {name: content.readable(value[1])} if content else name


class Slot(Tuple):
    """A provider and a period, which is a pair here; readable by name."""

    def readable(self, value):
        return dict(zip(("provider", "period"), value))


class Prices(Sequence):
    """Dual prices as a dict by slot: in order of slots, and none of them 0."""

    def read(self, reader):
        prices = super().read(reader)
        slots = [(provider, period) for provider, period, _ in prices]
        if any(one >= other for one, other in zip(slots, slots[1:])) or any(price == 0 for *_, price in prices):
            raise WireError("prices that do not ascend by slot, or are 0")
        return dict(zip(slots, (price for *_, price in prices)))

    def write(self, value):
        return super().write([(*slot, value[slot]) for slot in sorted(value)])

    def readable(self, value):
        return super().readable([(*slot, value[slot]) for slot in sorted(value)])


class Pattern(Sequence):
    """Minutes of a calendar: one at least."""

    def read(self, reader):
        pattern = super().read(reader)
        if not 1 <= len(pattern) <= CALENDAR_ENTRIES_MAX:
            raise WireError(f"a pattern of {len(pattern)} periods")
        return pattern


CALENDAR_ENTRIES_MAX = 400
U16, U32, U64, I64, MONEY = Unsigned(16), Unsigned(32), Unsigned(64), Signed(), Money()
HASH, KEY, ADDRESS, SIGNATURE = Raw(32), Raw(32), Raw(32), Raw(64)

SITE = Enum(("Point", Struct(x_m=I64, y_m=I64)), ("Place", U32))
GEOMETRY = Enum(("Euclidean", None), ("Matrix", Sequence(Sequence(I64))))
OFFER = Struct(cost=MONEY, minutes=I64)
SLOT = Slot(U32, U32)
WINDOW = Struct(release=U32, due=U32)
HORIZON = Struct(first=U32, periods=U32, period_minutes=Optional(I64))
CALENDAR = Struct(pattern=Pattern(I64), exceptions=Map(U32, I64))
PROVIDER = Struct(name=Text(), site=SITE, offers=Map(U16, OFFER), capacity=Optional(CALENDAR))
OFFERED = Struct(name=Text(), site=SITE, offers=Map(U16, OFFER), capacity=Optional(CALENDAR), deposit=MONEY)
RULES = Struct(rate_per_km=MONEY, value_of_minute=MONEY, metres_per_minute=I64, deliver=Bool())


class Schedule(Struct):
    """Readable, it is its measure with a kind, and the curve only where it is not the usual one."""

    def readable(self, value):
        kind, ends = value["measure"]
        content = dict(MEASURE.variants)[kind].readable(ends)
        curve = {} if value["curve"] == ARCCOT_CURVE else {"curve": value["curve"]}
        return {"kind": kind.lower(), **content, **curve}


def arccot_curve():
    """65 shares in ppm, from where full pay ends to where pay ends: the rest of an inverse cotangent (section 11)."""
    arccot = lambda u: math.pi / 2 - math.atan(u)
    share = lambda t: (arccot(4 * t) - arccot(4)) / (math.pi / 2 - arccot(4))
    return [math.floor(share(point / 64) * 1e6 + 1e-6) for point in range(65)]


ARCCOT_CURVE = arccot_curve()
MEASURE = Enum(
    ("Certified", Struct(gap_full_ppm=U64, gap_max_ppm=U64)),
    ("Paper", Struct(reference_margin_ppm=U64, full_at_ppm=U64, block_orders_min=U32)),
)
LIMITS = Struct(
    batch_bytes=U32, record_bytes=U32, records_per_batch=U32, compositions_per_batch=U32,
    verification_work=U64, market_work=U64, market_demands=U32, offers_per_operation=U32, clock_lead_ms=U64,
)
PARAMETERS = Struct(
    allocation=Enum(("Partial", None), ("Dedicated", None), lower_case=True),
    held_providers_max=Optional(U32),
    schedule=Schedule(measure=MEASURE, curve=Sequence(U32)),
    solver_fee_ppm=U64, min_reward_ppm=U64, relax_after_ms=U64, relax_over_ms=U64,
    near_best_ppm=U64, min_bound_gain_ppm=U64, price_share_ppm=U64, price_bond=MONEY, min_saving_ppm=U64,
    amender_share_ppm=U64, freeze_after_ms=U64, period_ms=U64, frozen_zone_ms=U64, halt_after_ms=U64, anchor_window_ms=U64,
    quiet_batch_interval_ms=U64, amendment_interval_ms=U64,
    account_min=MONEY, min_budget=MONEY, offer_deposit=MONEY, minute_deposit=MONEY, idle_after_ms=U64, notice_ms=U64, fee_per_byte=MONEY, demand_lifetime_max_ms=U64,
    commit_reveal=Optional(Struct(reveal_ms=U64)),
    limits=LIMITS,
)
GENESIS = Struct(
    version=U16, name=Text(), timestamp_ms=U64, parameters=PARAMETERS, rules=RULES, geometry=GEOMETRY,
    horizon=HORIZON, calendar_start_ms=U64,
    window=Struct(west_m=I64, south_m=I64, east_m=I64, north_m=I64),
    operations=Sequence(Text()), providers=Sequence(Struct(address=ADDRESS, provider=PROVIDER)),
    balances=Map(ADDRESS, MONEY), validators=Map(KEY, U64), miners=U32,
)

DEMAND_STATEMENT = Struct(
    name=Text(), site=SITE, orders=Sequence(U16), budget=MONEY, solver_fee=MONEY, window=WINDOW, expires_ms=U64
)
STATEMENT = Enum(
    ("Offer", OFFERED),
    ("OfferWithdrawal", None),
    ("Demand", DEMAND_STATEMENT),
    ("DemandCancellation", Struct(demand=HASH)),
    ("Transfer", Struct(to=ADDRESS, amount=MONEY)),
)
RECORD_CONTENT = Struct(
    network=HASH, author=KEY, sequence=U64, valid_until_ms=U64, statement=STATEMENT
)
RECORD = Struct(content=RECORD_CONTENT, signature=SIGNATURE)

HEADER = Struct(
    version=U16, network=HASH, height=U64, parent=HASH, timestamp_ms=U64, proposer=KEY, turn=U64, contents_root=HASH,
    item_count=U32, outcomes_root=HASH, state_root=HASH,
)
BLOCK_HEADER = Struct(
    version=U16, network=HASH, anchor=HASH, nonce=U64, miner=KEY, merkle_root=HASH, item_count=U32
)
SIGNED_HEADER = Struct(header=BLOCK_HEADER, signature=SIGNATURE)
LOT = Struct(seed=HASH, miner=KEY, demand=Optional(HASH))
OUTCOME = Struct(block=HASH, dropped=Sequence(Tuple(U32, Text())))
PRICE_UPDATE = Struct(replaces=U64, gain=MONEY, prices=Prices(Tuple(U32, U32, MONEY)))
COMPOSITION = Struct(demand=HASH, slots=Sequence(SLOT), cost=MONEY, minutes=I64, timestamp_ms=U64)
REPLACEMENT = Struct(replaces=U32, composition=COMPOSITION)
AMENDMENT = Struct(parts=Sequence(REPLACEMENT))
BODY = Struct(
    price_update=Optional(PRICE_UPDATE), compositions=Sequence(COMPOSITION), amendments=Sequence(AMENDMENT)
)
BLOCK = Struct(signed=SIGNED_HEADER, body=BODY)
COMMITMENT = Struct(
    version=U16, network=HASH, anchor=HASH, miner=KEY, block=HASH, bytes=U32, compositions=U32
)
SIGNED_COMMITMENT = Struct(commitment=COMMITMENT, signature=SIGNATURE)
NONCES = Sequence(U64)
TURNS = Sequence(U16)
PLEDGE = Struct(commitment=COMMITMENT, block=Optional(BLOCK))

STANDING = Struct(
    version=U32, slots=Sequence(SLOT), miner=ADDRESS, since=U64, since_ms=U64, height=U64,
    amended_by=Optional(ADDRESS), timestamp_ms=U64, minutes=Map(SLOT, I64), owed=Map(U32, MONEY), transport=MONEY, time_value=MONEY,
    cost=MONEY, first_cost=MONEY, price=MONEY, reduced_cost=MONEY, earned=MONEY, dues=Map(ADDRESS, MONEY),
)
STATUS = Enum(("Open", None), ("Composed", STANDING))
DEMAND_ENTRY = Struct(
    author=ADDRESS,
    demand=Struct(name=Text(), site=SITE, orders=Sequence(U16), budget=MONEY, window=WINDOW),
    solver_fee=MONEY, since=U64, since_ms=U64, expires_ms=U64, escrow=MONEY, clearing=MONEY, status=STATUS,
)
CHANGE = Enum(("Offer", OFFERED), ("Withdrawal", None), ("Cancellation", None))
NOTICE = Struct(height=U64, due_ms=U64, change=CHANGE)
PRICE_TOTALS = Struct(updates=U64, since_ms=U64, authors=Map(ADDRESS, MONEY))
DEMAND_TOTALS = Struct(seen=U64, settled=U64, cancelled=U64, expired=U64)
PROVIDER_ENTRY = Struct(
    address=ADDRESS, provider=PROVIDER, usage=Map(U32, Struct(standing=I64, frozen=I64)),
    holder=Optional(Struct(miner=ADDRESS, compositions=U32)), prices=Map(U32, MONEY), deposit=MONEY, per_operation=MONEY, active_ms=U64, unvalued_since_ms=Optional(U64),
)

VOTE_KIND = Enum(("Prevote", None), ("Precommit", None))
VOTE = Struct(network=HASH, height=U64, round=U32, kind=VOTE_KIND, batch=Optional(HASH))
DOUBLE_VOTE = Struct(
    network=HASH, height=U64, round=U32, kind=VOTE_KIND, validator=U16,
    batches=Tuple(Optional(HASH), Optional(HASH)), signatures=Tuple(SIGNATURE, SIGNATURE),
)
CERTIFICATE = Struct(
    height=U64, round=U32, batch=HASH, signatures=Sequence(Tuple(U16, SIGNATURE))
)


def decode(kind, data):
    """The value whose canonical bytes are exactly `data`."""
    reader = Reader(data)
    value = kind.read(reader)
    if reader.at != len(data):
        raise WireError(f"{len(data) - reader.at} bytes too many")
    if kind.write(value) != data:
        raise WireError("not the canonical form of its value")
    return value
