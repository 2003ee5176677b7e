#include "fetch/answer.hpp"

#include <algorithm>

#include "io/parse_number.hpp"

namespace tare::fetch {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string_view without_quotes(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    return text.substr(1, text.size() - 2);
  }
  return text;
}

}  // namespace

std::optional<ContentRange> ContentRange::parse(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  if (lower(value.substr(0, kUnit.size())) != kUnit) return std::nullopt;
  value = trimmed(value.substr(kUnit.size()));
  const std::size_t slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto total = parse_number(value.substr(slash + 1));
  if (!total) return std::nullopt;
  const std::string_view range = value.substr(0, slash);
  if (range == "*") return ContentRange{std::nullopt, 0, *total};
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_number(range.substr(0, dash));
  const auto last = parse_number(range.substr(dash + 1));
  if (!first || !last || *first > *last || *last >= *total) return std::nullopt;
  return ContentRange{first, *last, *total};
}

std::optional<Digest> parse_hex_digest(std::string_view text) {
  text = without_quotes(text);
  Digest digest{};
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const auto high = hex_digit(text[2 * i]);
    const auto low = hex_digit(text[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    digest[i] = static_cast<std::byte>(*high << 4 | *low);
  }
  return digest;
}

std::optional<Digest> parse_base64_digest(std::string_view text) {
  constexpr std::size_t kLength = 44;
  if (text.size() != kLength || text.back() != '=') return std::nullopt;
  Digest digest{};
  std::uint32_t bits = 0;
  unsigned count = 0;
  std::size_t filled = 0;
  for (const char c : text.substr(0, kLength - 1)) {
    const std::size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xffffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    digest[filled++] = static_cast<std::byte>(bits >> count & 0xFF);
  }
  return digest;
}

std::string next_link(std::string_view value) {
  while (!value.empty()) {
    const std::size_t open = value.find('<');
    const std::size_t close = value.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return "";
    const std::size_t end = std::min(value.find(',', close), value.size());
    const std::string parameters = lower(value.substr(close, end - close));
    if (parameters.find("rel=\"next\"") != std::string::npos ||
        parameters.find("rel=next") != std::string::npos) {
      return std::string(value.substr(open + 1, close - open - 1));
    }
    value.remove_prefix(end);
  }
  return "";
}

void Answer::add_line(std::string_view line) {
  if (line.starts_with("HTTP/")) {
    // What the hub says about a file stands in the answer that redirects to it.
    Answer fresh;
    fresh.linked_sha256 = linked_sha256;
    fresh.linked_size = linked_size;
    const std::size_t space = std::min(line.find(' '), line.size());
    fresh.status =
        static_cast<long>(parse_number(trimmed(line.substr(space)).substr(0, 3)).value_or(0));
    *this = std::move(fresh);
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string name = lower(line.substr(0, colon));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (name == "etag") etag = value;
  if (name == "last-modified") last_modified = value;
  if (name == "content-range") range = value;
  if (name == "content-length") length = parse_number(value);
  if (name == "content-encoding") is_encoded = !value.empty() && lower(value) != "identity";
  if (name == "transfer-encoding") is_chunked = lower(value) == "chunked";
  if (name == "location") location = value;
  if (name == "link") next = next_link(value);
  if (name == "x-linked-etag" && !linked_sha256) linked_sha256 = parse_hex_digest(value);
  if (name == "x-linked-size" && !linked_size) linked_size = parse_number(value);
  if (name == "x-amz-checksum-sha256") checksum = parse_base64_digest(value);
}

}  // namespace tare::fetch
