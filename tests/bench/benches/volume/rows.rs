//! Rows: a number, and 200 bytes of text.

/// Bytes of a row.
pub const ROW_LEN: u64 = 208;

/// A key and a body.
pub type Row = (i64, String);

/// A number that depends on another, as if it were drawn (SplitMix64).
pub fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

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
