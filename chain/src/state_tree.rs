//! A sparse Merkle tree over key/value pairs that costs what a change touches: its nodes are shared between
//! a tree and what was made of it, so that many states of one height stand beside each other for little.
//!
//! What the root is follows from the pairs alone, whatever the order in which they came and went: a key's *path* is
//! its hash; a subtree without pairs is [`Hash::ZERO`], one with a single pair is that pair's leaf, any other the
//! hash of its two halves, by the next bit of the path. Values are not kept here, only their hashes; whose they are is
//! the ledger's ([`crate::ledger`]). Trees over lists, with places, are in [`crate::merkle`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::hash::{Domain, Hash};

/// The bits of a path, and so the most siblings a proof may have.
const PATH_BITS: usize = 256;

/// A tree. Cloning shares all nodes.
#[derive(Clone, Debug, Default)]
pub struct StateTree {
    root: Node,
}

#[derive(Clone, Debug, Default)]
enum Node {
    #[default]
    Empty,
    Leaf(Arc<Leaf>),
    /// At least two leaves are below it.
    Inner(Arc<Inner>),
}

/// The only pair of its subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The hash of its key.
    pub path: Hash,
    /// The hash of its value.
    pub value: Hash,
}

#[derive(Debug)]
struct Leaf {
    pair: Pair,
    hash: Hash,
}

#[derive(Debug)]
struct Inner {
    left: Node,
    right: Node,
    hash: Hash,
}

/// Something each for several paths, which ascend.
type ByPath<T> = [(Hash, T)];

/// Pairs to put in (a value's hash) or to take out (`None`).
type Changes = ByPath<Option<Hash>>;

impl StateTree {
    /// The root; [`Hash::ZERO`] of an empty tree.
    pub fn root(&self) -> Hash {
        self.root.hash()
    }

    /// The tree after these changes: keys with their new values, or `None` where a key is taken out, which it
    /// need not have been in. Takes about as many hashes as there are changes times the logarithm of the size.
    #[must_use]
    pub fn with<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        changes: impl IntoIterator<Item = (K, Option<V>)>,
    ) -> Self {
        let changes = changes.into_iter();
        let changes: BTreeMap<Hash, Option<Hash>> = changes
            .map(|(key, value)| (path_of(key.as_ref()), value.map(|value| hash_of_value(value.as_ref()))))
            .collect();
        let changes: Vec<(Hash, Option<Hash>)> = changes.into_iter().collect();
        Self { root: self.root.changed(&changes, 0) }
    }

    /// The proof of what this tree says of a key: its value, or that there is none.
    pub fn prove(&self, key: &[u8]) -> TreeProof {
        let path = path_of(key);
        let (mut node, mut siblings) = (&self.root, Vec::new());
        while let Node::Inner(inner) = node {
            let sibling;
            (node, sibling) = if bit(path, siblings.len()) {
                (&inner.right, &inner.left)
            } else {
                (&inner.left, &inner.right)
            };
            siblings.push(sibling.hash());
        }
        let neighbour = match node {
            Node::Leaf(leaf) if leaf.pair.path != path => Some(leaf.pair),
            Node::Leaf(_) | Node::Empty | Node::Inner(_) => None,
        };
        TreeProof { siblings, neighbour }
    }
}

impl Node {
    fn leaf(path: Hash, value: Hash) -> Self {
        let pair = Pair { path, value };
        Self::Leaf(Arc::new(Leaf { pair, hash: pair.leaf_hash() }))
    }

    fn hash(&self) -> Hash {
        match self {
            Self::Empty => Hash::ZERO,
            Self::Leaf(leaf) => leaf.hash,
            Self::Inner(inner) => inner.hash,
        }
    }

    /// This subtree, whose paths agree in `depth` bits, after changes that belong into it.
    fn changed(&self, changes: &Changes, depth: usize) -> Self {
        match self {
            _ if changes.is_empty() => self.clone(),
            Self::Inner(inner) => {
                let (left, right) = split(changes, depth);
                let below = depth.saturating_add(1);
                Self::joined(inner.left.changed(left, below), inner.right.changed(right, below))
            }
            Self::Empty | Self::Leaf(_) => {
                let mut leaves: BTreeMap<Hash, Self> = BTreeMap::new();
                if let Self::Leaf(leaf) = self {
                    leaves.insert(leaf.pair.path, self.clone());
                }
                for &(path, value) in changes {
                    match value {
                        Some(value) => leaves.insert(path, Self::leaf(path, value)),
                        None => leaves.remove(&path),
                    };
                }
                let leaves: Vec<(Hash, Self)> = leaves.into_iter().collect();
                Self::built(&leaves, depth)
            }
        }
    }

    /// The subtree of these leaves, whose paths agree in `depth` bits.
    fn built(leaves: &ByPath<Self>, depth: usize) -> Self {
        match leaves {
            [] => Self::Empty,
            [(_, leaf)] => leaf.clone(),
            _ => {
                let (left, right) = split(leaves, depth);
                let below = depth.saturating_add(1);
                Self::joined(Self::built(left, below), Self::built(right, below))
            }
        }
    }

    /// The subtree of two halves. A leaf alone moves up, so that the same pairs always give the same tree.
    fn joined(left: Self, right: Self) -> Self {
        match (&left, &right) {
            (Self::Empty, Self::Empty | Self::Leaf(_)) => right,
            (Self::Leaf(_), Self::Empty) => left,
            _ => {
                let hash = inner_hash(left.hash(), right.hash());
                Self::Inner(Arc::new(Inner { left, right, hash }))
            }
        }
    }
}

impl Pair {
    fn leaf_hash(self) -> Hash {
        Domain::StateLeaf.hash(&[&self.path.0, &self.value.0])
    }
}

/// What a tree says of one key, to somebody who knows its root only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeProof {
    /// The other halves on the way down from the root, highest first, at most 256: as many as the key's path has bits.
    pub siblings: Vec<Hash>,
    /// Where the way ends at a pair with another key: that pair. Only a proof of absence has one.
    pub neighbour: Option<Pair>,
}

/// Why a proof says nothing of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum TreeError {
    /// The way is longer than a path.
    #[error("the proof has {got} hashes, expected at most {expected}")]
    TooLong {
        /// Hashes in the proof.
        got: usize,
        expected: usize,
    },
    /// A value is to be there, and the proof shows another pair in its place.
    #[error("the proof ends at another pair, expected the one with this key")]
    OtherPair,
    /// The pair shown does not lie on the key's way, or has the key itself.
    #[error("the proof ends at path {got}, expected another one that begins like {expected}")]
    Neighbour { got: Hash, expected: Hash },
    /// The hashes lead to another root.
    #[error("the proof leads to root {got}, expected {expected}")]
    Root {
        /// The root the proof leads to.
        got: Hash,
        expected: Hash,
    },
}

impl TreeProof {
    /// Checks that in the tree with this root `key` has this value, or with `None` that it is not there.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, root: Hash, key: &[u8], value: Option<&[u8]>) -> Result<(), TreeError> {
        let (got, expected) = (self.siblings.len(), PATH_BITS);
        if got > expected {
            return Err(TreeError::TooLong { got, expected });
        }
        let path = path_of(key);
        let end = match (value, self.neighbour) {
            (Some(value), None) => Pair { path, value: hash_of_value(value) }.leaf_hash(),
            (Some(_), Some(_)) => return Err(TreeError::OtherPair),
            (None, None) => Hash::ZERO,
            (None, Some(other)) => {
                let agree = (0..got).all(|depth| bit(other.path, depth) == bit(path, depth));
                if other.path == path || !agree {
                    return Err(TreeError::Neighbour { got: other.path, expected: path });
                }
                other.leaf_hash()
            }
        };
        let upwards = self.siblings.iter().enumerate().rev();
        let got = upwards.fold(end, |node, (depth, sibling)| {
            if bit(path, depth) { inner_hash(*sibling, node) } else { inner_hash(node, *sibling) }
        });
        if got == root { Ok(()) } else { Err(TreeError::Root { got, expected: root }) }
    }
}

/// Where a key lies in the tree.
fn path_of(key: &[u8]) -> Hash {
    Domain::StatePath.hash(&[key])
}

fn hash_of_value(value: &[u8]) -> Hash {
    Domain::StateValue.hash(&[value])
}

fn inner_hash(left: Hash, right: Hash) -> Hash {
    Domain::StateNode.hash(&[&left.0, &right.0])
}

/// The bit of a path that decides at this depth; the first is the highest of the first byte. `true`: to the right.
fn bit(path: Hash, depth: usize) -> bool {
    let byte = path.0.get(depth >> 3).copied().unwrap_or(0);
    byte << (depth & 7) & 0x80 != 0
}

/// What belongs into the left and the right half.
fn split<T>(by_path: &ByPath<T>, depth: usize) -> (&ByPath<T>, &ByPath<T>) {
    by_path.split_at(by_path.partition_point(|(path, _)| !bit(*path, depth)))
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    type Content = BTreeMap<u8, u16>;

    fn tree_of(content: &Content) -> StateTree {
        StateTree::default().with(content.iter().map(|(key, value)| ([*key], Some(value.to_be_bytes()))))
    }

    fn leaf(key: u8, value: u16) -> Hash {
        Pair { path: path_of(&[key]), value: hash_of_value(&value.to_be_bytes()) }.leaf_hash()
    }

    #[test]
    fn roots_are_built_as_written_in_the_protocol() {
        assert_eq!(StateTree::default().root(), Hash::ZERO);
        assert_eq!(tree_of(&Content::from([(1, 7)])).root(), leaf(1, 7), "a single pair is its leaf");
        // Two keys whose paths part at the second bit: the first half-empty level is hashed with zeros.
        let (first, second) = (0..=255)
            .flat_map(|first| (0..first).map(move |second| (first, second)))
            .find(|&(first, second)| {
                let (first, second) = (path_of(&[first]), path_of(&[second]));
                !bit(first, 0) && !bit(second, 0) && !bit(first, 1) && bit(second, 1)
            })
            .expect("some pair of 256 keys");
        let below = inner_hash(leaf(first, 1), leaf(second, 2));
        let root = tree_of(&Content::from([(first, 1), (second, 2)])).root();
        assert_eq!(root, inner_hash(below, Hash::ZERO));
    }

    #[test]
    fn an_inner_node_does_not_pass_for_a_leaf() {
        let tree = tree_of(&(0..8).map(|key| (key, 1)).collect());
        let Node::Inner(inner) = &tree.root else { panic!("eight pairs have an inner root") };
        let posing = Pair { path: inner.left.hash(), value: inner.right.hash() };
        let proof = TreeProof { siblings: Vec::new(), neighbour: Some(posing) };
        let refused = proof.verify(tree.root(), &[200], None);
        assert!(matches!(refused, Err(TreeError::Root { .. })), "{refused:?}");
    }

    #[test]
    fn a_neighbour_off_the_keys_way_proves_no_absence() {
        let tree = tree_of(&(0..8).map(|key| (key, 1)).collect());
        // A true way of another absent key, shown for a key that is there.
        let proofs = (8..=255).map(|key| tree.prove(&[key])).filter(|proof| proof.neighbour.is_some());
        for proof in proofs {
            for present in 0..8 {
                assert!(proof.verify(tree.root(), &[present], None).is_err());
            }
        }
    }

    #[test]
    fn a_proof_longer_than_a_path_is_refused() {
        let proof = TreeProof { siblings: vec![Hash::ZERO; 257], neighbour: None };
        let expected = TreeError::TooLong { got: 257, expected: 256 };
        assert_eq!(proof.verify(Hash::ZERO, &[1], None), Err(expected));
    }

    #[test]
    fn changing_one_pair_leaves_the_nodes_off_its_way_shared() {
        let tree = tree_of(&(0..=255).map(|key| (key, 1)).collect());
        let changed = tree.with([([3], Some([9]))]);
        let (Node::Inner(before), Node::Inner(after)) = (&tree.root, &changed.root) else {
            panic!("256 pairs have an inner root")
        };
        let halves = [(&before.left, &after.left), (&before.right, &after.right)];
        let shared = halves.map(|halves| match halves {
            (Node::Inner(before), Node::Inner(after)) => Arc::ptr_eq(before, after),
            _ => false,
        });
        assert_eq!(shared.iter().filter(|shared| **shared).count(), 1);
        assert_ne!(tree.root(), changed.root());
    }

    proptest! {
        #[test]
        fn the_root_depends_on_the_content_alone_whatever_came_and_went_before(
            batches in vec(btree_map(0_u8..40, proptest::option::of(any::<u16>()), 0..12), 0..12),
        ) {
            let (mut tree, mut content) = (StateTree::default(), Content::new());
            for batch in batches {
                tree = tree.with(batch.iter().map(|(key, value)| ([*key], value.map(u16::to_be_bytes))));
                for (key, value) in batch {
                    match value {
                        Some(value) => content.insert(key, value),
                        None => content.remove(&key),
                    };
                }
                prop_assert_eq!(tree.root(), tree_of(&content).root());
            }
            let emptied = tree.with(content.keys().map(|key| ([*key], None::<[u8; 0]>)));
            prop_assert_eq!(emptied.root(), Hash::ZERO);
        }

        #[test]
        fn what_is_there_and_what_is_not_is_proved_and_the_contrary_is_not(
            content in btree_map(any::<u8>(), any::<u16>(), 0..30), key: u8, other: u16,
        ) {
            let tree = tree_of(&content);
            let proof = tree.prove(&[key]);
            let claims = [None, Some(other), content.get(&key).copied()];
            for claim in claims {
                let bytes = claim.map(u16::to_be_bytes);
                let bytes = bytes.as_ref().map(<[u8; 2]>::as_slice);
                let holds = proof.verify(tree.root(), &[key], bytes).is_ok();
                prop_assert_eq!(holds, claim == content.get(&key).copied());
            }
        }

        #[test]
        fn a_proof_with_any_part_changed_fails(
            content in btree_map(any::<u8>(), any::<u16>(), 1..30), key: u8, at: usize, change in 0..4, byte in 1_u8..,
        ) {
            let tree = tree_of(&content);
            let value = content.get(&key).map(|value| value.to_be_bytes());
            let value = value.as_ref().map(<[u8; 2]>::as_slice);
            let mut proof = tree.prove(&[key]);
            let mut root = tree.root();
            match (change, &mut proof.neighbour) {
                (0, _) if !proof.siblings.is_empty() => {
                    let place = at % proof.siblings.len();
                    proof.siblings[place].0[at % 32] ^= byte;
                }
                (1, Some(neighbour)) => neighbour.value.0[at % 32] ^= byte,
                (2, Some(neighbour)) => neighbour.path.0[at % 32] ^= byte,
                (3, _) => proof.siblings.push(Hash([byte; 32])),
                _ => root.0[at % 32] ^= byte,
            }
            prop_assert!(proof.verify(root, &[key], value).is_err());
        }
    }
}
