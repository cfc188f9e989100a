//! GPUs, and the files that bring llama.cpp's backends for them.
//!
//! Never knows: where such files are, and which of them is wanted.

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
    /// Its memory in bytes; 0 where the driver does not tell.
    pub n_total: u64,
    /// How much of that is free at this moment.
    pub n_free: u64,
}

impl From<LlamaBackendDevice> for Device {
    fn from(device: LlamaBackendDevice) -> Self {
        let LlamaBackendDevice { index, name, description, memory_total, memory_free, .. } = device;
        Self { index, name, description, n_total: memory_total as u64, n_free: memory_free as u64 }
    }
}

/// The GPUs of the backends that are part of this program or were loaded, with their memory as it is now.
pub fn devices() -> Vec<Device> {
    backend();
    let is_gpu = |device: &LlamaBackendDevice| {
        matches!(device.device_type, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu)
    };
    list_llama_ggml_backend_devices().into_iter().filter(is_gpu).map(Device::from).collect()
}

/// Loads a backend for the life of the process and returns its GPUs; `None` when llama.cpp refuses it, for a reason
/// that is in its log. The code in the file runs: only for a file that has survived that in another process.
pub fn load_plugin(path: &Path) -> Option<Vec<Device>> {
    let n_before = devices().len();
    raw::load_backend(path).then(|| devices().split_off(n_before))
}
