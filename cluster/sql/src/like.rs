//! `LIKE`.

use crate::error::{SqlError, SqlResult, SqlState};

/// Whether `text` matches `pattern`: `_` is any character, `%` any number of them, `escape` takes the
/// meaning of the character behind it. Linear in memory, and never worse than text times pattern in time.
pub(crate) fn like(text: &str, pattern: &str, escape: Option<char>) -> SqlResult<bool> {
    let (mut text, mut pattern) = (text.chars(), pattern.chars());
    // Where to go on when a match fails: behind the last `%`, with one more character skipped.
    let mut retry = None;
    loop {
        let matched = match pattern.next() {
            None => text.clone().next().is_none(),
            Some('%') if escape != Some('%') => {
                retry = Some((text.clone(), pattern.clone()));
                continue;
            }
            Some('_') if escape != Some('_') => match text.next() {
                Some(_) => continue,
                None => false,
            },
            Some(expected) => {
                let expected = match escape {
                    Some(escape) if escape == expected => pattern.next().ok_or_else(|| {
                        SqlError::new(
                            SqlState::INVALID_ESCAPE,
                            "LIKE pattern must not end with escape character",
                        )
                    })?,
                    _ => expected,
                };
                match text.clone().next() {
                    Some(found) if found == expected => {
                        text.next();
                        continue;
                    }
                    _ => false,
                }
            }
        };
        if matched {
            return Ok(true);
        }
        let Some((retry_text, retry_pattern)) = &mut retry else { return Ok(false) };
        if retry_text.next().is_none() {
            return Ok(false);
        }
        (text, pattern) = (retry_text.clone(), retry_pattern.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_postgres() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("", "%", true),
            ("aXbXc", "a%X_", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("mississippi", "%iss%ip%", true),
            ("ab", "ab%%", true),
        ] {
            assert_eq!(like(text, pattern, Some('\\')), Ok(expected), "{text} {pattern}");
        }
        assert!(like("a", "\\", Some('\\')).is_err());
    }
}
