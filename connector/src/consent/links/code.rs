//! The codes that learners take from one participant to the other. Pure, but for the random bits.

use crate::jose::{JoseError, random};

/// What codes are written in: 5 bits a letter, none of which looks like another (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters of a code, without dashes.
pub(super) const LENGTH: usize = 16;

/// 80 random bits in four groups of four letters.
pub(super) fn fresh() -> Result<String, JoseError> {
    let bytes: [u8; LENGTH] = random::bytes()?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'0');
    let letters: Vec<u8> = bytes.iter().map(letter).collect();
    let groups = letters
        .chunks(4)
        .map(|group| String::from_utf8_lossy(group).into_owned());
    Ok(groups.collect::<Vec<String>>().join("-"))
}

/// A code as people write it: without regard to case, spaces and dashes.
pub(super) fn normal(code: &str) -> String {
    let kept = code.chars().filter(|c| !c.is_whitespace() && *c != '-');
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_sixteen_letters_that_no_two_codes_share_and_is_read_as_people_write_it() {
        let (one, other) = (fresh().unwrap(), fresh().unwrap());
        assert_ne!(one, other);
        assert_eq!((one.len(), normal(&one).len()), (19, LENGTH));
        assert!(normal(&one).bytes().all(|byte| LETTERS.contains(&byte)));
        assert_eq!(
            normal(&format!("  {} ", one.to_lowercase().replace('-', " "))),
            normal(&one)
        );
    }
}
