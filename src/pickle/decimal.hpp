// Decimal numbers as text, three digits at a time: what the writers of long texts put out most.
//
// The functions copy more bytes than they mean to keep, because a fixed number is faster: there
// must be kDecimalRoom bytes to write to. They return the end of the text.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace tare::pickle {

inline constexpr std::size_t kDecimalRoom = 24;

// What is written for 0 to 999.
struct Decimals {
  // As the start of a number: "7", and nothing for 0. What comes behind it is found from `behind`
  // on.
  struct Start {
    std::array<char, 4> text;
    std::uint16_t length;
    std::uint16_t behind;
  };
  struct Rest {
    std::array<char, 3> text;
    std::uint8_t length;
  };
  std::array<Start, 1000> starts;
  std::array<Rest, 2000> rests;  // behind nothing: "7", and behind something: "007"
};

inline constexpr Decimals kDecimals = [] {
  Decimals decimals{};
  for (unsigned n = 0; n < 1000; ++n) {
    const std::array<char, 3> text = {static_cast<char>('0' + n / 100),
                                      static_cast<char>('0' + n / 10 % 10),
                                      static_cast<char>('0' + n % 10)};
    const unsigned skip = n < 10 ? 2 : n < 100 ? 1 : 0;
    Decimals::Rest& rest = decimals.rests[n];
    for (unsigned i = skip; i < 3; ++i) rest.text[i - skip] = text[i];
    rest.length = static_cast<std::uint8_t>(3 - skip);
    decimals.rests[1000 + n] = {text, 3};
    if (n > 0) {
      decimals.starts[n] = {{rest.text[0], rest.text[1], rest.text[2], ' '}, rest.length, 1000};
    }
  }
  return decimals;
}();

inline char* put_start(char* out, const Decimals::Start& start) {
  std::memcpy(out, start.text.data(), sizeof start.text);
  return out + start.length;
}
inline char* put_rest(char* out, const Decimals::Rest& rest) {
  std::memcpy(out, &rest, sizeof rest);
  return out + rest.length;
}
[[gnu::always_inline]] inline char* put_number(char* out, std::uint64_t value) {
  if (value >= 1'000'000'000) return std::to_chars(out, out + 20, value).ptr;
  const auto number = static_cast<std::uint32_t>(value);
  const std::uint32_t thousands = number / 1000;
  if (thousands >= 1000) {
    out = put_start(out, kDecimals.starts[thousands / 1000]);
    out = put_rest(out, kDecimals.rests[1000 + thousands % 1000]);
    return put_rest(out, kDecimals.rests[1000 + number % 1000]);
  }
  // Whether there are more than three digits cannot be foreseen: the table knows, without a branch.
  const Decimals::Start& start = kDecimals.starts[thousands];
  return put_rest(put_start(out, start), kDecimals.rests[start.behind + number % 1000]);
}
[[gnu::always_inline]] inline char* put_signed_number(char* out, std::int64_t value) {
  if (value < 0) *out++ = '-';
  const auto bits = static_cast<std::uint64_t>(value);
  return put_number(out, value < 0 ? 0 - bits : bits);
}

}  // namespace tare::pickle
