//! The tags with which model families separate their thoughts from their answers. Never reads an answer.

/// What follows a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Think,
    Speak,
}

/// How a model family marks its thoughts.
#[derive(Debug, PartialEq, Eq)]
pub struct Thoughts {
    /// Opens them, as a template or the model writes it.
    pub open: &'static str,
    /// Closes them.
    pub close: &'static str,
    /// Whether thoughts may precede text that is constrained by a grammar: not where the answer needs a tag of its own.
    pub is_simple: bool,
    /// All tags.
    marks: &'static [(&'static str, Turn)],
}

/// The first family whose tags occur in a template is the model's.
static FAMILIES: [Thoughts; 5] = [
    // gpt-oss: https://cookbook.openai.com/articles/openai-harmony. The answer is a channel too.
    Thoughts {
        open: "<|channel|>analysis<|message|>",
        close: "<|end|><|start|>assistant<|channel|>final<|message|>",
        is_simple: false,
        marks: &[
            ("<|channel|>analysis<|message|>", Turn::Think),
            ("<|channel|>commentary<|message|>", Turn::Think),
            ("<|end|><|start|>assistant", Turn::Think),
            ("<|channel|>final<|message|>", Turn::Speak),
        ],
    },
    // Qwen 3, DeepSeek-R1, SmolLM3, LFM2.5 and most others.
    simple("<think>", "</think>", &[("<think>", Turn::Think), ("</think>", Turn::Speak)]),
    // Magistral.
    simple("[THINK]", "[/THINK]", &[("[THINK]", Turn::Think), ("[/THINK]", Turn::Speak)]),
    // Seed-OSS.
    simple("<seed:think>", "</seed:think>", &[("<seed:think>", Turn::Think), ("</seed:think>", Turn::Speak)]),
    // Apertus.
    simple(
        "<|inner_prefix|>",
        "<|inner_suffix|>",
        &[("<|inner_prefix|>", Turn::Think), ("<|inner_suffix|>", Turn::Speak)],
    ),
];

const fn simple(open: &'static str, close: &'static str, marks: &'static [(&'static str, Turn)]) -> Thoughts {
    Thoughts { open, close, is_simple: true, marks }
}

impl Thoughts {
    /// The family that a chat template belongs to; `None` for a model that does not think.
    pub fn detect(source: &str) -> Option<&'static Self> {
        // Harmony templates concatenate the tags of channels from pieces.
        let is_harmony = source.contains("<|channel|>") && source.contains("analysis");
        let is_simple = |family: &&Self| source.contains(family.open) || source.contains(family.close);
        let [harmony, others @ ..] = &FAMILIES;
        if is_harmony { Some(harmony) } else { others.iter().find(is_simple) }
    }

    /// Every tag, and what follows it.
    pub fn marks(&self) -> impl Iterator<Item = (&'static str, Turn)> + Clone {
        self.marks.iter().copied()
    }

    pub fn controls(&self) -> Vec<&'static str> {
        if self.is_simple {
            return vec![self.open, self.close];
        }
        vec!["<|channel|>", "<|message|>", "<|end|>", "<|start|>"]
    }

    /// Text that closes thoughts when the model would not, with the whitespace that such models write.
    pub fn closing(&self) -> String {
        if self.is_simple { format!("\n{}\n\n", self.close) } else { self.close.to_owned() }
    }

    /// What to append to a prompt so that the model answers without thinking.
    pub fn skipped(&self, prompt: &str) -> String {
        if self.is_open(prompt) {
            return self.closing();
        }
        // Where the answer needs a tag of its own, the model would otherwise choose a channel.
        let spoken = self.marks().find(|(mark, turn)| *turn == Turn::Speak && !prompt.ends_with(mark));
        spoken.filter(|_| !self.is_simple).map_or(String::new(), |(mark, _)| mark.to_owned())
    }

    /// Whether a prompt ends within thoughts.
    pub fn is_open(&self, prompt: &str) -> bool {
        let last = self.marks.iter().filter_map(|(mark, turn)| Some((prompt.rfind(mark)? + mark.len(), *turn)));
        last.max_by_key(|(end, _)| *end).is_some_and(|(_, turn)| turn == Turn::Think)
    }
}

/// Whether this text alone opens or closes thoughts in some family.
pub fn is_mark_of_thoughts(text: &str) -> bool {
    FAMILIES.iter().any(|family| family.is_simple && (family.open == text || family.close == text))
}

#[cfg(test)]
#[path = "thought_tests.rs"]
mod tests;
