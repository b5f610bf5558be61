//! What travels between clients and nodes.

use std::collections::BTreeMap;

use chain::record::OfferStatement;
use chain::{Address, Hash, NetworkId, RecordContent, RecordId, RecordRule, SecretKey, Statement};
use coordinator_free_pool::{PoolRule, Rule};
use miner_api::request::{
    GetAccount, GetMarketFacts, GetMarketStatus, GetRecords, GetStatus, PauseMining, StartMining, Stop,
    Submit,
};
use miner_api::{HistoryError, RecordStanding, Refusal, Request, RequestError, Submitted};
use scenarios::{Money, Offer, OperationId, Site};

#[test]
fn every_kind_of_request_survives_the_way_to_the_node() {
    let requests: [Request; 9] = [
        GetStatus.into(),
        GetMarketFacts.into(),
        GetMarketStatus.into(),
        GetAccount { address: Address(Hash([3; 32])) }.into(),
        GetRecords { ids: vec![RecordId(Hash([4; 32]))] }.into(),
        StartMining.into(),
        PauseMining.into(),
        Stop.into(),
        Submit { records: Vec::new() }.into(),
    ];
    for request in requests {
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request, "{text}");
    }
    let text = serde_json::to_string(&Request::from(GetStatus)).unwrap();
    assert_eq!(text, r#"{"request":"status"}"#);
}

#[test]
fn an_offer_survives_the_way_to_the_node() {
    let key = SecretKey::for_scenario(1, "test", 0);
    let offer = OfferStatement {
        name: "Ada".into(),
        site: Site::point(1, -2),
        offers: BTreeMap::from([(OperationId(3), Offer { cost: Money::from_units(4), minutes: 5 })]),
        capacity: None,
        deposit: Money::from_units(1),
    };
    let content = RecordContent {
        network: NetworkId(Hash([1; 32])),
        author: key.public(),
        sequence: 0,
        valid_until_ms: 9,
        statement: Statement::Offer(offer),
    };
    let request = Request::from(Submit { records: vec![content.sign(&key)] });
    let text = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
}

#[test]
fn refusals_come_back_with_the_rule_as_a_type() {
    let record = RecordId(Hash([5; 32]));
    for rule in [Rule::Record(RecordRule::Replayed), Rule::Pool(PoolRule::SequenceTaken)] {
        let refusal = Refusal { record, rule, reason: "taken".into() };
        assert!(refusal.rule.is_number_taken());
        let submitted = Submitted { outcomes: vec![Ok(record), Err(refusal.clone())] };
        let text = serde_json::to_string(&submitted).unwrap();
        let read: Submitted = serde_json::from_str(&text).unwrap();
        assert_eq!(read.refusals().collect::<Vec<_>>(), [&refusal]);
        let standing = RecordStanding::Refused(refusal);
        let text = serde_json::to_string(&standing).unwrap();
        assert_eq!(serde_json::from_str::<RecordStanding>(&text).unwrap(), standing);
    }
}

#[test]
fn errors_come_back_as_they_were() {
    let storage = HistoryError::Storage { reason: "no space left".into() };
    for error in [RequestError::from(storage), RequestError::ShuttingDown, RequestError::TooLong { limit: 7 }]
    {
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<RequestError>(&text).unwrap(), error, "{text}");
    }
}
