//! Keys and values of the history on disk. Values are canonical bytes of their types.

use chain::codec::{decode, encode};
use chain::{Address, BatchHash, DemandId, Hash, Height, NetworkId, RecordId};
use serde::{Deserialize, Serialize};

/// The format. What was written in another one is forgotten and made again.
const VERSION: u16 = 2;

/// The key of [`Head`].
pub(super) const HEAD: &[u8] = b"head";
/// The key of the totals of all miners together.
pub(super) const TOTALS: &[u8] = b"totals";
/// What the keys of miners' totals begin with.
pub(super) const MINERS: &[u8] = b"m/";

/// How far the history has come, and of which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) network: NetworkId,
    pub(super) height: Height,
    pub(super) batch: BatchHash,
}

impl Head {
    pub(super) fn write(self) -> Vec<u8> {
        encode(&(VERSION, self))
    }

    /// `None` if it is of another format.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (version, head): (u16, Self) = decode(bytes, bytes.len()).ok()?;
        (version == VERSION).then_some(head)
    }
}

/// The key of a batch's hash.
pub(super) fn batch(height: Height) -> Vec<u8> {
    [b"b/".as_slice(), &height.to_be_bytes()].concat()
}

/// The key of the height that brought a record.
pub(super) fn record(id: RecordId) -> Vec<u8> {
    [b"r/".as_slice(), &id.0.0].concat()
}

/// The key of a demand that left the market.
pub(super) fn demand(id: DemandId) -> Vec<u8> {
    [b"d/".as_slice(), &id.0.0].concat()
}

/// The key of a miner's totals.
pub(super) fn miner(address: Address) -> Vec<u8> {
    [MINERS, &address.0.0].concat()
}

/// The miner whose totals a key is of.
pub(super) fn miner_of(key: &[u8]) -> Option<Address> {
    let bytes = key.strip_prefix(MINERS)?;
    Some(Address(Hash(bytes.try_into().ok()?)))
}
