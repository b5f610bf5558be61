//! What can be asked of a running node through its control socket, and the answers.

use anyhow::Result;
use chain::{Address, DemandId, Record, RecordId};
use serde::{Deserialize, Serialize};

use super::Driver;
use super::inquiry::{AccountReport, DemandReport, MarketFacts, RecordStanding, Refusal};
use super::market_status::MarketStatus;
use miner_node::{Command, Effect, Input, NodeEvent, NodeStatus};

/// A question or an order of the node's operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Where does the node stand?
    Status,
    /// Put these records into the pool.
    Submit {
        /// Signed records, on the wire as their canonical bytes: what was signed is what arrives.
        #[serde(with = "canonical")]
        records: Vec<Record>,
    },
    /// What must a record of this network say?
    Market,
    /// What does this address have?
    Account {
        /// Whose account.
        address: Address,
    },
    /// Where do these records stand?
    Records {
        /// Their ids.
        ids: Vec<RecordId>,
    },
    /// Where do these demands stand?
    Demands {
        /// Their ids.
        ids: Vec<DemandId>,
    },
    /// How does the market stand?
    MarketStatus,
    /// Begin to mine.
    StartMining,
    /// Mine no more until told to start again.
    PauseMining,
    /// Shut down.
    Stop,
}

/// The node's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<NodeStatus>),
    /// To [`Request::Submit`].
    Submitted {
        /// Records now in the pool.
        accepted: Vec<RecordId>,
        /// Records refused, and why.
        refused: Vec<Refusal>,
    },
    /// To [`Request::Market`].
    Market(Box<MarketFacts>),
    /// To [`Request::Account`].
    Account(Box<AccountReport>),
    /// To [`Request::Records`].
    Records {
        /// Where each stands, in the order asked for.
        standings: Vec<RecordStanding>,
    },
    /// To [`Request::Demands`].
    Demands {
        /// The demands, in the order asked for.
        demands: Vec<DemandReport>,
    },
    /// To [`Request::MarketStatus`].
    MarketStatus(Box<MarketStatus>),
    /// Done as asked.
    Done,
}

impl Driver {
    pub(super) fn on_request(&mut self, request: Request) -> Result<Response> {
        match request {
            Request::Status => return Ok(Response::Status(Box::new(self.node.status()))),
            Request::Submit { records } => return self.submit(records),
            Request::Market => return Ok(Response::Market(Box::new(self.market_facts()))),
            Request::Account { address } => return Ok(Response::Account(Box::new(self.account(address)))),
            Request::Records { ids } => {
                let standings = ids.into_iter().map(|id| self.record_standing(id));
                return Ok(Response::Records { standings: standings.collect::<Result<_>>()? });
            }
            Request::Demands { ids } => {
                let demands = ids.into_iter().map(|id| self.demand(id));
                return Ok(Response::Demands { demands: demands.collect::<Result<_>>()? });
            }
            Request::MarketStatus => {
                return Ok(Response::MarketStatus(Box::new(MarketStatus::of(self.node.ledger()))));
            }
            Request::PauseMining => self.handle(Input::Command(Command::PauseMining))?,
            Request::StartMining => self.handle(Input::Command(Command::StartMining))?,
            Request::Stop => self.is_stopping = true,
        }
        Ok(Response::Done)
    }

    fn submit(&mut self, records: Vec<Record>) -> Result<Response> {
        let mut accepted: Vec<RecordId> = records.iter().map(Record::id).collect();
        let mut effects = Vec::new();
        self.node.handle(self.clock.now_ms(), Input::Command(Command::Submit(records)), &mut effects);
        let refused: Vec<Refusal> = effects
            .iter()
            .filter_map(|effect| {
                let Effect::Event(NodeEvent::RecordRefused { record, rule, reason }) = effect else {
                    return None;
                };
                Some(Refusal { record: (*record)?, rule: rule.clone(), reason: reason.clone() })
            })
            .collect();
        accepted.retain(|id| refused.iter().all(|refusal| refusal.record != *id));
        self.carry_out(effects)?;
        Ok(Response::Submitted { accepted, refused })
    }
}

/// Records as hexadecimal digits of their canonical bytes.
mod canonical {
    use chain::{Record, codec};
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::control::REQUEST_BYTES_MAX;

    pub(super) fn serialize<S: Serializer>(records: &[Record], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(records.iter().map(|record| hex::encode(codec::encode(record))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Record>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let record = |text: String| {
            let bytes = hex::decode(text).map_err(de::Error::custom)?;
            codec::decode(&bytes, REQUEST_BYTES_MAX).map_err(de::Error::custom)
        };
        texts.into_iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use chain::record::OfferStatement;
    use chain::{Hash, NetworkId, RecordContent, SecretKey, Statement};
    use scenarios::{Money, Offer, OperationId, Site};

    #[test]
    fn an_offer_survives_the_way_to_the_node() {
        let key = SecretKey::for_scenario(1, "test", 0);
        let offer = OfferStatement {
            name: "Ada".into(),
            site: Site::point(1, -2),
            offers: BTreeMap::from([(OperationId(3), Offer { cost: Money::from_units(4), minutes: 5 })]),
            capacity: None,
        };
        let content = RecordContent {
            network: NetworkId(Hash([1; 32])),
            author: key.public(),
            sequence: 0,
            valid_from: 1,
            valid_until: 9,
            statement: Statement::Offer(offer),
        };
        let record = content.sign(&key);
        let text = serde_json::to_string(&Request::Submit { records: vec![record.clone()] }).unwrap();
        let Request::Submit { records } = serde_json::from_str(&text).unwrap() else {
            panic!("another request came back: {text}");
        };
        assert_eq!(records, [record]);
    }
}
