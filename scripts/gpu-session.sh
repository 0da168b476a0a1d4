#!/usr/bin/env bash
# What to run first on a machine with a GPU that is lent for minutes: build, tests, short benchmarks. Logs, tables and JSON
# go to $OUT (default gpu-results); a part that fails or takes too long does not keep the next one from running.
#   scripts/gpu-session.sh [PART...]   needs dist/, node_modules, and torch: docs/cuda.md. $LIMIT: seconds in all
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(mkdir -p "${OUT:-gpu-results}" && cd "${OUT:-gpu-results}" && pwd)
limit=${LIMIT:-580}
export CUDAARCHS=${CUDAARCHS:-90} SAN_NATIVE_BUILD=${SAN_NATIVE_BUILD:-build-cuda}
# Node and the packages, on a machine that has none and no network.
if [ -f .gpu/unpack.sh ]; then . .gpu/unpack.sh; fi
torch=${SAN_NATIVE_LIBTORCH:-$(python3 -c 'import torch; print(torch.__path__[0])')}

build() {
  cmake -S . -B "$SAN_NATIVE_BUILD" -DCMAKE_BUILD_TYPE=Release -DSAN_CUDA=ON -DLIBTORCH="$torch" &&
    cmake --build "$SAN_NATIVE_BUILD" --parallel "$(nproc)" --target san_native san_core_tests
}
tests() { node scripts/test-gpu.mjs --prepared; }
bench() { node scripts/bench.mjs --gpu --prepared "$1" --sizes 64 --rounds 3 --seconds 1 --json >"$out/$1.json"; }
export -f build tests bench
export out torch

nvidia-smi >"$out/machine.txt" 2>&1
# The shortest benchmarks first.
[ $# -gt 0 ] || set -- build tests kernels convolutions train generate
for part; do
  case $part in build | tests) work=$part ;; *) work="bench $part" ;; esac
  begun=$SECONDS status=0
  timeout $((limit > SECONDS ? limit - SECONDS : 1)) bash -c "$work" >"$out/$part.log" 2>&1 || status=$?
  echo "$part: exit status $status after $((SECONDS - begun)) s" | tee -a "$out/summary.txt"
  if [ "$part" = build ] && [ "$status" != 0 ]; then exit 1; fi
done
for part; do echo "== $part" && tail -n 20 "$out/$part.log"; done
