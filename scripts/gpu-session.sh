#!/usr/bin/env bash
# What to run first on a machine with a GPU that is lent for minutes: build, tests, short benchmarks, profiles. A part that fails
# or takes too long does not keep the next one from running. In $OUT (default gpu-results), written anew after each part:
# summary.txt, and results.tar.gz with the parts' logs, tables, JSON and traces.
#   scripts/gpu-session.sh [PART...]   needs dist/, node_modules, and torch: docs/cuda.md
#   $LIMIT  seconds in all             $DATA  training images; without them there is no profile
#   $SIZES  image sizes of the benchmarks, such as 32,64
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(mkdir -p "${OUT:-gpu-results}" && cd "${OUT:-gpu-results}" && pwd)
work=$(mktemp -d)
limit=${LIMIT:-580}
export CUDAARCHS=${CUDAARCHS:-90}
# Node, the packages, and what was built elsewhere, on a machine that has none and no network, perhaps not even xz.
if [ -f .gpu/unpack.sh ]; then . .gpu/unpack.sh; fi
built=.gpu/built.tar.xz
if [ -f $built ]; then
  folder=$(python3 -c 'import sys, tarfile
print(next(n.split("/")[-2] for n in tarfile.open(sys.argv[1]).getnames() if n.endswith("/san_native.node")))' $built)
  export SAN_NATIVE_BUILD=${SAN_NATIVE_BUILD:-$folder}
  [ -e "$SAN_NATIVE_BUILD" ] || tar -xf $built 2>/dev/null ||
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall()' $built
fi
export SAN_NATIVE_BUILD=${SAN_NATIVE_BUILD:-build-cuda}
torch=${SAN_NATIVE_LIBTORCH:-$(python3 -c 'import torch; print(torch.__path__[0])')}
# A build that was made elsewhere looks for CUDA's runtime where that was.
export LD_LIBRARY_PATH=$torch/lib:$torch/../nvidia/cu13/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
core=$SAN_NATIVE_BUILD/san_core_tests

build() {
  if [ -x "$core" ] && ! ldd "$core" "$SAN_NATIVE_BUILD/san_native.node" | grep 'not found'; then
    echo "$SAN_NATIVE_BUILD holds a build that fits this machine"
    return
  fi
  cmake -S . -B "$SAN_NATIVE_BUILD" -DCMAKE_BUILD_TYPE=Release -DSAN_CUDA=ON -DLIBTORCH="$torch" &&
    cmake --build "$SAN_NATIVE_BUILD" --parallel "$(nproc)" --target san_native san_core_tests
}
# Of the core's the groups that launch kernels: the others are CI's. Those on large tensors are a part of their own, for one test
# fills the GPU's memory, as one of the first does.
# Some thousand different convolutions, of which each is needed a few times: not worth looking for the fastest algorithms.
tests() { SAN_NATIVE_AUTOTUNE=0 node dist/test/gpu/device.js; }
core() {
  "$core" ado_gate attention convolution emit norm_act_skip rpa_gate shared_step emit_cuda feed_cuda gates_cuda norm_act_skip_cuda \
    polyphase_cuda random_cuda shared_step_cuda
}
large() { "$core" large_cuda; }
sanitize() { node scripts/test-gpu.mjs --prepared --sanitize; }
# NAME, and what the environment has besides
profiled() {
  env "$2" node bin/san-native.js train "$DATA" --preset 64 --precision bf16 --device cuda --steps 80 --sample-every 0 \
    --checkpoint-every 0 --out "$work/$1-run" --profile "$work/$1.json" && gzip -f "$work/$1.json"
}
profile() { profiled profile SAN_NATIVE_GRAPHS=1; }
profile-eager() { profiled profile-eager SAN_NATIVE_GRAPHS=0; }
# NAME, CASE, PEERS
bench() {
  node scripts/bench.mjs --gpu --prepared "$2" --sizes "${SIZES:-64}" --rounds 3 --seconds 1 --peers "$3" --json \
    >"$work/$1.json"
}
kernels() { bench kernels kernels none; }
convolutions() { bench convolutions convolutions none; }
train() { bench train train eager; }
generate() { bench generate generate eager; }
# Compilers may take minutes.
train-compiled() { bench train-compiled train compile; }
generate-compiled() { bench generate-compiled generate compile; }

# The first are what the others are worth nothing without; the longest come last.
all='build tests core kernels train generate profile profile-eager convolutions large train-compiled generate-compiled sanitize'
# Most seconds that a part may take.
declare -A most=([build]=500 [tests]=150 [core]=90 [kernels]=60 [profile]=90 [profile-eager]=90 [convolutions]=90 [train]=120
  [generate]=120 [large]=120 [train-compiled]=300 [generate-compiled]=300 [sanitize]=200)
export -f $(tr ' ' '\n' <<<"$all") profiled bench
export work torch core

keep() { tar -czf "$out/.results" -C "$work" --exclude='*-run' . && mv "$out/.results" "$out/results.tar.gz"; }
nvidia-smi >"$work/machine.txt" 2>&1
[ $# -gt 0 ] || set -- $all
for part; do
  if [ -z "${most[$part]:-}" ]; then
    echo "$part: no such part; there are $all" >&2
    exit 2
  fi
  case $part in profile*) [ -n "${DATA:-}" ] || continue ;; esac
  left=$((limit - SECONDS)) begun=$SECONDS status=0
  if [ $left -lt 5 ]; then
    echo "$part: left out, $limit s are over" | tee -a "$out/summary.txt"
    continue
  fi
  timeout -k 5 $((left < most[$part] ? left : most[$part])) bash -c "$part" >"$work/$part.log" 2>&1 || status=$?
  echo "$part: exit status $status after $((SECONDS - begun)) s" | tee -a "$out/summary.txt"
  tail -n 20 "$work/$part.log" | cut -c 1-180 >>"$out/summary.txt"
  keep
  if [ "$part" = build ] && [ "$status" != 0 ]; then exit 1; fi
done
cat "$out/summary.txt"
rm -rf "$work"
