// What an argument means, to pickletools and to unpicklers.
//
// Arguments written as text are read differently by pickletools (CPython 3.11), by the C unpickler
// and by the Python one: the base of integers, escapes in names, what a NUL does. A disassembly
// shows what pickletools shows if that reads the argument at all, and says what unpicklers read
// instead. docs/pickle.md lists the differences.
#pragma once

#include <string>
#include <string_view>

#include "pickle/argument.hpp"

namespace tare::pickle {

// How Reading::text is to be shown.
enum class Form : std::uint8_t {
  kNothing,
  kAsIs,
  kString,  // as repr() of a str; the text is UTF-8, possibly with surrogates
  kLatin1,  // as repr() of a str; the text is Latin-1
  kBytes,
  kByteArray,
  kLong,  // as a number; the text is two's complement
};

struct Reading {
  Form form = Form::kNothing;
  std::string_view text;  // a view of the stream or of `owned`
  std::string owned;
  std::string pickletools_fails;  // with what message pickletools refuses the argument, if it does
  const char* reader = nullptr;   // who reads something else than is shown, if anybody does,
  std::string real;               // and what, as Python text
  const char* differs = nullptr;  // how unpicklers differ among each other, if they do
  const char* broken = nullptr;   // why no unpickler takes the argument, if none does

  void clear();
};

// Reads the argument of `instruction` into `reading`, which is cleared first. Numbers of fixed size
// and floats of eight bytes are left to the caller: form is kNothing.
void read_argument(const Instruction& instruction, Reading& reading);

// The message with which pickletools refuses an instruction that decode() refuses. `error` is that
// of decode().
std::string pickletools_message(ByteSpan stream, const Error& error);

}  // namespace tare::pickle
