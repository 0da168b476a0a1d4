#!/usr/bin/env bash
# Two ranks in network namespaces of their own, as two hosts, and their link cut for 30 s:
# test/acceptance/rank-network.sh DATA OUT RANK_TIMEOUT. As root, with iproute2. With a longer timeout than 30 s the run goes
# on and ends well; with a shorter one both ranks end with an error. Prints both ranks' output, exit status and time.
set -euo pipefail
data=$1 out=$2 timeout=$3
program="$(cd "$(dirname "$0")/../.." && pwd)/bin/san-native.js"
source "$(dirname "${BASH_SOURCE[0]}")/two-hosts.sh"

start() { # rank namespace
  RANK=$1 WORLD_SIZE=2 MASTER_ADDR=10.77.0.1 MASTER_PORT=29510 OMP_NUM_THREADS=1 \
    ip netns exec "$2" timeout 300 node "$program" train "$data" --out "$out" --image-size 16 --base-width 4 \
    --max-width 16 --batch-size 8 --steps 600 --sample-every 0 --checkpoint-every 50 --rank-timeout "$timeout" 2>&1 |
    sed "s/^/[rank $1] /"
}
start 0 san-a & first=$!
start 1 san-b & second=$!
until [ -s "$out/metrics.jsonl" ]; do sleep 0.5; done
echo "cut after the line $(tail -n 1 "$out/metrics.jsonl" | cut -c 1-40)"
begin=$SECONDS
ip -n san-a link set san-va down
(sleep 30; ip -n san-a link set san-va up 2>/dev/null && echo "link up again") & link=$!
for process in $first $second; do
  status=0
  wait "$process" || status=$?
  echo "a rank ended with status $status, $((SECONDS - begin)) s after the cut"
done
wait $link || true
