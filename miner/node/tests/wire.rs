//! The bytes of messages between nodes. A change here is a change of protocol: it needs a new version.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use chain::consensus::{CommitCertificate, ConsensusMessage, Vote, VoteKind};
use chain::{
    Batch, BatchHash, BatchHeader, Block, BlockHash, Body, Commitment, Composition, Contents, DemandId,
    Domain, Hash, NetworkId, SecretKey,
};
use coordinator_free_pool::PoolMessage;
use miner_node::{FinalBatchMessage, Hello, MESSAGE_BYTES, Message, PeerContent};
use proptest::prelude::*;
use scenarios::{Money, ProviderId, Slot};

const NETWORK: NetworkId = NetworkId(Hash([7; 32]));

fn key() -> SecretKey {
    SecretKey::for_scenario(1, "miner", 0)
}

fn batch() -> Batch {
    let composition = Composition {
        demand: chain::RecordId(Hash([3; 32])) as DemandId,
        slots: vec![Slot::single(ProviderId(4)), Slot::single(ProviderId(300))],
        cost: Money::from_micros(12_345_678),
        minutes: 95,
        timestamp_ms: 1_800_000_000_000,
    };
    let body = Body { compositions: vec![composition], ..Body::default() };
    let blocks = vec![Block::sign(NETWORK, BatchHash(Hash([9; 32])), 6, body, &key())];
    let contents = Contents { blocks, ..Contents::default() };
    let header = BatchHeader {
        version: 1,
        network: NETWORK,
        height: 5,
        parent: BatchHash(Hash([9; 32])),
        timestamp_ms: 1_800_000_000_000,
        proposer: key().public(),
        turn: 0,
        contents_root: chain::merkle_root(&contents.items()),
        item_count: 2,
        outcomes_root: Hash([10; 32]),
        state_root: Hash([8; 32]),
    };
    Batch::sign(header, contents, &key())
}

/// One message of every kind whose bytes are fixed by hand here.
fn messages() -> Vec<(&'static str, Message)> {
    let hash = BatchHash(Hash([1; 32]));
    let peer = PeerContent {
        network: NETWORK,
        node: key().public(),
        addresses: vec![
            SocketAddr::from((Ipv4Addr::LOCALHOST, 4433)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 4433)),
        ],
        takes_cell: true,
        issued_ms: 1_800_000_000_000,
    };
    let vote = Vote { network: NETWORK, height: 5, round: 2, kind: VoteKind::Precommit, batch: Some(hash) };
    let certificate =
        CommitCertificate { height: 5, round: 2, batch: batch().hash(), signatures: Vec::new() };
    vec![
        ("hello", Message::Hello(Hello { version: 1, network: NETWORK, height: 300 })),
        ("peers", Message::Peers(vec![peer.sign(&key())])),
        ("pool", Message::Pool(PoolMessage::Announce(vec![chain::RecordId(Hash([2; 32]))]))),
        ("announcement", Message::AnnounceBlock(BlockHash(Hash([1; 32])))),
        ("block request", Message::RequestBlock(BlockHash(Hash([1; 32])))),
        ("block", Message::Block(Box::new(batch().contents.blocks.remove(0)))),
        ("request", Message::RequestBatch(hash)),
        ("batch", Message::Batch(Box::new(batch()))),
        ("vote", Message::Consensus(ConsensusMessage::Vote(vote.sign(1, &key())))),
        ("final request", Message::RequestFinal { from: 6 }),
        ("final", Message::Final(vec![FinalBatchMessage { batch: batch(), certificate }])),
        ("commitment", Message::Commitment(Commitment::to_block(&batch().contents.blocks[0]).sign(&key()))),
    ]
}

#[test]
fn the_shortest_messages_have_these_bytes() {
    let hex = |message: &Message| hex_of(&message.encode());
    let seven = "07".repeat(32);
    let one = "01".repeat(32);
    let [hello, _, pool, announcement, block_request, _, request, _, _, final_request, _, _] =
        messages().try_into().unwrap_or_else(|_| panic!("twelve messages"));
    assert_eq!(hex(&hello.1), format!("0001{seven}ac02")); // kind 0, version 1, network, varint 300
    assert_eq!(hex(&pool.1), format!("020001{}", "02".repeat(32))); // kind 2, announce, one id
    assert_eq!(hex(&announcement.1), format!("04{one}"));
    assert_eq!(hex(&block_request.1), format!("05{one}"));
    assert_eq!(hex(&request.1), format!("07{one}"));
    assert_eq!(hex(&final_request.1), "0a06");
}

#[test]
fn every_kind_of_message_has_pinned_bytes() {
    let digests: Vec<(&str, usize, String)> = messages()
        .into_iter()
        .map(|(name, message)| {
            let bytes = message.encode();
            (name, bytes.len(), Domain::MerkleLeaf.hash(&[&bytes]).short())
        })
        .collect();
    let expected = [
        ("hello", 36, "f39a5a13"),
        ("peers", 164, "de693c25"),
        ("pool", 35, "d33ae1fd"),
        ("announcement", 33, "ceba541c"),
        ("block request", 33, "f11d7b39"),
        ("block", 249, "7306f304"),
        ("request", 33, "bae8dd4e"),
        ("batch", 519, "fbf0b684"),
        ("vote", 135, "3e5c79ea"),
        ("final request", 2, "a66acc99"),
        ("final", 555, "2d0b64d1"),
        ("commitment", 197, "b7679e6b"),
    ];
    let expected: Vec<(&str, usize, String)> =
        expected.map(|(name, length, digest)| (name, length, digest.to_owned())).to_vec();
    assert_eq!(digests, expected);
}

#[test]
fn what_is_encoded_decodes_to_the_same_message() {
    for (name, message) in messages() {
        assert_eq!(Message::decode(&message.encode()).as_ref(), Ok(&message), "{name}");
    }
}

#[test]
fn trailing_bytes_and_overlong_integers_are_refused() {
    let mut trailing = Message::RequestFinal { from: 6 }.encode();
    trailing.push(0);
    assert_eq!(
        Message::decode(&trailing).unwrap_err().to_string(),
        "not the canonical encoding of its value (3 bytes, canonical has 2)"
    );
    // 6 spelled in two bytes.
    let overlong = [10, 0x86, 0];
    assert_eq!(
        Message::decode(&overlong).unwrap_err().to_string(),
        "not the canonical encoding of its value (3 bytes, canonical has 2)"
    );
}

#[test]
fn a_message_longer_than_the_limit_is_refused_unread() {
    let long = vec![0; MESSAGE_BYTES + 1];
    let error = Message::decode(&long).unwrap_err().to_string();
    assert_eq!(error, format!("{} bytes, at most {MESSAGE_BYTES} allowed", MESSAGE_BYTES + 1));
}

#[test]
fn a_list_longer_than_its_limit_is_refused() {
    let certificate =
        CommitCertificate { height: 5, round: 2, batch: batch().hash(), signatures: Vec::new() };
    let many = Message::Final(vec![FinalBatchMessage { batch: batch(), certificate }; 65]);
    let error = Message::decode(&many.encode()).unwrap_err().to_string();
    assert_eq!(error, "final batches: 65 entries, at most 64 allowed");
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic_and_what_it_takes_is_canonical(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_is_another_message_or_none(position in 0_usize..400, flip in 1_u8..=255) {
        let message = Message::Batch(Box::new(batch()));
        let mut bytes = message.encode();
        let at = position % bytes.len();
        bytes[at] ^= flip;
        prop_assert_ne!(Message::decode(&bytes), Ok(message));
    }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a string cannot fail
        text
    })
}
