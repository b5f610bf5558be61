//! What an honest node may hold at any time, whatever others send it.

use chain::codec::encode;

use super::checkers::Violation;
use super::world::World;

/// Bytes that a pool may hold beyond the records of the market.
const POOL_BYTES: usize = 128 << 10;

impl World {
    /// Looks at what every honest node holds.
    pub(super) fn look(&self) -> Result<(), Violation> {
        let of_market: usize = self.market.records.iter().map(|record| encode(record).len()).sum();
        for id in self.host_ids() {
            let host = self.host(id);
            let Some(running) = host.running.as_ref().filter(|_| host.is_honest()) else { continue };
            let connections = running.connections.len();
            let held = [
                ("bytes in its pool", running.node.pool().bytes(), of_market + POOL_BYTES),
                ("answers with final batches that wait", running.desk.answers_waiting(), connections),
            ];
            for (what, got, limit) in held {
                if got > limit {
                    return Err(Violation::TooMuch { host: id, what, got, limit });
                }
            }
        }
        Ok(())
    }
}
