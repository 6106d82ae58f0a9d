//! What the parser would take for something else, and is therefore marked before it is parsed.
//!
//! The mark is a prefix operator that Postgres has no more. It ends up at the left end of the tree of what it stands
//! before, where it is found and taken out again.
//!
//! - `BETWEEN SYMMETRIC low AND high`: the parser takes the word for a name. The mark stands in its place.
//! - `IN ((SELECT ...), ...)`, a list of values: the parser takes it for a subquery. The mark stands before the first.

use alloc::vec::Vec;

use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{SqlError, SqlResult};

const MARK: Token = Token::DoubleExclamationMark;

/// Sets the marks.
pub(super) fn mark(tokens: &mut Vec<TokenWithSpan>) -> SqlResult<()> {
    if tokens.iter().any(|token| token.token == MARK) {
        return Err(SqlError::not_supported("the operator !!"));
    }
    mark_symmetric(tokens);
    name_blank(tokens);
    mark_lists(tokens);
    Ok(())
}

fn mark_symmetric(tokens: &mut Vec<TokenWithSpan>) {
    let mut is_behind = false;
    tokens.retain_mut(|token| {
        let was_behind = is_behind;
        is_behind = is_word(&token.token, |word| word == Keyword::BETWEEN);
        match () {
            _ if was_behind && is_word(&token.token, |word| word == Keyword::SYMMETRIC) => {
                token.token = MARK;
                true
            }
            // What is meant without it.
            _ => !(was_behind && is_word(&token.token, |word| word == Keyword::ASYMMETRIC)),
        }
    });
}

/// `TRIM(TRAILING FROM text)`: the parser wants to know of what.
fn name_blank(tokens: &mut Vec<TokenWithSpan>) {
    use Keyword as K;
    let is = |token: Option<&TokenWithSpan>, word: Keyword| {
        token.is_some_and(|token| is_word(&token.token, |known| known == word))
    };
    let is_bare = |at: usize| {
        is(tokens.get(at), K::FROM)
            && at >= 3
            && [K::LEADING, K::TRAILING, K::BOTH].iter().any(|word| is(tokens.get(at - 1), *word))
            && is(tokens.get(at - 3), K::TRIM)
    };
    let bare: Vec<usize> = (0..tokens.len()).filter(|at| is_bare(*at)).collect();
    insert(tokens, &bare, &Token::SingleQuotedString(" ".into()));
    // `TRIM(FROM text)` means what it does without the word.
    let (mut is_name, mut is_open) = (false, false);
    tokens.retain(|token| {
        let is_idle = is_open && is_word(&token.token, |word| word == K::FROM);
        is_open = is_name && token.token == Token::LParen;
        is_name = is_word(&token.token, |word| word == K::TRIM);
        !is_idle
    });
}

/// Puts `token` before those at the places in `before`, which are in order.
fn insert(tokens: &mut Vec<TokenWithSpan>, before: &[usize], token: &Token) {
    if before.is_empty() {
        return;
    }
    let mut places = before.iter().peekable();
    let mut all = Vec::with_capacity(tokens.len() + before.len());
    for (at, next) in core::mem::take(tokens).into_iter().enumerate() {
        if places.next_if_eq(&&at).is_some() {
            all.push(TokenWithSpan { token: token.clone(), span: next.span });
        }
        all.push(next);
    }
    *tokens = all;
}

/// Whether a query begins with it.
fn begins_query(word: Keyword) -> bool {
    matches!(word, Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE)
}

/// Whether a query goes on with it behind a parenthesis.
fn is_part_of_query(word: Keyword) -> bool {
    use Keyword as K;
    matches!(word, K::UNION | K::INTERSECT | K::EXCEPT | K::ORDER | K::LIMIT | K::OFFSET | K::FETCH | K::FOR)
}

fn mark_lists(tokens: &mut Vec<TokenWithSpan>) {
    let token = |at: usize| tokens.get(at).map(|token| &token.token);
    // Where `IN ((` stands, and the parenthesis that may begin a list is still open.
    let (mut open, mut lists) = (Vec::new(), Vec::new());
    for at in 0..tokens.len() {
        match token(at) {
            Some(Token::LParen) => {
                let is_first = at >= 2
                    && token(at + 1).is_some_and(|next| is_word(next, begins_query))
                    && token(at - 1) == Some(&Token::LParen)
                    && token(at - 2).is_some_and(|token| is_word(token, |word| word == Keyword::IN));
                open.push(is_first.then_some(at));
            }
            Some(Token::RParen) => {
                let Some(Some(first)) = open.pop() else { continue };
                let is_query = token(at + 1)
                    .is_none_or(|next| *next == Token::RParen || is_word(next, is_part_of_query));
                if !is_query {
                    lists.push(first);
                }
            }
            _ => {}
        }
    }
    lists.sort_unstable();
    insert(tokens, &lists, &MARK);
}

fn is_word(token: &Token, is_it: impl Fn(Keyword) -> bool) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && is_it(word.keyword))
}

/// Takes the mark out of what it stands before, and says whether it was there.
pub(super) fn unmark(marked: &mut ast::Expr) -> bool {
    let mut end = marked;
    loop {
        match end {
            ast::Expr::BinaryOp { left, .. } => end = left,
            ast::Expr::Nested(inner)
            | ast::Expr::IsNull(inner)
            | ast::Expr::IsNotNull(inner)
            | ast::Expr::IsTrue(inner)
            | ast::Expr::IsNotTrue(inner)
            | ast::Expr::IsFalse(inner)
            | ast::Expr::IsNotFalse(inner)
            | ast::Expr::IsUnknown(inner)
            | ast::Expr::IsNotUnknown(inner)
            | ast::Expr::IsDistinctFrom(inner, _)
            | ast::Expr::IsNotDistinctFrom(inner, _)
            | ast::Expr::InList { expr: inner, .. }
            | ast::Expr::InSubquery { expr: inner, .. }
            | ast::Expr::Between { expr: inner, .. }
            | ast::Expr::Like { expr: inner, .. }
            | ast::Expr::ILike { expr: inner, .. }
            | ast::Expr::AnyOp { left: inner, .. }
            | ast::Expr::AllOp { left: inner, .. }
            | ast::Expr::AtTimeZone { timestamp: inner, .. } => end = inner,
            ast::Expr::UnaryOp { op: ast::UnaryOperator::PGPrefixFactorial, expr } => {
                let bound = core::mem::replace(&mut **expr, ast::Expr::Tuple(Vec::new()));
                *end = bound;
                return true;
            }
            _ => return false,
        }
    }
}
