//! Runs the Dataspace Protocol conformance kit against the connector: `tck FOLDER COMMAND…`, where COMMAND starts the kit (`-config` and
//! its configuration are added) and FOLDER takes its output, the driver's journal and the connector's log. `tests/run --suite tck` uses it.
#![forbid(unsafe_code)]

use connector_tests::{
    harness::free,
    peer::uuid,
    tck::{
        hooks, kit,
        operator::{Journal, Operator},
        plain::Plain,
        properties::{self, Settings},
        script::expected,
        seed,
        subject::Subject,
        verdict::Verdict,
    },
};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), command) = (arguments.next().map(PathBuf::from), arguments.collect::<Vec<_>>()) else {
        eprintln!("usage: tck FOLDER COMMAND...");
        return ExitCode::from(2);
    };
    fs::create_dir_all(&folder).expect("the folder can be made");
    let verdict = run(&folder, &command).await;
    print!("{}", verdict.table());
    let (word, passed, failed) = (
        if verdict.is_pass() { "ok" } else { "FAILED" },
        verdict.passed.unwrap_or(0),
        verdict.failed(),
    );
    if failed > 0 {
        println!("stdout, stderr, journal and connector.log are in {}", folder.display());
    }
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; of {}",
        expected()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(folder: &Path, command: &[OsString]) -> Verdict {
    let token = format!("Bearer {}", uuid());
    let plain = Plain::start(token.clone()).await;
    let subject = Subject::start(&plain.root, token.clone(), folder).await;
    let journal = Journal::new(&folder.join("journal"));
    let api = subject.connector().api();
    let (operator, followed) = Operator::start(api.clone(), journal.clone()).await;
    seed::datasets(&subject).await;
    let agreements = seed::agreements(&subject, &plain).await;
    operator.name(&agreements);
    let port = free().local_addr().expect("a bound port").port();
    let settings = Settings {
        root: subject.root(),
        base: subject.base(),
        participant: subject.connector().did.clone(),
        authorization: token,
        hooks: hooks::listen(api, journal).await,
        port,
        agreements,
    };
    let file = folder.join("kit.properties");
    fs::write(&file, properties::write(&settings)).expect("the kit's configuration can be written");
    let output = tokio::select! {
        output = kit::run(command, &file, folder) => output,
        fault = followed => {
            eprintln!("the connector is gone: {}", fault.unwrap_or_else(|error| error.to_string()));
            String::new()
        }
    };
    Verdict::of(&output)
}
