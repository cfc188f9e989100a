use beast_protocol::Gpu;

use super::*;
use crate::output::Verdict;

fn model(n_gpu_layers: u32) -> Model {
    Model {
        name: "LFM2-2.6B".into(),
        path: "/lfm2.gguf".into(),
        n_bytes: 1_560_000_000,
        n_params: 2_569_000_000,
        n_layers: 30,
        n_gpu_layers,
        backend: "CUDA0".into(),
        n_ctx: 4096,
        n_ctx_train: 32768,
        has_chat_template: true,
        gpu: None,
    }
}

#[test]
fn a_gpu_should_have_all_layers() {
    let settings = Settings::default();
    assert_eq!(check(&model(31), &settings, true), Finding::ok(CHECK, "CUDA0, 31/31 layers offloaded"));
    let gpu = Gpu { description: "NVIDIA H100".into(), n_total: 80_000_000_000, n_free: 76_600_000_000 };
    let with_memory = check(&Model { gpu: Some(gpu), ..model(31) }, &settings, true);
    assert_eq!(with_memory.text, "CUDA0, 31/31 layers offloaded; NVIDIA H100, 3.4 GB used, 76.6 GB free");
    assert_eq!(check(&model(0), &settings, false).verdict, Verdict::Ok);
    let none = check(&model(0), &settings, true);
    assert!(none.verdict == Verdict::Warning && none.fix.unwrap().contains("beast-cuda"));
    let half = check(&model(10), &settings, true);
    assert!(half.verdict == Verdict::Warning && half.text.starts_with("10/31 layers"), "{half:?}");
}

#[test]
fn a_render_node_is_a_gpu() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!has_render_node(dir.path()) && !has_render_node(&dir.path().join("missing")));
    fs::write(dir.path().join("card0"), "").unwrap();
    assert!(!has_render_node(dir.path()));
    fs::write(dir.path().join("renderD128"), "").unwrap();
    assert!(has_render_node(dir.path()));
}
