#include "data/npy.h"

#include <charconv>
#include <optional>
#include <string>

namespace san::npy {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMostDimensions = 32;

/// The dictionary of a header, a literal of Python, as numpy writes it: one string, one boolean, one tuple.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  /// Whether `symbol` comes next; it is passed over then.
  bool accept(char symbol) {
    skip_space();
    if (text_.empty() || text_.front() != symbol) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char symbol) {
    if (!accept(symbol)) fail();
  }

  std::string_view string() {
    skip_space();
    if (text_.empty() || (text_.front() != '\'' && text_.front() != '"')) fail();
    const size_t end = text_.find(text_.front(), 1);
    if (end == std::string_view::npos) fail();
    const std::string_view found = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return found;
  }

  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return value;
    }
    fail();
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> entries;
    expect('(');
    while (!accept(')')) {
      entries.push_back(integer());
      if (entries.size() > kMostDimensions) fail();
      if (accept(',')) continue;
      expect(')');
      break;
    }
    return entries;
  }

  void expect_end() {
    skip_space();
    if (!text_.empty()) fail();
  }

  [[noreturn]] static void fail() {
    throw HeaderError("has a header that is not the dictionary that numpy writes");
  }

 private:
  void skip_space() {
    const size_t next = text_.find_first_not_of(" \t\n\r");
    text_.remove_prefix(next == std::string_view::npos ? text_.size() : next);
  }

  int64_t integer() {
    skip_space();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) fail();
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    return value;
  }

  std::string_view text_;
};

/// `bytes` bytes of a little-endian number.
size_t little_endian(std::string_view text, size_t bytes) {
  size_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= size_t{static_cast<unsigned char>(text[i])} << (8 * i);
  return value;
}

}  // namespace

Header parse(std::string_view begin) {
  if (!begin.starts_with(kMagic)) throw HeaderError("does not begin as a .npy file does");
  const size_t at = kMagic.size();
  if (begin.size() < at + 6) throw HeaderError("ends within its header");
  const int version = static_cast<unsigned char>(begin[at]);
  if (version < 1 || version > 3)
    throw HeaderError("is of version " + std::to_string(version) + " of the format; 1, 2 and 3 can be read");
  const size_t bytes_of_length = version == 1 ? 2 : 4;
  const size_t start = at + 2 + bytes_of_length;
  const size_t length = little_endian(begin.substr(at + 2), bytes_of_length);
  if (length > kLongestHeader - start)
    throw HeaderError("has a header of " + std::to_string(length) + " bytes; " +
                      std::to_string(kLongestHeader - start) + " at most can be read");
  if (begin.size() < start + length) throw HeaderError("ends within its header");

  Reader reader(begin.substr(start, length));
  std::optional<std::string_view> descr;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
  reader.expect('{');
  while (!reader.accept('}')) {
    const std::string_view key = reader.string();
    reader.expect(':');
    if (key == "descr" && !descr)
      // A list of fields, as structured arrays have it, fails here: no images.
      descr = reader.string();
    else if (key == "fortran_order" && !fortran_order)
      fortran_order = reader.boolean();
    else if (key == "shape" && !shape)
      shape = reader.tuple();
    else
      Reader::fail();
    if (reader.accept(',')) continue;
    reader.expect('}');
    break;
  }
  reader.expect_end();
  if (!descr || !fortran_order || !shape) Reader::fail();
  return {*descr, *fortran_order, std::move(*shape), start + length};
}

}  // namespace san::npy
