//! Prompt, material and options become one request.

use beast_protocol::{Constraint, Generate, Message, Overflow, Place, Role, Sampling, Span, Speculation};

use super::material::Material;
use crate::{
    cli::{Options, Truncate},
    prompts::Prompt,
};

/// The instruction is the system turn and the material the user turn: so the daemon can keep the beginning, which is the
/// same for every input, and reads only what is new. A question follows its material, as a person would ask.
pub(super) fn generate(prompt: Prompt, material: Material, options: &Options) -> Generate {
    let system = Message { role: Role::System, content: prompt.system };
    let (content, span) = user_turn(&prompt.instruction, material);
    let user = Message { role: Role::User, content };
    let has_system = !system.content.trim().is_empty();
    let sampling = &options.sampling;
    Generate {
        messages: if has_system { vec![system, user] } else { vec![user] },
        sampling: Sampling {
            temp: sampling.temp.or(prompt.sampling.temp),
            top_p: sampling.top_p.or(prompt.sampling.top_p),
            top_k: sampling.top_k.or(prompt.sampling.top_k),
            min_p: sampling.min_p.or(prompt.sampling.min_p),
            seed: sampling.seed.or(prompt.sampling.seed),
        },
        max_tokens: options.max_tokens.or(prompt.max_tokens),
        stop: options.stop.clone(),
        ignore_eos: false,
        speculation: Speculation::Auto,
        constraint: prompt.schema.map(Constraint::Schema),
        overflow: overflow(prompt.reduce, span, options.truncate),
    }
}

/// The text of the turn, and where in it the material is. What is constant comes first, so that it is read once.
fn user_turn(instruction: &str, material: Material) -> (String, Span) {
    let Material { text, question, .. } = material;
    let instruction = if instruction.is_empty() { String::new() } else { format!("{instruction}\n\n") };
    let has_both = !text.is_empty() && !question.is_empty();
    let (text, gap) = if has_both { (text.trim_end(), "\n\n") } else { (text.as_str(), "") };
    let start = instruction.len() as u64;
    let span = Span { start, end: start + text.len() as u64 };
    (format!("{instruction}{text}{gap}{question}"), span)
}

/// Whoever says what may be dropped does not want it reduced.
fn overflow(reduce: Option<String>, material: Span, truncate: Option<Truncate>) -> Overflow {
    let drop = truncate.map(|place| match place {
        Truncate::Head => Place::Head,
        Truncate::Middle => Place::Middle,
        Truncate::Tail => Place::Tail,
    });
    match (drop, reduce) {
        (Some(drop), _) => Overflow::Truncate { material, drop },
        (None, Some(instruction)) => Overflow::Reduce { material, instruction },
        (None, None) => Overflow::Refuse,
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
