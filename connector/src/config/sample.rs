//! The commented file that shows every default, and how `init` fills it in.

/// A configuration file in which every setting is shown with its default. Prose begins with `# `, a setting that is switched off with `#`.
pub const SAMPLE: &str = include_str!("sample.toml");

/// A value to put into the sample: section (empty before the first), key, and the value in TOML.
pub type Setting<'a> = (&'a str, &'a str, String);

/// The sample with these settings switched on, and whatever follows it. A setting that the sample does not have is an error: its name.
pub fn fill<'a>(settings: &[Setting<'a>], end: &str) -> Result<String, &'a str> {
    let mut open: Vec<&Setting<'a>> = settings.iter().collect();
    let mut section = "";
    let mut out = String::with_capacity(SAMPLE.len() + end.len());
    for line in SAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if line.starts_with("#[[") {
            section = "[[peer]]";
        }
        let key = key(line);
        match open
            .iter()
            .position(|(of, name, _)| *of == section && Some(*name) == key)
        {
            Some(found) => {
                let (_, name, value) = open.remove(found);
                out.push_str(&format!("{name} = {value}"));
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    match open.first() {
        Some((_, name, _)) => Err(name),
        None => Ok(out + end),
    }
}

/// The key that a line sets, or would set if it were switched on.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix('#').unwrap_or(line).split_once(" = ")?;
    key.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        .then_some(key)
}
