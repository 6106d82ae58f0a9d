//! `COMMENT ON`, of more kinds of things than the parser knows.

use alloc::format;
use core::cell::Cell;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::keyword;
use super::{Positions, Translator, fold, syntax_error};
use crate::ast::{Comment, CommentOn, ObjectKind, Statement, TableName};
use crate::error::{SqlError, SqlResult, SqlState};

/// The statement; none if it is another.
pub(super) fn of(tokens: &[TokenWithSpan], positions: &Positions) -> Option<SqlResult<Statement>> {
    let is = |at: usize, word: Keyword| tokens.get(at).and_then(keyword) == Some(word);
    (is(0, Keyword::COMMENT) && is(1, Keyword::ON)).then(|| parse(tokens, positions))
}

fn parse(tokens: &[TokenWithSpan], positions: &Positions) -> SqlResult<Statement> {
    let failed = |error| syntax_error(error, tokens, positions);
    let dialect = PostgreSqlDialect {};
    let rest = tokens.get(2..).unwrap_or_default().to_vec();
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(rest);
    let translator = Translator { positions, depth: Cell::new(0) };
    let kind = parser.next_token();
    let object = |kind| (CommentOn::Object(kind), None);
    let (on, constraint) = match keyword(&kind) {
        Some(Keyword::TABLE) => object(ObjectKind::Table),
        Some(Keyword::VIEW) => object(ObjectKind::View),
        Some(Keyword::INDEX) => object(ObjectKind::Index),
        Some(Keyword::SEQUENCE) => object(ObjectKind::Sequence),
        Some(Keyword::COLUMN) => (CommentOn::Column, None),
        Some(Keyword::CONSTRAINT) => {
            let name = parser.parse_identifier().map_err(failed)?;
            parser.expect_keyword(Keyword::ON).map_err(failed)?;
            (CommentOn::Constraint, Some(fold(&name)))
        }
        _ => return Err(SqlError::not_supported(&format!("COMMENT ON {}", kind.token))),
    };
    let mut name = parser.parse_object_name(false).map_err(failed)?;
    let column = match on {
        CommentOn::Column if name.0.len() == 1 => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "column name must be qualified"));
        }
        CommentOn::Column => {
            let last = name.0.pop();
            last.and_then(|part| part.as_ident().map(fold))
        }
        _ => None,
    };
    let table: TableName = translator.table_name(&name)?;
    parser.expect_keyword(Keyword::IS).map_err(failed)?;
    let text = match parser.parse_keyword(Keyword::NULL) {
        true => None,
        // Nothing to say is saying nothing.
        false => Some(parser.parse_literal_string().map_err(failed)?).filter(|text| !text.is_empty()),
    };
    parser.expect_token(&Token::EOF).map_err(failed)?;
    Ok(Statement::Comment(Comment { on, name: table, part: constraint.or(column), text }))
}
