//! A chain with amendments of every sort: the independent program follows it to the unit, finds what is
//! forged in it, and single compositions of it are proved whichever batch brought them.

use chain::ProofError;
use chain::schedule::Measure;
use chain::{
    Amendment, BatchHeader, Block, Body, Composition, Contents, DemandId, Hash, PriceUpdate, RecordId,
    Replacement,
};
use scenarios::{DualPrices, Money, Offer, OperationId, ProviderId, Slot, evaluate_composition};

use super::export::assert_stands;
use super::forged::forged;
use super::growing::{Growing, Next, key};
use super::markets::{demand_records, open_market_genesis};

/// Provider 0 is near and cheap, provider 1 far; every demand is to be had from either alone.
const NEAR: u32 = 0;
const FAR: u32 = 1;

/// A market where any composition is paid, its demands in the order of the scenario.
struct Amending {
    market: Growing,
    ids: Vec<RecordId>,
}

type Set = Vec<(DemandId, Vec<Slot>)>;

impl Amending {
    /// With four of seven demands composed at height 2, badly.
    fn begin() -> Self {
        let (mut genesis, mut instance) = open_market_genesis();
        genesis.providers[0].provider.capacity = Some(76.into());
        // The last demand wants something that is done nearby alone.
        genesis.operations.push("rare".into());
        let rare = Offer { cost: Money::from_units(6), minutes: 20 };
        genesis.providers[0].provider.offers.insert(OperationId(3), rare);
        instance.demands[6].orders[1] = OperationId(3);
        let parameters = &mut genesis.parameters;
        parameters.freeze_after_ms = 12_000;
        parameters.schedule.measure = Measure::Certified { gap_full_ppm: 200_000, gap_max_ppm: 900_000_000 };
        parameters.amender_share_ppm = 9_999;
        let mut market = Growing::from(genesis);
        let records = demand_records(&market, &instance);
        let ids = records.iter().map(chain::Record::id).collect();
        market.add_records(records);
        let mut chain = Self { market, ids };
        let compositions = vec![
            chain.all_at(0, FAR),
            chain.all_at(1, NEAR),
            chain.all_at(2, FAR),
            (chain.ids[3], vec![Slot::single(ProviderId(NEAR)), Slot::single(ProviderId(FAR))]),
        ];
        chain.market.add(Next { compositions, ..Next::default() });
        chain
    }

    /// A demand with every order at one provider.
    fn all_at(&self, index: usize, provider: u32) -> (DemandId, Vec<Slot>) {
        let id = self.ids[index];
        let orders = self.market.demand(id).demand.orders.len();
        (id, vec![Slot::single(ProviderId(provider)); orders])
    }

    /// The composition of a demand, with true claims.
    fn composition(&self, index: usize, providers: Vec<Slot>) -> Composition {
        let demand = &self.market.demand(self.ids[index]).demand;
        let found =
            evaluate_composition(self.market.ledger.supply(), demand, 0, &providers).expect("feasible");
        let timestamp_ms = self.market.ledger.head().timestamp_ms;
        let (demand, cost, minutes) = (self.ids[index], found.cost(), found.total_minutes());
        Composition { demand, slots: providers, cost, minutes, timestamp_ms }
    }

    /// The amendment of these demands, each with every order at one provider and in place of this version.
    fn amendment(&self, parts: &[(usize, u32, u32)]) -> Amendment {
        let all_at = |&(index, provider, replaces): &(usize, u32, u32)| {
            (index, self.all_at(index, provider).1, replaces)
        };
        self.amendment_of(parts.iter().map(all_at).collect())
    }

    /// The amendment of these demands, each by these providers and in place of this version.
    fn amendment_of(&self, parts: Vec<(usize, Vec<Slot>, u32)>) -> Amendment {
        let parts = parts.into_iter().map(|(index, providers, replaces)| {
            let composition = self.composition(index, providers);
            Replacement { replaces, composition }
        });
        let mut parts: Vec<Replacement> = parts.collect();
        parts.sort_by_key(|part| part.composition.demand);
        Amendment { parts }
    }

    fn amend(&mut self, miner: u64, amendments: Vec<Set>) -> chain::BatchReport {
        self.market.add(Next { miner, amendments, ..Next::default() })
    }

    /// Savings in one demand and across two, room that is paid for and room that saves, two amenders of one
    /// demand, then everything frozen.
    fn whole() -> Self {
        let mut chain = Self::begin();
        let saved = vec![chain.all_at(0, NEAR)];
        let report = chain.amend(1, vec![saved]);
        assert!(report.saving.micros() > 0 && report.reduced_cost == report.cost, "{report:?}");

        // Nearby 18 minutes are left, and what the last demand wants takes 20.
        let room = vec![
            chain.all_at(1, FAR),
            (chain.ids[6], vec![Slot::single(ProviderId(FAR)), Slot::single(ProviderId(NEAR))]),
        ];
        let prices = Some(chain.market.better_prices());
        let compositions = vec![chain.all_at(5, FAR)];
        let next = Next { miner: 2, prices, compositions, amendments: vec![room], ..Next::default() };
        let report = chain.market.add(next);
        assert!(report.displacement.micros() > 0 && report.compositions == 2, "{report:?}");

        let simpler = vec![chain.all_at(3, FAR)];
        let across = vec![chain.all_at(0, FAR), chain.all_at(2, NEAR)];
        let report = chain.amend(1, vec![simpler, across]);
        assert_eq!((report.amendments, report.replaced), (2, 3));

        let room =
            vec![chain.all_at(0, NEAR), chain.all_at(1, NEAR), chain.all_at(2, FAR), chain.all_at(4, FAR)];
        let report = chain.amend(2, vec![room]);
        assert!(report.saving.micros() > 0 && report.compositions == 1, "{report:?}");
        chain
    }
}

#[test]
fn a_chain_with_amendments_stands_until_everything_is_paid() {
    let mut chain = Amending::whole();
    assert_stands(&chain.market);
    let versions = chain.ids.iter().map(|id| chain.market.demand(*id).version());
    assert_eq!(versions.collect::<Vec<_>>(), [4, 3, 3, 2, 1, 1, 1]);
    chain.market.wait_until(12);
    assert_eq!(chain.market.statuses().get("frozen"), Some(&7));
    assert_stands(&chain.market);
}

/// The rule under which an item is dropped, and what puts that item into a block.
type DroppedItem = (&'static str, fn(&Amending, &mut Body));

#[test]
fn what_a_rule_drops_of_a_block_is_dropped_by_the_independent_program_under_the_same_name() {
    let cases: [DroppedItem; 15] = [
        ("unknown-demand", |chain, body| {
            let composition = chain.composition(5, vec![Slot::single(ProviderId(FAR)); 4]);
            body.compositions.push(Composition { demand: RecordId(Hash([9; 32])), ..composition });
        }),
        ("already-composed", |chain, body| {
            body.compositions.push(chain.composition(0, chain.all_at(0, NEAR).1));
        }),
        ("order-count", |chain, body| {
            let composition = chain.composition(5, vec![Slot::single(ProviderId(FAR)); 4]);
            body.compositions.push(Composition { slots: vec![Slot::single(ProviderId(FAR))], ..composition });
        }),
        ("unknown-provider", |chain, body| {
            let composition = chain.composition(5, vec![Slot::single(ProviderId(FAR)); 4]);
            body.compositions
                .push(Composition { slots: vec![Slot::single(ProviderId(77)); 4], ..composition });
        }),
        ("not-offered", |chain, body| {
            let composition = chain.composition(5, vec![Slot::single(ProviderId(FAR)); 4]);
            body.compositions
                .push(Composition { slots: vec![Slot::single(ProviderId(2)); 4], ..composition });
        }),
        ("cost", |chain, body| {
            let composition = chain.composition(5, vec![Slot::single(ProviderId(FAR)); 4]);
            let cost = composition.cost + Money::from_micros(1);
            body.compositions.push(Composition { cost, ..composition });
        }),
        ("minutes", |chain, body| {
            let composition = chain.composition(5, vec![Slot::single(ProviderId(FAR)); 4]);
            body.compositions.push(Composition { minutes: composition.minutes + 1, ..composition });
        }),
        ("capacity", |chain, body| {
            // 38 minutes stand, and the near provider has 76.
            body.compositions.push(chain.composition(5, vec![Slot::single(ProviderId(NEAR)); 4]));
            body.compositions.push(chain.composition(6, vec![Slot::single(ProviderId(NEAR)); 2]));
        }),
        ("stale-amendment", |chain, body| body.amendments.push(chain.amendment(&[(0, NEAR, 2)]))),
        ("nothing-replaced", |chain, body| body.amendments.push(chain.amendment(&[(5, FAR, 0)]))),
        ("nothing-changed", |chain, body| body.amendments.push(chain.amendment(&[(0, FAR, 1)]))),
        ("dearer-part", |chain, body| body.amendments.push(chain.amendment(&[(1, FAR, 1)]))),
        ("saving", |chain, body| {
            // What the others save is less than what the one that gives way costs more.
            let partly = [NEAR, NEAR, FAR, FAR].map(|id| Slot::single(ProviderId(id))).to_vec();
            let (nearby, away) = (chain.all_at(0, NEAR).1, chain.all_at(1, FAR).1);
            body.amendments.push(chain.amendment_of(vec![(0, nearby, 1), (1, away, 1), (2, partly, 1)]));
        }),
        ("room-not-needed", |chain, body| {
            body.amendments.push(chain.amendment(&[(0, NEAR, 1), (1, FAR, 1), (5, NEAR, 0)]));
        }),
        ("price", |_, body| {
            let prices = DualPrices::single(vec![Money::ZERO, Money::from_micros(5)]);
            body.price_update = Some(PriceUpdate { replaces: 0, gain: Money::from_micros(1), prices });
        }),
    ];
    for (rule, add) in cases {
        let mut chain = Amending::begin();
        let mut body = Body {
            compositions: vec![chain.composition(4, vec![Slot::single(ProviderId(FAR)); 3])],
            ..Body::default()
        };
        add(&chain, &mut body);
        let anchor = chain.market.ledger.head().hash;
        let block = Block::sign(chain.market.network().id(), anchor, 1, body, &key("miner", 1));
        let report = chain.market.add_blocks(Vec::new(), vec![block]).expect("demand 4 is composed");
        let rules: Vec<&str> = report.blocks[0].dropped.iter().map(|dropped| dropped.rule.as_str()).collect();
        assert_eq!(rules, [rule]);
        assert_stands(&chain.market);
    }
}

#[test]
fn of_the_amendments_of_two_miners_the_one_that_saves_more_takes_effect() {
    let mut chain = Amending::begin();
    let anchor = chain.market.ledger.head().hash;
    let block = |miner, sets: &[&[(usize, u32, u32)]], other| {
        let amendments = sets.iter().map(|set| chain.amendment(set)).collect();
        let compositions = vec![chain.composition(other, chain.all_at(other, FAR).1)];
        let body = Body { amendments, compositions, ..Body::default() };
        Block::sign(chain.market.network().id(), anchor, 1, body, &key("miner", miner))
    };
    // Together the demands 0 and 2 save less of what was paid in than demand 0 does alone.
    let one = block(1, &[&[(0, NEAR, 1), (3, FAR, 1)]], 4);
    let other = block(2, &[&[(0, NEAR, 1)]], 5);
    let report = chain.market.add_blocks(Vec::new(), vec![one, other]).expect("both have an effect");
    let dropped = report
        .blocks
        .iter()
        .map(|outcome| outcome.dropped.iter().map(|dropped| dropped.rule.as_str()).collect::<Vec<_>>());
    let dropped: Vec<Vec<&str>> = dropped.collect();
    assert_eq!(dropped.concat(), ["duplicate-composition"], "{dropped:?}");
    assert_stands(&chain.market);
}

#[test]
fn what_is_forged_in_an_amendment_is_found() {
    type Forgery = (&'static str, fn(&mut BatchHeader, &mut Contents));
    let cases: [Forgery; 5] = [
        ("the version replaced is 2, expected 1", |_, contents| {
            contents.blocks[0].body.amendments[0].parts[0].replaces = 2;
        }),
        ("the version replaced is 0, expected 1", |_, contents| {
            contents.blocks[0].body.amendments[0].parts[0].replaces = 0;
        }),
        ("its cost is", |_, contents| {
            contents.blocks[0].body.amendments[0].parts[0].composition.cost += Money::from_micros(1);
        }),
        ("an amendment is empty", |_, contents| contents.blocks[0].body.amendments[0].parts.clear()),
        ("a demand is composed twice", |_, contents| {
            let set = contents.blocks[0].body.amendments[0].clone();
            contents.blocks[0].body.amendments.push(set);
        }),
    ];
    for (expected, change) in cases {
        let mut chain = Amending::begin();
        let amendments = vec![vec![chain.all_at(0, NEAR)]];
        let text = forged(&mut chain.market, Next { amendments, ..Next::default() }, change);
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[test]
fn a_composition_that_becomes_dearer_though_what_stands_has_room_is_found() {
    let mut chain = Amending::begin();
    let amendments = vec![vec![chain.all_at(3, FAR)]];
    // All claims are true, but the demand is served from the near provider for the first order, as before, and
    // from the dear one for the second.
    let demand = chain.market.demand(chain.ids[3]).demand.clone();
    let providers = vec![Slot::single(ProviderId(NEAR)), Slot::single(ProviderId(2))];
    let found = evaluate_composition(chain.market.ledger.supply(), &demand, 0, &providers).expect("feasible");
    let text = forged(&mut chain.market, Next { amendments, ..Next::default() }, |_, contents| {
        let composition = &mut contents.blocks[0].body.amendments[0].parts[0].composition;
        (composition.cost, composition.minutes) = (found.cost(), found.total_minutes());
        composition.slots = providers;
    });
    assert!(text.contains("more though what stands has room"), "{text}");
}

#[test]
fn a_batch_that_only_amends_too_soon_is_found() {
    let mut chain = Amending::begin();
    let amendments = vec![vec![chain.all_at(0, NEAR)]];
    let text = forged(&mut chain.market, Next { amendments, ..Next::default() }, |header, contents| {
        header.timestamp_ms -= 1_800;
        contents.blocks[0].body.amendments[0].parts[0].composition.timestamp_ms = header.timestamp_ms;
    });
    assert!(text.contains("comes too soon"), "{text}");
}

#[test]
fn compositions_are_proved_whichever_batch_brought_them() {
    let mut chain = Amending::whole();
    chain.market.seal();
    let (stored, network) = (chain.market.stored(), chain.market.network().id());
    // The last was made room for at height 4, the first amended for the third time at 6.
    for (index, height, is_amended) in [(0, 6, true), (6, 4, true), (3, 5, true)] {
        let proof = stored.prove(&chain.ids[index].to_string(), |_| {}).expect("it is composed");
        let proven = proof.verify(network).expect("the proof holds");
        assert_eq!((proven.height, proof.amendment.is_some()), (height, is_amended));
        let mut elsewhere = proof.clone();
        elsewhere
            .amendment
            .as_mut()
            .expect("an amendment")
            .parts
            .retain(|part| part.composition.demand != proven.demand);
        assert_eq!(elsewhere.verify(network), Err(ProofError::NotAPart));
        let mut alone = proof;
        alone.amendment = None;
        assert!(matches!(alone.verify(network), Err(ProofError::NotIncluded(_))));
    }
}
