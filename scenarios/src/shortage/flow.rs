//! A maximum flow by Dinic's algorithm (Dinic, "Algorithm for solution of a problem of maximum flow in a
//! network with power estimation", 1970), and the smallest set of nodes behind a minimum cut. Nothing here
//! knows of markets, and nothing here has to be trusted: [`super::Shortage::verify`] checks what comes out.

use std::collections::VecDeque;

/// An edge that no minimum cut may contain.
pub(super) const UNLIMITED: i64 = i64::MAX / 4;

#[derive(Clone, Copy, Debug)]
struct Edge {
    to: usize,
    left: i64,
}

/// A directed network of integer capacities, each within `0..=`[`UNLIMITED`].
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// An edge and its reverse lie side by side: `edge ^ 1` is the other one.
    edges: Vec<Edge>,
    leaving: Vec<Vec<usize>>,
}

impl Network {
    pub(super) fn new(nodes: usize) -> Self {
        Self { edges: Vec::new(), leaving: vec![Vec::new(); nodes] }
    }

    pub(super) fn connect(&mut self, from: usize, to: usize, capacity: i64) {
        for (from, to, left) in [(from, to, capacity), (to, from, 0)] {
            self.leaving[from].push(self.edges.len());
            self.edges.push(Edge { to, left });
        }
    }

    /// Sends as much as fits from `source` to `sink`. Afterwards the nodes that more could still reach from the
    /// source, marked in the answer, are the smallest source side of a minimum cut.
    pub(super) fn saturate(&mut self, source: usize, sink: usize) -> Vec<bool> {
        loop {
            let levels = self.levels(source);
            if levels[sink].is_none() {
                return levels.iter().map(Option::is_some).collect();
            }
            let mut next = vec![0; self.leaving.len()];
            while let Some(path) = self.path(source, sink, &levels, &mut next) {
                let amount = path.iter().map(|&edge| self.edges[edge].left).min().unwrap_or(0);
                for edge in path {
                    self.edges[edge].left -= amount;
                    self.edges[edge ^ 1].left += amount;
                }
            }
        }
    }

    /// How many unsaturated edges lead to each node, if it can be reached.
    fn levels(&self, source: usize) -> Vec<Option<usize>> {
        let mut levels = vec![None; self.leaving.len()];
        levels[source] = Some(0);
        let mut queue = VecDeque::from([(source, 0)]);
        while let Some((node, level)) = queue.pop_front() {
            for edge in self.leaving[node].iter().map(|&edge| self.edges[edge]) {
                if edge.left > 0 && levels[edge.to].is_none() {
                    levels[edge.to] = Some(level + 1);
                    queue.push_back((edge.to, level + 1));
                }
            }
        }
        levels
    }

    /// Edges of an unsaturated path along ascending levels; `next` remembers which edges of a node lead nowhere.
    fn path(
        &self,
        source: usize,
        sink: usize,
        levels: &[Option<usize>],
        next: &mut [usize],
    ) -> Option<Vec<usize>> {
        let mut path: Vec<usize> = Vec::new();
        loop {
            let node = path.last().map_or(source, |&edge| self.edges[edge].to);
            if node == sink {
                return Some(path);
            }
            let onward = |&&edge: &&usize| {
                let Edge { to, left } = self.edges[edge];
                left > 0 && levels[to] == levels[node].map(|level| level + 1)
            };
            let mut untried = self.leaving[node].iter().enumerate().skip(next[node]);
            if let Some((position, &edge)) = untried.find(|(_, edge)| onward(edge)) {
                next[node] = position;
                path.push(edge);
            } else {
                next[node] = self.leaving[node].len();
                let dead = path.pop()?;
                let before = self.edges[dead ^ 1].to;
                next[before] += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_side_is_what_the_bottleneck_holds_back() {
        // 0 -> 1 -> 2 -> 3 with the bottleneck at 1 -> 2.
        let mut network = Network::new(4);
        network.connect(0, 1, 9);
        network.connect(1, 2, 4);
        network.connect(2, 3, 7);
        assert_eq!(network.saturate(0, 3), [true, true, false, false]);
    }

    #[test]
    fn flow_is_rerouted_where_a_first_path_stood_in_the_way() {
        // Both 1 and 2 can use 3, only 1 can use 4: sending 1 over 3 first must be undone.
        let mut network = Network::new(6);
        for (from, to, capacity) in [
            (0, 1, 5),
            (0, 2, 5),
            (1, 3, UNLIMITED),
            (1, 4, UNLIMITED),
            (2, 3, UNLIMITED),
            (3, 5, 5),
            (4, 5, 5),
        ] {
            network.connect(from, to, capacity);
        }
        // Everything fits, so nothing but the source is held back.
        assert_eq!(network.saturate(0, 5), [true, false, false, false, false, false]);
    }
}
