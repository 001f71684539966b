use super::*;
use clap::CommandFactory;

/// Every command with the words that lead to it.
fn commands() -> Vec<(String, clap::Command)> {
    fn walk(command: &clap::Command, before: &str, found: &mut Vec<(String, clap::Command)>) {
        let name = format!("{before}{}", command.get_name());
        for inner in command.get_subcommands() {
            walk(inner, &format!("{name} "), found);
        }
        found.push((name, command.clone()));
    }
    let mut found = Vec::new();
    walk(&Cli::command(), "", &mut found);
    found
}

/// The command lines in a command's examples.
fn examples(command: &clap::Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = help.lines().skip_while(|line| *line != "EXAMPLES:").skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.trim().to_owned())
        .collect()
}

/// The words of an example up to a pipe or a redirection, quotes as in a shell.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut quoted = false;
    let mut word = String::new();
    for c in line.chars().chain([' ']) {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            other => word.push(other),
        }
    }
    words
        .into_iter()
        .take_while(|word| !matches!(word.as_str(), "|" | ">" | "<"))
        .collect()
}

#[test]
fn the_command_tree_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_examples_that_work() {
    let all = commands();
    assert!(all.len() > 35, "{}", all.len());
    for (name, command) in all {
        let examples = examples(&command);
        assert!(!examples.is_empty(), "{name} has no EXAMPLES section");
        assert!(
            command.get_about().is_some_and(|about| !about.to_string().is_empty()),
            "{name} does not say what it does"
        );
        for example in examples {
            assert!(example.starts_with(&name), "{name}: {example}");
            if let Err(error) = Cli::try_parse_from(words(&example)) {
                panic!("{example}\n{error}");
            }
        }
    }
}

#[test]
fn whoever_sets_a_time_for_keeping_records_is_told_that_nothing_erases_by_it() {
    let mut told = Vec::new();
    for (name, command) in commands() {
        let keeping = command.get_arguments().find(|one| one.get_id() == "retention_days");
        if let Some(help) = keeping.map(|one| one.get_help().map(ToString::to_string).unwrap_or_default()) {
            assert!(help.contains("no connector erases by it"), "{name}: {help}");
            told.push(name);
        }
    }
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn the_manual_names_every_exit_code() {
    let help = Cli::command().render_long_help().to_string();
    for exit in Exit::ALL {
        assert!(
            help.contains(&format!("{}  {}", exit.code(), exit.meaning())),
            "{exit:?}"
        );
    }
    assert!(help.contains(CONFIG_VARIABLE) && USUAL_PLACES.iter().all(|place| help.contains(place)));
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in [["connector", "--json", "status"], ["connector", "status", "--json"]] {
        assert!(Cli::try_parse_from(line).unwrap().globals.json);
    }
}

/// One thumbprint in sixty-four begins like an option.
#[test]
fn a_thumbprint_that_begins_with_a_dash_is_one() {
    let jkt = format!("-{}", "A".repeat(42));
    let line = ["connector", "authority", "trust-list", "--revoke-key", &jkt];
    assert!(Cli::try_parse_from(line).is_ok());
    assert!(Cli::try_parse_from(&line[..4]).is_err(), "the value is still required");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for line in [
        "connector transfer start a --detach -o f",
        "connector negotiate p o --timeout 5",
        "connector demo --input f",
        "connector consent grant --subject s --recipient r --purpose p --category c --method m --evidence e",
        "connector negotiation",
        "connector nonsense",
    ] {
        assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
    }
}

#[test]
fn a_missing_configuration_is_a_usage_error_that_says_what_to_do() {
    let globals = Globals {
        config: Some("/nonexistent/c.toml".into()),
        socket: None,
        json: false,
        lang: None,
    };
    let context = Context {
        globals,
        out: Output { json: false },
    };
    let Err(failure) = context.api() else {
        panic!("an API without configuration")
    };
    assert_eq!(failure.exit(), Exit::Usage);
    assert!(failure.to_string().contains("next: "), "{failure}");
}

#[test]
fn a_path_with_spaces_is_quoted_for_the_next_command() {
    assert_eq!(shown(Path::new("dev/connector.toml")), "dev/connector.toml");
    assert_eq!(shown(Path::new("my dev/it's")), r"'my dev/it'\''s'");
}

#[test]
fn shell_completions_and_manual_pages_are_made() {
    let mut script = Vec::new();
    clap_complete::generate(
        clap_complete::Shell::Bash,
        &mut Cli::command(),
        "connector",
        &mut script,
    );
    assert!(String::from_utf8(script).unwrap().contains("negotiation"));
    let folder = tempfile::tempdir().unwrap();
    clap_mangen::generate_to(Cli::command(), folder.path()).unwrap();
    assert!(folder.path().join("connector-transfer-start.1").exists());
}

/// One answer: the request line without its version, the status, the body.
type Route = (&'static str, u16, &'static str);

/// A daemon that knows these answers and notes what it was asked; each answer is used once, the last of its kind again and again.
struct Fake {
    folder: tempfile::TempDir,
    asked: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Fake {
    fn start(routes: &[Route]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = tokio::net::UnixListener::bind(folder.path().join("s")).unwrap();
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut routes, log) = (routes.to_vec(), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let request = read_request(&stream).await;
                let (line, body) = request.split_once('\n').unwrap();
                let found = routes.iter().position(|(of, ..)| *of == line);
                let (_, status, answer) = found.map_or(("", 500, "{}"), |at| routes[at]);
                if let Some(at) = found.filter(|at| routes[at + 1..].iter().any(|(of, ..)| *of == line)) {
                    routes.remove(at);
                }
                log.lock().unwrap().push(format!("{line} {body}").trim().to_owned());
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    answer.len()
                );
                write_all(&stream, format!("{head}{answer}").as_bytes()).await;
            }
        });
        Self { folder, asked }
    }

    async fn run(&self, line: &str) -> Outcome {
        let socket = self.folder.path().join("s");
        let mut words = words(line);
        words.extend(["--socket".to_owned(), socket.display().to_string()]);
        let cli = Cli::try_parse_from(words).unwrap();
        let context = Context {
            out: Output { json: cli.globals.json },
            globals: cli.globals,
        };
        match cli.command {
            Command::Negotiate(command) => command.run(&context).await,
            Command::Transfer(command) => command.run(&context).await,
            Command::Consent(command) => command.run(&context).await,
            Command::Dataset(command) => command.run(&context).await,
            Command::Audit(command) => command.run(&context).await,
            Command::Events(command) => command.run(&context).await,
            _ => panic!("not a command for this test"),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read_request(stream: &tokio::net::UnixStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return format!("{}\n{body}", head.lines().next().unwrap().trim_end_matches(" HTTP/1.1"));
            }
        }
        stream.readable().await.unwrap();
        match stream.try_read_buf(&mut bytes) {
            Ok(0) => panic!("the request ends early: {text}"),
            _ => continue,
        }
    }
}

async fn write_all(stream: &tokio::net::UnixStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        stream.writable().await.unwrap();
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
}

const START: Route = (
    "POST /v1/transfers",
    201,
    r#"{"pid":"urn:uuid:t","stateName":"REQUESTED"}"#,
);
const RECORDS: Route = (
    "GET /v1/transfers/urn%3Auuid%3At/records?raw=false",
    200,
    "{\"a\":1}\n{\"a\":2}\n",
);

#[tokio::test]
async fn a_transfer_is_followed_to_its_end_and_written() {
    let daemon = Fake::start(&[
        START,
        (
            "GET /v1/transfers/urn%3Auuid%3At/progress",
            200,
            "{\"records\":1,\"bytes\":8,\"complete\":false}\n{\"records\":2,\"bytes\":16,\"state\":\"COMPLETED\",\"complete\":true}\n",
        ),
        RECORDS,
        (
            "GET /v1/transfers/urn%3Auuid%3At",
            200,
            r#"{"stateName":"COMPLETED","progress":{"records":2,"bytes":16}}"#,
        ),
    ]);
    let file = daemon.folder.path().join("out.jsonl");
    daemon
        .run(&format!(
            "connector transfer start urn:uuid:a -o {} --json",
            file.display()
        ))
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), RECORDS.2);
    assert_eq!(daemon.asked()[0], r#"POST /v1/transfers {"agreement":"urn:uuid:a"}"#);
}

#[tokio::test]
async fn a_transfer_that_ends_early_fails_and_leaves_no_file() {
    let daemon = Fake::start(&[
        START,
        (
            "GET /v1/transfers/urn%3Auuid%3At/progress",
            200,
            "{\"records\":1,\"bytes\":8,\"complete\":false,\"error\":\"the stream broke\"}\n",
        ),
        ("GET /v1/transfers/urn%3Auuid%3At", 200, r#"{"stateName":"SUSPENDED"}"#),
        RECORDS,
    ]);
    let file = daemon.folder.path().join("out.jsonl");
    let failure = daemon
        .run(&format!("connector transfer start urn:uuid:a -o {}", file.display()))
        .await
        .unwrap_err();
    assert_eq!(failure.exit(), Exit::Failed);
    let text = failure.to_string();
    assert!(
        text.contains("is SUSPENDED and not complete: the stream broke") && text.contains("next: "),
        "{text}"
    );
    assert!(!file.exists());
}

#[tokio::test]
async fn waiting_too_long_for_an_agreement_has_its_exit_code() {
    let daemon = Fake::start(&[
        ("POST /v1/negotiations", 201, r#"{"pid":"urn:uuid:n","stateName":null}"#),
        (
            "GET /v1/negotiations/urn%3Auuid%3An/wait?timeout=7",
            408,
            r#"{"error":{"code":"timeout","message":"still REQUESTED"}}"#,
        ),
    ]);
    let failure = daemon
        .run("connector negotiate school urn:offer:x --manual --wait --timeout 7")
        .await
        .unwrap_err();
    assert_eq!(failure.exit(), Exit::TimedOut);
    assert!(
        failure.to_string().contains("connector negotiation show urn:uuid:n"),
        "{failure}"
    );
    assert_eq!(
        daemon.asked()[0],
        r#"POST /v1/negotiations {"peer":"school","offer":"urn:offer:x","manual":true}"#
    );
}

#[tokio::test]
async fn what_does_not_exist_and_what_does_not_verify_have_their_exit_codes() {
    let daemon = Fake::start(&[
        (
            "GET /v1/datasets/a%3Ab",
            404,
            r#"{"error":{"code":"not-found","message":"no dataset a:b"}}"#,
        ),
        (
            "POST /v1/audit/verify",
            500,
            r#"{"error":{"code":"audit-broken","message":"entry 7 changed"}}"#,
        ),
    ]);
    assert_eq!(
        daemon.run("connector dataset show a:b").await.unwrap_err().exit(),
        Exit::NotFound
    );
    assert_eq!(
        daemon.run("connector audit verify").await.unwrap_err().exit(),
        Exit::Verification
    );
}

#[tokio::test]
async fn a_withdrawal_names_the_learner_and_the_recipient() {
    let daemon = Fake::start(&[(
        "POST /v1/consents/withdraw",
        200,
        r#"{"subject":"l","consents":["c"],"streams":[]}"#,
    )]);
    daemon
        .run("connector consent withdraw --subject l --recipient did:web:a.example --json")
        .await
        .unwrap();
    assert_eq!(
        daemon.asked(),
        [r#"POST /v1/consents/withdraw {"subject":"l","recipient":"did:web:a.example"}"#]
    );
}

/// The path of a request that the daemon was sent, and the body of it.
fn sent(asked: &str) -> (&str, serde_json::Value) {
    let (at, body) = asked.strip_prefix("POST ").unwrap().split_once(' ').unwrap();
    (at, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn what_a_consent_can_say_can_be_said_in_every_command_that_makes_one() {
    let answer = r#"{"consents":[{"id":"c"}]}"#;
    let daemon = Fake::start(&[
        ("POST /v1/consents", 201, answer),
        ("POST /v1/consents/requests", 201, answer),
        ("POST /v1/shares", 201, answer),
        ("POST /v1/consents/ask", 201, answer),
    ]);
    let notice = daemon.folder.path().join("notice.txt");
    std::fs::write(&notice, "Vos compétences.").unwrap();
    let terms = "--json --subject l --category special-needs --field /needs/0 --max-count 2 --aggregate-only --min-group-size 20";
    let towards = "--recipient did:web:a.example --purpose p --purpose q --explicit --notice sha256:00";
    let under = "--agreement urn:uuid:a --retention-days 30";
    let ask = format!("--notice-id n --notice-version 1 --notice-file {}", notice.display());
    for line in [
        format!(
            "grant {terms} {towards} {under} --method paper --evidence e --signed-by parent-3 --signed-method portal"
        ),
        format!("request {terms} {towards} {under}"),
        format!("share {terms} {towards} --until 2027-01-01T00:00:00Z --method portal"),
        format!("ask {terms} {under} {ask}"),
    ] {
        daemon.run(&format!("connector consent {line}")).await.unwrap();
    }
    let asked = daemon.asked();
    for (number, asked) in asked.iter().enumerate() {
        let (path, body) = sent(asked);
        let body = if path == "/v1/consents" { &body[0] } else { &body };
        assert_eq!(body["fields"], serde_json::json!(["/needs/0"]), "{path}");
        assert_eq!(
            (&body["maxCount"], &body["aggregateOnly"], &body["minGroupSize"]),
            (&2.into(), &true.into(), &20.into()),
            "{path}"
        );
        if path != "/v1/consents/ask" {
            assert_eq!(body["explicit"], true, "{path}");
            assert_eq!(body["purposes"], serde_json::json!(["p", "q"]), "{path}");
        }
        if path != "/v1/shares" {
            assert_eq!(
                (&body["agreement"], &body["retentionDays"]),
                (&"urn:uuid:a".into(), &30.into()),
                "{path}"
            );
        }
        if number == 0 {
            let both = serde_json::json!([
                {"role": "guardian", "id": "parent-3", "method": "portal", "evidence": "e"},
                {"role": "learner", "method": "paper", "evidence": "e"},
            ]);
            assert_eq!(body["signedBy"], both);
        }
    }
    assert_eq!(asked.len(), 4);
    // Without an option there is nothing that the daemon would take for a limit.
    let plain =
        "connector consent grant --json --subject l --recipient did:web:a.example --purpose p --category skills";
    let plain = format!("{plain} --notice sha256:00 --method paper --evidence e");
    daemon.run(&plain).await.unwrap();
    let asked = daemon.asked();
    let (_, body) = sent(asked.last().unwrap());
    assert_eq!(body[0]["signedBy"], serde_json::json!([]));
    for none in ["maxCount", "minGroupSize", "retentionDays", "agreement"] {
        assert!(body[0][none].is_null(), "{none}");
    }
}

#[tokio::test]
async fn the_audit_log_is_read_from_near_its_end_page_by_page() {
    let daemon = Fake::start(&[
        ("GET /v1/status", 200, r#"{"audit":{"entries":10}}"#),
        (
            "GET /v1/audit/entries?from=8&limit=500",
            200,
            r#"{"entries":[{"seq":8,"entry":{}},{"seq":9,"entry":{}}],"next":10}"#,
        ),
        (
            "GET /v1/audit/entries?from=10&limit=500",
            200,
            r#"{"entries":[],"next":10}"#,
        ),
    ]);
    daemon.run("connector audit tail -n 2 --json").await.unwrap();
    assert_eq!(daemon.asked().len(), 3);
}

#[tokio::test]
async fn the_feed_is_followed_until_the_daemon_stops() {
    let feed =
        "retry: 1000\nid: 6\n\nid: 7\nevent: negotiation\ndata: {\"pid\":\"urn:uuid:n\",\"state\":\"AGREED\"}\n\n:\n\n";
    let daemon = Fake::start(&[("GET /v1/events", 200, feed)]);
    for line in ["connector events", "connector events --json --since 5"] {
        let failure = daemon.run(line).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Unreachable);
        assert!(failure.to_string().contains("connector events --since 7"), "{failure}");
    }
}
