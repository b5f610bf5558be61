//! Batches that break one rule but are properly signed by their miner and by all validators: the
//! independent program recomputes what signatures do not tell.

use chain::codec::encode;
use chain::consensus::{CommitCertificate, Vote, VoteKind};
use chain::{Batch, BatchHeader, Block, Composition, Contents, Hash, Record, Statement, merkle_root};
use scenarios::schedule::Measure;
use scenarios::{Money, OperationId, ProviderId, Slot, TimeWindow, evaluate_composition};

use crate::growing::{Growing, Next, key, validators};
use crate::markets::{demand_records, open_market, open_market_genesis, treasurer};
use crate::python::verify;

// What the program says, and the change that makes it say so.
type Forgery = (&'static str, fn(&mut BatchHeader, &mut Contents));
type BadHeader = (&'static str, fn(&mut BatchHeader));
type BadBody = (&'static str, fn(&mut Contents));
type BadCertificate = (&'static str, fn(&Growing, &mut CommitCertificate));

/// The chain with one more batch, changed by `change`, and another whose header says that everything of the first took
/// effect, both signed by everybody.
pub(crate) fn forged(
    market: &mut Growing,
    next: Next,
    change: impl FnOnce(&mut BatchHeader, &mut Contents),
) -> String {
    let miner = key("miner", next.miner);
    let Batch { mut header, mut contents, .. } = market.draft(next);
    change(&mut header, &mut contents);
    for block in &mut contents.blocks {
        let signed = block.header();
        *block = Block::sign(signed.network, signed.anchor, signed.nonce, block.body.clone(), &miner);
    }
    let items = contents.items();
    header.item_count = u32::try_from(items.len()).expect("a few items");
    header.contents_root = merkle_root(&items);
    let batch = Batch::sign(header, contents, &miner);
    let outcome = |block: &Block| encode(&(block.hash(), Vec::<(u32, String)>::new()));
    let outcomes: Vec<_> = batch.contents.blocks.iter().map(outcome).collect();
    let next = BatchHeader {
        height: batch.header.height + 1,
        parent: batch.hash(),
        timestamp_ms: batch.header.timestamp_ms + 2_000,
        contents_root: Hash::ZERO,
        item_count: 0,
        outcomes_root: merkle_root(&outcomes),
        ..batch.header.clone()
    };
    let before = market.batches.len();
    for batch in [batch, Batch::sign(next, Contents::default(), &miner)] {
        let certificate = market.certificate(&batch);
        market.batches.push((batch, certificate));
    }
    let verdict = verify(&market.export());
    market.batches.truncate(before);
    assert!(!verdict.stands, "{}", verdict.text);
    verdict.text
}

/// A market with an order to compose, and the next batch that composes it.
fn composing() -> (Growing, Next) {
    let mut market = open_market();
    let newcomer = key("newcomer", 0);
    let order = chain::record::DemandStatement {
        name: "the last".into(),
        site: scenarios::Site::point(1, 1),
        orders: vec![OperationId(0), OperationId(2)],
        budget: Money::from_units(90),
        solver_fee: Money::from_units(3),
        expires_ms: market.ledger.head().timestamp_ms + 86_400_000,
        window: TimeWindow::ANY,
    };
    let record = market.record(&newcomer, 0, Statement::Demand(order));
    market.add_records(vec![record]);
    // After three heights any feasible composition will do.
    market.wait_until(market.ledger.head().height + 2);
    let compositions = market.cheapest(0, 1, 1_000);
    assert_eq!(compositions.len(), 1);
    (market, Next { compositions, ..Next::default() })
}

#[test]
fn claims_are_recomputed() {
    let cases: [Forgery; 5] = [
        ("its cost is", |_, contents| contents.blocks[0].body.compositions[0].cost = Money::from_micros(1)),
        ("its minutes is", |_, contents| contents.blocks[0].body.compositions[0].minutes += 1),
        ("the outcomes root is", |header, _| header.outcomes_root = Hash([5; 32])),
        ("the state root is", |header, _| header.state_root = Hash::ZERO),
        ("dated after its batch", |header, contents| {
            contents.blocks[0].body.compositions[0].timestamp_ms = header.timestamp_ms + 1;
        }),
    ];
    for (expected, change) in cases {
        let (mut market, next) = composing();
        let text = forged(&mut market, next, change);
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[test]
fn impossible_compositions_are_found() {
    let cases: [BadBody; 4] = [
        ("there is no provider 77", |contents| {
            contents.blocks[0].body.compositions[0].slots[0] = Slot::single(ProviderId(77));
        }),
        ("does not offer", |contents| {
            contents.blocks[0].body.compositions[0].slots[0] = Slot::single(ProviderId(2));
        }),
        ("the number of its slots", |contents| {
            contents.blocks[0].body.compositions[0].slots.truncate(1);
        }),
        ("composed twice", |contents| {
            let composition = contents.blocks[0].body.compositions[0].clone();
            contents.blocks[0].body.compositions.push(composition);
        }),
    ];
    for (expected, change) in cases {
        let (mut market, next) = composing();
        let text = forged(&mut market, next, |_, contents| change(contents));
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[test]
fn places_and_times_are_checked() {
    let cases: [BadHeader; 4] = [
        ("the height is", |header| header.height += 1),
        ("the parent is", |header| header.parent.0 = Hash::ZERO),
        ("not later than its parent", |header| header.timestamp_ms -= 2_000),
        ("comes too soon", |header| header.timestamp_ms -= 1_000),
    ];
    for (expected, change) in cases {
        let mut market = open_market();
        let record = gift(&market, Money::from_units(1));
        let next = Next { records: vec![record], ..Next::default() };
        let text = forged(&mut market, next, |header, _| change(header));
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

fn gift(market: &Growing, amount: Money) -> Record {
    let to = key("pauper", 0).public().address();
    market.record(&treasurer(), 0, Statement::Transfer { to, amount })
}

#[test]
fn an_overdraft_a_replayed_record_and_a_forged_one_are_found() {
    let mut market = open_market();
    let honest = || Next { records: vec![gift(&open_market(), Money::from_units(1))], ..Next::default() };
    let overdraft = gift(&market, Money::from_units(100_000));
    let text = forged(&mut market, honest(), |_, contents| contents.records[0] = overdraft);
    assert!(text.contains("pays 100000000000"), "{text}");
    let replayed = market.batches[0].0.contents.records[0].clone();
    let text = forged(&mut market, honest(), |_, contents| contents.records.push(replayed));
    assert!(text.contains("its sequence number is 0, expected"), "{text}");
    let text = forged(&mut market, honest(), |_, contents| contents.records[0].content.valid_until_ms += 1);
    assert!(text.contains("its signature: the signature does not match"), "{text}");
    let mut weak = gift(&market, Money::from_units(1));
    weak.content.author = chain::PublicKey::from_bytes(NEUTRAL);
    let text = forged(&mut market, honest(), |_, contents| contents.records[0] = weak);
    assert!(text.contains("weak"), "{text}");
}

#[test]
fn records_that_put_too_little_money_away_are_found() {
    let (market, stranger) = (open_market(), key("stranger", 0));
    let (dollar, now) = (Money::from_units(1), market.ledger.head().timestamp_ms + 2_000);
    let order = |budget, expires_ms| {
        let order = chain::record::DemandStatement {
            name: "cheap".into(),
            site: scenarios::Site::point(1, 1),
            orders: vec![OperationId(0)],
            budget,
            solver_fee: Money::from_units(3),
            expires_ms,
            window: TimeWindow::ANY,
        };
        market.record(&treasurer(), 0, Statement::Demand(order))
    };
    let to = stranger.public().address();
    let dust = Statement::Transfer { to, amount: Money::from_micros(999_999) };
    let cases = [
        ("its author has less than 1000000", market.record(&stranger, 0, Statement::OfferWithdrawal)),
        ("its recipient has less than 1000000 then", market.record(&treasurer(), 0, dust)),
        ("its budget is 999999, expected 1000000 to", order(Money::from_micros(999_999), now + 1)),
        ("it expires 0 ms after its batch", order(dollar, now)),
        ("it expires 2592000001 ms after its batch", order(dollar, now + 2_592_000_001)),
    ];
    for (expected, record) in cases {
        let mut market = open_market();
        let honest = Next { records: vec![gift(&market, dollar)], ..Next::default() };
        let text = forged(&mut market, honest, |_, contents| contents.records[0] = record);
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[test]
fn an_offer_without_its_deposit_is_found() {
    let mut market = open_market();
    // What an account keeps, and the fee for the 154 bytes of the offer.
    let honest = Next { records: vec![gift(&market, Money::from_micros(1_000_154))], ..Next::default() };
    let offer = scenarios::Offer { cost: Money::from_units(1), minutes: 1 };
    let offer = Statement::Offer(chain::record::OfferStatement {
        name: "poor".into(),
        site: scenarios::Site::point(1, 1),
        offers: [(OperationId(0), offer)].into(),
        capacity: Some(0.into()),
        deposit: Money::from_units(1),
    });
    let offer = market.record(&key("pauper", 0), 0, offer);
    let text = forged(&mut market, honest, |_, contents| contents.records.push(offer));
    assert!(text.contains("keeps 0 and pays 1000000"), "{text}");
}

#[test]
fn a_composition_of_a_demand_that_has_expired_is_found() {
    let (mut market, next) = composing();
    let text = forged(&mut market, next, |header, _| header.timestamp_ms += 86_400_000);
    assert!(text.contains("its demand is not in the market"), "{text}");
}

/// The neutral element of the curve, the weakest of all keys.
const NEUTRAL: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

#[test]
fn a_price_update_that_does_not_raise_the_bound_is_found() {
    let mut market = open_market();
    let record = gift(&market, Money::from_units(1));
    let next = Next { records: vec![record], ..Next::default() };
    let prices = scenarios::DualPrices::single(vec![Money::from_units(900)]);
    let replaces = market.ledger.price_totals().updates;
    let text = forged(&mut market, next, |header, contents| {
        let update = chain::PriceUpdate { replaces, gain: Money::from_units(1), prices };
        let body = chain::Body { price_update: Some(update), ..chain::Body::default() };
        contents.blocks.push(Block::sign(header.network, header.parent, 1, body, &key("miner", 0)));
    });
    assert!(text.contains("the bound becomes"), "{text}");
}

#[test]
fn certificates_short_of_a_quorum_with_a_repeated_vote_or_of_prevotes_are_found() {
    let cases: [BadCertificate; 4] = [
        ("4 votes, a quorum is 5", |_, certificate| {
            certificate.signatures.pop();
        }),
        ("is out of place", |_, certificate| certificate.signatures[1] = certificate.signatures[0]),
        ("does not match", |market, certificate| {
            let kind = VoteKind::Prevote;
            let CommitCertificate { height, round, batch, .. } = *certificate;
            let vote = Vote { network: market.network().id(), height, round, kind, batch: Some(batch) };
            let signed =
                (0..).zip(validators()).map(|(index, key)| (index, vote.sign(index, &key).signature));
            certificate.signatures = signed.collect();
        }),
        ("the certificate's height", |_, certificate| certificate.height += 1),
    ];
    for (expected, change) in cases {
        let mut market = open_market();
        let mut certificate = market.batches[8].1.clone();
        change(&market, &mut certificate);
        market.batches[8].1 = certificate;
        let text = verify(&market.export()).text;
        assert!(text.contains("MISMATCH in batch 9") && text.contains(expected), "{expected:?}: {text}");
    }
}

/// Two strips of a market that pays by paper A's measure, and the next batch: it composes a demand of the western one, which has
/// "near" and "dear" for two of three operations, all at "near".
fn measured() -> (Growing, Next) {
    let (mut genesis, instance) = open_market_genesis();
    genesis.miners = 2;
    for position in [0, 2] {
        genesis.providers[position].provider.offers.remove(&OperationId(2));
    }
    genesis.parameters.schedule.measure =
        Measure::Paper { reference_margin_ppm: 50_000, full_at_ppm: 100_000, block_orders_min: 100 };
    let mut market = Growing::from(genesis);
    let records = demand_records(&market, &instance);
    let demand = records[0].id();
    market.add_records(records);
    let compositions = vec![(demand, vec![Slot::single(ProviderId(0)); 2])];
    (market, Next { compositions, ..Next::default() })
}

#[test]
fn a_random_block_and_one_that_leaves_its_strip_are_found() {
    let cases = [([0, 2], "its reference"), ([0, 1], "provider 1 lies outside the area")];
    for (providers, expected) in cases {
        let (mut market, next) = measured();
        let (demand, providers) = (next.compositions[0].0, providers.map(|id| Slot::single(ProviderId(id))));
        let wanted = &market.ledger.demand(demand).expect("it is on chain").demand;
        let evaluation =
            evaluate_composition(market.ledger.supply(), wanted, 0, &providers).expect("feasible");
        let text = forged(&mut market, next, |_, contents| {
            let composition = &mut contents.blocks[0].body.compositions[0];
            composition.slots = providers.to_vec();
            composition.cost = evaluation.cost();
            composition.minutes = evaluation.total_minutes();
        });
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
}

#[test]
fn a_block_of_two_areas_is_found() {
    let (mut market, next) = measured();
    // Its strip lacks the third operation, which "far" has.
    let entries = market.ledger.demands().filter(|(_, entry)| entry.demand.orders.len() == 3);
    let (demand, entry) = entries.min_by_key(|(id, _)| *id).expect("two of seven");
    let providers =
        vec![Slot::single(ProviderId(0)), Slot::single(ProviderId(0)), Slot::single(ProviderId(1))];
    let evaluation =
        evaluate_composition(market.ledger.supply(), &entry.demand, 0, &providers).expect("feasible");
    let (cost, minutes) = (evaluation.cost(), evaluation.total_minutes());
    let text = forged(&mut market, next, |header, contents| {
        let timestamp_ms = header.timestamp_ms;
        let another = Composition { demand, slots: providers, cost, minutes, timestamp_ms };
        contents.blocks[0].body.compositions.push(another);
    });
    assert!(text.contains("the area of its demand"), "{text}");
}
