//! Texts put together and taken apart: lists, quotes, encodings.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use md5::{Digest, Md5};

use super::{signatures, text, text_datum, unexpected};
use crate::error::SqlResult;
use crate::eval::{SessionFacts, check_text_len};
use crate::types::{Array, Datum, Scalar};
use crate::wire::{self, write_text};

fn concat(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let mut out = String::new();
    for argument in arguments {
        write_text(argument, &session.style, &mut out);
        check_text_len(out.len())?;
    }
    Ok(Datum::Text(out))
}

fn concat_ws(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    let [by, rest @ ..] = arguments else { return Err(unexpected()) };
    if by.is_null() {
        return Ok(Datum::Null);
    }
    join(rest.iter().copied(), text(by), None, session)
}

/// The texts of `items` with `by` between them; NULLs are left out, or written as `null`.
fn join<'a>(
    items: impl Iterator<Item = &'a Datum>,
    by: &str,
    null: Option<&str>,
    session: &SessionFacts,
) -> SqlResult<Datum> {
    let mut out = String::new();
    let mut is_first = true;
    for item in items.filter(|item| !item.is_null() || null.is_some()) {
        if !core::mem::take(&mut is_first) {
            out.push_str(by);
        }
        match null {
            Some(null) if item.is_null() => out.push_str(null),
            _ => write_text(item, &session.style, &mut out),
        }
        check_text_len(out.len())?;
    }
    Ok(Datum::Text(out))
}

fn array_to_string(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    match arguments {
        [Datum::Array(array), Datum::Text(by), rest @ ..] => {
            let null = rest.first().and_then(|null| null.as_text());
            join(array.items.iter(), by, null, session)
        }
        _ => Ok(Datum::Null),
    }
}

fn string_to_array(arguments: &[&Datum]) -> SqlResult<Datum> {
    let (value, by, null) = match arguments {
        [value, by] => (value, by, None),
        [value, by, null] => (value, by, null.as_text()),
        _ => return Err(unexpected()),
    };
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let value = text(value);
    let parts: Vec<String> = match by.as_text() {
        _ if value.is_empty() => Vec::new(),
        None => value.chars().map(String::from).collect(),
        Some("") => [value.into()].into(),
        Some(by) => value.split(by).map(String::from).collect(),
    };
    let item = |part: String| if null == Some(part.as_str()) { Datum::Null } else { Datum::Text(part) };
    let items = parts.into_iter().map(item).collect();
    Ok(Datum::Array(Box::new(Array::new(Scalar::Text, items))))
}

/// A text as a literal: quotes doubled, and with backslashes, as one that has escapes.
pub(super) fn quote_literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push_str(if text.contains('\\') { "E'" } else { "'" });
    for c in text.chars() {
        if matches!(c, '\'' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
    out
}

/// A name as an identifier, in quotes if it needs them.
pub(super) fn quote_ident(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && !is_reserved(name);
    match is_plain {
        true => name.into(),
        false => {
            let mut out = String::with_capacity(name.len() + 2);
            out.push('"');
            for c in name.chars() {
                if c == '"' {
                    out.push('"');
                }
                out.push(c);
            }
            out.push('"');
            out
        }
    }
}

/// Words that are no plain names in Postgres: all keywords but the unreserved ones.
fn is_reserved(word: &str) -> bool {
    const WORDS: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit \
        boolean both case cast char character check coalesce collate collation column concurrently constraint create \
        cross current_catalog current_date current_role current_schema current_time current_timestamp current_user dec \
        decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign \
        freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect \
        interval into is isnull join lateral leading least left like limit localtime localtimestamp national natural \
        nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay \
        placing position precision primary real references returning right row select session_user setof similar \
        smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union \
        unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement \
        xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable ";
    WORDS.split_ascii_whitespace().any(|known| known == word)
}

fn quote(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    match arguments {
        [Datum::Bool(value)] => text_datum(quote_literal(if *value { "true" } else { "false" })),
        [value] => text_datum(quote_literal(&wire::text_of(value, &session.style))),
        _ => Err(unexpected()),
    }
}

fn quote_nullable(arguments: &[&Datum], session: &SessionFacts) -> SqlResult<Datum> {
    match arguments {
        [Datum::Null] => Ok(Datum::Text("NULL".into())),
        arguments => quote(arguments, session),
    }
}

fn md5(arguments: &[&Datum]) -> SqlResult<Datum> {
    let bytes = match arguments {
        [Datum::Bytea(bytes)] => &**bytes,
        [value] => text(value).as_bytes(),
        _ => return Err(unexpected()),
    };
    let mut out = String::with_capacity(32);
    super::bytes::write_hex(&Md5::digest(bytes), &mut out);
    Ok(Datum::Text(out))
}

signatures! { FUNCTIONS:
    "concat" (Any) Text, Variadic, concat;
    "concat_ws" (Text, Any) Text, Variadic, concat_ws;
    "array_to_string" (AnyArray, Text) Text, Nullable, array_to_string;
    "array_to_string" (AnyArray, Text, Text) Text, Nullable, array_to_string;
    "string_to_array" (Text, Text) [Text], Nullable, |a, _| string_to_array(a);
    "string_to_array" (Text, Text, Text) [Text], Nullable, |a, _| string_to_array(a);
    "quote_literal" (Text) Text, Strict, quote;
    "quote_literal" (Any) Text, Strict, quote;
    "quote_nullable" (Text) Text, Nullable, quote_nullable;
    "quote_nullable" (Any) Text, Nullable, quote_nullable;
    "quote_ident" (Text) Text, Strict, |a, _| text_datum(quote_ident(a.first().map_or("", |name| text(name))));
    "md5" (Text) Text, Strict, |a, _| md5(a);
    "md5" (Bytea) Text, Strict, |a, _| md5(a);
}
