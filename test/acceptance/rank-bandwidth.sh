#!/usr/bin/env bash
# What a slower network costs: two ranks in network namespaces of their own, as two hosts, a thread and a core each, over a link
# of several bandwidths: test/acceptance/rank-bandwidth.sh [ROWS_PER_RANK] [STEPS] [RATE...], rates as tc writes them. As root,
# with iproute2, on two idle cores. Prints a line of JSON for each: what is left of the network in a step, over none.
set -euo pipefail
program="$(cd "$(dirname "$0")/../.." && pwd)/dist/test/acceptance/rank-speed.js"
rows=${1:-16} steps=${2:-9}
shift $(($# < 2 ? $# : 2))
rates=("$@")
[ ${#rates[@]} -gt 0 ] || rates=(10gbit 2gbit 1gbit 500mbit 250mbit 100mbit)
source "$(dirname "${BASH_SOURCE[0]}")/two-hosts.sh"
port=29520
start() { # rank namespace core
  RANK=$1 WORLD_SIZE=2 MASTER_ADDR=10.77.0.1 MASTER_PORT=$port OMP_NUM_THREADS=1 \
    ip netns exec "$2" taskset -c "$3" timeout 300 node "$program" "$rows" "$steps"
}
for rate in "${rates[@]}"; do
  for side in a b; do
    tc -n san-$side qdisc replace dev san-v$side root tbf rate "$rate" burst 256kb latency 100ms
  done
  port=$((port + 1))
  start 1 san-b 1 & second=$!
  printf '%s ' "$rate"
  start 0 san-a 0
  wait $second
done
