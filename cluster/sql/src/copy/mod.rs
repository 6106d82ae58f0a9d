//! The text formats of `COPY`.

mod decode;
mod encode;

pub(crate) use decode::{CopyDecoder, Record};
pub(crate) use encode::{write_header, write_row};
