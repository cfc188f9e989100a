//! The likeliest tokens of a step, found by the GPU that computed the logits: a few bytes per row are copied instead of
//! 256 KiB, and nothing is searched here.
//!
//! llama.cpp copies the logits with `ggml_backend_tensor_get_async` after it has submitted a step. The linker redirects
//! that call here (`build.rs`); in a step whose rows all take the likeliest token, a small graph over the same memory
//! is submitted instead. llama.cpp's own samplers on the device do this one row after another (decision 40).
#![allow(unsafe_code)]

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};

use llama_cpp_sys_2 as sys;

use super::found::{Found, Likeliest};
use super::scan::{Row, Scan};
use crate::batch::Token;

/// llama.cpp's name for a model's logits.
const LOGITS: &[u8] = b"result_output\0";
/// Graphs kept, one for each number of rows and place of the logits; when there are more, all are made anew.
const MOST_GRAPHS: usize = 64;
/// Tensors of a graph: the logits, the likeliest tokens, the sums.
const N_TENSORS: usize = 3;

/// Finds the likeliest tokens of a context's steps.
#[derive(Default)]
pub(super) struct Finder {
    trust: Trust,
    graphs: HashMap<Key, Graph>,
    memory: Option<HostMemory>,
    step: Step,
}

/// Whether the device finds what the host finds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Trust {
    /// The next step is searched by both.
    #[default]
    Unknown,
    Full,
    /// It does not, or it lacks an operation.
    None,
}

/// The step that is being computed, in one or several passes.
#[derive(Default)]
struct Step {
    n_wanted: usize,
    /// Rows of its passes so far.
    n_rows: usize,
    /// Whether the device searches all of them.
    is_searched: bool,
    /// llama.cpp's copy of the first pass's logits, if there is one, and the number of logits per row.
    copied: Option<(*const f32, usize)>,
}

/// Where the logits of a pass are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    buffer: usize,
    address: usize,
    n_vocab: usize,
    n_rows: usize,
}

thread_local! {
    /// The finder of the step that this thread submits.
    static WANTED: Cell<Option<NonNull<Finder>>> = const { Cell::new(None) };
}

impl Finder {
    /// Runs `submit`, which submits a step with `n_rows` rows of logits, and has the device search them. Only for steps
    /// whose passes have the rows in the order of the batch: llama.cpp sorts nothing but its own copy.
    pub(super) fn during<T>(&mut self, n_rows: usize, submit: impl FnOnce() -> T) -> T {
        self.step = Step { n_wanted: n_rows, ..Step::default() };
        if self.trust == Trust::None {
            return submit();
        }
        WANTED.set(Some(NonNull::from(&mut *self)));
        let outcome = submit();
        WANTED.set(None);
        outcome
    }

    /// What was found in the last step, which is done.
    pub(super) fn found(&mut self) -> Found {
        let Step { n_rows, n_wanted, is_searched, copied } = std::mem::take(&mut self.step);
        let memory = self.memory.as_ref().filter(|_| is_searched && n_rows == n_wanted);
        let (memory, copied) = match (memory, copied) {
            (Some(memory), copied) => (memory, copied),
            (None, None) if n_rows > 0 => return Found::Nothing,
            (None, _) => return Found::Logits,
        };
        // SAFETY: the device has written all rows, and the step is done.
        let found: Vec<Likeliest> = (0..n_rows).map(|row| unsafe { memory.read(row) }).collect();
        let Some((logits, n_vocab)) = copied else { return Found::Likeliest(found) };
        // SAFETY: llama.cpp's copy of this step's logits, one row after the other; nothing has been computed since.
        let logits = unsafe { std::slice::from_raw_parts(logits, n_rows * n_vocab) };
        if agree(logits.chunks_exact(n_vocab), &found) {
            self.trust = Trust::Full;
            tracing::debug!("greedy sampling on the GPU");
        } else {
            self.trust = Trust::None;
            tracing::warn!("the GPU finds another most likely token than the CPU; sampling on the CPU");
        }
        Found::Logits
    }

    /// Has the device search the logits of a pass, of `size` bytes. True if they need not be copied to `copy`.
    ///
    /// # Safety
    /// `logits` is the output of a pass that `backend` computes.
    unsafe fn take(
        &mut self,
        backend: sys::ggml_backend_t,
        logits: &sys::ggml_tensor,
        (copy, size): (*const f32, usize),
    ) -> bool {
        let n_vocab = usize::try_from(logits.ne[0]).unwrap_or(0);
        let is_first = self.step.n_rows == 0;
        let n_rows = size / (n_vocab * size_of::<f32>()).max(1);
        // SAFETY: the caller's.
        let is_searched = self.trust != Trust::None && unsafe { self.search(backend, logits, n_rows) }.is_some();
        if !is_searched {
            self.trust = Trust::None;
        }
        if is_first && self.trust != Trust::Full {
            self.step.copied = Some((copy, n_vocab));
        }
        self.step.is_searched = is_searched && (is_first || self.step.is_searched);
        self.step.n_rows += n_rows;
        self.step.copied.is_none() && is_searched
    }

    /// # Safety
    /// That of `take`.
    unsafe fn search(&mut self, backend: sys::ggml_backend_t, logits: &sys::ggml_tensor, n_rows: usize) -> Option<()> {
        let Step { n_rows: n_before, n_wanted, .. } = self.step;
        if n_before + n_rows > n_wanted {
            return None;
        }
        // SAFETY: the caller's. Memory and graphs outlive what the device does with them, because they are replaced
        // only at the beginning of a step, and the one before has been waited for.
        unsafe {
            if n_before == 0 {
                if sys::ggml_backend_dev_type(sys::ggml_backend_get_device(backend))
                    == sys::GGML_BACKEND_DEVICE_TYPE_CPU
                {
                    return None;
                }
                if self.memory.as_ref().is_none_or(|memory| memory.n_rows < n_wanted) {
                    self.memory = Some(HostMemory::new(backend, n_wanted)?);
                }
                if self.graphs.len() >= MOST_GRAPHS {
                    self.graphs.clear();
                }
            }
            let key = Key::of(logits, n_rows)?;
            let graph = match self.graphs.entry(key) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(Graph::new(backend, logits, key)?),
            };
            graph.run(backend, self.memory.as_ref()?, n_before).then_some(())
        }
    }
}

/// Whether these are the tokens with the largest logits of each row. Of several such tokens, the device may find
/// another one.
fn agree<'a>(rows: impl Iterator<Item = &'a [f32]>, found: &[Likeliest]) -> bool {
    let is_largest = |(row, found): (&[f32], &Likeliest)| {
        let largest = row[Scan::of(row).argmax(Row::plain(row))];
        found.is_sound && usize::try_from(found.token.0).is_ok_and(|token| row.get(token) == Some(&largest))
    };
    rows.zip(found).all(is_largest)
}

impl Key {
    /// # Safety
    /// `logits` belongs to a graph of llama.cpp's.
    unsafe fn of(logits: &sys::ggml_tensor, n_rows: usize) -> Option<Self> {
        // SAFETY: a view's source is in the same graph.
        let buffer = if logits.view_src.is_null() { logits.buffer } else { unsafe { (*logits.view_src).buffer } };
        let n_vocab = usize::try_from(logits.ne[0]).ok()?;
        let is_somewhere = !buffer.is_null() && !logits.data.is_null();
        is_somewhere.then_some(Self {
            buffer: buffer.expose_provenance(),
            address: logits.data.addr(),
            n_vocab,
            n_rows,
        })
    }
}

/// Host memory that the device writes: for each row the likeliest token, and the sum of its logits.
struct HostMemory {
    buffer: sys::ggml_backend_buffer_t,
    base: *mut u8,
    n_rows: usize,
}

impl HostMemory {
    /// # Safety
    /// `backend` is one of llama.cpp's.
    unsafe fn new(backend: sys::ggml_backend_t, n_rows: usize) -> Option<Self> {
        // SAFETY: the caller's; each result is checked.
        unsafe {
            let kind = sys::ggml_backend_dev_host_buffer_type(sys::ggml_backend_get_device(backend));
            if kind.is_null() {
                return None;
            }
            let buffer = sys::ggml_backend_buft_alloc_buffer(kind, n_rows * (size_of::<i32>() + size_of::<f32>()));
            let base =
                if buffer.is_null() { null_mut() } else { sys::ggml_backend_buffer_get_base(buffer).cast::<u8>() };
            let memory = Self { buffer, base, n_rows };
            (!memory.base.is_null()).then_some(memory)
        }
    }

    fn token(&self, row: usize) -> *mut i32 {
        self.base.wrapping_add(row * size_of::<i32>()).cast()
    }

    fn sum(&self, row: usize) -> *mut f32 {
        self.base.wrapping_add(self.n_rows * size_of::<i32>() + row * size_of::<f32>()).cast()
    }

    /// # Safety
    /// The device has written the row.
    unsafe fn read(&self, row: usize) -> Likeliest {
        assert!(row < self.n_rows, "there is memory for each row");
        // SAFETY: within the buffer, as just checked, and written.
        let (token, sum) = unsafe { (self.token(row).read_unaligned(), self.sum(row).read_unaligned()) };
        // A sum is NaN if a logit is, or if there are infinities of both signs; no logit is large enough for the sum of
        // finite ones to overflow. Without any number above negative infinity there is no likeliest token.
        let is_sound = token >= 0 && !sum.is_nan() && sum != f32::INFINITY;
        Likeliest { token: Token(token.max(0)), is_sound }
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        if !self.buffer.is_null() {
            // SAFETY: made by `new`, and the device writes to it only during a step, which is waited for.
            unsafe { sys::ggml_backend_buffer_free(self.buffer) };
        }
    }
}

/// The search in one place of the device's memory.
struct Graph {
    context: *mut sys::ggml_context,
    buffer: sys::ggml_backend_buffer_t,
    graph: *mut sys::ggml_cgraph,
    tokens: *mut sys::ggml_tensor,
    sums: *mut sys::ggml_tensor,
    n_rows: usize,
}

impl Graph {
    /// # Safety
    /// `logits` belongs to a graph that `backend` computes.
    unsafe fn new(backend: sys::ggml_backend_t, logits: &sys::ggml_tensor, key: Key) -> Option<Self> {
        let [n_vocab, n_rows] = [key.n_vocab, key.n_rows].map(|n| i64::try_from(n).unwrap_or(0));
        // SAFETY: there is memory for as many tensors as are made, and each result is checked.
        unsafe {
            let mem_size = N_TENSORS * sys::ggml_tensor_overhead() + sys::ggml_graph_overhead_custom(N_TENSORS, false);
            let params = sys::ggml_init_params { mem_size, mem_buffer: null_mut(), no_alloc: true };
            let context = NonNull::new(sys::ggml_init(params))?.as_ptr();
            let rows = sys::ggml_new_tensor_2d(context, sys::GGML_TYPE_F32, n_vocab, n_rows);
            (*rows).data = logits.data;
            (*rows).buffer = std::ptr::with_exposed_provenance_mut(key.buffer);
            let (tokens, sums) = (sys::ggml_argmax(context, rows), sys::ggml_sum_rows(context, rows));
            let graph = sys::ggml_new_graph_custom(context, N_TENSORS, false);
            sys::ggml_build_forward_expand(graph, tokens);
            sys::ggml_build_forward_expand(graph, sums);
            let is_possible =
                sys::ggml_backend_supports_op(backend, tokens) && sys::ggml_backend_supports_op(backend, sums);
            let buffer = if is_possible { sys::ggml_backend_alloc_ctx_tensors(context, backend) } else { null_mut() };
            let graph = Self { context, buffer, graph, tokens, sums, n_rows: key.n_rows };
            (!buffer.is_null()).then_some(graph)
        }
    }

    /// Submits the search, and copies to the rows from `first` on.
    ///
    /// # Safety
    /// The logits are being computed by `backend`, and `memory` outlives that.
    unsafe fn run(&self, backend: sys::ggml_backend_t, memory: &HostMemory, first: usize) -> bool {
        // SAFETY: the caller's; the tensors hold one number for each row.
        unsafe {
            if sys::ggml_backend_graph_compute_async(backend, self.graph) != sys::GGML_STATUS_SUCCESS {
                return false;
            }
            let (to, size) = (memory.token(first), self.n_rows * size_of::<i32>());
            __real_ggml_backend_tensor_get_async(backend, self.tokens, to.cast(), 0, size);
            let (to, size) = (memory.sum(first), self.n_rows * size_of::<f32>());
            __real_ggml_backend_tensor_get_async(backend, self.sums, to.cast(), 0, size);
        }
        true
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made by `new`; the device reads both only during a step, which is waited for.
        unsafe {
            if !self.buffer.is_null() {
                sys::ggml_backend_buffer_free(self.buffer);
            }
            sys::ggml_free(self.context);
        }
    }
}

unsafe extern "C" {
    fn __real_ggml_backend_tensor_get_async(
        backend: sys::ggml_backend_t,
        tensor: *const sys::ggml_tensor,
        data: *mut c_void,
        offset: usize,
        size: usize,
    );
}

/// Called by llama.cpp in place of ggml's function.
///
/// # Safety
/// The same as for ggml's `ggml_backend_tensor_get_async`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_ggml_backend_tensor_get_async(
    backend: sys::ggml_backend_t,
    tensor: *const sys::ggml_tensor,
    data: *mut c_void,
    offset: usize,
    size: usize,
) {
    // SAFETY: the arguments are the caller's. The finder is borrowed by `during`, which is on the stack of this thread
    // and does not touch it meanwhile.
    unsafe {
        let finder = WANTED.get().filter(|_| offset == 0 && is_logits(&*tensor));
        if !finder.is_some_and(|mut finder| finder.as_mut().take(backend, &*tensor, (data.cast(), size))) {
            __real_ggml_backend_tensor_get_async(backend, tensor, data, offset, size);
        }
    }
}

/// Whether this is a model's logits, as contiguous numbers of 32 bits.
fn is_logits(tensor: &sys::ggml_tensor) -> bool {
    // Signed on x86, and unsigned on Arm.
    let name = tensor.name.map(|c| c.to_ne_bytes()[0]);
    let row = usize::try_from(tensor.ne[0]).unwrap_or(0) * size_of::<f32>();
    tensor.type_ == sys::GGML_TYPE_F32 && name.starts_with(LOGITS) && tensor.nb[..2] == [size_of::<f32>(), row]
}
