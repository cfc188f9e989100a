//! Parses and writes GGUF files, so that tests can make variants of a model. Trusts its input, because the files are
//! our own.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

/// A parsed model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Gguf {
    /// Version of the format: 3.
    pub version: u32,
    /// Keys and values, in the file's order.
    pub metadata: Vec<(String, Value)>,
    /// Descriptions of the tensors.
    pub tensors: Vec<Tensor>,
    /// The tensors' bytes, from the first aligned position on.
    pub data: Vec<u8>,
}

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number or boolean: its type's number and its bytes, little-endian.
    Scalar(u32, Vec<u8>),
    /// A string, not necessarily UTF-8.
    Text(Vec<u8>),
    /// Values of one type, with the type's number.
    Array(u32, Vec<Value>),
}

/// The description of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Such as `blk.0.ffn_up.weight`.
    pub name: String,
    /// Elements per dimension, fastest-varying first.
    pub dims: Vec<u64>,
    /// The number of its type in ggml.
    pub kind: u32,
    /// Offset of its bytes in the data.
    pub offset: u64,
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const ALIGNMENT: usize = 32;

/// A 32-bit number, unsigned.
pub const U32: u32 = 4;
/// A 32-bit number, signed.
pub const I32: u32 = 5;
/// A 32-bit float.
pub const F32: u32 = 6;

impl Value {
    /// A 32-bit number.
    pub fn u32(n: u32) -> Self {
        Self::Scalar(U32, n.to_le_bytes().to_vec())
    }

    /// A 32-bit float.
    pub fn f32(n: f32) -> Self {
        Self::Scalar(F32, n.to_le_bytes().to_vec())
    }

    pub fn text(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }

    /// The values of an array; empty for anything else.
    pub fn items(&mut self) -> &mut [Self] {
        match self {
            Self::Array(_, items) => items,
            Self::Scalar(..) | Self::Text(_) => &mut [],
        }
    }

    fn kind(&self) -> u32 {
        match self {
            Self::Scalar(kind, _) => *kind,
            Self::Text(_) => TEXT,
            Self::Array(..) => ARRAY,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Scalar(_, bytes) => out.extend(bytes),
            Self::Text(text) => write_text(text, out),
            Self::Array(kind, items) => {
                out.extend(kind.to_le_bytes());
                out.extend((items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| item.write(out));
            }
        }
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text);
}

impl Gguf {
    /// Parses a complete, valid file.
    ///
    /// # Panics
    /// If it is not.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut reader = Reader { bytes, at: 0 };
        assert_eq!(reader.take(4), b"GGUF", "not a GGUF file");
        let version = reader.u32();
        let (n_tensors, n_entries) = (reader.u64(), reader.u64());
        let metadata = (0..n_entries).map(|_| reader.entry()).collect();
        let tensors = (0..n_tensors).map(|_| reader.tensor()).collect();
        let data = bytes[reader.at.next_multiple_of(ALIGNMENT)..].to_vec();
        Self { version, metadata, tensors, data }
    }

    /// Writes the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            write_text(key.as_bytes(), &mut out);
            out.extend(value.kind().to_le_bytes());
            value.write(&mut out);
        }
        for tensor in &self.tensors {
            write_text(tensor.name.as_bytes(), &mut out);
            out.extend(u32::try_from(tensor.dims.len()).expect("few").to_le_bytes());
            tensor.dims.iter().for_each(|n| out.extend(n.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        out.extend(&self.data);
        out
    }

    /// The value of a key, for changing it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.metadata.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets a key to this value, replacing an existing one.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.get_mut(key) {
            Some(place) => *place = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
    }

    /// Keeps only the first layers of the model: its answers are worse but faster, and its vocabulary stays complete.
    ///
    /// # Panics
    /// When the file names no architecture.
    pub fn with_layers(mut self, n_layers: u32) -> Self {
        let Some(Value::Text(architecture)) = self.get_mut("general.architecture") else { panic!("no architecture") };
        let key = format!("{}.block_count", String::from_utf8_lossy(architecture));
        self.set(&key, Value::u32(n_layers));
        let ends: Vec<u64> =
            self.tensors.iter().skip(1).map(|next| next.offset).chain([self.data.len() as u64]).collect();
        let mut data: Vec<u8> = Vec::new();
        let mut kept = Vec::new();
        for (mut tensor, end) in self.tensors.into_iter().zip(ends) {
            let layer = tensor.name.strip_prefix("blk.").and_then(|name| name.split('.').next()?.parse::<u32>().ok());
            if layer.is_some_and(|layer| layer >= n_layers) {
                continue;
            }
            let bytes = usize::try_from(tensor.offset).expect("in memory")..usize::try_from(end).expect("in memory");
            tensor.offset = data.len() as u64;
            data.extend(&self.data[bytes]);
            kept.push(tensor);
        }
        Self { tensors: kept, data, ..self }
    }

    /// Adds control tokens with these texts. They replace as many ordinary tokens at the end of the vocabulary, and
    /// the merges that produced those.
    ///
    /// # Panics
    /// Without a BPE vocabulary of at least that many tokens.
    pub fn with_control_tokens(mut self, texts: &[&str]) -> Self {
        const CONTROL: i32 = 3;
        let tokens = self.get_mut("tokenizer.ggml.tokens").expect("a vocabulary").items();
        let first = tokens.len() - texts.len();
        let mut gone = Vec::new();
        for (place, text) in tokens[first..].iter_mut().zip(texts) {
            gone.push(std::mem::replace(place, Value::text(text)));
        }
        for kind in &mut self.get_mut("tokenizer.ggml.token_type").expect("types").items()[first..] {
            *kind = Value::Scalar(I32, CONTROL.to_le_bytes().to_vec());
        }
        if let Some(Value::Array(_, merges)) = self.get_mut("tokenizer.ggml.merges") {
            merges.retain(|merge| !gone.contains(&merged(merge)));
        }
        self
    }
}

/// The token that a merge produces; the text of a merge has its halves separated by a blank.
fn merged(merge: &Value) -> Value {
    let Value::Text(text) = merge else { panic!("merges are texts") };
    Value::Text(text.iter().copied().filter(|byte| *byte != b' ').collect())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().expect("four"))
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("eight"))
    }

    fn text(&mut self) -> Vec<u8> {
        let n = usize::try_from(self.u64()).expect("it fits into memory");
        self.take(n).to_vec()
    }

    fn name(&mut self) -> String {
        String::from_utf8(self.text()).expect("names are UTF-8")
    }

    fn entry(&mut self) -> (String, Value) {
        let (key, kind) = (self.name(), self.u32());
        (key, self.value(kind))
    }

    fn value(&mut self, kind: u32) -> Value {
        match kind {
            TEXT => Value::Text(self.text()),
            ARRAY => {
                let (kind, n) = (self.u32(), self.u64());
                Value::Array(kind, (0..n).map(|_| self.value(kind)).collect())
            }
            _ => Value::Scalar(kind, self.take(n_bytes(kind)).to_vec()),
        }
    }

    fn tensor(&mut self) -> Tensor {
        let (name, n_dims) = (self.name(), self.u32());
        let dims = (0..n_dims).map(|_| self.u64()).collect();
        Tensor { name, dims, kind: self.u32(), offset: self.u64() }
    }
}

fn n_bytes(kind: u32) -> usize {
    match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => panic!("no type has the number {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cub() -> Vec<u8> {
        std::fs::read(crate::project("models/cub/cub.gguf")).expect("it is part of the project")
    }

    #[test]
    fn what_is_put_together_again_is_the_same_file() {
        let bytes = cub();
        assert!(Gguf::parse(&bytes).bytes() == bytes);
    }

    #[test]
    fn control_tokens_take_the_places_of_ordinary_ones_and_of_their_merges() {
        let before = Gguf::parse(&cub());
        let mut after = before.clone().with_control_tokens(&["<a>", "<b>"]);
        let mut before = before;
        let n_merges = |gguf: &mut Gguf| gguf.get_mut("tokenizer.ggml.merges").expect("merges").items().len();
        assert!(n_merges(&mut after) < n_merges(&mut before));
        let tokens = after.get_mut("tokenizer.ggml.tokens").expect("tokens").items();
        assert_eq!(tokens[tokens.len() - 2..], [Value::text("<a>"), Value::text("<b>")]);
        assert_eq!(Gguf::parse(&after.bytes()), after);
    }
}
