//! Rows: a number, and 200 bytes of text.

use tests_bench::chance::scramble;

/// Bytes of a row.
pub const ROW_LEN: u64 = 208;

/// A key and a body.
pub type Row = (i64, String);

/// All rows, in a random order.
pub struct Rows {
    pub count: u64,
    keys: Vec<u32>,
}

impl Rows {
    /// Keys from 0 on, each once.
    pub fn new(count: u64) -> Rows {
        let mut keys: Vec<u32> = (0..count as u32).collect();
        for at in (1..keys.len()).rev() {
            keys.swap(at, (scramble(at as u64) % (at as u64 + 1)) as usize);
        }
        Rows { count, keys }
    }

    /// The key of the row that comes at this place.
    pub fn key(&self, at: u64) -> i64 {
        self.keys[at as usize % self.keys.len()].into()
    }

    /// That row.
    pub fn row(&self, at: u64) -> Row {
        let key = self.key(at);
        (key, body(key as u64))
    }
}

/// 200 letters, half of them drawn, half of them words.
fn body(key: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const WORDS: [&str; 5] = ["large_airport,", "closed,", "small_airport,", "US-CA,", "heliport,"];
    let mut body = String::with_capacity(220);
    for part in 0..10 {
        let drawn = scramble(key ^ part << 48);
        body.extend((0..10).map(|at| char::from(LETTERS[(drawn >> (6 * at)) as usize % 64])));
    }
    while body.len() < 200 {
        body.push_str(WORDS[(scramble(key + body.len() as u64) % 5) as usize]);
    }
    body.truncate(200);
    body
}
