//! The test vectors of `docs/protocol.md`: what they say is what this program computes.

use chain::genesis::scenario::demander_key;
use chain::ledger::StateKey;
use chain::schedule::{Achievement, Schedule};
use chain::state_tree::StateTree;
use chain::{
    BatchHash, BlockHash, Commitment, Composition, Domain, Hash, NetworkId, RecordId, Replacement, codec,
    merkle_root,
};
use scenarios::{Geometry, Money, ProviderId, Site, Slot};

const PROTOCOL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md"));

fn vectors() -> Vec<(&'static str, String)> {
    let key = demander_key(11, 0);
    let public = key.public();
    let burned = (StateKey::Burned.to_bytes(), Some(codec::encode(&Money::from_units(3))));
    let carrier = (StateKey::Carrier.to_bytes(), Some(codec::encode(&Money::from_units(4))));
    let one = StateTree::default().with([burned]);
    let two = one.with([carrier]);
    let leaves = [b"a", b"b", b"c"];
    let certified = Schedule::default();
    let (cost, orders) = (Money::from_units(10_000), 1);
    let share = certified.reward_ppm(&Achievement {
        cost,
        reduced_cost: Money::from_micros(57_421_876),
        orders,
        ..Achievement::default()
    });
    let far = (1 << 30) - 1;
    let composition = Composition {
        demand: RecordId(Hash([7; 32])),
        slots: vec![Slot::single(ProviderId(1)), Slot::single(ProviderId(300))],
        cost: Money::from_micros(-3),
        minutes: 5,
        timestamp_ms: 6,
    };
    let replacement = Replacement { replaces: 300, composition };
    let commitment = Commitment {
        version: 1,
        network: NetworkId(Hash([1; 32])),
        anchor: BatchHash(Hash([2; 32])),
        miner: public,
        block: BlockHash(Hash([3; 32])),
        bytes: 300,
        compositions: 4,
    };
    let distance = Geometry::Euclidean.distance(Site::point(-far, -far), Site::point(far, far));
    vec![
        ("u16 300", hex::encode(codec::encode(&300_u16))),
        ("i64 -3", hex::encode(codec::encode(&-3_i64))),
        ("money 23.41 $", hex::encode(codec::encode(&Money::from_micros(23_410_000)))),
        ("string \"ab\"", hex::encode(codec::encode(&"ab"))),
        ("option of u32 5", hex::encode(codec::encode(&Some(5_u32)))),
        ("site (1, -1)", hex::encode(codec::encode(&Site::point(1, -1)))),
        ("secret of demander 0, seed 11", hex::encode(key.to_bytes())),
        ("its public key", public.to_string()),
        ("its address", public.address().to_string()),
        ("its signature in Header over \"abc\"", hex::encode(key.sign(Domain::Header, &[b"abc"]).0)),
        ("Merkle root of \"a\"", merkle_root(&leaves[..1]).to_string()),
        ("Merkle root of \"a\", \"b\"", merkle_root(&leaves[..2]).to_string()),
        ("Merkle root of \"a\", \"b\", \"c\"", merkle_root(&leaves).to_string()),
        (
            "replacement of version 300 of demand 0707...07 by providers 1 and 300 in period 0, cost -3, 5 minutes, at 6 ms",
            hex::encode(codec::encode(&replacement)),
        ),
        (
            "commitment of demander 0 of seed 11 to block 0303...03, on batch 0202...02 of network 0101...01, 300 bytes, 4 compositions",
            hex::encode(codec::encode(&commitment)),
        ),
        ("its name", commitment.id().to_string()),
        (
            "seed of the nonces 1 and 300",
            Domain::Order.hash(&[&codec::encode(&vec![1_u64, 300])]).to_string(),
        ),
        ("path of what was burned", Domain::StatePath.hash(&[&StateKey::Burned.to_bytes()]).to_string()),
        ("state root of 3 $ burned alone", one.root().to_string()),
        ("state root of that and a carrier account of 4 $", two.root().to_string()),
        ("metres from (-(2^30-1), -(2^30-1)) to (2^30-1, 2^30-1)", distance.expect("a distance").to_string()),
        ("share at reduced cost 57.421876 $ of 10,000 $", share.to_string()),
    ]
}

#[test]
fn the_vectors_of_the_protocol_are_what_this_program_computes() {
    for (name, value) in vectors() {
        let line = format!("| {name} | `{value}` |");
        assert!(PROTOCOL.lines().any(|found| found == line), "docs/protocol.md lacks the line\n{line}");
    }
}
