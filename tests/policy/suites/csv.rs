//! Tables of the suites.

/// The lines of a table by their cells. A cell in double quotes may hold commas, line ends and doubled quotes; empty lines are none.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    // Spreadsheets mark the encoding before the first cell.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut chars = text.chars().chain(['\n']).peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            '\r' | '\n' | ',' if !quoted => {
                row.push(std::mem::take(&mut cell).trim().to_owned());
                if c != ',' {
                    rows.push(std::mem::take(&mut row));
                }
            }
            c => cell.push(c),
        }
    }
    rows.retain(|row| row.iter().any(|cell| !cell.is_empty()));
    rows
}

#[test]
fn a_table_is_read_whatever_program_wrote_it() {
    let read = |text: &str| rows(text).iter().map(|row| row.join("|")).collect::<Vec<_>>();
    assert_eq!(read("a,b\n1, 2\n"), ["a|b", "1|2"]);
    assert_eq!(read("\u{feff}a,b\r\n\r\n1,\r\n"), ["a|b", "1|"]);
    assert_eq!(read("\"a, \"\"b\"\"\",\"c\nd\""), ["a, \"b\"|c\nd"]);
    assert!(rows(" \n,,\n").is_empty());
}
