//! Statements that the parser does not know, by their words: those that pg_dump writes and asks.

use alloc::string::String;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::ast::{Statement, TableName};

/// The statement that `tokens` are, if it is one of them.
pub(super) fn statement(tokens: &[TokenWithSpan]) -> Option<Statement> {
    let words = |at: usize| word(tokens.get(at)?);
    match (words(0)?.as_str(), words(1)?.as_str()) {
        ("alter", kind @ ("schema" | "sequence" | "view" | "database")) => {
            let (name, next) = name(tokens, 2)?;
            match (words(next)?.as_str(), words(next + 1)?.as_str()) {
                ("owner", "to") => Some(Statement::Nothing(match kind {
                    "schema" => "ALTER SCHEMA",
                    "sequence" => "ALTER SEQUENCE",
                    "view" => "ALTER VIEW",
                    _ => "ALTER DATABASE",
                })),
                ("owned", "by") if kind == "sequence" => own_sequence(name, tokens, next + 2),
                _ => None,
            }
        }
        ("alter", kind @ ("function" | "procedure" | "routine")) => {
            let (_, next) = name(tokens, 2)?;
            let next = behind_parentheses(tokens, next);
            match (words(next)?.as_str(), words(next + 1)?.as_str()) {
                ("owner", "to") => Some(Statement::Nothing(match kind {
                    "function" => "ALTER FUNCTION",
                    "procedure" => "ALTER PROCEDURE",
                    _ => "ALTER ROUTINE",
                })),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The place behind the parentheses that begin at `at`, if any do.
fn behind_parentheses(tokens: &[TokenWithSpan], at: usize) -> usize {
    if tokens.get(at).is_none_or(|token| token.token != Token::LParen) {
        return at;
    }
    let end = tokens.iter().skip(at).position(|token| token.token == Token::RParen);
    end.map_or(at, |len| at + len + 1)
}

fn own_sequence(sequence: TableName, tokens: &[TokenWithSpan], at: usize) -> Option<Statement> {
    let (parts, end) = parts(tokens, at)?;
    if end != tokens.len() {
        return None;
    }
    let mut parts = parts.into_iter().rev();
    let owner = match (parts.next()?, parts.next(), parts.next()) {
        (none, None, None) if none == "none" => None,
        (column, Some(name), schema) => Some((TableName { schema, name, position: None }, column)),
        _ => return None,
    };
    Some(Statement::OwnSequence(sequence, owner))
}

/// A word, in lower case unless it is in quotes.
fn word(token: &TokenWithSpan) -> Option<String> {
    match &token.token {
        Token::Word(word) => match word.quote_style {
            None => Some(word.value.to_lowercase()),
            Some(_) => Some(word.value.clone()),
        },
        _ => None,
    }
}

/// The parts of a dotted name, and what follows it.
fn parts(tokens: &[TokenWithSpan], mut at: usize) -> Option<(alloc::vec::Vec<String>, usize)> {
    let mut parts = alloc::vec![word(tokens.get(at)?)?];
    at += 1;
    while tokens.get(at).is_some_and(|token| token.token == Token::Period) {
        parts.push(word(tokens.get(at + 1)?)?);
        at += 2;
    }
    Some((parts, at))
}

fn name(tokens: &[TokenWithSpan], at: usize) -> Option<(TableName, usize)> {
    let (parts, next) = parts(tokens, at)?;
    let mut parts = parts.into_iter().rev();
    let (name, schema) = (parts.next()?, parts.next());
    Some((TableName { schema, name, position: None }, next))
}

/// Takes `SEQUENCE NAME name` out of the options of an identity column: its sequence has the name it would have anyway.
pub(super) fn drop_sequence_name(tokens: &mut alloc::vec::Vec<TokenWithSpan>) {
    let is = |token: Option<&TokenWithSpan>, keyword| matches!(token.map(|token| &token.token), Some(Token::Word(word)) if word.keyword == keyword);
    let found = (0..tokens.len()).find(|at| {
        is(tokens.get(*at), Keyword::SEQUENCE)
            && is(tokens.get(at + 1), Keyword::NAME)
            && at.checked_sub(2).is_some_and(|before| is(tokens.get(before), Keyword::IDENTITY))
    });
    if let Some(at) = found
        && let Some((_, end)) = parts(tokens, at + 2)
    {
        tokens.drain(at..end);
    }
}
