// Values as repr() of CPython 3.11 writes them, in full: the text of pickletools. What is shown to
// people elsewhere is cut and pure ASCII (escape.hpp); this is neither.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pickle/text_sink.hpp"
#include "tare/bytes.hpp"

namespace tare::pickle {

// repr() of a str. The text must be UTF-8; surrogates in it are escaped.
void append_str_repr(TextSink& out, std::string_view utf8);
// The same for text in Latin-1.
void append_latin1_repr(TextSink& out, std::string_view latin1);
void append_bytes_repr(TextSink& out, std::string_view bytes);
void append_bytearray_repr(TextSink& out, std::string_view bytes);

// Writes repr() of a float to `out` and returns its end.
inline constexpr std::size_t kMaxFloatRepr = 32;
char* write_float_repr(char* out, double value);

// The decimal text of a two's complement integer, little-endian; hexadecimal ("0x...") if it has
// more than kMaxIntDigits digits. CPython converts no more than that, and what it refuses to do,
// because it takes time that grows with the square, need not be done here.
inline constexpr std::size_t kMaxIntDigits = 4300;
enum class IntForm : bool { kDecimal, kHex };
IntForm append_int_repr(TextSink& out, ByteSpan twos_complement);

}  // namespace tare::pickle
