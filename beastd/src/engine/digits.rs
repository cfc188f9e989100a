//! Counts the digits of numbers in a JSON text: schemas do not bound them, and a model that repeats itself writes
//! digits forever. Knows no schema and no tokens.

/// Most digits before a decimal point, and after it: 64 bits have at most 20, double precision distinguishes 17.
const MAX_DIGITS: u32 = 20;
/// Most digits of an exponent: doubles end at 308.
const MAX_EXPONENT: u32 = 3;

/// Position in a JSON text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Digits {
    is_in_string: bool,
    is_escaped: bool,
    is_exponent: bool,
    n_digits: u32,
}

impl Digits {
    /// Whether the text ends within a number, so that the next digit may be one too many.
    pub(super) fn is_in_number(self) -> bool {
        self.n_digits > 0
    }

    /// Whether these bytes make a number too long.
    pub(super) fn exceed_with(mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|&byte| {
            self.push(byte);
            self.n_digits > if self.is_exponent { MAX_EXPONENT } else { MAX_DIGITS }
        })
    }

    /// Advances by these bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.push(byte));
    }

    fn push(&mut self, byte: u8) {
        if self.is_in_string {
            self.is_in_string = self.is_escaped || byte != b'"';
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            return;
        }
        match byte {
            b'0'..=b'9' => self.n_digits += 1,
            b'e' | b'E' if self.n_digits > 0 => *self = Self { is_exponent: true, ..Self::default() },
            b'+' | b'-' => self.n_digits = 0,
            byte => *self = Self { is_in_string: byte == b'"', ..Self::default() },
        }
    }
}

#[cfg(test)]
#[path = "digits_tests.rs"]
mod tests;
