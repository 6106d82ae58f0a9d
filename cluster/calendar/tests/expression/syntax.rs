//! The part of SQL that the golden file is written in: literals with a type, operators, functions, casts.

/// An expression, read.
#[derive(Clone, Debug)]
pub enum Expression {
    Integer(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    /// `interval(3) '1' day to second`: type, precision, text, fields.
    Literal(String, Option<u8>, String, String),
    /// `function(arguments)`, `extract(unit from x)`.
    Call(String, Vec<Expression>),
    Binary(Box<Expression>, String, Box<Expression>),
    Negative(Box<Expression>),
    /// `x::type(precision)`
    Cast(Box<Expression>, String, Option<u8>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Number(String),
    Text(String),
    Symbol(String),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' => {
                let mut quoted = String::new();
                let mut at = 1;
                loop {
                    let next = rest[at..].find('\'').expect("a quote at the end");
                    quoted.push_str(&rest[at..at + next]);
                    at += next + 1;
                    if !rest[at..].starts_with('\'') {
                        break;
                    }
                    quoted.push('\'');
                    at += 1;
                }
                tokens.push(Token::Text(quoted));
                at
            }
            '0'..='9' => {
                let mut end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
                if rest[end..].starts_with('e') {
                    let exponent = rest[end + 1..].trim_start_matches(['+', '-']);
                    let digits = exponent.find(|c: char| !c.is_ascii_digit()).unwrap_or(exponent.len());
                    end = rest.len() - exponent.len() + digits;
                }
                tokens.push(Token::Number(rest[..end].into()));
                end
            }
            c if c.is_alphabetic() => {
                let end =
                    rest.find(|c: char| !c.is_alphanumeric() && !"_.".contains(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_lowercase()));
                end
            }
            _ => {
                let double = ["::", "<=", ">=", "<>"].iter().any(|symbol| rest.starts_with(symbol));
                let end = if double { 2 } else { 1 };
                tokens.push(Token::Symbol(rest[..end].into()));
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    tokens
}

const TYPES: [&str; 5] = ["date", "time", "timestamp", "timestamptz", "interval"];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

/// Reads an expression.
///
/// # Panics
/// If it is none.
pub fn parse(text: &str) -> Expression {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let expression = parser.comparison();
    assert_eq!(parser.at, parser.tokens.len(), "all of {text} is read");
    expression
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Token {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().expect("more")
    }

    fn symbol(&mut self, choice: &[&str]) -> Option<String> {
        match self.peek() {
            Some(Token::Symbol(symbol)) if choice.contains(&symbol.as_str()) => {
                let symbol = symbol.clone();
                self.at += 1;
                Some(symbol)
            }
            _ => None,
        }
    }

    fn word(&mut self, expected: &str) -> bool {
        let is = self.peek() == Some(&Token::Word(expected.into()));
        self.at += usize::from(is);
        is
    }

    fn chain(&mut self, symbols: &[&str], operand: fn(&mut Parser) -> Expression) -> Expression {
        let mut left = operand(self);
        while let Some(symbol) = self.symbol(symbols) {
            left = Expression::Binary(left.into(), symbol, operand(self).into());
        }
        left
    }

    fn comparison(&mut self) -> Expression {
        self.chain(&["=", "<>", "<", ">", "<=", ">="], Parser::sum)
    }

    fn sum(&mut self) -> Expression {
        self.chain(&["+", "-"], Parser::product)
    }

    fn product(&mut self) -> Expression {
        self.chain(&["*", "/"], Parser::at_zone)
    }

    fn at_zone(&mut self) -> Expression {
        let mut left = self.unary();
        while self.word("at") {
            assert!(self.word("time") && self.word("zone"));
            left = Expression::Call("timezone".into(), vec![self.unary(), left]);
        }
        left
    }

    fn unary(&mut self) -> Expression {
        if self.symbol(&["-"]).is_some() {
            return Expression::Negative(self.unary().into());
        }
        let mut value = self.primary();
        while self.symbol(&["::"]).is_some() {
            let Token::Word(name) = self.next() else { panic!("a type") };
            let precision = self.precision();
            value = Expression::Cast(value.into(), name, precision);
        }
        value
    }

    fn precision(&mut self) -> Option<u8> {
        let open = self.peek() == Some(&Token::Symbol("(".into()));
        match (open, self.tokens.get(self.at + 1)) {
            (true, Some(Token::Number(digits))) => {
                let digits = digits.parse().expect("a precision");
                self.at += 2;
                self.symbol(&[")"]).expect("a bracket");
                Some(digits)
            }
            _ => None,
        }
    }

    fn primary(&mut self) -> Expression {
        match self.next() {
            Token::Number(number) => match number.parse() {
                Ok(integer) => Expression::Integer(integer),
                Err(_) => Expression::Float(number.parse().expect("a number")),
            },
            Token::Text(text) => Expression::Text(text),
            Token::Symbol(symbol) if symbol == "(" => {
                let inner = self.comparison();
                self.symbol(&[")"]).expect("a bracket");
                inner
            }
            Token::Word(name) if TYPES.contains(&name.as_str()) => self.literal(name),
            Token::Word(name) if name == "true" || name == "false" => Expression::Bool(name == "true"),
            Token::Word(name) => self.call(name),
            other => panic!("{other:?} begins no expression"),
        }
    }

    fn literal(&mut self, name: String) -> Expression {
        let precision = self.precision();
        let Token::Text(text) = self.next() else { panic!("a literal of type {name}") };
        let mut fields = Vec::new();
        if name == "interval" {
            while let Some(Token::Word(word)) = self.peek().cloned() {
                if !["year", "month", "day", "hour", "minute", "second", "to"].contains(&word.as_str()) {
                    break;
                }
                self.at += 1;
                fields.push(word);
            }
        }
        let precision = precision.or_else(|| self.precision());
        Expression::Literal(name, precision, text, fields.join(" "))
    }

    fn call(&mut self, name: String) -> Expression {
        self.symbol(&["("]).unwrap_or_else(|| panic!("{name} is a function"));
        let mut arguments = Vec::new();
        if name == "extract" {
            match self.next() {
                Token::Word(unit) | Token::Text(unit) => arguments.push(Expression::Text(unit)),
                other => panic!("{other:?} is a unit"),
            }
            assert!(self.word("from"));
        }
        loop {
            arguments.push(self.comparison());
            if self.symbol(&[","]).is_none() {
                break;
            }
        }
        self.symbol(&[")"]).expect("a bracket");
        Expression::Call(name, arguments)
    }
}
