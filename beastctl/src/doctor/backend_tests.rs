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
    }
}

#[test]
fn a_gpu_should_have_all_layers() {
    let settings = Settings::default();
    assert_eq!(check(&model(31), &settings, true), Finding::ok(CHECK, "CUDA0, 31/31 layers offloaded"));
    assert_eq!(check(&model(0), &settings, false).verdict, Verdict::Ok);
    let none = check(&model(0), &settings, true);
    assert!(none.verdict == Verdict::Warning && none.fix.unwrap().contains("--features cuda"));
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
