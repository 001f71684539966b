use super::*;
use crate::jose::testing;
use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;

fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

/// RFC 6962 §2.1 word for word: the oracle for the frontier.
fn by_definition(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::EMPTY,
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(&by_definition(&leaves[..k]), &by_definition(&leaves[k..]))
        }
    }
}

#[test]
fn leaf_and_node_have_their_prefixes() {
    assert_eq!(leaf_hash(b""), sha256(&[0]));
    assert_eq!(leaf_hash(b"abc"), sha256(b"\0abc"));
    let (a, b) = (sha256(b"a"), sha256(b"b"));
    assert_eq!(
        node_hash(&a, &b),
        sha256(&[&[1], a.as_bytes().as_slice(), b.as_bytes()].concat())
    );
}

/// The test tree that Certificate Transparency logs publish: eight entries and the root after each.
#[test]
fn roots_of_the_well_known_tree() {
    let entries = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Frontier::new();
    assert_eq!(tree.root(), Digest::EMPTY);
    for (entry, expected) in entries.iter().zip(roots) {
        tree.append(leaf_hash(&testing::hex(entry)));
        assert_eq!(tree.root().as_bytes().as_slice(), testing::hex(expected));
    }
    assert_eq!(tree.size(), 8);
}

#[test]
fn the_frontier_equals_the_definition_and_survives_its_bytes() {
    let all = leaves(130);
    let mut tree = Frontier::new();
    for count in 0..=all.len() {
        assert_eq!(tree.root(), by_definition(&all[..count]), "{count}");
        assert_eq!(root(&all[..count]), tree.root());
        tree = Frontier::from_bytes(&tree.to_bytes()).unwrap();
        assert_eq!(tree.size(), count as u64);
        tree.extend(all.get(count).copied());
    }
}

#[test]
fn a_frontier_of_the_wrong_length_is_refused() {
    let mut tree = Frontier::new();
    tree.extend(leaves(5));
    let bytes = tree.to_bytes();
    assert_eq!(bytes.len(), 8 + 2 * 32);
    for wrong in [&bytes[..0], &bytes[..7], &bytes[..8], &bytes[..40], &bytes[..71]] {
        assert_eq!(Frontier::from_bytes(wrong), Err(FrontierError));
    }
    assert_eq!(
        Frontier::from_bytes(&[bytes.as_slice(), &[0; 32]].concat()),
        Err(FrontierError)
    );
    assert_eq!(Frontier::from_bytes(&[0; 8]), Ok(Frontier::new()));
}

#[test]
fn every_proof_of_every_small_tree_verifies_and_no_other_does() {
    let all = leaves(40);
    for size in 0..=all.len() {
        let tree = &all[..size];
        let top = root(tree);
        for index in 0..size {
            let proof = inclusion_proof(tree, index as u64).unwrap();
            for claimed in 0..=size {
                let accepted = verify_inclusion(&tree[index], claimed as u64, size as u64, &proof, &top);
                assert_eq!(accepted, claimed == index, "leaf {index} as {claimed} of {size}");
            }
        }
        assert_eq!(inclusion_proof(tree, size as u64), None);
        for old in 0..=size {
            let proof = consistency_proof(tree, old as u64).unwrap();
            for claimed in 0..=size {
                let accepted = verify_consistency(claimed as u64, &root(&tree[..old]), size as u64, &top, &proof);
                assert_eq!(accepted, claimed == old, "{old} as {claimed} of {size}");
            }
        }
        assert_eq!(consistency_proof(tree, size as u64 + 1), None);
    }
}

#[test]
fn proofs_of_a_huge_tree_are_short() {
    assert_eq!(inclusion_ranges(0, u64::MAX).unwrap().len(), 64);
    assert!(consistency_ranges(u64::MAX - 1, u64::MAX).unwrap().len() <= 64);
    assert!(!verify_inclusion(
        &Digest::EMPTY,
        u64::MAX,
        u64::MAX,
        &[],
        &Digest::EMPTY
    ));
    assert!(!verify_consistency(u64::MAX, &Digest::EMPTY, 0, &Digest::EMPTY, &[]));
}

#[test]
fn the_empty_tree_begins_every_tree_and_has_one_root() {
    let (empty, other) = (Digest::EMPTY, sha256(b"x"));
    assert!(verify_consistency(0, &empty, 0, &empty, &[]));
    assert!(verify_consistency(0, &empty, 5, &other, &[]));
    assert!(!verify_consistency(0, &other, 5, &other, &[]));
    assert!(!verify_consistency(0, &other, 0, &other, &[]));
    assert!(!verify_consistency(0, &empty, 5, &other, &[other]));
}

fn hash(value: &Value) -> Option<Digest> {
    let bytes = BASE64_STANDARD.decode(value.as_str().unwrap_or_default()).unwrap();
    bytes.try_into().ok().map(Digest::from_bytes)
}

/// A hash of the wrong length cannot even be expressed; such a vector counts as refused.
fn hashes(value: &Value) -> Option<Vec<Digest>> {
    value
        .as_array()
        .map_or_else(|| Some(Vec::new()), |list| list.iter().map(hash).collect())
}

fn inclusion(case: &Value) -> Option<bool> {
    let (leaf, proof, root) = (hash(&case["leafHash"])?, hashes(&case["proof"])?, hash(&case["root"])?);
    Some(verify_inclusion(
        &leaf,
        case["leafIdx"].as_u64().unwrap(),
        case["treeSize"].as_u64().unwrap(),
        &proof,
        &root,
    ))
}

fn consistency(case: &Value) -> Option<bool> {
    let (old, new, proof) = (hash(&case["root1"])?, hash(&case["root2"])?, hashes(&case["proof"])?);
    Some(verify_consistency(
        case["size1"].as_u64().unwrap(),
        &old,
        case["size2"].as_u64().unwrap(),
        &new,
        &proof,
    ))
}

fn run_folder(folder: &Path, verify: fn(&Value) -> Option<bool>) -> [usize; 2] {
    let mut counts = [0, 0];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let [good, bad] = run_folder(&path, verify);
            counts = [counts[0] + good, counts[1] + bad];
            continue;
        }
        let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let wanted = !case["wantErr"].as_bool().unwrap();
        assert_eq!(verify(&case).unwrap_or(false), wanted, "{}", path.display());
        counts[usize::from(!wanted)] += 1;
    }
    counts
}

#[test]
fn published_proofs_good_and_bad() {
    let Some(folder) = testing::shared("merkle") else {
        return;
    };
    type Verifier = fn(&Value) -> Option<bool>;
    let proofs: [(&str, Verifier, usize); 2] = [("inclusion", inclusion, 4), ("consistency", consistency, 3)];
    for (kind, verify, least) in proofs {
        let [accepted, refused] = run_folder(&folder.join(kind), verify);
        assert!(
            accepted >= least && refused >= 30,
            "{kind}: {accepted} good, {refused} bad"
        );
        let tally = testing::Tally {
            accepted,
            refused,
            ..testing::Tally::default()
        };
        tally.show(&format!("Merkle proofs of {kind}"), least + 30);
    }
}

proptest! {
    #[test]
    fn one_flipped_bit_breaks_an_inclusion_proof(size in 2u64..200, pick in any::<prop::sample::Index>(), bit in 0usize..256, at in any::<prop::sample::Index>()) {
        let all = leaves(size);
        let index = pick.index(all.len());
        let mut proof = inclusion_proof(&all, index as u64).unwrap();
        let at = at.index(proof.len());
        let mut bytes = *proof[at].as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        proof[at] = Digest::from_bytes(bytes);
        prop_assert!(!verify_inclusion(&all[index], index as u64, size, &proof, &root(&all)));
    }

    #[test]
    fn arbitrary_proofs_neither_panic_nor_pass(old in any::<u64>(), new in any::<u64>(), length in 0usize..70) {
        let (junk, other) = (vec![sha256(b"junk"); length], sha256(b"other"));
        prop_assert!(!verify_inclusion(&other, old, new, &junk, &sha256(b"root")));
        prop_assert!(!verify_consistency(old.max(1), &other, new, &sha256(b"root"), &junk));
    }
}

/// Not a test of correctness: prints what one core does.
/// `cargo test --release -p connector --lib -- --ignored --nocapture a_measurement`
#[test]
#[ignore = "a measurement"]
fn a_measurement_of_appending() {
    let record = vec![7; 1120];
    let mut tree = Frontier::new();
    testing::rate("leaf_hash of 1,120 bytes", || {
        std::hint::black_box(leaf_hash(&record));
    });
    testing::rate("append", || tree.append(Digest::EMPTY));
    testing::rate("leaf_hash and append", || tree.append(leaf_hash(&record)));
    std::hint::black_box(tree.root());
}
