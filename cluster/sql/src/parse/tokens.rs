//! What is done to tokens before the parser sees them: statements are split, long chains refused, and the few
//! statements that it does not know are taken out.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Whitespace};

use crate::ast::Statement;
use crate::error::{SqlError, SqlResult, SqlState};

/// Most operators and keywords between two commas at one level of parentheses: what bounds the depth of a
/// tree that the parser builds without recursing.
pub const CHAIN_LEN_MAX: usize = 600;

/// Splits at semicolons, dropping empty statements.
pub(super) fn split(tokens: Vec<TokenWithSpan>) -> SqlResult<Vec<Vec<TokenWithSpan>>> {
    let mut statements = Vec::new();
    let mut current: Vec<TokenWithSpan> = Vec::new();
    let mut is_new_line = false;
    for token in tokens {
        match token.token {
            Token::SemiColon | Token::EOF => finish(&mut current, &mut statements)?,
            Token::Whitespace(space) => {
                is_new_line |= matches!(space, Whitespace::Newline | Whitespace::SingleLineComment { .. });
                continue;
            }
            // Two texts on two lines are one.
            Token::SingleQuotedString(more) if is_new_line => match current.last_mut() {
                Some(TokenWithSpan { token: Token::SingleQuotedString(text), .. }) => text.push_str(&more),
                _ => current.push(TokenWithSpan { token: Token::SingleQuotedString(more), span: token.span }),
            },
            _ => current.push(token),
        }
        is_new_line = false;
    }
    finish(&mut current, &mut statements)?;
    Ok(statements)
}

fn finish(current: &mut Vec<TokenWithSpan>, statements: &mut Vec<Vec<TokenWithSpan>>) -> SqlResult<()> {
    let mut tokens = core::mem::take(current);
    check_chains(&tokens)?;
    super::words::drop_sequence_name(&mut tokens);
    super::marks::mark(&mut tokens)?;
    order_sequence_options(&mut tokens);
    spell_out(&mut tokens);
    let Some(first) = tokens.first() else { return Ok(()) };
    // The parser wants COPY FROM STDIN to end so, as psql's data would follow.
    if matches!(&first.token, Token::Word(word) if word.keyword == Keyword::COPY) && is_from_stdin(&tokens) {
        tokens.push(TokenWithSpan { token: Token::SemiColon, span: Span::empty() });
    }
    statements.push(tokens);
    Ok(())
}

/// The parser knows `on` and `off` in an option of `COPY` only as `true` and `false`.
fn spell_out(tokens: &mut [TokenWithSpan]) {
    if tokens.first().and_then(keyword) != Some(Keyword::COPY) {
        return;
    }
    let mut before = None;
    for token in tokens {
        let now = keyword(token);
        if matches!(before, Some(Keyword::FREEZE | Keyword::HEADER)) {
            match now {
                Some(Keyword::ON) => token.token = Token::make_keyword("TRUE"),
                Some(Keyword::OFF) => token.token = Token::make_keyword("FALSE"),
                _ => {}
            }
        }
        before = now;
    }
}

pub(super) fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// The parser wants the options of sequences in one order; Postgres takes them in any.
fn order_sequence_options(tokens: &mut [TokenWithSpan]) {
    let is =
        |token: &TokenWithSpan, keyword| matches!(&token.token, Token::Word(word) if word.keyword == keyword);
    let creates = |pair: &[TokenWithSpan]| match pair {
        [first, second] => is(first, Keyword::CREATE) && is(second, Keyword::SEQUENCE),
        _ => false,
    };
    let mut at = if tokens.get(..2).is_some_and(creates) { 2 } else { tokens.len() };
    let identity = |pair: &[TokenWithSpan]| match pair {
        [first, second] => is(first, Keyword::IDENTITY) && second.token == Token::LParen,
        _ => false,
    };
    if let Some(found) = tokens.windows(2).position(identity) {
        at = found + 2;
    }
    while at < tokens.len() {
        let mut clauses: Vec<(usize, Vec<TokenWithSpan>)> = Vec::new();
        let mut end = at;
        while let Some((rank, len)) = sequence_option(tokens.get(end..).unwrap_or_default()) {
            clauses.push((rank, tokens.get(end..end + len).unwrap_or_default().into()));
            end += len;
        }
        clauses.sort_by_key(|(rank, _)| *rank);
        let ordered = clauses.into_iter().flat_map(|(_, clause)| clause);
        tokens.iter_mut().skip(at).zip(ordered).for_each(|(slot, token)| *slot = token);
        at = end.max(at) + 1;
    }
}

/// The place that the parser wants the option in with which `tokens` begin, and its length.
fn sequence_option(tokens: &[TokenWithSpan]) -> Option<(usize, usize)> {
    let word = |at: usize| match &tokens.get(at)?.token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    };
    let no = usize::from(word(0) == Some(Keyword::NO));
    let rank = match word(no)? {
        Keyword::INCREMENT if no == 0 => 0,
        Keyword::MINVALUE => 1,
        Keyword::MAXVALUE => 2,
        Keyword::START if no == 0 => 3,
        Keyword::CACHE if no == 0 => 4,
        Keyword::CYCLE => 5,
        _ => return None,
    };
    let mut len = no + 1;
    if no == 0 && rank != 5 {
        len += usize::from(matches!(word(len), Some(Keyword::BY | Keyword::WITH)));
        len += usize::from(matches!(
            tokens.get(len).map(|token| &token.token),
            Some(Token::Minus | Token::Plus)
        ));
        len += 1;
    }
    (len <= tokens.len()).then_some((rank, len))
}

/// The statements that the parser does not know: each is one word.
pub(super) fn of_one_word(tokens: &[TokenWithSpan]) -> Option<Statement> {
    let [TokenWithSpan { token: Token::Word(word), .. }] = tokens else { return None };
    match word.value.to_ascii_lowercase().as_str() {
        _ if word.quote_style.is_some() => None,
        "backup" => Some(Statement::Backup),
        "restore" => Some(Statement::Restore),
        _ => None,
    }
}

fn is_from_stdin(tokens: &[TokenWithSpan]) -> bool {
    tokens.iter().any(|token| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::STDIN))
}

/// Counts operators and keywords. What stands in parentheses may lie below what follows them, so its
/// count is added to theirs; a comma starts anew.
fn check_chains(tokens: &[TokenWithSpan]) -> SqlResult<()> {
    let mut levels = vec![Chain::default()];
    for token in tokens {
        let Some(level) = levels.last_mut() else { return Ok(()) };
        match &token.token {
            Token::LParen => {
                levels.push(Chain::default());
                continue;
            }
            Token::RParen => {
                let inner = levels.pop().map_or(0, |inner| inner.longest);
                let Some(outer) = levels.last_mut() else { return Ok(()) };
                outer.extend(inner)?;
            }
            Token::Comma => level.now = 0,
            Token::Word(word) if word.keyword == Keyword::NoKeyword => {}
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) | Token::Period => {}
            _ => level.extend(1)?,
        }
    }
    Ok(())
}

/// The chain at one level of parentheses.
#[derive(Default)]
struct Chain {
    now: usize,
    longest: usize,
}

impl Chain {
    fn extend(&mut self, operators: usize) -> SqlResult<()> {
        self.now += operators;
        self.longest = self.longest.max(self.now);
        if self.now > CHAIN_LEN_MAX {
            let message = format!("an expression of more than {CHAIN_LEN_MAX} operators exceeds the limit");
            return Err(SqlError::new(SqlState::TOO_COMPLEX, message));
        }
        Ok(())
    }
}
