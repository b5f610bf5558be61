//! What a swarm's terminal shows, as lines of text. Nothing here talks to a node or to a terminal.

use std::time::Duration;

use chain::consensus::Power;
use miner_api::{Earnings, MarketStatus, NodeStatus, ScarceProvider, ValidatorsSeen};

/// Everything on the screen.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) title: String,
    pub(super) running: Duration,
    /// Who votes, and how many of them answer.
    pub(super) validators: ValidatorsSeen,
    pub(super) miners: Vec<MinerRow<'a>>,
    pub(super) market: Option<&'a MarketStatus>,
    /// Votes and round of the last batch.
    pub(super) last_votes: Option<(Power, u32)>,
    /// The last batches, oldest first.
    pub(super) batches: Vec<&'a str>,
    /// The last refusals, oldest first.
    pub(super) refusals: Vec<&'a str>,
    /// How to talk to it.
    pub(super) hints: &'a [String],
}

/// One miner.
#[derive(Debug)]
pub(super) struct MinerRow<'a> {
    pub(super) number: usize,
    pub(super) cell: &'a str,
    /// `None` while it does not answer.
    pub(super) status: Option<&'a NodeStatus>,
    pub(super) earnings: Option<&'a Earnings>,
}

impl View<'_> {
    /// All lines, most important first.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} - running for {}", self.title, clock(self.running))];
        lines.extend(self.head());
        lines.extend(self.market.map(market_lines).unwrap_or_default());
        lines.push(String::new());
        lines.push(
            "miner  cell                  state       height  peers  batches  demands    earned $".into(),
        );
        lines.extend(self.miners.iter().map(miner_line));
        lines.extend(self.market.map(unserved_lines).unwrap_or_default());
        lines.extend(self.market.map(scarce_lines).unwrap_or_default());
        for (name, entries) in [("last batches", &self.batches), ("last refusals", &self.refusals)] {
            if !entries.is_empty() {
                lines.extend([String::new(), name.to_owned()]);
                lines.extend(entries.iter().map(|entry| format!("  {entry}")));
            }
        }
        lines.push(String::new());
        lines.extend(self.hints.iter().cloned());
        lines
    }

    /// The highest head of all nodes, and what it leaves to do.
    fn head(&self) -> Vec<String> {
        let statuses = self.miners.iter().filter_map(|row| row.status);
        let Some(best) = statuses.clone().max_by_key(|status| status.height) else {
            return vec!["no node answers".into()];
        };
        let pool = statuses.map(|status| status.pool_records).max().unwrap_or(0);
        let ValidatorsSeen { total, quorum, .. } = self.validators;
        let votes = self.last_votes.map_or_else(String::new, |(votes, round)| {
            format!(", {votes} of {total} votes (quorum {quorum}) in round {round}")
        });
        let (head, height) = (best.head.0.short(), best.height);
        let mut lines = vec![format!("head {head} at height {height}{votes}; {pool} records in the pool")];
        if !self.validators.has_quorum() {
            lines.push(self.validators.to_string());
        }
        lines
    }
}

/// The first few demands that nobody can compose as things stand.
fn unserved_lines(market: &MarketStatus) -> Vec<String> {
    if market.unserved.is_empty() {
        return Vec::new();
    }
    let shown = market.unserved.iter().take(3);
    let mut lines = vec![String::new(), format!("unserved: {} demands", market.unserved.len())];
    lines.extend(shown.map(|unserved| format!("  {}: {}", unserved.name, unserved.reason)));
    lines
}

fn market_lines(market: &MarketStatus) -> Vec<String> {
    let MarketStatus { open, composed, frozen, cancelled, expired, .. } = market;
    let demands = format!(
        "demands: {open} open, {composed} composed, {frozen} settled, {cancelled} cancelled, {expired} expired"
    );
    match (market.cost, market.bound, market.gap_percent()) {
        (Some(cost), Some(bound), Some(gap)) if open + composed > 0 => {
            let budgets = if *open > 0 { " (what is open at its budget)" } else { "" };
            let cost = format!("cost {cost:.0} ${budgets}, certified bound {bound:.0} $, gap {gap:.2} %");
            vec![demands, format!("market: {cost}")]
        }
        _ => vec![demands],
    }
}

fn miner_line(row: &MinerRow<'_>) -> String {
    let state = match row.status {
        None => "no answer",
        Some(status) if !status.is_mining => "waiting",
        Some(status) if status.is_quiescent => "idle",
        Some(status) if status.open_demands == 0 => "amending",
        Some(_) => "working",
    };
    let number = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    format!(
        "{:>5}  {:<20}  {state:<10}  {:>6}  {:>5}  {:>6}  {:>7}  {:>10}",
        row.number,
        row.cell,
        number(row.status.map(|status| status.height.to_string())),
        number(row.status.map(|status| status.peers.to_string())),
        row.earnings.map_or(0, |earnings| earnings.blocks),
        row.earnings.map_or(0, |earnings| earnings.demands),
        number(row.earnings.map(|earnings| format!("{:.2}", earnings.earned))),
    )
}

fn scarce_lines(market: &MarketStatus) -> Vec<String> {
    if market.scarce.is_empty() {
        return Vec::new();
    }
    let line = |provider: &ScarceProvider| {
        let ScarceProvider { name, price, .. } = provider;
        format!("  {name:<32}  {price:>10.4}  {:>6.1}", provider.used_percent())
    };
    let mut lines = vec![
        String::new(),
        format!("scarcest of {:>3} priced providers     $ a minute  % used", market.priced_providers),
    ];
    lines.extend(market.scarce.iter().map(line));
    lines
}

/// `1:02:03`, or `2:03` below an hour.
fn clock(running: Duration) -> String {
    let seconds = running.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chain::{BatchHash, Hash, PublicKey};
    use miner_api::{ValidatorsSeen, Voting};
    use scenarios::{Money, ProviderId};

    use super::*;

    fn status() -> NodeStatus {
        NodeStatus {
            node: PublicKey::from_bytes([1; 32]),
            height: 7,
            head: BatchHash(Hash([0xab; 32])),
            head_age_ms: 1_500,
            peers: 3,
            validators: ValidatorsSeen { total: 4, quorum: 3, reachable: 4 },
            voting: Voting::Always,
            pool_records: 2,
            open_demands: 1,
            composed_demands: 4,
            given_up: BTreeSet::new(),
            is_quiescent: false,
            is_mining: true,
        }
    }

    #[test]
    fn the_view_shows_market_miners_prices_and_what_happened_last() {
        let market = MarketStatus {
            height: 7,
            open: 1,
            composed: 4,
            frozen: 0,
            cancelled: 2,
            expired: 3,
            cost: Some(Money::from_units(1_010)),
            bound: Some(Money::from_units(1_000)),
            composed_cost: Some(Money::from_units(910)),
            scarce: vec![ScarceProvider {
                provider: ProviderId(3),
                name: "Karaj Casting".into(),
                period: None,
                price: Money::from_micros(12_500),
                used: 90,
                capacity: 120,
            }],
            priced_providers: 1,
            earnings: Vec::new(),
            unserved: Vec::new(),
        };
        let status = status();
        let view = View {
            title: "mizan swarm".into(),
            running: Duration::from_secs(83),
            validators: ValidatorsSeen { total: 4, quorum: 3, reachable: 2 },
            miners: vec![
                MinerRow { number: 1, cell: "cell 1 of 2", status: Some(&status), earnings: None },
                MinerRow { number: 2, cell: "", status: None, earnings: None },
            ],
            market: Some(&market),
            last_votes: Some((3, 0)),
            batches: vec!["final: batch 7"],
            refusals: Vec::new(),
            hints: &[],
        };
        let text = view.lines().join("\n");
        for expected in [
            "mizan swarm - running for 1:23",
            "at height 7, 3 of 4 votes (quorum 3) in round 0; 2 records in the pool",
            "no quorum: 2 of 4 votes reachable, 3 needed; heights stand still",
            "head abababab at height 7",
            "demands: 1 open, 4 composed, 0 settled, 2 cancelled, 3 expired",
            "market: cost 1,010 $ (what is open at its budget), certified bound 1,000 $, gap 1.00 %",
            "    1  cell 1 of 2           working          7      3       0        0           -",
            "    2                        no answer        -      -       0        0           -",
            "  Karaj Casting                         0.0125    75.0",
            "last batches\n  final: batch 7",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
        }
        assert!(!text.contains("last refusals"), "{text}");
    }

    #[test]
    fn time_is_shown_in_hours_only_when_there_are_any() {
        assert_eq!(clock(Duration::from_secs(59)), "0:59");
        assert_eq!(clock(Duration::from_secs(3_723)), "1:02:03");
    }
}
