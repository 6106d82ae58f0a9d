//! `DECLARE`, `FETCH` and `MOVE`.

use alloc::string::ToString;

use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::keyword;
use super::{Positions, Translator, fold, refuse};
use crate::ast::{Declare, FetchDirection, Statement};
use crate::error::{SqlError, SqlResult, SqlState};

impl Translator<'_> {
    pub(super) fn declare(&self, declare: ast::Declare) -> SqlResult<Statement> {
        refuse(declare.binary == Some(true), "a binary cursor")?;
        let name = declare.names.first().map(fold);
        match (name, declare.for_query) {
            (Some(name), Some(query)) => Ok(Statement::Declare(Declare {
                name,
                query: self.boxed_query(query)?,
                scroll: declare.scroll == Some(true),
                hold: declare.hold == Some(true),
            })),
            _ => Err(SqlError::not_supported("this form of DECLARE")),
        }
    }
}

/// `FETCH` or `MOVE`, of which the parser knows few forms; none if it is neither.
pub(super) fn fetch(tokens: &[TokenWithSpan], positions: &Positions) -> Option<SqlResult<Statement>> {
    let (first, rest) = tokens.split_first()?;
    let moves = match first.token.to_string().to_ascii_lowercase().as_str() {
        "fetch" => false,
        "move" => true,
        _ => return None,
    };
    let mut words = Words { rest, last: first };
    let direction = words.direction();
    if matches!(words.rest.first().and_then(keyword), Some(Keyword::FROM | Keyword::IN)) {
        words.skip();
    }
    let statement = match words.rest {
        [TokenWithSpan { token: Token::Word(word), .. }] => {
            let name = fold(&word.clone().into_ident(first.span));
            Ok(Statement::Fetch(name, direction, moves))
        }
        [] => Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input")
            .at(positions.of(words.last.span.end))),
        [found, others @ ..] => {
            let found = others.first().unwrap_or(found);
            let message = alloc::format!("syntax error at or near \"{}\"", found.token);
            Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(positions.of(found.span.start)))
        }
    };
    Some(statement)
}

struct Words<'a> {
    rest: &'a [TokenWithSpan],
    last: &'a TokenWithSpan,
}

impl Words<'_> {
    fn skip(&mut self) {
        if let Some((first, rest)) = self.rest.split_first() {
            (self.last, self.rest) = (first, rest);
        }
    }

    /// Where it goes; one row on if nothing is said. A cursor may be called like a direction if nothing follows it.
    fn direction(&mut self) -> FetchDirection {
        use FetchDirection::{Absolute, All, Forward};
        if self.rest.len() == 1 {
            return Forward(1);
        }
        if let Some(count) = self.number() {
            return Forward(count);
        }
        let Some(word) = self.rest.first().map(|token| token.token.to_string().to_ascii_lowercase()) else {
            return Forward(1);
        };
        let direction = match word.as_str() {
            "next" => Forward(1),
            "prior" => Forward(-1),
            "first" => Absolute(1),
            "last" => Absolute(-1),
            "all" => All(true),
            "absolute" | "relative" | "forward" | "backward" => {
                self.skip();
                return self.counted(&word);
            }
            _ => return Forward(1),
        };
        self.skip();
        direction
    }

    /// What follows the word that says which way to count.
    fn counted(&mut self, word: &str) -> FetchDirection {
        use FetchDirection::{Absolute, All, Forward, Relative};
        let count = self.number();
        let is_all = count.is_none() && self.rest.first().and_then(keyword) == Some(Keyword::ALL);
        if is_all {
            self.skip();
        }
        match (word, count) {
            ("absolute", count) => Absolute(count.unwrap_or(1)),
            ("relative", count) => Relative(count.unwrap_or(1)),
            ("forward", _) if is_all => All(true),
            ("backward", _) if is_all => All(false),
            ("backward", count) => Forward(count.unwrap_or(1).saturating_neg()),
            (_, count) => Forward(count.unwrap_or(1)),
        }
    }

    fn number(&mut self) -> Option<i64> {
        let negative = matches!(self.rest.first().map(|token| &token.token), Some(Token::Minus));
        let at = usize::from(negative);
        let Some(Token::Number(digits, _)) = self.rest.get(at).map(|token| &token.token) else { return None };
        let number: i64 = digits.parse().ok()?;
        (0..=at).for_each(|_| self.skip());
        Some(if negative { -number } else { number })
    }
}
