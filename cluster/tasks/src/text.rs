//! Texts of others, cut.

use alloc::string::String;
use core::str;

/// The beginning of a text, of so many bytes at most, that ends between two characters.
pub(crate) fn cut(text: &str, len_max: usize) -> &str {
    &text[..text.floor_char_boundary(len_max)]
}

/// A text on one line that does nothing to a terminal: its beginning, with a question mark for what has no picture.
pub(crate) fn shown(text: &str, len_max: usize) -> String {
    let beginning = cut(text, len_max);
    let mut shown: String = beginning.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if beginning.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

/// The beginning of bytes, of so many at most, as text; nothing if that is not UTF-8.
pub(crate) fn cut_utf8(bytes: &[u8], len_max: usize) -> Option<&str> {
    let beginning = &bytes[..bytes.len().min(len_max)];
    match str::from_utf8(beginning) {
        Ok(text) => Some(text),
        // Only a character that the cut has split may be incomplete.
        Err(error) if error.error_len().is_none() && beginning.len() < bytes.len() => {
            str::from_utf8(&beginning[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}
