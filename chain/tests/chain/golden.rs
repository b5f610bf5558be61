//! Bytes and hashes that never change: a change here is a change of protocol. `UPDATE_GOLDEN=1` writes the files anew.
#![expect(clippy::disallowed_methods, reason = "golden files are compared, and written when asked to")]

use std::path::Path;

use chain::codec::{decode, encode};
use chain::ledger::{StateKey, StateProof};
use chain::{
    Amendment, Batch, BatchHash, Block, Body, Composition, Contents, Hash, NetworkId, Record, RecordId,
    Replacement, Statement,
};

use crate::market::{
    Market, ProposedBatch, demand_statement, genesis, instance, micros, miner, offer, providers, transfer,
    units,
};

/// The lines are those of a file beside this one.
fn assert_golden(file: &str, lines: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chain").join(file);
    let lines = lines.join("\n") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &lines).expect("a golden file can be written");
    }
    let stored = std::fs::read_to_string(&path).expect("a golden file");
    assert_eq!(lines, stored, "{}", path.display());
}

#[test]
fn ids_and_roots_of_the_small_market() {
    let mut market = Market::open();
    let got = |name: &str, value: String| format!("{name} {value}");
    let mut lines = vec![
        got("network", market.network().id().to_string()),
        got("record", market.demand(0).to_string()),
        got("state 1", market.ledger.state_root().to_string()),
        got("batch 1", market.ledger.head().hash.to_string()),
    ];
    market.accept(ProposedBatch::default().at_right_prices());
    lines.push(got("state 2", market.ledger.state_root().to_string()));
    market.compose(&[(0, providers([0, 0])), (2, providers([1, 1]))]);
    lines.push(got("merkle 3", market.batches[2].header.contents_root.to_string()));
    lines.push(got("state 3", market.ledger.state_root().to_string()));
    lines.push(got("batch 3", market.ledger.head().hash.to_string()));
    assert_golden("golden.txt", &lines);
}

#[test]
fn kinds_of_statements_are_numbered_in_the_order_in_which_they_came() {
    let statements = [
        offer(&instance().supply.providers[0]),
        Statement::OfferWithdrawal,
        Statement::Demand(demand_statement(units(1), units(1))),
        Statement::DemandCancellation { demand: RecordId(Hash([7; 32])) },
        transfer(&miner(0), units(1)),
    ];
    let number = |statement: &Statement| match statement {
        Statement::Offer(_) => 0,
        Statement::OfferWithdrawal => 1,
        Statement::Demand(_) => 2,
        Statement::DemandCancellation { .. } => 3,
        Statement::Transfer { .. } => 4,
    };
    for statement in statements {
        assert_eq!(encode(&statement)[0], number(&statement), "{}", statement.kind());
    }
}

#[test]
fn an_amendment_is_an_item_of_kind_four_after_the_compositions() {
    let composition = |demand: u8| Composition {
        demand: RecordId(Hash([demand; 32])),
        slots: providers([1, 300]),
        cost: micros(-3),
        minutes: 5,
        timestamp_ms: 6,
    };
    let parts = vec![
        Replacement { replaces: 300, composition: composition(7) },
        Replacement { replaces: 0, composition: composition(8) },
    ];
    let amendments = vec![Amendment { parts }];
    let body = Body { compositions: vec![composition(9)], amendments, ..Body::default() };
    let items = body.items();
    assert_eq!(items.len(), body.item_count());
    let rest = [2, 1, 0, 0xac, 2, 0, 5, 10, 6]; // two slots, of providers 1 and 300 in period 0; zigzag -3 and 5; 6 ms
    let first = [&[4, 2, 0xac, 2][..], &[7; 32], &rest].concat(); // kind, two parts, varint 300
    let second = [&[0][..], &[8; 32], &rest].concat();
    assert_eq!(items, [[&[3][..], &[9; 32], &rest].concat(), [first, second].concat()]);
    // In a body: no prices, one composition, one amendment.
    let bytes = [&[0, 1][..], &items[0][1..], &[1], &items[1][1..]].concat();
    assert_eq!(encode(&body), bytes);
    // In contents: behind the block's signed header.
    let anchor = BatchHash(Hash([4; 32]));
    let block = Block::sign(NetworkId(Hash([3; 32])), anchor, 300, body, &miner(0));
    let contents = Contents { blocks: vec![block.clone(), block.clone()], ..Contents::default() };
    let items = contents.items();
    assert_eq!(items.len(), 6);
    assert_eq!((items[0][0], &items[0][1..]), (1, &encode(&block.signed)[..]));
    assert_eq!(Contents::from_items(&items).as_ref(), Ok(&contents));
    let swapped = [&items[0], &items[2], &items[1]];
    assert!(Contents::from_items(&swapped).is_err(), "a composition after an amendment");
    assert!(Contents::from_items(&items[1..]).is_err(), "a composition outside of a block");
    let bytes = [&[0, 0, 0, 2][..], &encode(&block.signed), &bytes, &encode(&block.signed), &bytes].concat();
    assert_eq!((encode(&contents), Contents::bytes_of_items(&items).unwrap()), (bytes.clone(), bytes));
    assert_eq!(contents.position_of(&block.hash()), Some(0));
}

#[test]
fn an_amended_state_has_this_root() {
    let mut market = Market::open_with(|genesis| genesis.parameters.min_reward_ppm = 0);
    market.compose(&[(0, providers([0, 1])), (1, providers([0, 0]))]);
    market.accept(ProposedBatch::default().at_right_prices());
    market.amend(1, &[&[(0, providers([1, 1])), (2, providers([0, 0]))]]);
    let roots = [market.batches[3].header.contents_root.to_string(), market.ledger.state_root().to_string()];
    assert_golden("golden_amended.txt", &roots);
}

#[test]
fn records_batches_and_genesis_come_back_from_their_bytes_and_from_json() {
    let market = Market::open();
    let batch = &market.batches[0];
    assert_eq!(decode::<Batch>(&encode(batch), 1 << 20).as_ref(), Ok(batch));
    let record = &batch.contents.records[0];
    assert_eq!(decode::<Record>(&encode(record), 1 << 20).as_ref(), Ok(record));
    let genesis = genesis();
    assert_eq!(chain::Genesis::from_bytes(&genesis.to_bytes()).as_ref(), Ok(&genesis));
    let json = serde_json::to_string(&genesis).unwrap();
    assert_eq!(serde_json::from_str::<chain::Genesis>(&json).unwrap(), genesis);
    let json = serde_json::to_string(batch).unwrap();
    assert_eq!(&serde_json::from_str::<Batch>(&json).unwrap(), batch);
}

#[test]
fn a_part_of_the_state_is_proved_and_any_other_is_not() {
    let mut market = Market::open();
    market.compose(&[(0, providers([0, 0]))]);
    let root = market.ledger.state_root();
    let key = StateKey::Demand(market.demand(0));
    let proof = market.ledger.prove_state(key);
    assert_eq!(proof.verify(root), Ok(()));
    assert!(proof.value.is_some());
    let before = Market::open().ledger.prove_state(key).value;
    for value in [before, None] {
        assert!(StateProof { value, ..proof.clone() }.verify(root).is_err());
    }
    let mut shortened = proof;
    shortened.proof.siblings.pop();
    assert!(shortened.verify(root).is_err());
    let keys: Vec<_> = market.ledger.state_entries().into_iter().map(|entry| entry.key).collect();
    assert!(keys.is_sorted());
}

#[test]
fn that_a_settled_demand_is_no_longer_part_of_the_state_is_proved() {
    let mut market = Market::open();
    market.compose(&[(0, providers([0, 0]))]);
    let key = StateKey::Demand(market.demand(0));
    let present = market.ledger.prove_state(key);
    market.advance_to(34);
    let root = market.ledger.state_root();
    let absent = market.ledger.prove_state(key);
    assert_eq!((absent.value.clone(), absent.verify(root)), (None, Ok(())));
    assert!(present.verify(root).is_err());
    assert!(StateProof { value: present.value, ..absent }.verify(root).is_err());
}
