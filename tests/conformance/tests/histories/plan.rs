//! What a client does: transactions of a few steps on lists, registers and accounts, drawn from a seed.

use tests_conformance::random::chance::Chance;

/// Few, so that clients meet.
pub const LISTS: u64 = 4;
pub const REGISTERS: u64 = 4;
pub const ACCOUNTS: u64 = 4;

/// What each account begins with.
pub const BALANCE: i64 = 100;

/// The kinds of rows share one space of keys.
pub const FIRST_REGISTER: u64 = 100;
pub const FIRST_ACCOUNT: u64 = 200;

/// One step. Accounts are registers with a balance.
#[derive(Clone, Debug)]
pub enum Step {
    /// Appends to a list.
    Append(u64),
    /// Reads a list.
    Read(u64),
    /// Writes some registers in one statement, without having read them.
    Write(Vec<u64>),
    /// Reads some registers in one statement.
    See(Vec<u64>),
    /// Reads an account and takes an amount from it, by what it had; or nothing, if that is too little.
    Move { from: u64, to: u64, amount: i64 },
    /// Reads all accounts.
    Audit,
}

/// One transaction.
#[derive(Clone, Debug)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Between BEGIN and COMMIT; a single statement otherwise.
    pub block: bool,
}

/// The tables, with all rows.
pub fn set_up() -> [String; 6] {
    let rows = |first: u64, count: u64, rest: &str| -> String {
        let rows: Vec<String> = (first..first + count).map(|id| format!("({id}, {rest})")).collect();
        rows.join(", ")
    };
    [
        "CREATE TABLE lists (id bigint PRIMARY KEY, list text NOT NULL)".into(),
        "CREATE TABLE registers (id bigint PRIMARY KEY, version bigint, value bigint)".into(),
        "CREATE TABLE accounts (id bigint PRIMARY KEY, version bigint, value bigint, balance bigint)".into(),
        format!("INSERT INTO lists VALUES {}", rows(0, LISTS, "''")),
        format!("INSERT INTO registers VALUES {}", rows(FIRST_REGISTER, REGISTERS, "0, 0")),
        format!("INSERT INTO accounts VALUES {}", rows(FIRST_ACCOUNT, ACCOUNTS, &format!("0, 0, {BALANCE}"))),
    ]
}

impl Plan {
    /// Draws one.
    pub fn draw(chance: &mut Chance) -> Plan {
        match chance.below(10) {
            0..=2 => {
                let block = true;
                Plan { steps: (0..chance.between(2, 4)).map(|_| step(chance)).collect(), block }
            }
            3..=4 => Plan { steps: vec![transfer(chance)], block: true },
            5 => Plan { steps: vec![Step::Audit], block: false },
            // What was written before COMMIT is lost if it is not told to others with it.
            6 => Plan { steps: vec![Step::Audit, transfer(chance), Step::Audit], block: true },
            _ => Plan { steps: vec![step(chance)], block: false },
        }
    }

    /// Reads everything.
    pub fn everything() -> Plan {
        let registers = (FIRST_REGISTER..FIRST_REGISTER + REGISTERS).collect();
        let lists = (0..LISTS).map(Step::Read);
        Plan { steps: lists.chain([Step::See(registers), Step::Audit]).collect(), block: true }
    }
}

fn step(chance: &mut Chance) -> Step {
    let list = chance.below(LISTS as usize) as u64;
    let registers: Vec<u64> = (FIRST_REGISTER..FIRST_REGISTER + REGISTERS).collect();
    match chance.below(4) {
        0 => Step::Append(list),
        1 => Step::Read(list),
        2 => Step::Write(chance.some(&registers, 1)),
        _ => Step::See(chance.some(&registers, 1)),
    }
}

fn transfer(chance: &mut Chance) -> Step {
    let accounts: Vec<u64> = (FIRST_ACCOUNT..FIRST_ACCOUNT + ACCOUNTS).collect();
    let both = chance.some(&accounts, 2);
    Step::Move { from: both[0], to: both[1], amount: chance.below(60) as i64 }
}
