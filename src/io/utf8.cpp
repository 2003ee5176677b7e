#include "io/utf8.hpp"

#include <cstring>

namespace tare {
namespace {

// Bytes of the well-formed sequence at the front of `text`, 0 if there is none.
std::size_t sequence_length(std::string_view text, bool surrogates) {
  const auto at = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [at](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  const unsigned lead = at(0);
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    if (lead == 0xE0 && at(1) < 0xA0) return 0;
    if (lead == 0xED && at(1) >= 0xA0 && !surrogates) return 0;
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (lead == 0xF0 && at(1) < 0x90) return 0;
    if (lead == 0xF4 && at(1) >= 0x90) return 0;
    return 4;
  }
  return 0;
}

// Length of the run of ASCII at the front.
std::size_t ascii_prefix(std::string_view text) {
  std::size_t i = 0;
  // Blocks without a branch inside, which a compiler turns into vectors.
  constexpr std::size_t kBlock = 64;
  for (; i + kBlock <= text.size(); i += kBlock) {
    unsigned char all = 0;
    for (std::size_t k = 0; k < kBlock; ++k) all |= static_cast<unsigned char>(text[i + k]);
    if (all >= 0x80) break;
  }
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

bool has_nul_in_front(std::string_view text) {
  constexpr std::size_t kFront = 4096;
  return text.substr(0, kFront).find('\0') != std::string_view::npos;
}

bool is_ascii(std::string_view text) {
  return ascii_prefix(text) == text.size();
}

bool is_utf8(std::string_view text, bool surrogates) {
  for (;;) {
    text.remove_prefix(ascii_prefix(text));
    if (text.empty()) return true;
    const std::size_t length = sequence_length(text, surrogates);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
}

void append_utf8(std::string& out, std::uint32_t code_point) {
  const auto byte = [&out](std::uint32_t value) { out += static_cast<char>(value); };
  if (code_point < 0x80) {
    byte(code_point);
  } else if (code_point < 0x800) {
    byte(0xC0 | code_point >> 6);
    byte(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    byte(0xE0 | code_point >> 12);
    byte(0x80 | (code_point >> 6 & 0x3F));
    byte(0x80 | (code_point & 0x3F));
  } else {
    byte(0xF0 | code_point >> 18);
    byte(0x80 | (code_point >> 12 & 0x3F));
    byte(0x80 | (code_point >> 6 & 0x3F));
    byte(0x80 | (code_point & 0x3F));
  }
}

std::uint32_t next_code_point(std::string_view text, std::size_t& i) {
  const auto at = [&](std::size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0U;
  };
  const std::uint32_t lead = at(i);
  const auto tail = [&](std::size_t k) { return at(i + k) & 0x3FU; };
  if (lead < 0x80) return ++i, lead;
  if (lead < 0xE0) {
    const std::uint32_t value = (lead & 0x1F) << 6 | tail(1);
    return i += 2, value;
  }
  if (lead < 0xF0) {
    const std::uint32_t value = (lead & 0x0F) << 12 | tail(1) << 6 | tail(2);
    return i += 3, value;
  }
  const std::uint32_t value = (lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3);
  return i += 4, value;
}

}  // namespace tare
