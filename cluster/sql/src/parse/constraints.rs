//! `SET CONSTRAINTS`, which the parser does not know.

use alloc::vec::Vec;
use core::cell::Cell;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::keyword;
use super::{Positions, Translator, syntax_error};
use crate::ast::Statement;
use crate::error::SqlResult;

/// The statement; none if it is another.
pub(super) fn of(tokens: &[TokenWithSpan], positions: &Positions) -> Option<SqlResult<Statement>> {
    let is = |at: usize, word: &str| match tokens.get(at).map(|token| &token.token) {
        Some(Token::Word(found)) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
        _ => false,
    };
    if tokens.first().and_then(keyword) != Some(Keyword::SET) || !is(1, "constraints") {
        return None;
    }
    Some(parse(tokens, positions))
}

fn parse(tokens: &[TokenWithSpan], positions: &Positions) -> SqlResult<Statement> {
    let failed = |error| syntax_error(error, tokens, positions);
    let rest: Vec<TokenWithSpan> = tokens.get(2..).unwrap_or_default().to_vec();
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(rest);
    let translator = Translator { positions, depth: Cell::new(0) };
    let mut names = Vec::new();
    if !parser.parse_keyword(Keyword::ALL) {
        loop {
            let name = parser.parse_object_name(false).map_err(failed)?;
            names.push(translator.table_name(&name)?);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    let words = [Keyword::DEFERRED, Keyword::IMMEDIATE];
    let deferred = parser.expect_one_of_keywords(&words).map_err(failed)? == Keyword::DEFERRED;
    parser.expect_token(&Token::EOF).map_err(failed)?;
    Ok(Statement::SetConstraints(names, deferred))
}
