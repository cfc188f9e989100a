//! `--count-tokens`: how long the prompt of a request would be. Generates and saves nothing.

use std::path::Path;

use beast_protocol::{Counted, Event, Generate, Request};
use serde_json::json;

use crate::{
    cli::Options,
    client::ClientError,
    context::Context,
    exchange::Exchange,
    exit::Result,
    output::{json_line, units::count},
    wait::Wait,
};

/// Prints the number of tokens.
pub(super) fn run(context: &Context, path: &Path, request: Generate, options: &Options, wait: &Wait) -> Result<()> {
    let mut exchange = Exchange::new(context, path, !options.request.no_start);
    let answered = exchange.ask(&Request::CountTokens(request), wait);
    exchange.erase();
    let Event::Counted(counted) = answered? else { return Err(ClientError::Lost.into()) };
    let console = context.console;
    for notice in &counted.notices {
        console.notice(notice);
    }
    let Counted { model, n_prompt, n_ctx, .. } = &counted;
    // The answer needs at least one token.
    let fits = n_prompt < n_ctx;
    if options.output.json {
        let object = json!({"n_prompt": n_prompt, "n_ctx": n_ctx, "fits": fits, "model": model});
        return Ok(console.print(&json_line(&object))?);
    }
    console.print(&format!("{n_prompt}\n"))?;
    if !fits {
        let context = count((*n_ctx).into(), "token");
        console.warning(&format!("the prompt does not fit: the context holds {context}, prompt and answer together"));
    }
    Ok(())
}
