// Pickle streams as text, and what the machine sees in them as text.
//
// Opcodes with text arguments are written out in the tests ("cos\nsystem\n"); these are the ones
// whose arguments are binary.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "support/binary.hpp"
#include "tare/pickle.hpp"

namespace tare::pickle {

// For messages of GoogleTest.
inline std::ostream& operator<<(std::ostream& out, OddityKind kind) {
  return out << '"' << oddity_text(kind) << '"';
}
inline std::ostream& operator<<(std::ostream& out, Op op) {
  return out << op_name(op);
}
inline std::ostream& operator<<(std::ostream& out, Kind kind) {
  return out << kind_name(kind);
}

}  // namespace tare::pickle

namespace tare::test {

inline std::string op(pickle::Op op) {
  return u8(static_cast<std::uint8_t>(op));
}

inline std::string proto(unsigned version) {
  return "\x80" + u8(version);
}
inline std::string frame(std::uint64_t length) {
  return "\x95" + u64(length);
}
// BININT1.
inline std::string small(unsigned value) {
  return "K" + u8(value);
}
// SHORT_BINUNICODE.
inline std::string text(std::string_view text) {
  return "\x8c" + u8(text.size()) + std::string(text);
}
// BINUNICODE.
inline std::string long_text(std::string_view text) {
  return "X" + u32(text.size()) + std::string(text);
}
// SHORT_BINBYTES.
inline std::string short_bytes(std::string_view bytes) {
  return "C" + u8(bytes.size()) + std::string(bytes);
}
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string stack_global(std::string_view module, std::string_view name) {
  return text(module) + text(name) + "\x93";
}
inline std::string binput(unsigned index) {
  return "q" + u8(index);
}
inline std::string binget(unsigned index) {
  return "h" + u8(index);
}

// The usual payload: os.system('id'). Ends with REDUCE.
inline std::string payload() {
  return "cos\nsystem\nS'id'\n\x85R";
}

// A stream of two readings: in memory, BINBYTES has the length 0x107, swallows the payload, and
// goes on with `end`; from a file object, the rest of the frame is dropped, the length is 1, and
// the payload runs.
inline std::string two_readings(std::string_view end) {
  const std::string hidden = u32(1) + u8(0) + payload() + ".";
  return "(" + frame(2) + "B\x07" + hidden + std::string(0x107 + 3 - hidden.size(), 'x') +
         std::string(end);
}

// The events of a stream, one line each: "OFFSET OPCODE statement".
inline std::vector<std::string> trace(std::string_view stream) {
  const auto run = pickle::run(as_bytes(stream));
  std::vector<std::string> lines;
  lines.reserve(run.events.size());
  for (const auto& event : run.events) {
    lines.push_back(std::to_string(event.offset) + ' ' + std::string(pickle::op_name(event.op)) +
                    ' ' + pickle::statement(run.graph, event));
  }
  return lines;
}

// The statements alone.
inline std::vector<std::string> statements(std::string_view stream) {
  const auto run = pickle::run(as_bytes(stream));
  std::vector<std::string> lines;
  lines.reserve(run.events.size());
  for (const auto& event : run.events) lines.push_back(pickle::statement(run.graph, event));
  return lines;
}

// The result of a stream as an expression; "broken: WHY" if there is none.
inline std::string result_of(std::string_view stream, std::size_t max_length = 200) {
  const auto run = pickle::run(as_bytes(stream));
  if (run.end != pickle::End::kStop) return std::string("broken: ") + run.error.what;
  return pickle::expression(run.graph, run.result, max_length);
}

// Hexadecimal digits as bytes, for streams that another program wrote.
inline std::string from_hex(std::string_view digits) {
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out += static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1]));
  }
  return out;
}

inline std::vector<pickle::OddityKind> oddities(std::string_view stream) {
  std::vector<pickle::OddityKind> kinds;
  for (const auto& oddity : pickle::run(as_bytes(stream)).oddities) kinds.push_back(oddity.kind);
  return kinds;
}

}  // namespace tare::test
