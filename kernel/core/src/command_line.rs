//! The kernel's command line: words, some of them `key=value`, separated by blanks.

/// A view of a command line. A value with blanks is written in double quotes: `key="a b"`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandLine<'a> {
    text: &'a str,
}

impl<'a> CommandLine<'a> {
    /// A view of `text`.
    pub const fn new(text: &'a str) -> Self {
        CommandLine { text }
    }

    /// The text itself.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Every word as (key, value); a word without `=` has an empty value.
    pub fn words(&self) -> Words<'a> {
        Words { rest: self.text }
    }

    /// The value of the last `key=value`: what is written later overrides.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.get_all(key).last()
    }

    /// Every value of `key`, in order.
    pub fn get_all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.words().filter(move |(word, _)| *word == key).map(|(_, value)| value)
    }

    /// Whether `key` is given and is neither `0` nor `off`.
    pub fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value != "0" && value != "off")
    }

    /// The value of `key` as an unsigned number, decimal or `0x`.
    pub fn number(&self, key: &str) -> Option<u64> {
        parse_number(self.get(key)?)
    }
}

/// A number, decimal or `0x`.
pub fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// One `virtio_mmio.device=SIZE@BASE:IRQ[:ID]` value, as Linux defines it and QEMU appends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioDevice {
    /// Bytes of registers.
    pub size: u64,
    /// Their physical address.
    pub base: u64,
    /// The global system interrupt.
    pub irq: u32,
}

impl MmioDevice {
    /// Parses the value; `None` if it is malformed.
    pub fn parse(value: &str) -> Option<MmioDevice> {
        let (size, rest) = value.split_once('@')?;
        let mut parts = rest.split(':');
        let base = parse_number(parts.next()?)?;
        let irq = u32::try_from(parse_number(parts.next()?)?).ok()?;
        let (digits, unit) = match size.chars().last()? {
            'K' | 'k' => (&size[..size.len() - 1], 1024),
            'M' | 'm' => (&size[..size.len() - 1], 1024 * 1024),
            _ => (size, 1),
        };
        Some(MmioDevice { size: parse_number(digits)?.checked_mul(unit)?, base, irq })
    }
}

/// Iterates over the words of a command line.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.trim_start();
        if text.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = text
            .find(|c: char| {
                quoted ^= c == '"';
                c.is_ascii_whitespace() && !quoted
            })
            .unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let value = value.strip_prefix('"').map_or(value, |inner| inner.strip_suffix('"').unwrap_or(inner));
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn words_keys_and_quotes() {
        let line = CommandLine::new("  a relix.node=2 name=\"x y\"  relix.node=3 debug=0 n=0x10 ");
        let words: Vec<_> = line.words().collect();
        assert_eq!(words[0], ("a", ""));
        assert_eq!(words[2], ("name", "x y"));
        assert_eq!(line.get("relix.node"), Some("3"));
        assert_eq!(line.get_all("relix.node").count(), 2);
        assert!(line.is_set("a") && !line.is_set("debug") && !line.is_set("absent"));
        assert_eq!(line.number("n"), Some(16));
        assert_eq!(CommandLine::new("").words().count(), 0);
    }

    #[test]
    fn mmio_devices() {
        let device = MmioDevice { size: 512, base: 0xfeb0_0e00, irq: 12 };
        assert_eq!(MmioDevice::parse("512@0xfeb00e00:12"), Some(device));
        assert_eq!(MmioDevice::parse("4K@0x1000:5:0").map(|d| d.size), Some(4096));
        for bad in ["", "512", "512@", "512@0x0", "@1:2", "x@1:2", "512@1:99999999999"] {
            assert_eq!(MmioDevice::parse(bad), None, "{bad}");
        }
    }
}
