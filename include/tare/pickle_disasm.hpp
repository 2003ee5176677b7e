// Pickle disassembly as text: the text of `python3 -m pickletools` (CPython 3.11), and on from
// where that gives up.
//
// For a stream that pickletools accepts, the text is the same, byte for byte. Where pickletools
// stops, where it shows another value than unpicklers read, and where every unpickler fails, there
// is a line that starts with "# "; no line of pickletools does. Above the first "# pickletools
// stops here" the text without such lines is what pickletools printed; below it the disassembly
// goes on for as long as the bytes can be told apart.
// Nothing is imported or called. Time is linear in the text; memory is that of the open marks and
// of the memo, and of the longest text argument with escapes. Nothing recurses.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::pickle {

struct DisasmOptions {
  bool notes = false;  // what the opcode does, at the end of each line (pickletools -a)
};

struct DisasmResult {
  std::optional<Error> broken;     // the first place where every unpickler fails, or kLimit
  std::uint64_t pickle_count = 0;  // pickles that end with STOP
  bool cancelled = false;          // the sink did not take the text
};

// Takes the next piece of the text, which ends anywhere, not at the end of a line. False: no more.
using DisasmSink = std::function<bool(std::string_view)>;

// Disassembles the pickles that `stream` consists of, one behind the other. Bytes behind STOP are
// taken as another pickle: those that are none make the result broken. Marks that are nested more
// than 1024 deep are not indented further, and more than 2^26 of them, or than 2^23 memo keys that
// are no index the stream could reach, end the disassembly: a line says so.
DisasmResult disassemble(ByteSpan stream, const DisasmOptions& options, const DisasmSink& sink);

}  // namespace tare::pickle
