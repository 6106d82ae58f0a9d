//! The body of a request, as it comes: of a length that was said, or in chunks (RFC 9112, section 7.1).

use alloc::vec::Vec;

use httparse::Status;

use super::head::Malformed;

/// Longest line between chunks, in bytes.
const LINE_LEN_MAX: usize = 1024;

/// Longest trailer, in bytes: nobody reads it.
const TRAILER_LEN_MAX: usize = 8 << 10;

/// How a body goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
}

/// What of chunks comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The line that says how long one is.
    Size,
    /// So many of its bytes.
    Data(u64),
    /// The end of its line.
    End,
    /// Fields behind the last one, of which so many bytes may follow.
    Trailer(usize),
    /// Nothing.
    Over,
}

impl Framing {
    /// A body in chunks, at its beginning.
    pub const CHUNKED: Framing = Framing::Chunked(Chunk::Size);

    /// Whether nothing is to come.
    pub fn is_over(self) -> bool {
        matches!(self, Framing::Length(0) | Framing::Chunked(Chunk::Over))
    }

    /// How long the rest is, if that is known.
    pub fn left(self) -> Option<u64> {
        match self {
            Framing::Length(len) => Some(len),
            Framing::Chunked(_) => None,
        }
    }

    /// Takes bytes of the body from the beginning of `input` and appends them to `into`, at most `most`; how many of `input`
    /// are done with. If that is none, and the body is not over, more is to come.
    pub fn decode(&mut self, input: &[u8], into: &mut Vec<u8>, most: usize) -> Result<usize, Malformed> {
        let mut done = 0;
        let end = into.len() + most;
        loop {
            let rest = input.get(done..).unwrap_or_default();
            match self {
                Framing::Length(left) => return Ok(done + take(rest, left, into, end)),
                Framing::Chunked(chunk) => {
                    let Some(len) = chunk.decode(rest, into, end)? else { return Ok(done) };
                    done += len;
                }
            }
        }
    }
}

/// Takes as many bytes as there are, as are left, and as there is room for.
fn take(input: &[u8], left: &mut u64, into: &mut Vec<u8>, end: usize) -> usize {
    let len = input.len().min(end - into.len()).min(usize::try_from(*left).unwrap_or(usize::MAX));
    into.extend(input.iter().take(len));
    *left -= len as u64;
    len
}

impl Chunk {
    /// One step; none if that needs more input, or room.
    fn decode(&mut self, input: &[u8], into: &mut Vec<u8>, end: usize) -> Result<Option<usize>, Malformed> {
        let malformed = Malformed(400, "a chunk of the body is not as chunks are");
        match self {
            Chunk::Over => Ok(None),
            Chunk::Data(0) => {
                *self = Chunk::End;
                Ok(Some(0))
            }
            Chunk::Data(left) => {
                let len = take(input, left, into, end);
                Ok((len > 0).then_some(len))
            }
            Chunk::End => match input {
                [b'\r', b'\n', ..] => {
                    *self = Chunk::Size;
                    Ok(Some(2))
                }
                [] | [b'\r'] => Ok(None),
                _ => Err(malformed),
            },
            // The parser takes no number for zero, and any line end within what follows one.
            Chunk::Size if input.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) => Err(malformed),
            Chunk::Size => match httparse::parse_chunk_size(input) {
                Ok(Status::Complete((len, _))) if input[..len - 2].contains(&b'\n') => Err(malformed),
                Ok(Status::Complete((len, size))) => {
                    *self = if size == 0 { Chunk::Trailer(TRAILER_LEN_MAX) } else { Chunk::Data(size) };
                    Ok(Some(len))
                }
                Ok(Status::Partial) if input.len() < LINE_LEN_MAX => Ok(None),
                _ => Err(malformed),
            },
            Chunk::Trailer(left) => {
                let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
                    return if input.len() < *left { Ok(None) } else { Err(malformed) };
                };
                let is_last = matches!(input.get(..end), Some(b"" | b"\r"));
                let rest = left.checked_sub(end + 1).ok_or(malformed)?;
                *self = if is_last { Chunk::Over } else { Chunk::Trailer(rest) };
                Ok(Some(end + 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `body` in pieces of `step` bytes, at most `most` at a time; what it was, and what comes behind.
    fn decode(
        mut framing: Framing,
        body: &[u8],
        step: usize,
        most: usize,
    ) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        let (mut input, mut out) = (Vec::new(), Vec::new());
        let mut pieces = body.chunks(step);
        while !framing.is_over() {
            let len = framing.decode(&input, &mut out, most)?;
            input.drain(..len);
            if len == 0 && !framing.is_over() {
                match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return Err(Malformed(0, "it ends too early")),
                }
            }
        }
        pieces.for_each(|piece| input.extend_from_slice(piece));
        Ok((out, input))
    }

    #[test]
    fn however_it_is_cut_it_is_the_same() {
        let chunked = b"5;x=y\r\nhello\r\n01\r\n \r\n5\r\nthere\r\n0\r\nTrailer: 1\r\n\r\nGET";
        for step in [1, 2, 3, 7, 100] {
            for most in [1, 4, 100] {
                let whole = Ok((b"hello there".to_vec(), b"GET".to_vec()));
                assert_eq!(decode(Framing::CHUNKED, chunked, step, most), whole);
                assert_eq!(decode(Framing::Length(11), b"hello thereGET", step, most), whole);
            }
        }
    }

    #[test]
    fn what_are_no_chunks_is_refused() {
        for body in [
            &b"x\r\n"[..],
            b"5\r\nhellox",
            b"-1\r\n",
            b"fffffffffffffffff\r\n",
            b"\r\n",
            b";x\r\n",
            b"1;\n\r\n",
        ] {
            assert_eq!(decode(Framing::CHUNKED, body, 1, 10).map_err(|error| error.0), Err(400));
        }
        let long = [b"1;".as_slice(), &[b'x'; 2 * LINE_LEN_MAX]].concat();
        assert_eq!(decode(Framing::CHUNKED, &long, 1, 10).map_err(|error| error.0), Err(400));
        let trailer = [b"0\r\n".as_slice(), &b"a: b\r\n".repeat(TRAILER_LEN_MAX)].concat();
        assert_eq!(decode(Framing::CHUNKED, &trailer, 100, 10).map_err(|error| error.0), Err(400));
    }
}
