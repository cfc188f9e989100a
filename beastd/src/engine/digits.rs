//! Counts the digits of numbers in JSON and in calls: no schema bounds them, and a model that repeats itself writes
//! them forever. Knows no schema and no tokens.

/// Most digits before a decimal point, and after it: 64 bits have at most 20, double precision distinguishes 17.
const MAX_DIGITS: u32 = 20;
/// Most digits of an exponent: doubles end at 308.
const MAX_EXPONENT: u32 = 3;

/// How calls of functions begin, and whether their values are Python's. The text before a call is prose.
const HEADS: [(&[u8], bool); 3] = [(b"{\"name\": ", false), (b"[ARGS]", false), (b"<|tool_call_start|>", true)];

/// The state at the end of a text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Digits {
    /// In prose: how many bytes of each head it ends with.
    heads: Option<[usize; HEADS.len()]>,
    is_python: bool,
    /// In a string: its closing quote.
    quote: Option<u8>,
    is_escaped: bool,
    is_exponent: bool,
    n_digits: u32,
}

impl Digits {
    /// For a text that may contain calls.
    pub(super) fn of_calls() -> Self {
        Self { heads: Some([0; HEADS.len()]), ..Self::default() }
    }

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
        if let Some(heads) = &mut self.heads {
            if let Some(is_python) = begun(heads, byte) {
                *self = Self { is_python, ..Self::default() };
            }
            return;
        }
        if let Some(quote) = self.quote {
            if byte == quote && !self.is_escaped {
                self.quote = None;
            }
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            return;
        }
        match byte {
            b'0'..=b'9' => self.n_digits += 1,
            b'e' | b'E' if self.n_digits > 0 => (self.is_exponent, self.n_digits) = (true, 0),
            b'+' | b'-' => self.n_digits = 0,
            byte => {
                (self.is_exponent, self.n_digits) = (false, 0);
                self.quote = (byte == b'"' || byte == b'\'' && self.is_python).then_some(byte);
            }
        }
    }
}

/// Advances by a byte of prose. When that completes a head, returns whether the call's values are Python's.
fn begun(heads: &mut [usize; HEADS.len()], byte: u8) -> Option<bool> {
    let mut begun = None;
    for (n, (head, is_python)) in heads.iter_mut().zip(HEADS) {
        // The first byte of a head does not occur in it again.
        *n = if head[*n] == byte { *n + 1 } else { usize::from(head[0] == byte) };
        if *n == head.len() {
            begun = Some(is_python);
        }
    }
    begun
}

#[cfg(test)]
#[path = "digits_tests.rs"]
mod tests;
