//! Evidence against validators who voted twice comes with batches, and is kept in the state.

use chain::consensus::{DoubleVote, Equivocation, EvidenceError, Vote, VoteKind};
use chain::ledger::StateKey;
use chain::validate::Assembly;
use chain::{Batch, BatchHash, Contents, Hash, Height, NetworkId, Record, Rejection, Signature, merkle_root};

use crate::market::{Market, miner, transfer, treasurer, units, validator_keys};

/// What a machine finds when this validator votes for two batches.
fn found(market: &Market, validator: u16, height: Height, batches: [Option<BatchHash>; 2]) -> Equivocation {
    let key = &validator_keys()[usize::from(validator)];
    let votes = batches.map(|batch| {
        let vote = Vote { network: market.network().id(), height, round: 3, kind: VoteKind::Prevote, batch };
        Box::new(vote.sign(validator, key))
    });
    let [first, second] = votes;
    Equivocation::Votes(first, second)
}

fn evidence(market: &Market, validator: u16, height: Height) -> DoubleVote {
    let two = [Some(BatchHash(Hash([8; 32]))), None];
    DoubleVote::of(&found(market, validator, height, two)).expect("two votes")
}

/// The batch that a validator makes with this evidence.
fn batch(market: &Market, evidence: &[DoubleVote]) -> Batch {
    let proposer = &validator_keys()[0];
    let assembly = Assembly {
        proposer: proposer.public(),
        timestamp_ms: market.next_time(),
        turn: 0,
        evidence: evidence.to_vec(),
        records: Vec::new(),
        commitments: Vec::new(),
        blocks: Vec::new(),
    };
    market.ledger.assemble(assembly).drafted.expect("a batch").sign(proposer).0
}

/// Why a batch with exactly this evidence is refused.
fn refusal(market: &Market, evidence: &[DoubleVote]) -> EvidenceError {
    let Batch { mut header, .. } = batch(market, &[]);
    let contents = Contents { evidence: evidence.to_vec(), ..Contents::default() };
    let items = contents.items();
    header.item_count = u32::try_from(items.len()).expect("a few items");
    header.contents_root = merkle_root(&items);
    let refused = market.check(Batch::sign(header, contents, &validator_keys()[0])).expect_err("a refusal");
    let Rejection::Evidence { error, .. } = refused else { panic!("refused otherwise: {refused}") };
    error
}

#[test]
fn who_voted_twice_is_noted_once_whoever_found_it_in_whichever_order() {
    let mut market = Market::open();
    let (nil, some) = (None, Some(BatchHash(Hash([8; 32]))));
    let either = [[nil, some], [some, nil]].map(|two| DoubleVote::of(&found(&market, 2, 1, two)).unwrap());
    assert_eq!(either[0], either[1]);
    let batch = batch(&market, &[either[0], either[1], evidence(&market, 1, 2)]);
    assert_eq!(batch.contents.evidence.len(), 2, "the first against each");
    let (_, next, report) = market.check(batch).unwrap().into_parts();
    market.ledger = next;
    assert_eq!(report.accused, [2, 1]);
    assert_eq!([1, 2, 3].map(|validator| market.ledger.accused_since(validator)), [Some(2), Some(2), None]);
    let proof = market.ledger.prove_state(StateKey::Accused(2));
    assert_eq!((proof.verify(market.ledger.state_root()), proof.value.is_some()), (Ok(()), true));
    assert_eq!(refusal(&market, &[either[0]]), EvidenceError::KnownBefore { validator: 2 });
    assert_eq!(market.ledger.validate_evidence(&either[0]), Err(EvidenceError::KnownBefore { validator: 2 }));
}

#[test]
fn evidence_that_proves_nothing_is_refused_and_its_batch_with_it() {
    let market = Market::open();
    let good = evidence(&market, 1, 1);
    let refused = |change: fn(&mut DoubleVote)| {
        let mut evidence = good;
        change(&mut evidence);
        refusal(&market, &[evidence])
    };
    assert_eq!(refused(|e| e.network = NetworkId(Hash::ZERO)).rule(), "evidence-network");
    assert_eq!(refused(|e| e.batches.reverse()), EvidenceError::SameOrDisordered);
    assert_eq!(refused(|e| e.batches = [None, None]), EvidenceError::SameOrDisordered);
    assert_eq!(refused(|e| e.validator = 9), EvidenceError::UnknownValidator { got: 9, expected: 4 });
    assert_eq!(refused(|e| e.validator = 2).rule(), "evidence-signature");
    assert_eq!(refused(|e| e.round = 4).rule(), "evidence-signature");
    assert_eq!(refused(|e| e.signatures[1] = Signature([1; 64])).rule(), "evidence-signature");
    assert_eq!(refused(|e| e.kind = VoteKind::Precommit).rule(), "evidence-signature");
    let ahead = evidence(&market, 1, 3);
    assert_eq!(refusal(&market, &[ahead]), EvidenceError::FromTheFuture { got: 3, expected: 2 });
    assert_eq!(refusal(&market, &[good, good]), EvidenceError::KnownBefore { validator: 1 });
    assert!(market.check(batch(&market, &[good])).is_ok());
}

#[test]
fn evidence_takes_only_the_room_that_everything_else_leaves() {
    let mut market = Market::open_with(|genesis| {
        (genesis.parameters.limits.batch_bytes, genesis.parameters.limits.record_bytes) = (1_600, 1_000);
    });
    let everyone = [0, 1, 2, 3].map(|validator| evidence(&market, validator, 1));
    let records: Vec<_> = (0..5)
        .map(|number| {
            let mut content = market.content(&treasurer(), transfer(&miner(9), units(1)));
            content.sequence += number;
            content.sign(&treasurer())
        })
        .collect();
    let proposer = &validator_keys()[0];
    let assembly = |records: &[Record]| Assembly {
        proposer: proposer.public(),
        timestamp_ms: market.next_time(),
        turn: 0,
        evidence: everyone.to_vec(),
        records: records.to_vec(),
        commitments: Vec::new(),
        blocks: Vec::new(),
    };
    let full = market.ledger.assemble(assembly(&records)).drafted.unwrap().sign(proposer).0;
    assert_eq!((full.contents.records.len(), full.contents.evidence.len()), (5, 1));
    let empty = market.ledger.assemble(assembly(&[])).drafted.unwrap().sign(proposer).0;
    assert_eq!(empty.contents.evidence.len(), 4);
    market.ledger = market.check(full).unwrap().into_parts().1;
}
