//! From text to statements. The only place that knows the parser crate.
//!
//! The text is untrusted, and the machine's stack is small: nesting is bounded by the parser's own limit,
//! and chains (`1+1+1+...`, which the parser turns into a tree as deep as they are long) by counting
//! tokens before it runs. The worst text then takes more than 256 KiB of stack and less than 512 (at
//! opt-level 1): whoever polls a session should have at least that.

mod alter;
mod call;
mod comment;
mod constraints;
mod copy;
mod cursor;
mod ddl;
mod explain;
mod expression;
mod from;
mod maintenance;
mod marks;
mod query;
mod routine;
mod shape;
mod special;
mod statement;
mod tokens;
mod types;
mod with;
mod words;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use cluster_format::limits::SQL_LEN_MAX;
pub(crate) use shape::{Shape, Value};
use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::ast::{Statement, TableName};
use crate::error::{SqlError, SqlResult, SqlState};

/// How deep expressions and queries may nest.
pub const NESTING_MAX: usize = 50;

/// Most statements in one text.
pub const STATEMENTS_MAX: usize = 10_000;

/// The statements of `sql`, in order; none if it is empty.
pub fn parse(sql: &str) -> SqlResult<Vec<Statement>> {
    if sql.len() > SQL_LEN_MAX {
        let message = format!("a statement of {} bytes exceeds the limit of {SQL_LEN_MAX} bytes", sql.len());
        return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
    }
    let positions = Positions::new(sql);
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location().map_err(|error| {
        SqlError::new(SqlState::SYNTAX_ERROR, lower_first(&error.message)).at(positions.of(error.location))
    })?;
    let mut statements = Vec::new();
    for tokens in tokens::split(tokens)? {
        if statements.len() >= STATEMENTS_MAX {
            let message = format!("a text of more than {STATEMENTS_MAX} statements exceeds the limit");
            return Err(SqlError::new(SqlState::LIMIT_EXCEEDED, message));
        }
        statements.push(parse_one(tokens, &positions)?);
    }
    Ok(statements)
}

/// The expression that `text` is.
pub(crate) fn expression(text: &str) -> SqlResult<crate::ast::Expr> {
    within(text, |parser| parser.parse_expr(), |translator, expr| translator.expr(expr))
}

/// The query that `text` is.
pub(crate) fn query(text: &str) -> SqlResult<crate::ast::Query> {
    within(text, |parser| parser.parse_query(), |translator, query| translator.query(*query))
}

/// The names of tables in a query, with their places in its text.
pub(crate) fn names_in_query(text: &str) -> SqlResult<Vec<crate::ast::TableName>> {
    let positions = Positions::new(text);
    let mut names = Vec::new();
    let translate = |translator: &Translator<'_>, query: alloc::boxed::Box<ast::Query>| {
        Translator { positions: &positions, depth: Cell::new(translator.depth.get()) }.query(*query)
    };
    let query = within(text, |parser| parser.parse_query(), translate)?;
    crate::ast::visit::tables_of_query(&query, &mut |name| names.push(name.clone()));
    Ok(names)
}

/// What `parse` and `translate` make of `text`, which is part of a definition.
fn within<P, T>(
    text: &str,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<P, ParserError>,
    translate: impl FnOnce(&Translator<'_>, P) -> SqlResult<T>,
) -> SqlResult<T> {
    let positions = Positions::new("");
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| SqlError::new(SqlState::SYNTAX_ERROR, lower_first(&error.message)))?;
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    let parsed = parse(&mut parser).map_err(|error| syntax_error(error, &[], &positions))?;
    translate(&Translator { positions: &positions, depth: Cell::new(0) }, parsed)
}

fn parse_one(mut tokens: Vec<TokenWithSpan>, positions: &Positions) -> SqlResult<Statement> {
    if let Some(statement) = tokens::of_one_word(&tokens).or_else(|| words::statement(&tokens)) {
        return Ok(statement);
    }
    if let Some((vacuums, analyzes, names)) = maintenance::of(&tokens) {
        return maintenance::parse(vacuums, analyzes, tokens.split_off(names), positions);
    }
    if let Some(comment) = comment::of(&tokens, positions) {
        return comment;
    }
    if let Some(set) = constraints::of(&tokens, positions) {
        return set;
    }
    if let Some(fetch) = cursor::fetch(&tokens, positions) {
        return fetch;
    }
    let makes_procedure = routine::makes_procedure(&mut tokens);
    let mut parser = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(NESTING_MAX)
        .with_tokens_with_locations(tokens.clone());
    let parsed = parser.parse_statement().and_then(|statement| {
        let next = parser.next_token();
        match next.token {
            Token::EOF => Ok(statement),
            _ => Err(ParserError::ParserError(format!("unexpected{}", next.span.start))),
        }
    });
    match parsed {
        Ok(statement) => {
            let mut statement = Translator { positions, depth: Cell::new(0) }.statement(statement)?;
            if let Statement::CreateRoutine(create) = &mut statement {
                create.is_procedure = makes_procedure;
            }
            Ok(statement)
        }
        Err(error) => Err(syntax_error(error, &tokens, positions)),
    }
}

/// The parser names a place at the end of its message; the token there is what Postgres would name.
fn syntax_error(error: ParserError, tokens: &[TokenWithSpan], positions: &Positions) -> SqlError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            let message = format!("the statement nests deeper than the limit of {NESTING_MAX} levels");
            return SqlError::new(SqlState::TOO_COMPLEX, message);
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let place = message.rsplit_once(" at Line: ").and_then(|(_, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some(Location { line: line.parse().ok()?, column: column.trim().parse().ok()? })
    });
    let found = place.and_then(|place| tokens.iter().find(|token| token.span.start == place));
    match found {
        Some(token) => {
            let message = format!("syntax error at or near \"{}\"", token.token);
            SqlError::new(SqlState::SYNTAX_ERROR, message).at(positions.of(token.span.start))
        }
        None => SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input")
            .at(tokens.last().and_then(|token| positions.of(token.span.end))),
    }
}

fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

/// Turns lines and columns into the one number that Postgres counts in.
struct Positions {
    /// Characters before each line.
    lines: Vec<u32>,
}

impl Positions {
    fn new(sql: &str) -> Positions {
        let mut lines = Vec::new();
        let mut before = 0;
        for line in sql.split_inclusive('\n') {
            lines.push(before);
            before += u32::try_from(line.chars().count()).unwrap_or(0);
        }
        Positions { lines }
    }

    fn of(&self, location: Location) -> Option<u32> {
        let line = usize::try_from(location.line.checked_sub(1)?).ok()?;
        Some(self.lines.get(line)? + u32::try_from(location.column).ok()?)
    }
}

/// Translates the parser's tree into ours.
struct Translator<'a> {
    positions: &'a Positions,
    /// How deep the expression in hand is.
    depth: Cell<usize>,
}

impl Translator<'_> {
    fn position(&self, span: Span) -> Option<u32> {
        self.positions.of(span.start)
    }

    fn table_name(&self, name: &ast::ObjectName) -> SqlResult<TableName> {
        let parts = idents(name)?;
        let position = parts.first().and_then(|part| self.position(part.span));
        match *parts {
            [table] => Ok(TableName { schema: None, name: fold(table), position }),
            [schema, table] => Ok(TableName { schema: Some(fold(schema)), name: fold(table), position }),
            [_, schema, table] => Ok(TableName { schema: Some(fold(schema)), name: fold(table), position }),
            _ => {
                let message = format!("improper qualified name (too many dotted names): {name}");
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position))
            }
        }
    }
}

/// The parts of a dotted name.
fn idents(name: &ast::ObjectName) -> SqlResult<Vec<&ast::Ident>> {
    let ident = |part: &'_ ast::ObjectNamePart| part.as_ident().is_some();
    if !name.0.iter().all(ident) {
        return Err(SqlError::not_supported("a name that is computed"));
    }
    Ok(name.0.iter().filter_map(|part| part.as_ident()).collect())
}

/// A name without dots.
fn single(name: &ast::ObjectName) -> SqlResult<String> {
    match *idents(name)? {
        [ident] => Ok(fold(ident)),
        _ => Err(SqlError::not_supported("a dotted name here")),
    }
}

/// An identifier: lower case unless quoted, cut to what Postgres keeps.
fn fold(ident: &ast::Ident) -> String {
    let mut name = match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    if name.len() > crate::catalog::NAME_LEN_MAX {
        let mut end = crate::catalog::NAME_LEN_MAX;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}

/// 0A000 if `present`.
fn refuse(present: bool, feature: &str) -> SqlResult<()> {
    if present { Err(SqlError::not_supported(feature)) } else { Ok(()) }
}
