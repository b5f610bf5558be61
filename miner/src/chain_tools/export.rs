//! The whole chain as JSON, for programs that share no code with this one: every part as its canonical
//! bytes, which decide, and once more as readable fields. Nothing in it has to be believed: hashes that
//! stand in it can be recomputed from the bytes. `docs/protocol.md` describes the file.

use chain::block::SignedHeader;
use chain::codec::encode;
use chain::consensus::{CommitCertificate, DoubleVote};
use chain::{
    Amendment, Batch, BatchHash, BatchHeader, Block, Composition, Genesis, Network, NetworkId, PriceUpdate,
    Record, Signature, SignedCommitment,
};
use serde::Serialize;

/// What [`ChainExport::format`] says.
pub const EXPORT_FORMAT: &str = "mizan chain export";
/// The version of the file's layout.
pub const EXPORT_VERSION: u16 = 2;

/// A whole chain.
#[derive(Debug, Serialize)]
pub struct ChainExport<'a> {
    /// [`EXPORT_FORMAT`].
    pub format: &'static str,
    /// [`EXPORT_VERSION`].
    pub version: u16,
    /// The network's id: the hash of the genesis.
    pub network: NetworkId,
    /// What it starts from.
    pub genesis: Encoded<&'a Genesis>,
    /// All final batches, ascending.
    pub batches: Vec<ExportedBatch>,
}

/// A final batch.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct ExportedBatch {
    pub hash: BatchHash,
    /// What its proposer signed.
    pub header: Encoded<BatchHeader>,
    pub signature: Signature,
    /// The contents, one Merkle leaf after the other.
    pub items: Vec<Encoded<ExportedItem>>,
    /// The precommits that made it final.
    pub certificate: Encoded<CommitCertificate>,
}

/// A part as its canonical bytes and as fields.
#[derive(Debug, Serialize)]
pub struct Encoded<T> {
    /// Canonical bytes in hexadecimal.
    pub bytes: String,
    /// The same, readable.
    pub fields: T,
}

/// An item of a body; its bytes are the Merkle leaf, that is a byte for the kind before the canonical form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportedItem {
    /// Kind 0.
    Record(Record),
    /// Kind 1: a block's header, and behind it the block's items.
    Block(SignedHeader),
    /// Kind 2.
    PriceUpdate(PriceUpdate),
    /// Kind 3.
    Composition(Composition),
    /// Kind 4.
    Amendment(Amendment),
    /// Kind 5.
    Commitment(SignedCommitment),
    /// Kind 6.
    Evidence(DoubleVote),
}

impl<'a> ChainExport<'a> {
    /// A file without batches yet.
    pub fn new(network: &'a Network) -> Self {
        let genesis = network.genesis();
        Self {
            format: EXPORT_FORMAT,
            version: EXPORT_VERSION,
            network: network.id(),
            genesis: Encoded { bytes: hex::encode(genesis.to_bytes()), fields: genesis },
            batches: Vec::new(),
        }
    }

    /// Appends the next batch.
    pub fn push(&mut self, batch: Batch, certificate: CommitCertificate) {
        self.batches.push(ExportedBatch::new(batch, certificate));
    }
}

impl ExportedBatch {
    /// One batch.
    pub fn new(batch: Batch, certificate: CommitCertificate) -> Self {
        let leaves = batch.contents.items();
        let evidence = batch.contents.evidence.into_iter().map(ExportedItem::Evidence);
        let records = batch.contents.records.into_iter().map(ExportedItem::Record);
        let commitments = batch.contents.commitments.into_iter().map(ExportedItem::Commitment);
        let blocks = batch.contents.blocks.into_iter().flat_map(|Block { signed, body }| {
            let update = body.price_update.into_iter().map(ExportedItem::PriceUpdate);
            let compositions = body.compositions.into_iter().map(ExportedItem::Composition);
            let amendments = body.amendments.into_iter().map(ExportedItem::Amendment);
            [ExportedItem::Block(signed)].into_iter().chain(update).chain(compositions).chain(amendments)
        });
        let items = leaves.into_iter().zip(evidence.chain(records).chain(commitments).chain(blocks));
        Self {
            hash: batch.header.hash(),
            header: encoded(batch.header),
            signature: batch.signature,
            items: items.map(|(leaf, fields)| Encoded { bytes: hex::encode(leaf), fields }).collect(),
            certificate: encoded(certificate),
        }
    }
}

fn encoded<T: Serialize>(fields: T) -> Encoded<T> {
    Encoded { bytes: hex::encode(encode(&fields)), fields }
}
