//! Chains of a market where miners commit to blocks before they show them: some reveal late, some never, some copy; the
//! independent program finds what we find, and refuses what breaks a rule.

use chain::consensus::{DoubleVote, Equivocation, Vote, VoteKind};
use chain::ledger::StateKey;
use chain::validate::Assembly;
use chain::{
    Batch, BatchHash, Block, Commitment, Contents, Draft, Hash, Record, SignedCommitment, merkle_root,
};
use scenarios::Money;
use scenarios::parameters::CommitReveal;

use crate::growing::{Growing, key, validators};
use crate::markets::{demand_records, open_market_genesis};
use crate::python::{state_proofs_that_hold, verify};
use crate::state::document;

/// Numbers that a seed fixes.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The open market, where four miners have money for their blocks.
fn market() -> (Growing, Vec<Record>) {
    let (mut genesis, instance) = open_market_genesis();
    genesis.parameters.commit_reveal = Some(CommitReveal { reveal_ms: 1_000 });
    genesis.parameters.fee_per_byte = Money::from_micros(7);
    for miner in 0..4 {
        genesis.balances.insert(key("miner", miner).public().address(), Money::from_units(5));
    }
    let market = Growing::from(genesis);
    let records = demand_records(&market, &instance);
    (market, records)
}

/// The next batch, by the validator whose turn it is, two seconds after the last.
fn batch(
    market: &Growing,
    records: Vec<Record>,
    commitments: &[SignedCommitment],
    blocks: &[Block],
) -> Option<Batch> {
    let height = usize::try_from(market.ledger.head().height).expect("a small height");
    let proposer = &validators()[height % 4];
    let assembly = Assembly {
        proposer: proposer.public(),
        timestamp_ms: market.ledger.head().timestamp_ms + 2_000,
        turn: market.ledger.head().height,
        evidence: Vec::new(),
        records,
        commitments: commitments.to_vec(),
        blocks: blocks.to_vec(),
    };
    Some(market.ledger.assemble(assembly).drafted.ok()?.sign(proposer).0)
}

/// What a miner composes on what it foresees, with a commitment; prices now and then.
fn sealed(
    market: &Growing,
    miner: u64,
    known: &[Block],
    with_prices: bool,
) -> Option<(Block, SignedCommitment)> {
    let (by, time_ms) = (key("miner", miner), market.ledger.head().timestamp_ms + 2_000);
    let mut foreseen = Growing::from(market.network().genesis().clone());
    foreseen.ledger = market.ledger.foresee(known, time_ms);
    let draft = Draft {
        miner: by.public(),
        timestamp_ms: time_ms,
        records: Vec::new(),
        prices: with_prices.then(|| foreseen.better_prices()),
        compositions: foreseen.cheapest(miner, 1, 1_000),
        amendments: Vec::new(),
    };
    let plain = Draft { prices: None, ..draft.clone() };
    let drafted = foreseen.ledger.draft(draft).or_else(|_| foreseen.ledger.draft(plain)).ok()?;
    let (block, commitment, _) = drafted.seal(&by)?;
    Some((block, commitment))
}

/// A chain with cohorts of several miners, of which one reveals nothing and one signs copies of what it has seen.
fn grown(seed: u64) -> Growing {
    let (mut market, records) = market();
    let mut draws = Draws(seed);
    let push = |market: &mut Growing, batch: Option<Batch>| {
        if let Some(batch) = batch {
            market.push(batch);
        }
    };
    let mut records = records.into_iter();
    let first = batch(&market, records.by_ref().take(2).collect(), &[], &[]);
    push(&mut market, first);
    let mut known: Vec<Block> = Vec::new();
    for step in 0..16 {
        let mut commitments = Vec::new();
        for miner in (0..3).rev().filter(|_| draws.below(2) > 0) {
            if let Some((block, commitment)) = sealed(&market, miner, &known, miner == 0 && step % 2 == 0) {
                commitments.push(commitment);
                if miner != 2 {
                    known.push(block);
                }
            }
        }
        if let Some(seen) = known.last() {
            let thief = key("miner", 3);
            let head = market.ledger.head().hash;
            let copy =
                Block::sign(market.network().id(), head, draws.below(1_000), seen.body.clone(), &thief);
            commitments.push(Commitment::to_block(&copy).sign(&thief));
            known.push(copy);
        }
        let revealable: Vec<Block> =
            known.iter().filter(|block| market.ledger.validate_reveal(block).is_ok()).cloned().collect();
        let shown = usize::try_from(draws.below(3)).expect("a small number") + 1;
        let coming = usize::from(step % 3 == 2);
        let coming = records.by_ref().take(coming).collect();
        let next = batch(&market, coming, &commitments, &revealable[..revealable.len().min(shown)]);
        push(&mut market, next);
    }
    market
}

#[test]
fn the_independent_program_finds_the_same_of_cohorts() {
    let (mut composed, mut unrevealed, mut dropped, mut priced) = (0, 0, 0, 0);
    for seed in 1..5 {
        let market = grown(seed);
        let verdict = verify(&market.export());
        assert!(verdict.stands, "seed {seed}: {}", verdict.text);
        for report in &market.reports {
            composed += report.compositions;
            unrevealed += report.unrevealed.len();
            dropped += report.blocks.iter().map(|outcome| outcome.dropped.len()).sum::<usize>();
            priced += usize::from(report.bound_after.is_some());
        }
        assert!(market.ledger.burned() > Money::ZERO);
    }
    assert!(composed > 0 && unrevealed > 0 && dropped > 0 && priced > 0, "{composed} {unrevealed} {dropped}");
}

#[test]
fn the_independent_program_notes_evidence_and_refuses_what_proves_nothing() {
    let (mut market, records) = market();
    let first = batch(&market, records, &[], &[]).expect("demands");
    market.push(first);
    let votes = [Some(BatchHash(Hash([8; 32]))), None].map(|batch| {
        let network = market.network().id();
        let vote = Vote { network, height: 1, round: 0, kind: VoteKind::Precommit, batch };
        Box::new(vote.sign(2, &validators()[2]))
    });
    let [one, other] = votes;
    let good = DoubleVote::of(&Equivocation::Votes(one, other)).expect("two votes");
    let of = |evidence: Vec<DoubleVote>| Contents { evidence, ..Contents::default() };
    let changed = |change: fn(&mut DoubleVote)| {
        let mut evidence = good;
        change(&mut evidence);
        of(vec![evidence])
    };
    let cases = [
        ("its network", changed(|evidence| evidence.network.0 = Hash::ZERO)),
        ("not in order", changed(|evidence| evidence.batches.reverse())),
        ("there is no validator 9", changed(|evidence| evidence.validator = 9)),
        ("a vote against validator 1", changed(|evidence| evidence.validator = 1)),
        ("already", of(vec![good, good])),
    ];
    for (expected, contents) in cases {
        let said = said_of(&mut market, contents);
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let proposer = &validators()[1];
    let assembly = Assembly {
        proposer: proposer.public(),
        timestamp_ms: market.ledger.head().timestamp_ms + 2_000,
        turn: 0,
        evidence: vec![good],
        records: Vec::new(),
        commitments: Vec::new(),
        blocks: Vec::new(),
    };
    let next = market.ledger.assemble(assembly).drafted.expect("evidence").sign(proposer).0;
    market.push(next);
    let verdict = verify(&market.export());
    assert!(
        verdict.stands && verdict.text.contains("checked 1 validators who voted twice"),
        "{}",
        verdict.text
    );
    assert!(said_of(&mut market, of(vec![good])).contains("already"));
}

#[test]
fn a_composition_of_a_block_that_an_earlier_batch_revealed_is_proved() {
    let mut earlier = 0;
    for rng_seed in 1..9 {
        let mut market = grown(rng_seed);
        market.seal();
        let composed = market.ledger.demands().filter(|(_, entry)| entry.composition().is_some());
        for (demand, entry) in composed {
            let proof = market.stored().prove(&demand.to_string(), |_| {}).expect("it is composed");
            let proven = proof.verify(market.network().id()).expect("the proof holds");
            let standing = entry.composition().expect("it is composed");
            assert!(proven.height <= standing.height);
            earlier += usize::from(proven.height < standing.height);
            // Nothing but what stands is proved: another height than that of its effect is.
            let mut later = proof.clone();
            later.composition.cost += Money::from_micros(1);
            assert!(later.verify(market.network().id()).is_err());
        }
    }
    assert!(earlier > 0, "no block was revealed before it took effect");
}

#[test]
fn the_independent_program_believes_proofs_of_what_waits() {
    let market = grown(2);
    let mut keys = vec![StateKey::Burned];
    keys.extend(market.ledger.cohorts().map(|(height, _)| StateKey::Cohort(height)));
    for (height, cohort) in market.ledger.cohorts() {
        keys.extend(cohort.commitments().map(|commitment| StateKey::Pledge(height, commitment.miner)));
    }
    assert!(keys.len() > 2, "nothing waits");
    let root = market.ledger.state_root();
    let proofs: Vec<_> = keys.iter().map(|&key| document(root, &market.ledger.prove_state(key))).collect();
    assert_eq!(state_proofs_that_hold(&proofs), vec![true; keys.len()]);
}

/// What the program says of a chain with one more batch, of these contents, that everybody signed as if it were right.
fn said_of(market: &mut Growing, contents: Contents) -> String {
    let honest = batch(market, Vec::new(), &[], &[]).expect("an empty batch, as demands wait");
    let proposer =
        validators().into_iter().find(|key| key.public() == honest.header.proposer).expect("a validator");
    let mut header = honest.header;
    let items = contents.items();
    header.item_count = u32::try_from(items.len()).expect("a few items");
    header.contents_root = merkle_root(&items);
    let batch = Batch::sign(header, contents, &proposer);
    let certificate = market.certificate(&batch);
    market.batches.push((batch, certificate));
    let verdict = verify(&market.export());
    market.batches.pop();
    assert!(!verdict.stands, "{}", verdict.text);
    verdict.text
}

#[test]
fn the_independent_program_refuses_what_was_not_committed_to_and_commitments_that_break_a_rule() {
    let (mut market, records) = market();
    let first = batch(&market, records, &[], &[]).expect("demands");
    market.push(first);
    let (block, good) = sealed(&market, 0, &[], false).expect("something to compose");
    let of_blocks = |blocks: Vec<Block>| Contents { blocks, ..Contents::default() };
    assert!(said_of(&mut market, of_blocks(vec![block.clone()])).contains("nobody has committed to it"));
    let of = |commitments: Vec<SignedCommitment>| Contents { commitments, ..Contents::default() };
    let changed = |change: fn(&mut Commitment)| {
        let mut commitment = good.commitment;
        change(&mut commitment);
        vec![commitment.sign(&key("miner", 0))]
    };
    let cases: [(&str, Vec<SignedCommitment>); 7] = [
        ("its version", changed(|c| c.version = 2)),
        ("its anchor is none", changed(|c| c.anchor.0 = Hash::ZERO)),
        ("a size that no block has", changed(|c| c.bytes = 0)),
        ("a size that no block has", changed(|c| c.bytes = 5 << 20)),
        ("a size that no block has", changed(|c| c.compositions = 5_000)),
        ("its miner can spend", changed(|c| c.bytes = 2 << 20)),
        ("two commitments of one miner", [vec![good], changed(|c| c.bytes += 1)].concat()),
    ];
    for (expected, commitments) in cases {
        let said = said_of(&mut market, of(commitments));
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let forged = SignedCommitment { signature: chain::Signature([1; 64]), ..good };
    assert!(said_of(&mut market, of(vec![forged])).contains("its miner's signature"));
    let next = batch(&market, Vec::new(), &[good], &[]).expect("a commitment");
    market.push(next);
    assert!(said_of(&mut market, of(vec![good])).contains("an earlier batch has brought it"));
    let next = batch(&market, Vec::new(), &[], std::slice::from_ref(&block)).expect("a block");
    market.push(next);
    let said = said_of(&mut market, of_blocks(vec![block]));
    assert!(said.contains("revealed before"), "{said}");
}
