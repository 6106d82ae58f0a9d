//! `VACUUM` and `ANALYZE`, whose many forms the parser does not know.

use alloc::vec::Vec;
use core::cell::Cell;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::keyword;
use super::{Positions, Translator, syntax_error};
use crate::ast::{Maintenance, Statement};
use crate::error::SqlResult;

/// Whether the statement is a `VACUUM`, whether it gathers statistics, and where the names of tables begin; none if it is
/// neither.
pub(super) fn of(tokens: &[TokenWithSpan]) -> Option<(bool, bool, usize)> {
    let vacuums = match tokens.first().and_then(keyword)? {
        Keyword::VACUUM => true,
        Keyword::ANALYZE => false,
        _ => return None,
    };
    let mut analyzes = !vacuums;
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(1) {
        match (&token.token, keyword(token)) {
            (Token::LParen, _) => depth += 1,
            (Token::RParen, _) if depth > 0 => depth -= 1,
            (_, Some(Keyword::ANALYZE)) => analyzes = true,
            (_, Some(Keyword::FULL | Keyword::FREEZE | Keyword::VERBOSE)) => {}
            _ if depth > 0 => {}
            _ => return Some((vacuums, analyzes, at)),
        }
    }
    Some((vacuums, analyzes, tokens.len()))
}

/// `VACUUM` or `ANALYZE` of the tables called `names`.
pub(super) fn parse(
    vacuums: bool,
    analyzes: bool,
    names: Vec<TokenWithSpan>,
    positions: &Positions,
) -> SqlResult<Statement> {
    let dialect = PostgreSqlDialect {};
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(names.clone());
    let mut tables = Vec::new();
    let translator = Translator { positions, depth: Cell::new(0) };
    while parser.peek_token().token != Token::EOF {
        if !tables.is_empty() {
            parser.expect_token(&Token::Comma).map_err(|error| syntax_error(error, &names, positions))?;
        }
        let name = parser.parse_object_name(false).map_err(|error| syntax_error(error, &names, positions))?;
        tables.push(translator.table_name(&name)?);
        // Of which columns: the others' statistics do no harm.
        if parser.consume_token(&Token::LParen) {
            while !matches!(parser.next_token().token, Token::RParen | Token::EOF) {}
        }
    }
    Ok(Statement::Maintenance(Maintenance { vacuums, analyzes, tables }))
}
