//! Short names to numbers, as fast as can be.
//!
//! Tracker parameters have at most eight bytes, so a name is one integer, and a table of 256 places is laid out by that
//! integer when the program is compiled: finding a name is a multiplication and, on average, little more than one comparison.

const SLOTS: usize = 256;

#[derive(Clone, Copy)]
struct Slot {
    name: u64,
    at: u8,
}

/// Numbers the names of a list. The list itself stays with the caller.
pub(super) struct Names([Slot; SLOTS]);

impl Names {
    /// Lays out the names of `list`: unique, ASCII, one to eight bytes each, at most 128 of them.
    pub const fn of(list: &[&str]) -> Self {
        assert!(list.len() <= SLOTS / 2, "the table is meant to be half empty");
        let mut table = [Slot { name: 0, at: 0 }; SLOTS];
        let mut i = 0;
        while i < list.len() {
            let name = packed(list[i].as_bytes());
            assert!(name != u64::MAX, "one to eight bytes");
            let mut at = home(name);
            while table[at].name != 0 {
                at = (at + 1) % SLOTS;
            }
            table[at] = Slot { name, at: i as u8 };
            i += 1;
        }
        Names(table)
    }

    /// The position of `name` in `list`, which is the list that the table was made of.
    #[inline]
    pub fn find(&self, name: &str, list: &[&str]) -> Option<usize> {
        let packed = packed(name.as_bytes());
        let mut at = home(packed);
        loop {
            let slot = self.0[at]; // below 256 by construction
            if slot.name == 0 {
                return None;
            }
            if slot.name == packed {
                // Two texts pack alike only when one has NUL characters at its end.
                let found = usize::from(slot.at);
                return list.get(found).filter(|n| n.len() == name.len()).map(|_| found);
            }
            at = (at + 1) % SLOTS;
        }
    }
}

/// The name as an integer; `u64::MAX` for one that is empty or too long, which no short ASCII name is.
const fn packed(name: &[u8]) -> u64 {
    if name.is_empty() || name.len() > 8 {
        return u64::MAX;
    }
    let mut value = 0;
    let mut i = 0;
    while i < name.len() {
        value |= (name[i] as u64) << (8 * i);
        i += 1;
    }
    value
}

const fn home(name: u64) -> usize {
    (name.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_nothing_else() {
        const LIST: &[&str] = &["e", "eid", "f_realp", "f_gears", "tr_tt"];
        static NAMES: Names = Names::of(LIST);
        for (i, name) in LIST.iter().enumerate() {
            assert_eq!(NAMES.find(name, LIST), Some(i));
            assert_eq!(NAMES.find(&name.to_uppercase(), LIST), None);
        }
        for unknown in ["", "x", "a_very_long_name", "ü", "\0", "e\0", "eid\0"] {
            assert_eq!(NAMES.find(unknown, LIST), None, "{unknown}");
        }
    }
}
