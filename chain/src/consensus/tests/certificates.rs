//! Validator sets, certificates, the safety log and the bytes of messages.

use super::*;
use crate::key::{KeyError, PublicKey, Signature};

fn commit(keys: &[SecretKey], signers: &[u16], tag: u8) -> CommitCertificate {
    let (kind, batch) = (VoteKind::Precommit, batch(tag));
    let vote = Vote { network: NETWORK, height: HEIGHT, round: 2, kind, batch: Some(batch) };
    let signatures =
        signers.iter().map(|&index| (index, vote.sign(index, &keys[usize::from(index)]).signature)).collect();
    CommitCertificate { height: HEIGHT, round: 2, batch, signatures }
}

#[test]
fn quorum_is_more_than_two_thirds() {
    for (count, quorum, faults) in
        [(1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 3, 1), (6, 5, 1), (7, 5, 2), (10, 7, 3)]
    {
        let validators = validators(&keys(count));
        assert_eq!(
            (validators.quorum(), validators.tolerated_power()),
            (quorum, faults),
            "{count} validators"
        );
    }
}

#[test]
fn validators_propose_in_turn() {
    let validators = validators(&keys(4));
    let turns = |height, round| validators.proposer(height, round);
    assert_eq!([turns(8, 0), turns(8, 1), turns(8, 4), turns(9, 0), turns(9, 3)], [0, 1, 0, 1, 0]);
    assert!(turns(Height::MAX, Round::MAX) < 4);
}

#[test]
fn a_validator_set_is_sorted_and_refuses_what_cannot_vote() {
    let sorted: Vec<_> = keys(4).iter().map(SecretKey::public).collect();
    let set = |powers: &[(PublicKey, Power)]| ValidatorSet::new(&powers.iter().copied().collect());
    let shuffled = set(&[(sorted[2], 3), (sorted[0], 1), (sorted[3], 4), (sorted[1], 2)]).unwrap();
    assert_eq!(shuffled.keys(), sorted);
    assert_eq!(shuffled.index_of(&sorted[3]), Some(3));
    assert_eq!([0, 1, 2, 3, 4].map(|index| shuffled.power_of(index)), [1, 2, 3, 4, 0]);
    assert_eq!((shuffled.total_power(), shuffled.quorum(), shuffled.tolerated_power()), (10, 7, 3));
    assert_eq!(set(&[]), Err(ValidatorSetError::Empty));
    assert_eq!(set(&[(sorted[0], 1), (sorted[1], 0)]), Err(ValidatorSetError::NoPower(sorted[1])));
    let most = set(&[(sorted[0], POWER_TOTAL - 1), (sorted[1], 1)]).unwrap();
    assert_eq!((most.quorum(), most.tolerated_power()), (2 * (POWER_TOTAL / 3) + 2, POWER_TOTAL / 3));
    let (got, expected) = (u128::from(u64::MAX) + 1, POWER_TOTAL);
    let refused = Err(ValidatorSetError::TooMuchPower { got, expected });
    assert_eq!(set(&[(sorted[0], u64::MAX), (sorted[1], 1)]), refused);
    let weak = PublicKey::from_bytes([0; 32]);
    let refused = ValidatorSetError::UnusableKey { key: weak, reason: KeyError::Weak };
    assert_eq!(set(&[(weak, 1)]), Err(refused));
    let crowd = (0..=MAX_VALIDATORS as u64).map(|index| SecretKey::for_scenario(1, "crowd", index).public());
    let crowd: Vec<_> = crowd.map(|key| (key, 1)).collect();
    assert_eq!(set(&crowd), Err(ValidatorSetError::TooMany { got: 257, expected: 256 }));
}

#[test]
fn a_certificate_is_as_good_as_the_power_behind_it() {
    let keys = keys(4);
    let validators = weighted(&keys, &[2, 1, 4, 2]);
    let verdict = |signers: &[u16]| commit(&keys, signers, 1).verify(&validators, NETWORK);
    // More than six of nine.
    assert_eq!((validators.quorum(), validators.tolerated_power()), (7, 2));
    assert_eq!(verdict(&[0, 1, 2]), Ok(()));
    assert_eq!(verdict(&[1, 2, 3]), Ok(()));
    assert_eq!(verdict(&[0, 2]), Err(CertificateError::NoQuorum { got: 6, expected: 7 }));
    assert_eq!(verdict(&[0, 1, 3]), Err(CertificateError::NoQuorum { got: 5, expected: 7 }));
    let mut twice = commit(&keys, &[0, 2], 1);
    twice.signatures.push(twice.signatures[1]);
    assert_eq!(twice.votes(&validators), 6);
    let refused = CertificateError::NotIncreasing { got: 2, previous: 2 };
    assert_eq!(twice.verify(&validators, NETWORK), Err(refused));
}

#[test]
fn a_certificate_of_three_of_four_is_valid() {
    let keys = keys(4);
    assert_eq!(commit(&keys, &[0, 2, 3], 1).verify(&validators(&keys), NETWORK), Ok(()));
    assert_eq!(commit(&keys, &[0, 1, 2, 3], 1).verify(&validators(&keys), NETWORK), Ok(()));
}

#[test]
fn every_rule_of_certificates_refuses_its_violation() {
    let keys = keys(4);
    let good = commit(&keys, &[0, 1, 3], 1);
    let verdict = |certificate: &CommitCertificate| certificate.verify(&validators(&keys), NETWORK);

    let too_few = commit(&keys, &[0, 1], 1);
    assert_eq!(verdict(&too_few), Err(CertificateError::NoQuorum { got: 2, expected: 3 }));
    let mut twice = good.clone();
    twice.signatures[2] = twice.signatures[1];
    assert_eq!(verdict(&twice), Err(CertificateError::NotIncreasing { got: 1, previous: 1 }));
    let mut unsorted = good.clone();
    unsorted.signatures.swap(0, 1);
    assert_eq!(verdict(&unsorted), Err(CertificateError::NotIncreasing { got: 0, previous: 1 }));
    let mut stranger = good.clone();
    stranger.signatures[2].0 = 4;
    assert_eq!(verdict(&stranger), Err(CertificateError::UnknownValidator { got: 4, expected: 4 }));
    let forged =
        |validator| Err(CertificateError::BadSignature { validator, reason: KeyError::BadSignature });
    let mut wrong_voter = good.clone();
    wrong_voter.signatures[2].0 = 2;
    assert_eq!(verdict(&wrong_voter), forged(2));
    assert_eq!(verdict(&CommitCertificate { batch: batch(2), ..good.clone() }), forged(0));
    assert_eq!(verdict(&CommitCertificate { round: 3, ..good.clone() }), forged(0));
    assert_eq!(verdict(&CommitCertificate { height: 9, ..good.clone() }), forged(0));
    assert_eq!(good.verify(&validators(&keys), NetworkId(Hash([8; 32]))), forged(0));
}

#[test]
fn precommits_never_pass_as_prevotes() {
    let keys = keys(4);
    let CommitCertificate { height, round, batch, signatures } = commit(&keys, &[0, 1, 2], 1);
    let posing = PolkaCertificate { height, round, batch, signatures };
    let refused = CertificateError::BadSignature { validator: 0, reason: KeyError::BadSignature };
    assert_eq!(posing.verify(&validators(&keys), NETWORK), Err(refused));
}

#[test]
fn a_log_signs_one_thing_per_place_and_survives_its_bytes() {
    let vote = |round, kind, tag: Option<u8>| Vote {
        network: NETWORK,
        height: HEIGHT,
        round,
        kind,
        batch: tag.map(batch),
    };
    let mut log = SafetyLog::new(HEIGHT);
    let prevote = vote(0, VoteKind::Prevote, Some(1));
    assert_eq!(log.permit_vote(prevote), Ok(()));
    assert_eq!(log.permit_vote(vote(0, VoteKind::Precommit, None)), Ok(()));
    log.locked = Some((0, batch(1)));

    let mut restored = SafetyLog::from_bytes(&log.to_bytes()).unwrap();
    assert_eq!(restored, log);
    let conflict = SafetyError::Conflict { height: HEIGHT, round: 0 };
    assert_eq!(restored.permit_vote(prevote), Ok(()));
    assert_eq!(restored.permit_vote(vote(0, VoteKind::Prevote, None)), Err(conflict));
    assert_eq!(restored.permit_vote(vote(0, VoteKind::Precommit, Some(1))), Err(conflict));
    let proposal =
        |tag| Proposal { network: NETWORK, height: HEIGHT, round: 0, batch: batch(tag), valid_round: None };
    assert_eq!(restored.permit_proposal(proposal(1)), Ok(()));
    assert_eq!(restored.permit_proposal(proposal(2)), Err(conflict));
    let elsewhere =
        SafetyError::ElsewhereInTime { got_height: HEIGHT, got_round: 1, height: HEIGHT, round: 0 };
    assert_eq!(restored.permit_vote(vote(1, VoteKind::Prevote, None)), Err(elsewhere));
    assert_eq!(restored.prevote, Some(prevote), "a refusal changes nothing");
}

#[test]
fn the_bytes_of_a_vote_are_pinned() {
    let keys = keys(4);
    let vote =
        Vote { network: NETWORK, height: 300, round: 2, kind: VoteKind::Precommit, batch: Some(batch(0xab)) };
    // Network, height as varint, round, kind, present, batch; then the validator and the signature.
    let unsigned = [&[7; 32][..], &[0xac, 0x02, 0x02, 0x01, 0x01], &[0xab; 32]].concat();
    let signed = vote.sign(3, &keys[3]);
    let bytes = ConsensusMessage::Vote(signed).to_bytes();
    assert_eq!(bytes, [&[1][..], &unsigned, &[3], &signed.signature.0].concat());
    assert_eq!(ConsensusMessage::from_bytes(&bytes), Ok(ConsensusMessage::Vote(signed)));
    assert_eq!(hex::encode(signed.signature.0), GOLDEN_SIGNATURE);
    let nil = Vote { batch: None, ..vote }.sign(3, &keys[3]);
    assert_eq!(ConsensusMessage::Vote(nil).to_bytes().len(), bytes.len() - 32);
}

#[test]
fn the_bytes_of_a_certificate_are_pinned() {
    let certificate = commit(&keys(4), &[0, 1, 3], 0xcd);
    let bytes = ConsensusMessage::Commit(certificate.clone()).to_bytes();
    let mut expected = [&[3, 8, 2][..], &[0xcd; 32], &[3]].concat();
    for (index, Signature(signature)) in &certificate.signatures {
        expected.push(u8::try_from(*index).unwrap());
        expected.extend(signature);
    }
    assert_eq!(bytes, expected);
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), GOLDEN_CERTIFICATE);
}

#[test]
fn the_largest_certificate_and_log_fit_their_limit() {
    let signatures = (0..256).map(|index| (index, Signature([0xff; 64]))).collect();
    let polka = PolkaCertificate { height: u64::MAX, round: u32::MAX, batch: batch(1), signatures };
    let proposal = Proposal {
        network: NETWORK,
        height: u64::MAX,
        round: u32::MAX,
        batch: batch(1),
        valid_round: Some(u32::MAX),
    };
    let vote = Vote {
        network: NETWORK,
        height: u64::MAX,
        round: u32::MAX,
        kind: VoteKind::Prevote,
        batch: Some(batch(1)),
    };
    let message = ConsensusMessage::Proposal(proposal.sign(&keys(1)[0], Some(polka.clone())));
    assert!(message.to_bytes().len() <= MESSAGE_BYTES, "{} bytes", message.to_bytes().len());
    let (proposal, vote, locked) = (Some(proposal), Some(vote), Some((u32::MAX, batch(1))));
    let (height, round, valid) = (u64::MAX, u32::MAX, Some(polka));
    let log = SafetyLog { height, round, proposal, prevote: vote, precommit: vote, locked, valid };
    assert!(log.to_bytes().len() <= MESSAGE_BYTES, "{} bytes", log.to_bytes().len());
}

#[test]
fn bytes_beyond_the_limit_or_behind_the_message_are_refused() {
    let mut bytes = ConsensusMessage::Commit(commit(&keys(4), &[0, 1, 2], 1)).to_bytes();
    bytes.push(0);
    assert!(ConsensusMessage::from_bytes(&bytes).is_err());
    assert!(ConsensusMessage::from_bytes(&vec![0; MESSAGE_BYTES + 1]).is_err());
}

const GOLDEN_SIGNATURE: &str = "bd26252aa3ade2b6e0ecb2ddd7afa0c2bb97095f7afe240cf8ccdb5c9606fd74\
    710ef88786c9874424bfcd2e81362693732aa924838c4c61f2dbf87f9eb1e205";
const GOLDEN_CERTIFICATE: &str = "9d1f852d4ad046a4d2c9f647576898dfbd2b715f84a3a70c71d45976ce105bfc";
