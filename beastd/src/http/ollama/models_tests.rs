use expect_test::expect;

use super::*;
use crate::sampling::SamplingDefaults;

fn facts(template: &str) -> ModelFacts {
    let metadata = [
        ("general.architecture", "lfm2"),
        ("general.file_type", "7"),
        ("lfm2.embedding_length", "256"),
        ("lfm2.rope.freq_base", "1000000.000000"),
        ("tokenizer.ggml.model", "gpt2"),
    ];
    ModelFacts {
        configured: "builtin".into(),
        model: beast_protocol::Model {
            name: "cub".into(),
            path: "/cub.gguf".into(),
            n_bytes: 16_000_000,
            n_params: 15_300_000,
            n_layers: 8,
            n_gpu_layers: 0,
            backend: "CPU".into(),
            n_ctx: 4096,
            n_ctx_train: 8192,
            has_chat_template: true,
            gpu: None,
        },
        chat_template: template.into(),
        bos: String::new(),
        eos: String::new(),
        sampling: SamplingDefaults {
            temp: 0.5,
            top_k: 40,
            top_p: 0.9,
            min_p: 0.05,
            repeat_penalty: 1.0,
            ..SamplingDefaults::OURS
        },
        metadata: metadata.map(|(key, value)| (key.into(), value.into())).to_vec(),
    }
}

#[test]
fn what_a_file_says() {
    let facts = facts("");
    let told = json!({ "details": details(Some(&facts)), "model_info": model_info(&facts) });
    expect![[r#"
        {
          "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "lfm2",
            "families": [
              "lfm2"
            ],
            "parameter_size": "15.30M",
            "quantization_level": "Q8_0"
          },
          "model_info": {
            "general.architecture": "lfm2",
            "general.file_type": 7,
            "lfm2.embedding_length": 256,
            "lfm2.rope.freq_base": 1000000.0,
            "tokenizer.ggml.model": "gpt2",
            "general.basename": "cub",
            "general.parameter_count": 15300000,
            "lfm2.context_length": 4096
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&told).expect("JSON"));
    expect![[r#"
        num_ctx                        4096
        temperature                    0.5
        top_k                          40
        top_p                          0.9
        min_p                          0.05
        repeat_penalty                 1"#]]
    .assert_eq(&parameters(&facts));
}

#[test]
fn every_field_is_there_before_the_model_is() {
    expect![[r#"
        {"parent_model":"","format":"gguf","family":"","families":[""],"parameter_size":"","quantization_level":"unknown"}
        ["completion","tools","embedding"]"#]].assert_eq(&format!("{}\n{}", details(None), capabilities(None)));
}

#[test]
fn a_template_shows_whether_a_model_thinks() {
    let thinks = |template: &str| capabilities(Some(&facts(template))).to_string().contains("thinking");
    assert!(thinks("{% if enable_thinking %}"));
    assert!(!thinks("{% for message in messages %}"));
}

#[test]
fn sizes_as_ollama_writes_them() {
    assert_eq!([999, 12_300, 15_300_000, 1_170_000_000].map(short), ["999", "12.30K", "15.30M", "1.2B"]);
}

#[test]
fn a_digest_is_one_of_a_file() {
    let card = |created| ModelCard { id: "cub".into(), model: Some(facts("").model), created, state: "loaded" };
    let first = digest(&card(1), 5);
    assert!(first.len() == 64 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(first, digest(&card(1), 5));
    assert_ne!(first, digest(&card(2), 5));
    assert_ne!(first, digest(&card(1), 6));
}
