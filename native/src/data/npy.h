// The header of .npy files (NEP 1, versions 1 to 3). Own code: the libraries for C++ are not to be had
// through npm, and those seen trust the header.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace san::npy {

/// Bytes that the longest accepted header may have, magic string included.
inline constexpr size_t kLongestHeader = 1 << 16;

struct Header {
  /// Such as "|u1".
  std::string_view descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  /// Where the array begins, in bytes from the start of the file.
  size_t size = 0;
};

/// What is wrong with a header, in words that follow "it".
class HeaderError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// `begin`: the first bytes of the file, up to kLongestHeader of them. The result refers to them. Throws
/// HeaderError.
Header parse(std::string_view begin);

}  // namespace san::npy
