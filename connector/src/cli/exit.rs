//! How a command ends: one exit code for each kind of ending, and errors that say what happened, what was expected and what to do next.

use crate::{config::ConfigError, net::NetError};
use policy::Language;
use serde_json::{Map, Value, json};
use std::{fmt, io, process::ExitCode};

/// The exit codes. They are part of the interface: scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It failed, or was refused.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The daemon does not answer.
    Unreachable = 3,
    /// There is no such thing.
    NotFound = 4,
    /// It is not done yet.
    TimedOut = 5,
    /// A signature, hash or log is not what it should be.
    Verification = 6,
    /// It verifies, and it is the word of one party alone.
    OneParty = 7,
}

impl Exit {
    /// All of them, by code.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::NotFound,
        Self::TimedOut,
        Self::Verification,
        Self::OneParty,
    ];

    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What the manual says about it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => "failed, or refused by the daemon or by the peer",
            Self::Usage => "the command line or the configuration is wrong",
            Self::Unreachable => "the daemon does not answer",
            Self::NotFound => "there is no such thing",
            Self::TimedOut => "not done within the time given",
            Self::Verification => "a signature, a hash or the audit log does not verify",
            Self::OneParty => "the agreement verifies, but one party alone signed it",
        }
    }

    /// The stable name in JSON errors that do not come from the daemon.
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::NotFound => "not-found",
            Self::TimedOut => "timed-out",
            Self::Verification => "verification-failed",
            Self::OneParty => "one-party",
        }
    }

    /// The section of the manual.
    pub(super) fn manual() -> String {
        let lines = Self::ALL
            .iter()
            .map(|exit| format!("  {}  {}\n", exit.code(), exit.meaning()));
        format!("EXIT CODES:\n{}", lines.collect::<String>())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(super) enum Failure {
    /// Something to tell.
    Told(Box<Told>),
    /// The reader of our output went away: nothing is wrong, and there is nobody to tell.
    OutputClosed,
}

/// A failure in words.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) exit: Exit,
    /// A stable name for scripts.
    code: String,
    /// What happened, and what was expected.
    message: String,
    /// What to do next.
    hint: Option<String>,
    /// What else the daemon's answer says: the English with its details, who can mend it, and the reasons.
    more: Map<String, Value>,
    /// For programs, the English of a message that says as much in another language.
    english: Option<String>,
}

/// What every command returns.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Told(Box::new(Told {
            exit,
            code: exit.name().to_owned(),
            message: message.into(),
            hint: None,
            more: Map::new(),
            english: None,
        }))
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What the person at the terminal can do next.
    pub(super) fn next(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint.get_or_insert_with(|| hint.into());
        }
        self
    }

    /// The English of a message that says as much in another language: for programs alone.
    pub(super) fn english(mut self, english: &str) -> Self {
        if let Self::Told(told) = &mut self {
            told.english = Some(english.to_owned());
        }
        self
    }

    /// What is to be known as well, whatever there is to do next.
    pub(super) fn besides(mut self, known: String) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint = Some(match told.hint.take() {
                Some(hint) => format!("{hint}; {known}"),
                None => known,
            });
        }
        self
    }

    /// What they can do rather than what was said of it before.
    pub(super) fn rather(mut self, hint: &str) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint = Some(match told.hint.take() {
                Some(known) => format!("{hint}; or {known}"),
                None => hint.to_owned(),
            });
        }
        self
    }

    /// A stable name for scripts that says more than the exit code.
    pub(super) fn code(mut self, name: &str) -> Self {
        if let Self::Told(told) = &mut self {
            name.clone_into(&mut told.code);
        }
        self
    }

    /// From an error answer of the management API.
    pub(super) fn answered(status: u16, body: &Value) -> Self {
        let text = |name: &str| body.pointer(&format!("/error/{name}")).and_then(Value::as_str);
        let code = text("code").unwrap_or_default();
        let exit = match (status, code) {
            (_, "audit-broken") => Exit::Verification,
            (404, _) => Exit::NotFound,
            (408 | 504, _) => Exit::TimedOut,
            _ => Exit::Failed,
        };
        Self::Told(Box::new(Told {
            exit,
            code: if code.is_empty() {
                exit.name().to_owned()
            } else {
                code.to_owned()
            },
            message: text("message").map_or_else(|| format!("the daemon answered with status {status}"), str::to_owned),
            hint: text("hint").map(str::to_owned),
            more: ["detail", "fix", "reasons"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), body.pointer(&format!("/error/{name}"))?.clone())))
                .collect(),
            english: None,
        }))
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Told(told) => told.exit,
            Self::OutputClosed => Exit::Ok,
        }
    }

    /// What the person at the terminal reads; what comes before each text is in the language, and the texts are as they came.
    pub(super) fn told(&self, language: Language) -> String {
        let Self::Told(told) = self else { return String::new() };
        // Where the message is in another language, it may say less than the English.
        let detail = told.more.get("detail").and_then(Value::as_str);
        let lines = [
            (language.say("erreur\u{a0}: ", "error: "), Some(told.message.as_str())),
            (language.say("\n  détail\u{a0}: ", "\n  detail: "), detail),
            (language.say("\n  suite\u{a0}: ", "\n  next: "), told.hint.as_deref()),
        ];
        let lines = lines.into_iter().filter_map(|(begin, text)| Some((begin, text?)));
        lines
            .map(|(begin, text)| format!("{begin}{}", super::output::clean_lines(text)))
            .collect()
    }

    /// The same shape as the API's errors.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Told(told) => {
                let mut error = told.more.clone();
                if let Some(english) = &told.english {
                    error.insert("detail".to_owned(), english.clone().into());
                }
                error.insert("code".to_owned(), told.code.clone().into());
                error.insert("message".to_owned(), told.message.clone().into());
                if let Some(hint) = &told.hint {
                    error.insert("hint".to_owned(), hint.clone().into());
                }
                json!({ "error": error })
            }
            Self::OutputClosed => Value::Null,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(Language::English))
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        let exit = match error {
            NetError::Unreachable { .. } => Exit::Unreachable,
            NetError::Forbidden { .. } | NetError::TooLarge { .. } | NetError::Setup(_) => Exit::Failed,
        };
        let failure = Self::new(exit, error.to_string());
        match exit {
            Exit::Unreachable => {
                failure.next("start the daemon (connector serve), or name its configuration with --config")
            }
            _ => failure,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::Invalid { .. } => "correct the line, then: connector serve --check",
            ConfigError::Read { .. } => "name the file with --config, or make one with: connector init --dir DIR",
            ConfigError::Certificates { .. } | ConfigError::Key(_) | ConfigError::Secret { .. } => {
                "correct the file, then: connector serve --check"
            }
        };
        Self::usage(error.to_string()).next(hint)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(Exit::ALL.iter().all(|exit| Exit::manual().contains(&format!(
            "  {}  {}\n",
            exit.code(),
            exit.meaning()
        ))));
    }

    #[test]
    fn an_answer_becomes_an_exit_code() {
        let exit =
            |status, code: &str| Failure::answered(status, &json!({"error": {"code": code, "message": "m"}})).exit();
        assert_eq!(exit(404, "not-found"), Exit::NotFound);
        assert_eq!(exit(408, "timeout"), Exit::TimedOut);
        assert_eq!(exit(504, ""), Exit::TimedOut);
        assert_eq!(exit(409, "conflict"), Exit::Failed);
        assert_eq!(exit(422, "invalid"), Exit::Failed);
        assert_eq!(exit(502, "peer"), Exit::Failed);
        assert_eq!(exit(500, "audit-broken"), Exit::Verification);
    }

    #[test]
    fn an_answer_is_told_with_its_hint() {
        let failure = Failure::answered(
            404,
            &json!({"error": {"code": "x", "message": "no such peer", "hint": "list them"}}),
        );
        assert_eq!(failure.to_string(), "error: no such peer\n  next: list them");
        assert_eq!(
            failure.to_json(),
            json!({"error": {"code": "x", "message": "no such peer", "hint": "list them"}})
        );
        assert!(Failure::answered(500, &Value::Null).to_string().contains("status 500"));
    }

    #[test]
    fn what_a_policy_refuses_is_told_to_scripts_with_its_reasons() {
        let answer = json!({"error": {
            "code": "POL-05", "message": "pas encore en vigueur", "fix": "nobody", "reasons": [{"code": "POL-05", "pointer": ""}],
        }});
        assert_eq!(Failure::answered(400, &answer).to_json(), answer);
    }

    #[test]
    fn the_english_of_a_message_that_says_as_much_is_for_programs_alone() {
        let failure = Failure::new(Exit::Failed, "refusé").english("refused");
        assert_eq!(failure.told(Language::French), "erreur\u{a0}: refusé");
        assert_eq!(failure.to_json()["error"]["detail"], "refused");
    }

    #[test]
    fn what_is_refused_in_another_language_is_told_as_the_daemon_says_it_and_then_with_all_details() {
        let message =
            "la notice d’information n’est pas utilisable (peut y remédier\u{a0}: l’opérateur de ce connecteur)";
        let detail = "the notice is not usable: its text is empty";
        let answer = json!({"error": {
            "code": "invalid-notice", "message": message, "fix": "operator", "detail": detail, "hint": "correct it",
        }});
        let failure = Failure::answered(422, &answer);
        let told = format!("error: {message}\n  detail: {detail}\n  next: correct it");
        assert_eq!(failure.to_string(), told);
        let french = format!("erreur\u{a0}: {message}\n  détail\u{a0}: {detail}\n  suite\u{a0}: correct it");
        assert_eq!(failure.told(Language::French), french);
        assert_eq!(failure.to_json(), answer);
    }

    #[test]
    fn an_unreachable_daemon_and_a_wrong_configuration_have_their_codes() {
        let lost = NetError::Unreachable {
            host: "/run/x.sock".into(),
            cause: "refused".into(),
        };
        assert_eq!(Failure::from(lost).exit(), Exit::Unreachable);
        let missing = crate::config::Config::load(std::path::Path::new("/nonexistent/c.toml")).unwrap_err();
        assert_eq!(Failure::from(missing).exit(), Exit::Usage);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert_eq!(
            Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit(),
            Exit::Ok
        );
    }

    #[test]
    fn terminal_control_characters_of_a_peer_are_not_printed() {
        let failure = Failure::answered(502, &json!({"error": {"message": "bad \u{1b}[2Jnews"}}));
        assert!(!failure.to_string().contains('\u{1b}'));
        let failure = Failure::answered(422, &json!({"error": {"message": "m", "detail": "bad \u{1b}[2Jnews"}}));
        assert!(!failure.to_string().contains('\u{1b}'));
    }
}
