use super::*;
use crate::{
    audit::merkle::{Frontier, leaf_hash, root, verify_consistency, verify_inclusion},
    store::{Batch, MemoryStore},
};

fn leaf(number: u64) -> Digest {
    leaf_hash(&number.to_be_bytes())
}

/// A store with the tiles of a tree of this many leaves, full and partial, as a seal writes them.
async fn filled(size: u64) -> MemoryStore {
    let (store, mut edge, mut full) = (MemoryStore::new(), Edge::new(), Vec::new());
    for number in 0..size {
        edge.append(leaf(number), &mut full);
    }
    let mut batch = Batch::new();
    for (tile, row) in &full {
        batch.append(tile.full(), bytes(row));
    }
    for (tile, row) in edge.partial() {
        batch.put(PARTIAL, tile.key(), bytes(row));
    }
    store.commit(batch).await.unwrap();
    store
}

/// The examples of tlog-tiles.
#[test]
fn paths_are_spelt_as_published() {
    let tile = |level, index| Tile { level, index };
    assert_eq!(tile(0, 1_234_067).path(256), "0/x001/x234/067");
    assert_eq!(tile(2, 0).path(1), "2/000.p/1");
    assert_eq!(tile(1, 273).path(17), "1/273.p/17");
    for path in [
        "0/x001/x234/067",
        "0/000",
        "63/000.p/255",
        "7/x999/999.p/1",
        "0/x018/x446/x744/x073/x709/x551/615",
    ] {
        let (tile, width) = Tile::read(path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(tile.path(width), path);
    }
}

#[test]
fn no_other_spelling_of_a_path_is_read() {
    for bad in [
        "",
        "0",
        "0/",
        "/000",
        "0/0",
        "0/00",
        "0/0000",
        "00/000",
        "+0/000",
        "64/000",
        "256/000",
        "-1/000",
        "0/x000/000",
        "0/001/000",
        "0/x001/x000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/",
        "0/000.p",
        "0/000/",
        "0/000.p/1/",
        "0/x001//000",
        "0/../000",
        "entries/000",
        "0/x018/x446/x744/x073/x709/x551/616",
        "0/x999/x999/x999/x999/x999/x999/x999/999",
        "0/00a",
        "0/ 00",
        "0/000.p/+1",
    ] {
        assert_eq!(Tile::read(bad), None, "{bad}");
    }
}

/// The example of tlog-tiles: a tree of 70,000, and one of 256.
#[test]
fn widths_are_those_of_the_published_example() {
    let width = |level, index, size| Tile { level, index }.width_in(size);
    assert_eq!(
        (width(0, 272, 70_000), width(0, 273, 70_000), width(0, 274, 70_000)),
        (256, 112, 0)
    );
    assert_eq!(
        (
            width(1, 0, 70_000),
            width(1, 1, 70_000),
            width(2, 0, 70_000),
            width(3, 0, 70_000)
        ),
        (256, 17, 1, 0)
    );
    assert_eq!((width(0, 0, 256), width(1, 0, 256), width(0, 1, 256)), (256, 1, 0));
    assert_eq!(width(63, 0, u64::MAX), 0);
    assert_eq!(width(7, 0, u64::MAX), 255);
    assert_eq!(width(0, u64::MAX, u64::MAX), 0);
}

#[tokio::test]
async fn the_edge_equals_the_frontier_and_is_found_again_in_the_tiles() {
    let (mut edge, mut frontier, mut full) = (Edge::new(), Frontier::new(), Vec::new());
    assert_eq!(edge.root(), Digest::EMPTY);
    for number in 0..1300 {
        edge.append(leaf(number), &mut full);
        frontier.append(leaf(number));
        assert_eq!(
            (edge.size(), edge.root()),
            (frontier.size(), frontier.root()),
            "{number}"
        );
    }
    let (store, mut smaller) = (filled(66_000).await, Edge::new());
    for number in 0..66_000 {
        smaller.append(leaf(number), &mut full);
        // The tiles of the larger tree begin with those of every smaller one.
        if matches!(
            number + 1,
            1 | 255 | 256 | 257 | 511 | 4_096 | 65_535 | 65_536 | 65_537 | 66_000
        ) {
            let mut expected = smaller.clone();
            expected.levels.truncate(
                expected
                    .levels
                    .iter()
                    .rposition(|row| !row.is_empty())
                    .map_or(0, |at| at + 1),
            );
            let loaded = Edge::load(&store, number + 1).await.unwrap();
            assert_eq!(
                (loaded.size, loaded.root()),
                (expected.size, expected.root()),
                "{number}"
            );
        }
    }
}

/// Subtree roots by definition (RFC 6962 §2.1), each computed once.
struct Definition(Vec<Digest>, HashMap<Range<u64>, Digest>);

impl Definition {
    fn roots(&mut self, ranges: Vec<Range<u64>>) -> Vec<Digest> {
        let of = |range: Range<u64>| {
            let leaves = &self.0[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            *self.1.entry(range).or_insert_with(|| root(leaves))
        };
        ranges.into_iter().map(of).collect()
    }
}

#[tokio::test]
async fn proofs_from_tiles_equal_proofs_from_the_definition_for_every_size_to_600() {
    let mut definition = Definition((0..600).map(leaf).collect(), HashMap::new());
    let (mut proofs, whole) = (0, filled(600).await);
    for size in 1..=600 {
        // Every leaf where trees are small or a tile has just become full, and a few in all others.
        let step = if size <= 80 || matches!(size, 250..=260 | 508..=516) {
            1
        } else {
            23
        };
        // Both a store that holds this tree alone and one that has grown on.
        let alone = filled(size).await;
        for (store, step) in [(&alone, step), (&whole, 37)] {
            let mut reader = Reader::new(store, size);
            for at in (0..=size).step_by(step) {
                let expected = merkle::inclusion_ranges(at, size).map(|ranges| definition.roots(ranges));
                assert_eq!(reader.inclusion(at).await.unwrap(), expected, "leaf {at} of {size}");
                let expected = merkle::consistency_ranges(at, size).map(|ranges| definition.roots(ranges));
                assert_eq!(reader.consistency(at).await.unwrap(), expected, "{at} in {size}");
                proofs += 2;
            }
        }
    }
    println!("{proofs} proofs compared");
}

#[tokio::test]
async fn proofs_of_larger_trees_verify_and_read_few_tiles() {
    let mut seed = 0x9E37_79B9_u64;
    let mut random = |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 16) % below
    };
    let (most, mut edge, mut full) = (150_000, Edge::new(), Vec::new());
    let store = filled(most).await;
    let mut sizes: Vec<u64> = (0..40)
        .map(|_| 1 + random(most))
        .chain([65_536, 65_537, most])
        .collect();
    sizes.sort_unstable();
    for size in sizes {
        while edge.size() < size {
            edge.append(leaf(edge.size()), &mut full);
        }
        full.clear();
        for _ in 0..20 {
            let (mut reader, index) = (Reader::new(&store, size), random(size));
            let proof = reader.inclusion(index).await.unwrap().unwrap();
            assert!(
                verify_inclusion(&leaf(index), index, size, &proof, &edge.root()),
                "{index} of {size}"
            );
            assert!(
                reader.read.len() <= 6,
                "{} tiles for {index} of {size}",
                reader.read.len()
            );
            let (mut reader, old) = (Reader::new(&store, size), 1 + random(size));
            let proof = reader.consistency(old).await.unwrap().unwrap();
            let older = Edge::load(&store, old).await.unwrap().root();
            assert!(
                verify_consistency(old, &older, size, &edge.root(), &proof),
                "{old} in {size}"
            );
            assert!(
                reader.read.len() <= 6,
                "{} tiles for {old} in {size}",
                reader.read.len()
            );
        }
    }
}

#[tokio::test]
async fn a_truncated_missing_or_misshapen_tile_is_named_and_gives_no_proof() {
    let size = 600;
    let damaged = [
        Tile { level: 0, index: 0 },
        Tile { level: 0, index: 2 },
        Tile { level: 1, index: 0 },
    ];
    for (tile, index) in damaged.into_iter().zip([5, 0, 599]) {
        let (table, key) = match tile.width_in(size) {
            WIDTH => (tile.full(), tile.index.to_be_bytes().to_vec()),
            _ => (PARTIAL, tile.key().to_vec()),
        };
        let whole = {
            let store = filled(size).await;
            store.get(table, &key).await.unwrap().unwrap().value
        };
        let cuts = [0, 1, 31, 32, whole.len() - 33, whole.len() - 32, whole.len() - 1];
        for cut in cuts.into_iter().map(Some).chain([None]) {
            let store = filled(size).await;
            let mut batch = Batch::new();
            match cut {
                Some(cut) => batch.put(table, key.clone(), &whole[..cut]),
                None => batch.delete(table, key.clone()),
            };
            store.commit(batch).await.unwrap();
            let mut reader = Reader::new(&store, size);
            let result = reader.tile(tile).await.map(<[Digest]>::len);
            assert!(
                matches!(result, Err(TileError::Damaged(named)) if named == tile),
                "{tile:?} cut to {cut:?}"
            );
            let proof = Reader::new(&store, size).inclusion(index).await;
            assert!(proof.is_err(), "{tile:?} cut to {cut:?}");
        }
    }
    assert_eq!(hashes(&vec![0; 257 * 32]), None, "more than a tile holds");
}
