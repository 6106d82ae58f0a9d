//! Files of captured frames: libpcap's classic format, which tcpdump and Wireshark read.
//!
//! ```text
//!   file = header, record*
//!   header (24 bytes): magic u32, version 2.4 as two u16, 8 bytes of 0, longest frame u32, link type u32
//!   record: seconds u32, microseconds u32, bytes kept u32, bytes of the frame u32, the bytes kept
//! ```
//! All numbers are little-endian, as the magic shows. Source: the Internet-Draft draft-ietf-opsawg-pcap.

use drivers_api::WallTime;

const MAGIC_OF_MICROSECONDS: u32 = 0xa1b2_c3d4;
const VERSION: [u16; 2] = [2, 4];
const LINK_TYPE_ETHERNET: u32 = 1;

/// Frames are kept whole: none is longer.
const FRAME_LEN_MAX: u32 = 65_535;

/// What a file begins with.
pub fn header() -> Vec<u8> {
    let [major, minor] = VERSION.map(u16::to_le_bytes);
    let [longest, link_type] = [FRAME_LEN_MAX, LINK_TYPE_ETHERNET].map(u32::to_le_bytes);
    [&MAGIC_OF_MICROSECONDS.to_le_bytes()[..], &major, &minor, &[0; 8], &longest, &link_type].concat()
}

/// What stands before a frame of `len` bytes that was seen at `at`.
pub fn record_header(at: WallTime, len: usize) -> [u8; 16] {
    let micros = at.unix_micros.max(0) as u64;
    // Seconds are 32 bits in this format, until 2106.
    let numbers = [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32, len as u32, len as u32];
    let mut header = [0; 16];
    for (bytes, number) in header.chunks_exact_mut(4).zip(numbers) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six bytes, seen on 2026-11-29 at 04:00:00.123456 UTC.
    #[test]
    fn a_file_is_as_others_read_it() {
        let frame = [0xff; 6];
        let record = record_header(WallTime { unix_micros: 1_795_924_800_123_456 }, frame.len());
        let file = [&header()[..], &record, &frame].concat();
        let expected = [
            &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0][..],
            &[0x40, 0xa3, 0x0b, 0x6b, 0x40, 0xe2, 0x01, 0x00, 6, 0, 0, 0, 6, 0, 0, 0],
            &frame,
        ];
        assert_eq!(file, expected.concat());
    }
}
