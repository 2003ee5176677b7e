#include "scan/carve.hpp"

#include <algorithm>
#include <array>

#include "scan/policy.hpp"
#include "tare/pickle.hpp"

namespace tare {
namespace {

using pickle::EventKind;

constexpr std::size_t kMaxFound = 16;
constexpr std::size_t kWindow = std::size_t{64} << 10;
// More bytes than this are not looked at.
constexpr std::size_t kMaxBytes = std::size_t{32} << 20;
// What all attempts together may read, for each byte that is looked at.
constexpr std::uint64_t kEffort = 2;
constexpr std::uint64_t kMaxAttempts = 50'000;
// Names of modules and functions are shorter.
constexpr std::size_t kMaxName = 128;
// How far in front of an opcode the stream may begin that it belongs to.
constexpr std::size_t kMaxBack = 300;

bool is_name_byte(std::byte b) {
  const char c = static_cast<char>(b);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

class Finder {
 public:
  explicit Finder(ByteSpan bytes) : bytes_(bytes.first(std::min(bytes.size(), kMaxBytes))) {}
  std::vector<std::uint64_t> find();

 private:
  bool is_line_of_name(std::size_t& at) const;
  bool are_two_names(std::size_t at) const { return is_line_of_name(at) && is_line_of_name(at); }
  bool begins_at(std::size_t at);
  bool begins_in_front(std::size_t at);
  bool may_go_on() const {
    return effort_ <= kWindow + kEffort * bytes_.size() && attempts_ < kMaxAttempts;
  }

  ByteSpan bytes_;
  std::vector<std::uint64_t> found_;
  std::uint64_t effort_ = 0;
  std::uint64_t attempts_ = 0;
  std::size_t end_ = 0;  // of the last one found
};

bool Finder::is_line_of_name(std::size_t& at) const {
  const std::size_t begin = at;
  while (at < bytes_.size() && at - begin < kMaxName && is_name_byte(bytes_[at])) ++at;
  if (at == begin || at >= bytes_.size() || bytes_[at] != std::byte{'\n'}) return false;
  ++at;
  return true;
}

// True if a pickle begins there that imports something, and does more than that by accident: what
// it imports is known for harm, or it reaches its end.
bool Finder::begins_at(std::size_t at) {
  if (!may_go_on()) return false;
  ++attempts_;
  const ByteSpan window = bytes_.subspan(at, std::min(bytes_.size() - at, kWindow));
  const auto run = pickle::run(window);
  effort_ += run.end_offset;
  bool imports = false;
  bool harms = false;
  for (const auto& event : run.events) {
    if (event.kind != EventKind::kImport) continue;
    imports = true;
    const auto& graph = run.graph;
    harms = harms || scan_policy::find_gadget(graph.module_text(event.subject),
                                              graph.name_text(event.subject));
  }
  if (!harms && !(imports && run.end == pickle::End::kStop)) return false;
  found_.push_back(at);
  end_ = at + std::max<std::size_t>(run.end_offset, 1);
  return true;
}

// A stream whose opcode at `at` needs what stands in front of it: a mark, or texts.
bool Finder::begins_in_front(std::size_t at) {
  const std::size_t lowest = std::max(end_, at - std::min(at, kMaxBack));
  for (std::size_t begin = lowest; begin < at; ++begin) {
    const char c = static_cast<char>(bytes_[begin]);
    const bool is_start = c == '(' || c == '\x8c' || c == 'X' || c == 'V' || c == 'S';
    if (is_start && begins_at(begin) && end_ > at) return true;
  }
  return false;
}

std::vector<std::uint64_t> Finder::find() {
  for (std::size_t at = 0; at < bytes_.size() && found_.size() < kMaxFound; ++at) {
    if (at < end_) at = end_;
    if (at >= bytes_.size() || !may_go_on()) break;
    const std::byte b = bytes_[at];
    if (b == std::byte{0x80}) {
      if (at + 1 < bytes_.size() && bytes_[at + 1] <= std::byte{5}) begins_at(at);
    } else if (b == std::byte{'c'}) {
      if (!are_two_names(at + 1)) continue;
      const bool has_mark = at > end_ && bytes_[at - 1] == std::byte{'('};
      if (!has_mark || !begins_at(at - 1)) begins_at(at);
    } else if (b == std::byte{'i'}) {
      if (are_two_names(at + 1)) begins_in_front(at);
    } else if (b == std::byte{0x93}) {
      begins_in_front(at);
    }
  }
  return std::move(found_);
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// Digits of so many bits each, high bits first; nothing if one is none.
std::optional<std::vector<std::byte>> decode(std::string_view text, int (*digit)(char),
                                             unsigned bits) {
  std::vector<std::byte> out;
  std::uint32_t pending = 0;
  unsigned have = 0;
  for (const char c : text) {
    if (is_space(c)) continue;
    const int value = digit(c);
    if (value < 0) return std::nullopt;
    pending = (pending << bits | static_cast<std::uint32_t>(value)) & 0xFFFF;
    have += bits;
    if (have < 8) continue;
    have -= 8;
    out.push_back(static_cast<std::byte>(pending >> have));
  }
  return out;
}

}  // namespace

std::vector<std::uint64_t> find_pickles(ByteSpan bytes) {
  return Finder(bytes).find();
}

std::optional<std::vector<std::byte>> decode_text(std::string_view text) {
  constexpr std::size_t kLeast = 8;
  while (!text.empty() && (text.back() == '=' || is_space(text.back()))) text.remove_suffix(1);
  auto bytes = decode(text, hex_digit, 4);
  if (!bytes) bytes = decode(text, base64_digit, 6);
  if (!bytes || bytes->size() < kLeast) return std::nullopt;
  return bytes;
}

std::vector<DecodedText> find_encoded_pickles(ByteSpan bytes) {
  constexpr std::size_t kShortest = 24;
  constexpr std::size_t kLongest = std::size_t{1} << 20;
  std::vector<DecodedText> found;
  const std::string_view text = as_text(bytes.first(std::min(bytes.size(), kMaxBytes)));
  std::uint64_t attempts = 0;
  for (std::size_t at = 0; at < text.size() && found.size() < kMaxFound;) {
    std::size_t end = at;
    while (end < text.size() && base64_digit(text[end]) >= 0) ++end;
    if (end - at >= kShortest && attempts++ < 10'000) {
      auto decoded = decode_text(text.substr(at, std::min(end - at, kLongest)));
      if (decoded && !find_pickles(*decoded).empty()) found.push_back({at, std::move(*decoded)});
    }
    at = end + 1;
  }
  return found;
}

}  // namespace tare
