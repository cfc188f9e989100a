//! Control tokens spelled out in a user's text, such as `<|im_end|>`, must stay text: the template is rendered with
//! marks in their place, and only text that the template itself wrote is scanned for control tokens.

use aho_corasick::AhoCorasick;
use beast_protocol::{Message, Role};
use serde_json::Value;

use crate::batch::Token;
use crate::engine::Vocab;
use crate::template::Setting;
use crate::tools::{MARK_EDGE, is_mark_of_thoughts, to_json};

/// Bytes after which a rendered text is cut before its next control token. llama.cpp searches all the rest of a text
/// for each control token, from each turn on: the time for a whole conversation would grow with its square.
const SECTION: usize = 16 << 10;
/// Encloses a mark's number; replaced itself where a user's text contains it.
const EDGE: char = MARK_EDGE;

/// Finds control tokens in a user's text.
pub(super) struct Specials(Option<AhoCorasick>);

impl Specials {
    pub(super) fn new(mut texts: Vec<String>) -> Self {
        texts.push(EDGE.into());
        Self(AhoCorasick::new(texts).ok())
    }

    /// A conversation with marks in place of control tokens.
    pub(super) fn mark(&self, messages: &[Message], setting: &Setting) -> Marked<'_> {
        let mut marks = Marks { specials: self, texts: Vec::new() };
        let messages = messages.iter().map(|message| marks.message(message)).collect();
        let mut setting = setting.clone();
        setting.tools.iter_mut().for_each(|tool| marks.json(tool));
        setting.variables.iter_mut().for_each(|(_, value)| marks.json(value));
        Marked { messages, setting, texts: marks.texts, specials: self }
    }

    /// Cuts a text into sections of at least [`SECTION`] bytes, each but the first beginning with a control token.
    fn sections<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut starts = vec![0];
        if let Some(specials) = self.0.as_ref().filter(|_| text.len() > SECTION) {
            for found in specials.find_iter(text) {
                if found.start() >= starts[starts.len() - 1] + SECTION {
                    starts.push(found.start());
                }
            }
        }
        let ends = starts[1..].iter().copied().chain([text.len()]);
        starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect()
    }
}

/// A conversation with marks.
pub(super) struct Marked<'a> {
    pub(super) messages: Vec<Message>,
    pub(super) setting: Setting,
    /// The original text of each mark.
    texts: Vec<String>,
    specials: &'a Specials,
}

impl Marked<'_> {
    /// Appends a placeholder to the last message, for text that varies while everything around it stays the same.
    pub(super) fn open(&mut self) {
        if let Some(last) = self.messages.last_mut() {
            last.content += &open_place();
        }
    }

    /// Tokens of the rendered text before and after the placeholder. `None` unless it occurs exactly once.
    pub(super) fn around(&self, text: &str, vocab: &dyn Vocab, adds_bos: bool) -> Option<(Vec<Token>, Vec<Token>)> {
        let place = open_place();
        let (head, foot) = text.split_once(&place).filter(|(_, foot)| !foot.contains(&place))?;
        Some((self.tokenize(head, vocab, adds_bos), self.tokenize(foot, vocab, false)))
    }

    /// Tokens of the rendered text; `adds_bos` says whether to prepend BOS.
    pub(super) fn tokenize(&self, text: &str, vocab: &dyn Vocab, adds_bos: bool) -> Vec<Token> {
        let mut tokens = Vec::new();
        for (n, part) in text.split(EDGE).enumerate() {
            let marked = (n % 2 == 1).then(|| part.parse::<usize>().ok().and_then(|n| self.texts.get(n))).flatten();
            match marked {
                Some(text) => tokens.extend(vocab.tokenize(text, false, false)),
                None if part.is_empty() && n > 0 => {}
                None => {
                    for (nth, section) in self.specials.sections(part).into_iter().enumerate() {
                        tokens.extend(vocab.tokenize(section, n == 0 && nth == 0 && adds_bos, true));
                    }
                }
            }
        }
        tokens
    }
}

/// The edges enclose no number, so this is not a mark.
fn open_place() -> String {
    format!("{EDGE}open{EDGE}")
}

struct Marks<'a> {
    specials: &'a Specials,
    texts: Vec<String>,
}

impl Marks<'_> {
    fn message(&mut self, message: &Message) -> Message {
        let is_own = message.role == Role::Assistant;
        let mut message = message.clone();
        message.content = self.text(&message.content, is_own);
        message.reasoning = self.text(&message.reasoning, false);
        message.tool_call_id = message.tool_call_id.map(|id| self.text(&id, false));
        for call in &mut message.tool_calls {
            call.id = self.text(&call.id, false);
            call.name = self.text(&call.name, false);
            // Parsed first: JSON can spell a letter in two ways.
            call.arguments = match serde_json::from_str(&call.arguments) {
                Ok(mut arguments) => {
                    self.json(&mut arguments);
                    to_json(&arguments)
                }
                Err(_) => self.text(&call.arguments, false),
            };
        }
        message
    }

    /// Marks a text. The model's own text may contain its thoughts, whose tags templates look for.
    fn text(&mut self, text: &str, is_own: bool) -> String {
        let Some(specials) = &self.specials.0 else { return text.to_owned() };
        let mut out = String::new();
        let mut end = 0;
        for found in specials.find_iter(text) {
            let special = &text[found.range()];
            if is_own && is_mark_of_thoughts(special) {
                continue;
            }
            out += &text[end..found.start()];
            out += &format!("{EDGE}{}{EDGE}", self.texts.len());
            self.texts.push(special.to_owned());
            end = found.end();
        }
        out + &text[end..]
    }

    fn json(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text, false),
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(entries) => {
                let taken = std::mem::take(entries);
                for (key, mut value) in taken {
                    self.json(&mut value);
                    entries.insert(self.text(&key, false), value);
                }
            }
            _ => {}
        }
    }
}
