//! Below the messages: callers that are slow, silent, many or ambiguous. None of them may hold what others need.

use super::{picture, stranger, tally, until};
use connector_tests::{
    harness::{Connector, World},
    peer::{Peer, catalog_request},
};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How long a connection may outlive a time-out of 300 ms on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

async fn world() -> World {
    world_with(&[
        ("#handshake_timeout = \"5s\"", "handshake_timeout = \"300ms\""),
        ("#header_timeout = \"10s\"", "header_timeout = \"300ms\""),
        ("#body_timeout = \"20s\"", "body_timeout = \"300ms\""),
        ("#connections_per_peer = 64", "connections_per_peer = 8"),
    ])
    .await
}

async fn world_with(settings: &[(&str, &str)]) -> World {
    let mut world = World::init(&["school", "work", "other"]);
    let school = world.get_mut("school");
    let mut config = std::fs::read_to_string(school.config()).unwrap();
    for (default, chosen) in settings {
        assert!(config.contains(default), "{default}");
        config = config.replace(default, chosen);
    }
    std::fs::write(school.config(), config).unwrap();
    school.start().await;
    world
}

/// Reads until the other side closes; what came before that, or `None` when it does not close.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let read = async {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            all.extend_from_slice(&chunk[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.ok()?;
    Some(all)
}

/// Writes one byte every 50 ms until the other side closes.
async fn trickle<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, head: &[u8], byte: u8) -> Option<Vec<u8>> {
    stream.write_all(head).await.ok()?;
    let begun = Instant::now();
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    while begun.elapsed() < PATIENCE {
        if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
            return Some(all);
        }
        match tokio::time::timeout(Duration::from_millis(50), stream.read(&mut chunk)).await {
            Ok(Ok(count @ 1..)) => all.extend_from_slice(&chunk[..count]),
            Ok(_) => return Some(all),
            Err(_) => {}
        }
    }
    None
}

fn head(to: &Connector, more: &str) -> Vec<u8> {
    format!(
        "POST /dsp/2025-1/catalog/request HTTP/1.1\r\nhost: localhost:{}\r\n{more}",
        to.port
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_callers_are_shown_the_door() {
    let world = world().await;
    let (school, peer) = (world.get("school"), Peer::of(world.get("work")));
    let before = picture(school).await;

    let mut silent = TcpStream::connect(("127.0.0.1", school.port)).await.unwrap();
    assert!(closed(&mut silent).await.is_some(), "a silent connection stays");
    let mut garbage = TcpStream::connect(("127.0.0.1", school.port)).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(closed(&mut garbage).await.is_some(), "a plain connection stays");
    let mut slow = TcpStream::connect(("127.0.0.1", school.port)).await.unwrap();
    assert!(
        trickle(&mut slow, &[0x16, 3, 1, 1, 0], 0).await.is_some(),
        "a slow handshake stays"
    );
    let mut tls = peer.tls(school, &["http/1.1"]).await.unwrap();
    assert!(closed(&mut tls).await.is_some(), "a silent HTTP/1.1 connection stays");
    let mut tls = peer.tls(school, &["h2"]).await.unwrap();
    assert!(closed(&mut tls).await.is_some(), "a silent HTTP/2 connection stays");
    let mut tls = peer.tls(school, &["h2"]).await.unwrap();
    tls.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    assert!(closed(&mut tls).await.is_some(), "half an HTTP/2 preface stays");
    let mut tls = peer.tls(school, &["h2"]).await.unwrap();
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    assert!(
        closed(&mut tls).await.is_some(),
        "HTTP/2 without an answer to pings stays"
    );
    let mut tls = peer.tls(school, &["http/1.1"]).await.unwrap();
    let slow = trickle(&mut tls, &head(school, "x: "), b'a').await;
    assert!(slow.is_some(), "slow headers stay");

    let mut tls = peer.tls(school, &["http/1.1"]).await.unwrap();
    let signature = peer
        .letter(school, "/catalog/request", &catalog_request())
        .signatures
        .remove(0);
    let slow = trickle(
        &mut tls,
        &head(
            school,
            &format!("x-jws-signature: {signature}\r\ncontent-length: 1000\r\n\r\n"),
        ),
        b'a',
    )
    .await;
    let answer = String::from_utf8(slow.expect("a slow body stays")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"timeout\""), "{answer}");
    assert_eq!(before, picture(school).await);
    assert_eq!(peer_status(&world, "other").await, 401, "others are served");
    tally("slow and silent callers", 9);
}

/// What a caller without a key gets: it shows that somebody is served at all.
async fn peer_status(world: &World, name: &str) -> u16 {
    let peer = Peer::of(world.get(name));
    let peer = peer.signing_as(stranger("did:web:nobody.invalid#k1"));
    let letter = peer.letter(world.get("school"), "/catalog/request", &catalog_request());
    peer.try_send(world.get("school"), &letter)
        .await
        .map_or(0, |reply| reply.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_ends_at_the_limit() {
    let world = world().await;
    let school = world.get("school");
    let mut held = Vec::new();
    // The time-out of the handshake frees them again: the flood goes on, and never has more than its share.
    for _ in 0..100 {
        held.push(TcpStream::connect(("127.0.0.1", school.port)).await.unwrap());
    }
    let mut cut = 0;
    for stream in &mut held {
        let mut byte = [0];
        // Only the first eight are kept until their handshake times out; the others are closed at once.
        if let Ok(Ok(0) | Err(_)) = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut byte)).await {
            cut += 1;
        }
    }
    assert!(cut >= 92, "only {cut} of 100 were cut");
    drop(held);
    let begun = Instant::now();
    while peer_status(&world, "work").await != 401 {
        assert!(begun.elapsed() < PATIENCE, "nobody is served after the flood");
    }
    tally("floods", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_meaning_or_none() {
    let world = world().await;
    let (school, peer) = (world.get("school"), Peer::of(world.get("work")));
    let before = picture(school).await;
    let hidden = format!(
        "GET /.well-known/did.json HTTP/1.1\r\nhost: localhost:{}\r\n\r\n",
        school.port
    );
    let large = "a".repeat(300 << 10);
    let many: String = (0..200).map(|at| format!("x-{at}: a\r\n")).collect();
    let cases = [
        (
            "two lengths",
            format!("content-length: 0\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len()),
        ),
        (
            "two lengths in one",
            format!("content-length: 0, {}\r\n\r\n{hidden}", hidden.len()),
        ),
        (
            "a length with a sign",
            format!("content-length: +{}\r\n\r\n{hidden}", hidden.len()),
        ),
        ("a length that is none", format!("content-length: 0x10\r\n\r\n{hidden}")),
        (
            "chunked, then not",
            format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "an unknown coding",
            format!("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "a space before the colon",
            format!("content-length : 0\r\n\r\n{hidden}"),
        ),
        (
            "a folded header",
            format!("x: a\r\n b\r\ncontent-length: 0\r\n\r\n{hidden}"),
        ),
        ("a zero byte in a header", format!("x: a\0b\r\n\r\n{hidden}")),
        ("a header of 300 KiB", format!("x: {large}\r\n\r\n")),
        ("200 headers", format!("{many}\r\n")),
    ];
    for (name, more) in &cases {
        let mut tls = peer.tls(school, &["http/1.1"]).await.unwrap();
        // The connector may close before it has read all of it.
        let _ = tls.write_all(&head(school, more)).await;
        let answer = closed(&mut tls)
            .await
            .unwrap_or_else(|| panic!("{name}: the connection stays"));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            !answer.contains("verificationMethod"),
            "{name}: what was hidden was served: {answer}"
        );
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{name}: {answer}"
        );
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{name}: {answer}");
    }
    // A length beside a coding: the coding counts (RFC 9112 §6.3), and what follows it is not hidden in the body.
    let mut tls = peer.tls(school, &["http/1.1"]).await.unwrap();
    let both = head(
        school,
        &format!("content-length: 3\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n{hidden}"),
    );
    tls.write_all(&both).await.unwrap();
    let answer = closed(&mut tls).await.expect("an end");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(!answer.contains("verificationMethod"), "{answer}");
    assert_eq!(before, picture(school).await);
    tally("ambiguous requests", cases.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_did_document_never_comes_delays_nobody_else() {
    let mut world = world().await;
    world.get_mut("other").start().await;
    let school = world.get("school");
    // It accepts connections and says nothing.
    let silent = TcpListener::bind(("127.0.0.1", world.get("work").port)).await.unwrap();
    let (seen, mut first) = tokio::sync::mpsc::unbounded_channel();
    let hold = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
            let _ = seen.send(());
        }
    });
    // Whoever knows the DID can write this: the signature is not even looked at before the key is there.
    let mute = Peer::of(world.get("work"));
    let forged = mute.signing_as(stranger(mute.signer.kid()));
    let letters: Vec<_> = (0..4)
        .map(|_| forged.letter(school, "/catalog/request", &catalog_request()))
        .collect();
    let waiting: Vec<_> = letters
        .into_iter()
        .map(|letter| {
            let forged = forged.clone();
            tokio::spawn(async move { forged.post(&letter).await })
        })
        .collect();
    tokio::time::timeout(PATIENCE, first.recv()).await.unwrap();
    let begun = Instant::now();
    let other = Peer::of(world.get("other"));
    let reply = other.say(school, "/catalog/request", &catalog_request()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "another peer waited {:?} for the silent one",
        begun.elapsed()
    );
    for task in waiting {
        task.abort();
    }
    hold.abort();
    tally("silent DID documents", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_strangers_do_not_fill_the_memory() {
    let world = world_with(&[("#body_timeout = \"20s\"", "body_timeout = \"4s\"")]).await;
    let (school, peer) = (world.get("school"), Peer::of(world.get("work")));
    let before = school.rss_mib();
    // Every body stops one byte before its end; the signature is a stranger's under a name that is known.
    let forged = peer.signing_as(stranger(peer.signer.kid()));
    let letter = forged.letter(school, "/catalog/request", &catalog_request());
    let attackers: Vec<_> = (0..4).map(|_| Peer::of(world.get("work"))).collect();
    let stalled = attackers.iter().flat_map(|attacker| {
        let letter = &letter;
        (0..100).map(move |_| attacker.stall(letter, (1 << 20) - 1))
    });
    let all = futures_util::future::join_all(stalled);
    tokio::pin!(all);
    let mut highest = before;
    let statuses = loop {
        tokio::select! {
            statuses = &mut all => break statuses,
            () = tokio::time::sleep(Duration::from_millis(20)) => highest = highest.max(school.rss_mib()),
        }
    };
    assert!(
        highest - before < 120.0,
        "{:.0} MiB for 400 MiB of strangers' bodies",
        highest - before
    );
    // 0: the connection was cut because too much on it was refused.
    assert!(
        statuses.iter().all(|status| matches!(status, 0 | 408 | 503)),
        "{statuses:?}"
    );
    let read = statuses.iter().filter(|status| **status == 408).count();
    assert!(
        (1..=64).contains(&read) && statuses.contains(&503),
        "{read}: {statuses:?}"
    );
    let letter = peer.letter(school, "/catalog/request", &catalog_request());
    assert_eq!(
        peer.send(school, &letter).await.status,
        401,
        "the stranger's own identity is looked at again"
    );
    tally("bodies that never end", statuses.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_found() {
    let world = world().await;
    let (school, peer) = (world.get("school"), Peer::of(world.get("work")));
    let before = picture(school).await;
    let paths = [
        "/",
        "/v1/status",
        "/v1/datasets",
        "/dsp/2025-1",
        "/dsp/2025-1/",
        "/dsp/2025-1/../v1/status",
        "/data",
        "/data/",
        "/data/%2e%2e",
        "/.well-known/",
        "/dsp/2025-1/catalog",
        "//v1/status",
        "/dsp/2025-1/negotiations/%00",
    ];
    for path in paths {
        let (status, bytes) = peer.fetch(&format!("{}{path}", school.root()), None).await;
        assert!(
            (400..500).contains(&status),
            "{path}: {status} {:?}",
            String::from_utf8_lossy(&bytes)
        );
        assert!(!String::from_utf8_lossy(&bytes).contains("auditEntries"), "{path}");
    }
    let shown: Value = until(school, "/v1/status", "there", |_| true).await;
    assert_eq!(shown["negotiations"], 0);
    assert_eq!(before, picture(school).await);
    tally("paths that do not exist", paths.len());
}
