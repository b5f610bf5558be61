//! Bytes and hashes that never change: a change here is a change of protocol.

use chain::codec::{decode, encode};
use chain::ledger::root::StateKey;
use chain::{Block, Record};

use crate::market::{Market, genesis, micros, providers};

#[test]
fn ids_and_roots_of_the_small_market() {
    let mut market = Market::open();
    let got = |name: &str, value: String| format!("{name} {value}");
    let mut lines = vec![
        got("network", market.network().id().to_string()),
        got("record", market.demand(0).to_string()),
        got("state 1", market.ledger.state_root().to_string()),
        got("block 1", market.ledger.head().hash.to_string()),
    ];
    let mut proposed = market.composing(0, &[(0, providers([0, 0])), (2, providers([1, 1]))]);
    proposed.prices = Some(vec![micros(200_000)]);
    market.accept(proposed);
    lines.push(got("merkle 2", market.blocks[1].header.merkle_root.to_string()));
    lines.push(got("state 2", market.ledger.state_root().to_string()));
    lines.push(got("block 2", market.ledger.head().hash.to_string()));
    assert_eq!(lines.join("\n"), include_str!("golden.txt").trim_end());
}

#[test]
fn records_blocks_and_genesis_come_back_from_their_bytes_and_from_json() {
    let market = Market::open();
    let block = &market.blocks[0];
    assert_eq!(decode::<Block>(&encode(block), 1 << 20).as_ref(), Ok(block));
    let record = &block.body.records[0];
    assert_eq!(decode::<Record>(&encode(record), 1 << 20).as_ref(), Ok(record));
    let genesis = genesis();
    assert_eq!(chain::Genesis::from_bytes(&genesis.to_bytes()).as_ref(), Ok(&genesis));
    let json = serde_json::to_string(&genesis).unwrap();
    assert_eq!(serde_json::from_str::<chain::Genesis>(&json).unwrap(), genesis);
    let json = serde_json::to_string(block).unwrap();
    assert_eq!(&serde_json::from_str::<Block>(&json).unwrap(), block);
}

#[test]
fn a_part_of_the_state_is_proved_and_any_other_is_not() {
    let mut market = Market::open();
    market.compose(&[(0, providers([0, 0]))]);
    let root = market.ledger.state_root();
    let proof = market.ledger.prove_state(StateKey::Demand(market.demand(0))).unwrap();
    assert_eq!(proof.verify(root), Ok(()));
    let mut older = proof.clone();
    older.entry.value =
        Market::open().ledger.prove_state(StateKey::Demand(market.demand(0))).unwrap().entry.value;
    assert!(older.verify(root).is_err());
    let mut shrunk = proof;
    shrunk.proof.total -= 1;
    assert!(shrunk.verify(root).is_err());
    let keys: Vec<_> = market.ledger.state_entries().into_iter().map(|entry| entry.key).collect();
    assert!(keys.is_sorted());
}
