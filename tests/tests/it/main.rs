//! The real programs from end to end, on the built-in model.
//!
//! One executable with many modules, because linking once is faster. Each test has a home and a daemon of its own, so
//! that all of them can run at once and none can disturb another.

mod activation;
mod backends;
mod cancel;
mod circles;
mod concurrency;
mod config;
mod conversations;
mod counting;
mod crash;
mod damage;
mod decide;
mod disk;
mod embed;
mod faults;
mod files;
mod grammars;
mod http_anthropic;
mod http_life;
mod http_native;
mod http_ollama;
mod http_responses;
mod http_resume;
mod http_resume_edges;
mod http_security;
mod http_sse;
mod http_tools;
mod http_wire;
mod input;
mod loading;
mod logits;
mod long;
mod map;
mod memory;
mod model;
mod other_cpu;
mod overload;
mod pipelines;
mod prefixes;
mod real_model;
mod residency;
mod resume;
mod rooms;
mod shapes;
mod shell;
mod shutdown;
mod sizes;
mod soak;
mod speculation;
mod start;
mod stream;
mod templates;
mod vulkan;
mod wire;
