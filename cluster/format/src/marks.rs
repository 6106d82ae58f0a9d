//! Marks: names for rare branches. Whoever takes one notes it in its own [`Marks`], and a simulator that
//! collects them can say which were never reached (as FoundationDB's code probes and TigerBeetle's marks).

/// A set of marks of one state machine, at most 64 of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u64);

impl Marks {
    /// No mark.
    pub const NONE: Marks = Marks(0);

    /// Notes the mark with this number.
    pub fn hit(&mut self, mark: u32) {
        self.0 |= 1 << mark;
    }

    /// Adds those of `other`.
    pub fn merge(&mut self, other: Marks) {
        self.0 |= other.0;
    }

    /// Whether the mark with this number was noted.
    pub fn contains(&self, mark: u32) -> bool {
        self.0 >> mark & 1 == 1
    }
}

/// Declares an enum of marks, each with the sentence that names it: `Mark::NAMES[Mark::X as usize]`.
#[macro_export]
macro_rules! marks {
    ($($(#[$outer:meta])* $mark:ident = $name:literal,)+) => {
        /// Rare branches of this crate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Mark {
            $($(#[$outer])* #[doc = $name] $mark,)+
        }

        impl Mark {
            /// What each mark stands for, by number.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];
        }

        const _: () = assert!(Mark::NAMES.len() <= 64);
    };
}
