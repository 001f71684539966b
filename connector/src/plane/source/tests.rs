use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Each line, or the code of its refusal, with the position after it.
fn read(path: &Path, position: u64) -> io::Result<Vec<(String, u64)>> {
    let mut source = FileSource::open(path, position)?;
    let (mut line, mut lines) = (b"left over".to_vec(), Vec::new());
    while let Some(outcome) = source.next(&mut line)? {
        let text = match outcome {
            LineOutcome::Line => String::from_utf8(line.clone()).unwrap(),
            LineOutcome::Refused(error) => {
                assert!(line.is_empty());
                error.code().to_owned()
            }
        };
        lines.push((text, source.position()));
    }
    assert_eq!(source.next(&mut line)?, None);
    Ok(lines)
}

fn texts(lines: Vec<(String, u64)>) -> Vec<String> {
    lines.into_iter().map(|(text, _)| text).collect()
}

#[test]
fn lines_end_in_either_way_and_empty_ones_are_passed_over() {
    let (_folder, path) = file("a.ndjson", b"one\r\n\n\r\ntwo\n  \nthree");
    let expected = [("one", 5), ("two", 12), ("  ", 15), ("three", 20)];
    assert_eq!(
        read(&path, 0).unwrap(),
        expected.map(|(text, position)| (text.to_owned(), position))
    );
}

#[test]
fn an_empty_file_has_no_line() {
    for (name, bytes) in [("a", vec![]), ("b", b"\n\r\n\n".to_vec()), ("c.gz", gzip(b""))] {
        let (_folder, path) = file(name, &bytes);
        assert_eq!(read(&path, 0).unwrap(), [], "{name}");
    }
}

#[test]
fn gzip_is_known_by_name_or_by_magic_and_may_have_many_members() {
    let bytes = [gzip(b"one\ntw"), gzip(b""), gzip(b"o\nthree\n")].concat();
    for name in ["a.ndjson.gz", "a.ndjson"] {
        let (_folder, path) = file(name, &bytes);
        assert_eq!(texts(read(&path, 0).unwrap()), ["one", "two", "three"]);
        assert_eq!(texts(read(&path, 4).unwrap()), ["two", "three"]);
    }
}

#[test]
fn a_gzip_stream_that_breaks_off_is_an_error_and_its_last_line_is_not_given() {
    // Poorly compressible, so that the cut falls into the data.
    let text: String = (0..20_000_u64)
        .map(|n| format!("{:x}\n", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
        .collect();
    let whole = gzip(text.as_bytes());
    for cut in [whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        let (_folder, path) = file("a.gz", &whole[..cut]);
        let mut source = FileSource::open(&path, 0).unwrap();
        let (mut line, mut end) = (Vec::new(), 0);
        let error = loop {
            match source.next(&mut line) {
                Ok(Some(_)) => end += line.len() + 1,
                Ok(None) => panic!("the end was taken for a proper one"),
                Err(error) => break error,
            }
            assert_eq!(source.position(), end as u64);
            assert_eq!(text.as_bytes()[end - 1], b'\n');
            assert!(text.as_bytes()[..end - 1].ends_with(&line));
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
    let (_folder, path) = file("a.gz", b"{\"plain\":1}\n");
    assert!(read(&path, 0).is_err());
}

#[test]
fn a_line_over_the_limit_is_passed_over_without_being_held() {
    let fits = "x".repeat(MAX_RECORD);
    let text = format!("{fits}\n{fits}\r\n{fits}y\n{}\nlast", "z".repeat(40 * MAX_RECORD));
    for (name, bytes) in [("a", text.clone().into_bytes()), ("a.gz", gzip(text.as_bytes()))] {
        let (_folder, path) = file(name, &bytes);
        assert_eq!(
            texts(read(&path, 0).unwrap()),
            [fits.as_str(), &fits, "too-long", "too-long", "last"]
        );
        let mut source = FileSource::open(&path, 0).unwrap();
        let mut line = Vec::new();
        while source.next(&mut line).unwrap().is_some() {}
        assert!(line.capacity() <= 2 * MAX_RECORD + 2);
        assert_eq!(source.position(), text.len() as u64);
    }
}

#[test]
fn a_last_line_over_the_limit_is_reported_too() {
    for ending in ["", "\n", "\r\n"] {
        let (_folder, path) = file("a", format!("{}{ending}", "x".repeat(MAX_RECORD + 1)).as_bytes());
        assert_eq!(texts(read(&path, 0).unwrap()), ["too-long"]);
    }
}

#[test]
fn a_position_where_no_line_begins_is_refused() {
    for (name, bytes) in [("a", b"one\ntwo".to_vec()), ("a.gz", gzip(b"one\ntwo"))] {
        let (_folder, path) = file(name, &bytes);
        for position in [0, 4, 7] {
            assert!(read(&path, position).is_ok(), "{name} at {position}");
        }
        for position in [1, 2, 3, 5, 6, 8, 1_000, u64::MAX / 2] {
            let error = read(&path, position).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name} at {position}");
        }
    }
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(folder.path(), 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(
        read(Path::new("/dev/null"), 0).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
    assert_eq!(
        read(&folder.path().join("absent"), 0).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[test]
fn the_fingerprint_is_the_same_until_the_file_changes() {
    let (_folder, path) = file("a", b"one\ntwo\n");
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5);
    let write = |bytes: &[u8], time: SystemTime| {
        fs::write(&path, bytes).unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
        FileSource::open(&path, 4).unwrap().fingerprint()
    };
    let first = write(b"one\ntwo\n", time);
    assert_eq!(write(b"one\ntwo\n", time), first);
    assert_eq!(FileSource::open(&path, 0).unwrap().fingerprint(), first);
    let changed = [
        write(b"one\ntwo\n", time + Duration::from_nanos(1)),
        write(b"one\ntwo\n", SystemTime::UNIX_EPOCH - Duration::new(1_700_000_000, 5)),
        write(b"one\ntwo\nthree\n", time),
        write(b"0ne\ntwo\n", time),
    ];
    for (index, fingerprint) in changed.iter().enumerate() {
        assert_ne!(*fingerprint, first);
        assert!(!changed[..index].contains(fingerprint));
    }
}

#[test]
fn the_records_of_a_real_platform_are_read_and_resumed() {
    let data = std::env::var("SHARED_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned());
    let path = Path::new(&data).join("records/statements.json.gz");
    if !path.exists() {
        println!("skipped: ../shared/data is not here");
        return;
    }
    let lines = read(&path, 0).unwrap();
    assert_eq!(lines.len(), 22_000);
    assert_eq!(read(&path, lines[19_999].1).unwrap(), lines[20_000..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn reading_on_from_any_position_gives_the_rest(
        pieces in prop::collection::vec(prop_oneof!["[a-z]{0,9}\r?\n", Just("\n".to_owned()), Just("x".repeat(70_000) + "\n")], 0..12),
        last in "[a-z]{0,5}",
        zipped in any::<bool>(),
    ) {
        let text = pieces.concat() + &last;
        let expected: Vec<_> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let (_folder, path) = file("a", &if zipped { gzip(text.as_bytes()) } else { text.clone().into_bytes() });
        let lines = read(&path, 0).unwrap();
        for (index, (_, position)) in lines.iter().enumerate() {
            prop_assert_eq!(&read(&path, *position).unwrap(), &lines[index + 1..]);
        }
        prop_assert_eq!(texts(lines), expected);
    }
}
