//! Parts of what is transferred: the fields Range and Content-Range (RFC 9110, section 14).

/// What of something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// So many bytes from there on, at least one.
    Part { start: u64, len: u64 },
    /// What it does not have.
    Nothing,
}

/// What a field Range asks of something of that length. Several parts at once, and what is not understood, are answered with
/// the whole, as the standard allows.
pub(super) fn wanted(field: Option<&str>, size: u64) -> Wanted {
    let Some(range) = field.and_then(|field| field.strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => return Wanted::Whole,
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(len)) if first.is_empty() => size.saturating_sub(len)..size,
        _ => return Wanted::Whole,
    };
    if part.is_empty() {
        Wanted::Nothing
    } else {
        Wanted::Part { start: part.start, len: part.end - part.start }
    }
}

/// Where what a field Content-Range describes begins, and how long it is.
pub(super) fn sent(field: &str) -> Option<(u64, u64)> {
    let (range, _) = field.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    Some((first, last.checked_sub(first)?.checked_add(1)?))
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_there_is_of_it() {
        let part = |start, len| Wanted::Part { start, len };
        for (field, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-5", part(2, 4)),
            ("bytes=8-99", part(8, 2)),
            ("bytes=8-18446744073709551615", part(8, 2)),
            ("bytes=4-", part(4, 6)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-99", part(0, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(field), 10), expected, "{field}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }

    #[test]
    fn what_is_sent_says_where_it_belongs() {
        assert_eq!(sent("bytes 5-9/*"), Some((5, 5)));
        assert_eq!(sent("bytes 0-0/100"), Some((0, 1)));
        for field in ["bytes 5-4/*", "bytes 0-18446744073709551615/*", "bytes */10", "bytes 1-2", "x"] {
            assert_eq!(sent(field), None, "{field}");
        }
    }
}
