#!/usr/bin/env bash
# What to run first on a machine with a GPU that is lent for minutes: build, tests, short benchmarks, a profile. Logs,
# tables and JSON go to $OUT (default gpu-results); a part that fails or takes too long does not keep the next one from running.
#   scripts/gpu-session.sh [PART...]   needs dist/, node_modules, and torch: docs/cuda.md
#   $LIMIT  seconds in all             $DATA  training images; without them there is no profile
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(mkdir -p "${OUT:-gpu-results}" && cd "${OUT:-gpu-results}" && pwd)
limit=${LIMIT:-580}
export CUDAARCHS=${CUDAARCHS:-90} SAN_NATIVE_BUILD=${SAN_NATIVE_BUILD:-build-cuda}
# Node, the packages, and what was built elsewhere, on a machine that has none and no network.
if [ -f .gpu/unpack.sh ]; then . .gpu/unpack.sh; fi
if [ -f .gpu/built.tar.xz ] && [ ! -e "$SAN_NATIVE_BUILD" ]; then tar -xJf .gpu/built.tar.xz; fi
torch=${SAN_NATIVE_LIBTORCH:-$(python3 -c 'import torch; print(torch.__path__[0])')}
export LD_LIBRARY_PATH=$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
core=$SAN_NATIVE_BUILD/san_core_tests

build() {
  if [ -x "$core" ] && ! ldd "$core" "$SAN_NATIVE_BUILD/san_native.node" | grep 'not found'; then
    echo "$SAN_NATIVE_BUILD holds a build that fits this machine"
    return
  fi
  cmake -S . -B "$SAN_NATIVE_BUILD" -DCMAKE_BUILD_TYPE=Release -DSAN_CUDA=ON -DLIBTORCH="$torch" &&
    cmake --build "$SAN_NATIVE_BUILD" --parallel "$(nproc)" --target san_native san_core_tests
}
# Side by side, for they hardly load the GPU; those on large tensors by themselves, for one test fills its memory. Of the
# core's the groups that launch kernels: the others are CI's.
tests() {
  local status=0
  "$core" ado_gate attention emit norm_act_skip rpa_gate shared_step emit_cuda feed_cuda gates_cuda norm_act_skip_cuda \
    polyphase_cuda random_cuda shared_step_cuda >"$out/core.log" 2>&1 &
  node dist/test/gpu/device.js || status=$?
  wait $! || status=$?
  tail -n 40 "$out/core.log"
  return $status
}
large() { "$core" large_cuda; }
sanitize() { node scripts/test-gpu.mjs --prepared --sanitize; }
profile() {
  local name graphs
  for graphs in 1 0; do
    name=profile-$([ $graphs = 1 ] && echo graphs || echo eager)
    SAN_NATIVE_GRAPHS=$graphs node bin/san-native.js train "$DATA" --preset 64 --precision bf16 --device cuda --steps 80 \
      --sample-every 0 --checkpoint-every 0 --out "$out/../$name-run" --profile "$out/$name.json" || return
    gzip -f "$out/$name.json"
  done
}
bench() { node scripts/bench.mjs --gpu --prepared "$1" --sizes "${SIZES:-64}" --rounds 3 --seconds 1 --json >"$out/$1.json"; }
export -f build tests large sanitize profile bench
export out torch core

nvidia-smi >"$out/machine.txt" 2>&1
# The shortest first.
[ $# -gt 0 ] || set -- build tests kernels convolutions ${DATA:+profile} train generate large sanitize
for part; do
  case $part in build | tests | large | profile | sanitize) work=$part ;; *) work="bench $part" ;; esac
  begun=$SECONDS status=0
  timeout $((limit > SECONDS ? limit - SECONDS : 1)) bash -c "$work" >"$out/$part.log" 2>&1 || status=$?
  echo "$part: exit status $status after $((SECONDS - begun)) s" | tee -a "$out/summary.txt"
  if [ "$part" = build ] && [ "$status" != 0 ]; then exit 1; fi
done
for part; do echo "== $part" && tail -n 20 "$out/$part.log" | cut -c 1-180; done
