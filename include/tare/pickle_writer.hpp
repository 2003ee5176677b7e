// Writes pickle streams opcode by opcode, for files that tare makes itself: torch-layout
// checkpoints, and hostile files for the demo and for tests of scanners and loaders.
//
// The writer keeps the memo as CPython's pickler does (BINPUT behind everything that can be
// shared, BINGET when it comes again), so that plain objects come out byte for byte the same. It
// does not check that the stream makes sense: it is meant to be able to write odd ones.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/pickle.hpp"

namespace tare::pickle {

class Writer {
 public:
  // An opcode without argument.
  Writer& op(Op op);
  Writer& proto(std::uint8_t version);
  // The shortest of BININT1, BININT2, BININT, LONG1.
  Writer& integer(std::int64_t value);
  Writer& boolean(bool value) { return op(value ? Op::kNewTrue : Op::kNewFalse); }
  // BINUNICODE, and the memo: the second time the same text is a BINGET.
  Writer& text(std::string_view text);
  // GLOBAL, and the memo, likewise.
  Writer& global(std::string_view module, std::string_view name);
  // BINPUT or LONG_BINPUT with the next free index; returns it.
  std::uint32_t put();
  Writer& get(std::uint32_t index);
  // Bytes as they are.
  Writer& raw(ByteSpan bytes);

  ByteSpan view() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  void byte(std::uint8_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void little_endian(std::uint64_t value, unsigned width);

  std::vector<std::byte> bytes_;
  std::map<std::string, std::uint32_t, std::less<>> memo_;  // by kind and text
  std::uint32_t next_ = 0;
};

}  // namespace tare::pickle
