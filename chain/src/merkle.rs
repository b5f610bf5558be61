//! Merkle trees: `rs_merkle` over BLAKE3, leaves and inner nodes in domains of their own, behind a strict
//! proof check of ours.
//!
//! An odd node is promoted to the next level unchanged. `rs_merkle`'s own `verify` accepts non-members
//! (repeated or out-of-range indices, surplus hashes, a wrong leaf count pass), so nothing here calls it
//! before [`MerkleProof::verify`] has fixed index, count and number of hashes.

use rs_merkle::{Hasher, MerkleTree};
use serde::{Deserialize, Serialize};

use crate::hash::{Domain, Hash};

/// BLAKE3 with separate leaf and node domains, so that a 64-byte leaf can never pose as an inner node.
#[derive(Clone)]
struct Blake3;

impl Hasher for Blake3 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> Self::Hash {
        Domain::MerkleLeaf.hash(&[data]).0
    }

    fn concat_and_hash(left: &Self::Hash, right: Option<&Self::Hash>) -> Self::Hash {
        right.map_or(*left, |right| Domain::MerkleNode.hash(&[left, right]).0)
    }
}

/// A tree over byte strings, kept to prove several of them.
pub struct Merkle(MerkleTree<Blake3>);

impl std::fmt::Debug for Merkle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Merkle({} leaves)", self.0.leaves_len())
    }
}

impl Merkle {
    /// The tree of these leaves, in this order.
    pub fn new<L: AsRef<[u8]>>(leaves: &[L]) -> Self {
        let hashes: Vec<[u8; 32]> = leaves.iter().map(|leaf| Blake3::hash(leaf.as_ref())).collect();
        Self(MerkleTree::from_leaves(&hashes))
    }

    /// The root; [`Hash::ZERO`] of an empty tree.
    pub fn root(&self) -> Hash {
        self.0.root().map_or(Hash::ZERO, Hash)
    }

    /// The proof that the leaf at `index` is there; `None` if there is no such leaf.
    pub fn prove(&self, index: u32) -> Option<MerkleProof> {
        let total = u32::try_from(self.0.leaves_len()).ok()?;
        if index >= total {
            return None;
        }
        let proof = self.0.proof(&[usize::try_from(index).ok()?]);
        Some(MerkleProof { index, total, hashes: proof.proof_hashes().iter().copied().map(Hash).collect() })
    }
}

/// The Merkle root of these leaves; [`Hash::ZERO`] if there are none.
pub fn merkle_root<L: AsRef<[u8]>>(leaves: &[L]) -> Hash {
    Merkle::new(leaves).root()
}

/// That one leaf is in a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerkleProof {
    /// The leaf's position, from 0.
    pub index: u32,
    /// The number of leaves of the tree.
    pub total: u32,
    /// The siblings on the way to the root, lowest first.
    pub hashes: Vec<Hash>,
}

/// Why a Merkle proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum MerkleError {
    /// The proof is about a tree of another size than the signed header says.
    #[error("the proof is for a tree of {got} leaves, expected {expected}")]
    Total {
        /// Leaves in the proof.
        got: u32,
        /// Leaves in the header.
        expected: u32,
    },
    /// The position does not exist.
    #[error("the proof is for leaf {got}, expected one below {expected}")]
    Index {
        /// The position.
        got: u32,
        /// Leaves of the tree.
        expected: u32,
    },
    /// A leaf at this position of a tree of this size has another number of siblings.
    #[error("the proof has {got} hashes, expected {expected} at this position")]
    HashCount {
        /// Hashes in the proof.
        got: usize,
        /// Hashes such a proof has.
        expected: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to root {got}, expected {expected}")]
    Root {
        /// The root the proof leads to.
        got: Hash,
        expected: Hash,
    },
}

impl MerkleProof {
    /// Checks that `leaf` is in the tree with this `root`, whose number of leaves `total` comes from a
    /// source as trusted as the root itself.
    ///
    /// # Errors
    /// The first thing that is wrong, one variant per rule.
    pub fn verify(&self, root: Hash, leaf: &[u8], total: u32) -> Result<(), MerkleError> {
        if self.total != total {
            return Err(MerkleError::Total { got: self.total, expected: total });
        }
        let got = self.root_of(leaf)?;
        if got == root { Ok(()) } else { Err(MerkleError::Root { got, expected: root }) }
    }

    /// The root this proof leads to from `leaf`, in a tree of as many leaves as it says. Where root and
    /// number of leaves come from one hash, that hash is what to compare.
    ///
    /// # Errors
    /// If the index or the number of hashes do not suit such a tree.
    pub fn root_of(&self, leaf: &[u8]) -> Result<Hash, MerkleError> {
        let no_such_leaf = MerkleError::Index { got: self.index, expected: self.total };
        if self.index >= self.total {
            return Err(no_such_leaf);
        }
        let expected = sibling_count(self.index, self.total);
        if self.hashes.len() != expected {
            return Err(MerkleError::HashCount { got: self.hashes.len(), expected });
        }
        let proof = rs_merkle::MerkleProof::<Blake3>::new(self.hashes.iter().map(|hash| hash.0).collect());
        let (Ok(index), Ok(total)) = (usize::try_from(self.index), usize::try_from(self.total)) else {
            return Err(no_such_leaf);
        };
        // With a right index and count, rs_merkle has nothing left to object to.
        proof.root(&[index], &[Blake3::hash(leaf)], total).map(Hash).or(Err(no_such_leaf))
    }
}

/// How many siblings lie on the way from leaf `index` of `total` to the root: one per level where the
/// node is not the promoted odd one.
fn sibling_count(mut index: u32, total: u32) -> usize {
    let (mut width, mut count) = (total, 0_usize);
    while width > 1 {
        if index ^ 1 < width {
            count = count.saturating_add(1);
        }
        index >>= 1;
        width = width.div_ceil(2);
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: u32) -> Vec<Vec<u8>> {
        (0..count).map(|index| format!("leaf {index}").into_bytes()).collect()
    }

    #[test]
    fn an_empty_tree_has_the_zero_root_and_proves_nothing() {
        assert_eq!(merkle_root::<Vec<u8>>(&[]), Hash::ZERO);
        assert_eq!(Merkle::new::<Vec<u8>>(&[]).prove(0), None);
    }

    #[test]
    fn roots_are_built_as_written_in_the_protocol() {
        let leaf = |index: usize| Domain::MerkleLeaf.hash(&[&leaves(3)[index]]);
        let node = |left: Hash, right: Hash| Domain::MerkleNode.hash(&[&left.0, &right.0]);
        assert_eq!(merkle_root(&leaves(1)), leaf(0));
        assert_eq!(merkle_root(&leaves(2)), node(leaf(0), leaf(1)));
        // The odd third leaf is promoted, not doubled.
        assert_eq!(merkle_root(&leaves(3)), node(node(leaf(0), leaf(1)), leaf(2)));
    }

    #[test]
    fn roots_never_change() {
        let golden = [
            (1, "575ae8d1279c04551a3a0597f69ddd50cdb7c4c61d663a4924430f0fdcbea55b"),
            (3, "94c2880c8cd64f74ca2af202914f9f5a884427cc5cd51583eed64b759ce72be8"),
            (8, "aac9e7037a2fee6f4b068bd47079d66520d65da79cb16ad49e4c6e2914a74cbb"),
        ];
        for (count, root) in golden {
            assert_eq!(merkle_root(&leaves(count)).to_string(), root, "{count} leaves");
        }
    }

    #[test]
    fn every_member_of_every_small_tree_is_proved_and_no_other_leaf_is() {
        for count in 1..=17 {
            let (leaves, tree) = (leaves(count), Merkle::new(&leaves(count)));
            for (index, leaf) in (0..).zip(&leaves) {
                let proof = tree.prove(index).unwrap();
                assert_eq!(proof.verify(tree.root(), leaf, count), Ok(()));
                for other in leaves.iter().filter(|other| *other != leaf) {
                    assert!(proof.verify(tree.root(), other, count).is_err());
                }
            }
            assert_eq!(tree.prove(count), None);
        }
    }

    #[test]
    fn an_inner_node_does_not_pass_for_a_leaf() {
        let tree = Merkle::new(&leaves(4));
        let inner = [Blake3::hash(&leaves(4)[0]), Blake3::hash(&leaves(4)[1])].concat();
        let hashes = tree.prove(0).unwrap().hashes;
        let forged = MerkleProof { index: 0, total: 2, hashes: vec![hashes[1]] };
        assert!(matches!(forged.verify(tree.root(), &inner, 2), Err(MerkleError::Root { .. })));
    }

    proptest! {
        #[test]
        fn a_proof_with_any_part_changed_fails(
            count in 1_u32..40, pick in any::<u32>(), change in 0..6, byte in any::<u8>(), at in any::<usize>(),
        ) {
            let leaves = leaves(count);
            let tree = Merkle::new(&leaves);
            let index = pick % count;
            let mut leaf = leaves[index as usize].clone();
            let mut proof = tree.prove(index).unwrap();
            let mut total = count;
            match change {
                0 => proof.index = proof.index.wrapping_add(1 + pick % 7),
                1 => proof.total += 1,
                2 => { total += 1; proof.total += 1; }
                3 => proof.hashes.push(Hash([byte; 32])),
                4 if !proof.hashes.is_empty() => {
                    let place = at % proof.hashes.len();
                    proof.hashes[place].0[at % 32] ^= byte.max(1);
                }
                _ => { let place = at % leaf.len(); leaf[place] ^= byte.max(1); }
            }
            // Case 2: a tree with one more leaf may give this position the same shape; the total is then
            // the header's to get right, and the leaf itself is still a member.
            if change != 2 {
                prop_assert!(proof.verify(tree.root(), &leaf, total).is_err());
            } else if proof.verify(tree.root(), &leaf, total).is_ok() {
                prop_assert!(leaves.contains(&leaf));
            }
        }
    }
}
