#include "distributed/store.h"

#include <arpa/inet.h>
#include <c10/util/Logging.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "san/error.h"

namespace san::distributed {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kFirstAttempt{1000}, kLongestAttempt{10'000};
constexpr const char* kEnded = "ended while waiting for the other ranks";

std::string endpoint(const ProcessGroupConfig& config) {
  return config.host + ":" + std::to_string(config.port);
}

std::string seconds(milliseconds time) { return std::to_string((time.count() + 999) / 1000) + " s"; }

/// The first line of what LibTorch says, without its own places in the code.
std::string reason_of(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

Error not_met(const std::string& message, const std::string& field = {}) {
  return Error(kRendezvous, message, field);
}

/// Says how many there should be, and what all must agree on, in the order that meet() reads.
std::string card(const ProcessGroupConfig& config) {
  return std::to_string(config.world_size) + "\n" + std::to_string(getpid()) + "\n" + host_name() + "\n" +
         config.agreement;
}

struct Member {
  int world_size;
  std::string pid, host, agreement;
};

Member parse(const std::string& text) {
  const size_t a = text.find('\n'), b = text.find('\n', a + 1), c = text.find('\n', b + 1);
  return {std::stoi(text.substr(0, a)), text.substr(a + 1, b - a - 1), text.substr(b + 1, c - b - 1),
          text.substr(c + 1)};
}

std::string name_of(int rank, const Member& member) {
  return "rank " + std::to_string(rank) + " (process " + member.pid + " on " + member.host + ")";
}

Error unreachable(const ProcessGroupConfig& config, bool serve, const std::exception& error) {
  return not_met(serve ? "rank 0 cannot serve the ranks' store at port " + std::to_string(config.port) +
                             "; is the port taken, or was another rank started as rank 0? (" +
                             reason_of(error) + ")"
                       : "nothing answers at " + endpoint(config) + " for " + seconds(config.join_timeout) +
                             ": are MASTER_ADDR and MASTER_PORT right, does rank 0 run, and does a firewall "
                             "let it through? (" +
                             reason_of(error) + ")",
                 "MASTER_ADDR");
}

std::string card_key(int rank) { return "member/" + std::to_string(rank); }

}  // namespace

std::string text_of(const std::vector<uint8_t>& value) { return {value.begin(), value.end()}; }
std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

std::string address_towards(const std::string& host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (getaddrinfo(host.c_str(), "9", &hints, &found) != 0) return {};
  std::string address;
  for (const addrinfo* at = found; at != nullptr && address.empty(); at = at->ai_next) {
    // Nothing is sent: a connected datagram socket has the address that the route has.
    const int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
    if (fd < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof(own);
    char text[NI_MAXHOST] = "";
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0 &&
        getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text, sizeof(text), nullptr, 0,
                    NI_NUMERICHOST) == 0)
      address = text;
    close(fd);
  }
  freeaddrinfo(found);
  return address;
}

Store connect(const ProcessGroupConfig& config, bool serve, const ProcessGroup::Cancelled& cancelled) {
  // c10d tells each attempt on stderr, with a stack; the errors here hold what matters of it.
  // TORCH_CPP_LOG_LEVEL is read by nothing else outside Python.
  c10::initLogging();
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(config.port);
  options.isServer = serve;
  options.waitWorkers = false;
  const auto deadline = Clock::now() + config.join_timeout;
  // An attempt cannot be broken off. Longer ones follow, for a slow network may need more than the first.
  milliseconds attempt = kFirstAttempt;
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    const bool last = serve || left <= attempt;
    options.timeout = serve ? config.join_timeout : std::clamp(left, milliseconds(1), attempt);
    try {
      auto store = c10::make_intrusive<c10d::TCPStore>(config.host, options);
      store->setTimeout(config.join_timeout);
      return c10::make_intrusive<c10d::PrefixStore>("san-native/" + config.prefix, std::move(store));
    } catch (const std::exception& error) {
      if (last) throw unreachable(config, serve, error);
    }
    if (cancelled && cancelled()) throw not_met(kEnded);
    attempt = std::min(2 * attempt, kLongestAttempt);
  }
}

std::vector<std::string> meet(const Store& store, const ProcessGroupConfig& config,
                              const ProcessGroup::Cancelled& cancelled) {
  const auto deadline = Clock::now() + config.join_timeout;
  const std::string me = "rank " + std::to_string(config.rank);
  try {
    if (store->add("claim/" + std::to_string(config.rank), 1) > 1)
      throw not_met("there is a " + me + " already at " + endpoint(config) +
                        ": two processes have the same RANK, or two runs use one MASTER_PORT",
                    "RANK");
    store->set(card_key(config.rank), bytes_of(card(config)));

    std::vector<Member> members(static_cast<size_t>(config.world_size));
    std::vector<int> missing(members.size());
    for (size_t i = 0; i < missing.size(); ++i) missing[i] = static_cast<int>(i);
    while (true) {
      std::erase_if(missing, [&](int rank) {
        if (!store->check({card_key(rank)})) return false;
        Member& member = members[static_cast<size_t>(rank)];
        member = parse(text_of(store->get(card_key(rank))));
        if (member.world_size != config.world_size)
          throw not_met("WORLD_SIZE is " + std::to_string(config.world_size) + " for " + me + " and " +
                            std::to_string(member.world_size) + " for " + name_of(rank, member) +
                            ": all ranks must be started with the same",
                        "WORLD_SIZE");
        if (member.agreement != config.agreement)
          throw not_met(me + " has " + config.agreement + ", " + name_of(rank, member) + " has " +
                        member.agreement + ": all ranks must run the same");
        return true;
      });
      if (missing.empty()) break;
      if (cancelled && cancelled()) throw not_met(kEnded);
      if (Clock::now() > deadline) {
        std::string list;
        for (size_t i = 0; i < missing.size() && i < 8; ++i)
          list += (i == 0 ? "" : ", ") + std::to_string(missing[i]);
        throw not_met("waited " + seconds(config.join_timeout) + " at " + endpoint(config) + " for " +
                          std::to_string(missing.size()) + " of " + std::to_string(config.world_size) +
                          " ranks that did not come: " + list + (missing.size() > 8 ? ", ..." : "") +
                          "; is WORLD_SIZE right, and were all of them started?",
                      "WORLD_SIZE");
      }
      // Not wait(): that can hang where the network drops packets.
      usleep(50'000);
    }
    std::vector<std::string> names;
    for (size_t i = 0; i < members.size(); ++i) names.push_back(name_of(static_cast<int>(i), members[i]));
    return names;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw not_met("lost the ranks' store at " + endpoint(config) + " while the ranks met: did rank 0 end? (" +
                  reason_of(error) + ")");
  }
}

}  // namespace san::distributed
