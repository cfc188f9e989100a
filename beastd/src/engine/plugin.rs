//! GPUs, and llama.cpp's backends for them as plug-ins.
//!
//! Never knows: where plug-ins are, and which GPU is wanted.

use std::path::Path;

use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};

use super::{model::backend, raw};

/// A GPU that a model can run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// llama.cpp's number for it, in this process.
    pub index: usize,
    /// `CUDA0`, `Vulkan1`, `Metal`.
    pub name: String,
    /// `NVIDIA H100 80GB HBM3`.
    pub description: String,
    /// Total memory in bytes; 0 if the driver does not report it.
    pub n_total: u64,
    /// Free memory in bytes.
    pub n_free: u64,
}

impl From<LlamaBackendDevice> for Device {
    fn from(device: LlamaBackendDevice) -> Self {
        let LlamaBackendDevice { index, name, description, memory_total, memory_free, .. } = device;
        Self { index, name, description, n_total: memory_total as u64, n_free: memory_free as u64 }
    }
}

/// The GPUs of all built-in and loaded backends, with their current memory.
pub fn devices() -> Vec<Device> {
    backend();
    let is_gpu = |device: &LlamaBackendDevice| {
        matches!(device.device_type, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu)
    };
    list_llama_ggml_backend_devices().into_iter().filter(is_gpu).map(Device::from).collect()
}

/// Loads a backend for the life of the process and returns its GPUs; `None` if llama.cpp cannot load it, which it logs
/// with the reason. Runs the file's code, so only for a file that has passed a trial.
pub fn load_plugin(path: &Path) -> Option<Vec<Device>> {
    let n_before = devices().len();
    raw::load_backend(path).then(|| devices().split_off(n_before))
}
