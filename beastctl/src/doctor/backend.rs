//! The backend: if there is a GPU, all layers should be offloaded.

use std::{fs, path::Path};

use beast_protocol::Model;

use super::finding::Finding;
use crate::{output::status, settings::Settings};

const CHECK: &str = "backend";

/// Whether this machine has a GPU; every Mac has one.
pub(super) fn has_gpu() -> bool {
    cfg!(target_os = "macos") || Path::new("/dev/nvidia0").exists() || has_render_node(Path::new("/dev/dri"))
}

fn has_render_node(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b"renderD")))
    })
}

/// The number of offloaded layers includes the output layer, which the model's number of layers does not.
pub(super) fn check(model: &Model, settings: &Settings, has_gpu: bool) -> Finding {
    let text = status::backend(model);
    let n_all = model.n_layers + 1;
    match model.n_gpu_layers {
        n if n >= n_all => Finding::ok(CHECK, text),
        0 if !has_gpu => Finding::ok(CHECK, format!("{text}; no GPU found on this machine")),
        n => {
            let limit = settings.get("n_gpu_layers").filter(|limit| limit != "-1");
            let fix = match limit {
                Some(limit) => format!("set n_gpu_layers = -1 in config.toml (it is {limit}), then beastctl stop"),
                None if n > 0 => "use a smaller model or lower n_ctx: the GPU has no room for the rest".into(),
                None => {
                    "see beastctl status for the reason; install the GPU's driver and beast-cuda or beast-vulkan".into()
                }
            };
            Finding::warning(CHECK, format!("{n}/{n_all} layers offloaded to the GPU ({text})"), fix)
        }
    }
}

#[cfg(test)]
#[path = "backend_tests.rs"]
mod tests;
