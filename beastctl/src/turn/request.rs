//! Prompt, material and options become one request.

use beast_protocol::{Constraint, Extent, Generate, Message, Overflow, Place, Role, Sampling, Span, TemplateOptions};

use super::material::Material;
use crate::{
    cli::{Options, RequestOptions},
    models::reference::named,
    prompts::Prompt,
};

/// The request for a prompt with the command line's options, and the span of the material in its last message.
pub(crate) fn generate(prompt: Prompt, material: Material, options: &Options) -> (Generate, Span) {
    let (mut request, material) = of_prompt(prompt, material);
    let Options { request: RequestOptions { model, max_tokens, stop, truncate, thinking, .. }, sampling, .. } = options;
    request.sampling = Sampling {
        temp: sampling.temp.or(request.sampling.temp),
        top_p: sampling.top_p.or(request.sampling.top_p),
        top_k: sampling.top_k.or(request.sampling.top_k),
        min_p: sampling.min_p.or(request.sampling.min_p),
        seed: sampling.seed.or(request.sampling.seed),
        repeat_penalty: sampling.repeat_penalty.or(request.sampling.repeat_penalty),
        dry_multiplier: sampling.dry_multiplier.or(request.sampling.dry_multiplier),
        dry_base: sampling.dry_base.or(request.sampling.dry_base),
        dry_allowed_length: sampling.dry_allowed_length.or(request.sampling.dry_allowed_length),
        dry_penalty_last_n: sampling.dry_penalty_last_n.or(request.sampling.dry_penalty_last_n),
        xtc_probability: sampling.xtc_probability.or(request.sampling.xtc_probability),
        xtc_threshold: sampling.xtc_threshold.or(request.sampling.xtc_threshold),
        ..request.sampling
    };
    request.model = model.name().or(request.model);
    if let Some(n) = *max_tokens {
        // Exactly what was asked for: the soft limit is never reached.
        let never = n.saturating_add(1);
        (request.max_tokens, request.soft_limit) = (Some(n), request.soft_limit.and(Some(never)));
    }
    if !stop.is_empty() {
        request.stop.clone_from(stop);
    }
    if options.output.form.is_extracting() && request.constraint.is_none() {
        request.extent = Extent::CodeBlock;
    }
    request.template.thinking = thinking.wish().or(request.template.thinking);
    if let Some(effort) = &thinking.effort {
        request.template.variables = format!(r#"{{"reasoning_effort": "{effort}"}}"#);
    }
    request.max_thought = thinking.max_thought;
    if let Some(place) = truncate {
        // Truncation on request rules out map-reduce.
        request.overflow = Overflow::Truncate { material, drop: Place::from(*place) };
    }
    (request, material)
}

/// The request for a prompt with its variables filled in, and the span of the material in its last message. The
/// instruction is the system turn and the material the user turn, so that the daemon can cache the prefix that all
/// inputs share. A question follows its material, as people would ask it.
pub(crate) fn of_prompt(prompt: Prompt, material: Material) -> (Generate, Span) {
    let system = Message::new(Role::System, prompt.system);
    let n_bytes = material.text.len();
    let (content, span) = user_turn(&prompt.instruction, material);
    let user = Message::new(Role::User, content);
    let has_system = !system.content.trim().is_empty();
    let request = Generate {
        model: prompt.model.as_deref().map(named),
        messages: if has_system { vec![system, user] } else { vec![user] },
        sampling: prompt.sampling,
        max_tokens: prompt.max_tokens,
        soft_limit: prompt.soft_limit.map(|limit| limit.tokens(n_bytes)),
        distinct: prompt.distinct,
        stop: prompt.stop,
        extent: if prompt.one_line { Extent::Line } else { Extent::Whole },
        template: TemplateOptions { thinking: prompt.think, ..TemplateOptions::default() },
        constraint: prompt.schema.map(Constraint::Schema),
        overflow: match prompt.reduce {
            Some(instruction) => Overflow::Reduce { material: span, instruction },
            None => Overflow::Refuse,
        },
        ..Generate::default()
    };
    (request, span)
}

/// The text of the user turn, and the span of the material in it. Constant text comes first, so that it can be cached.
fn user_turn(instruction: &str, material: Material) -> (String, Span) {
    let Material { front, text, question, .. } = material;
    let front = if front.is_empty() { front } else { format!("{front}\n\n") };
    let instruction = if instruction.is_empty() { String::new() } else { format!("{instruction}\n\n") };
    let has_both = !text.is_empty() && !question.is_empty();
    let (text, gap) = if has_both { (text.trim_end(), "\n\n") } else { (text.as_str(), "") };
    let start = (front.len() + instruction.len()) as u64;
    let span = Span { start, end: start + text.len() as u64 };
    (format!("{front}{instruction}{text}{gap}{question}"), span)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
