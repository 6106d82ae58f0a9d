//! Bytes taken apart, from the front. Where they end, there are zeros.

/// What is left of them.
#[derive(Clone)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// The next bytes, `len` at most.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        front
    }

    /// Bytes behind their length, which is in one byte.
    pub fn short(&mut self) -> &'a [u8] {
        let len = self.byte();
        self.bytes(len.into())
    }

    /// Bytes behind their length, which is in two.
    pub fn long(&mut self) -> &'a [u8] {
        let len = u16::from_le_bytes([self.byte(), self.byte()]);
        self.bytes(len.into())
    }

    /// A number that is mostly small, and sometimes near the end of what there is.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=239 => small.into(),
            low @ 240..=247 => u64::MAX - u64::from(low - 240),
            _ => self.bytes(8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        }
    }

    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }
}

/// The other way: what [`Input`] takes apart.
#[derive(Default)]
pub struct Output(pub Vec<u8>);

impl Output {
    pub fn byte(&mut self, byte: u8) -> &mut Output {
        self.0.push(byte);
        self
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Output {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn short(&mut self, bytes: &[u8]) -> &mut Output {
        let bytes = &bytes[..bytes.len().min(255)];
        self.byte(bytes.len() as u8).bytes(bytes)
    }

    pub fn long(&mut self, bytes: &[u8]) -> &mut Output {
        self.bytes(&(bytes.len() as u16).to_le_bytes()).bytes(bytes)
    }

    pub fn number(&mut self, number: u64) -> &mut Output {
        if number < 240 { self.byte(number as u8) } else { self.byte(255).bytes(&number.to_be_bytes()) }
    }
}
