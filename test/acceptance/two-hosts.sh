# To be sourced, as root, with iproute2: network namespaces san-a and san-b with a link between them, as two hosts with the
# addresses 10.77.0.1 and 10.77.0.2; they are removed at exit.
clean() { ip netns del san-a 2>/dev/null || true; ip netns del san-b 2>/dev/null || true; }
trap clean EXIT
clean
ip netns add san-a
ip netns add san-b
ip link add san-va netns san-a type veth peer name san-vb netns san-b
ip -n san-a addr add 10.77.0.1/24 dev san-va
ip -n san-b addr add 10.77.0.2/24 dev san-vb
for side in a b; do ip -n san-$side link set san-v$side up; ip -n san-$side link set lo up; done
