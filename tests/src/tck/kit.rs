//! Runs the kit as a process and keeps what it prints.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::Duration,
};

/// Longer than the kit takes when every test waits in vain.
const LONGEST: Duration = Duration::from_secs(25 * 60);

/// Runs `command -config properties` and returns its standard output; both outputs stay in `folder`.
pub async fn run(command: &[OsString], properties: &Path, folder: &Path) -> String {
    let (out, err) = (folder.join("stdout"), folder.join("stderr"));
    let file = |path| Stdio::from(File::create(path).expect("an output file"));
    let [program, arguments @ ..] = command else {
        panic!("there is no command to run the kit with");
    };
    let mut process = tokio::process::Command::new(program)
        .args(arguments)
        .arg("-config")
        .arg(properties)
        .stdin(Stdio::null())
        .stdout(file(&out))
        .stderr(file(&err))
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    if tokio::time::timeout(LONGEST, process.wait()).await.is_err() {
        eprintln!("the kit did not end within {} minutes", LONGEST.as_secs() / 60);
    }
    String::from_utf8_lossy(&fs::read(&out).unwrap_or_default()).into_owned()
}
