//! CRC-32C (Castagnoli), as iSCSI (RFC 3720, section 12.1) uses it.

const ALGORITHM: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);

/// The CRC-32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = Crc32c::new();
    sum.update(bytes);
    sum.finish()
}

/// A CRC-32C over bytes that do not lie together.
pub struct Crc32c(crc::Digest<'static, u32, crc::Table<16>>);

static TABLES: crc::Crc<u32, crc::Table<16>> = ALGORITHM;

impl Crc32c {
    /// The sum of no bytes.
    pub fn new() -> Self {
        Crc32c(TABLES.digest())
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum of what was appended.
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Crc32c::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_published_check_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        let mut parts = Crc32c::new();
        parts.update(b"1234");
        parts.update(b"56789");
        assert_eq!(parts.finish(), 0xe306_9283);
    }
}
