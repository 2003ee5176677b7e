// Pickle decompilation: Python source that does what loading the pickle does.
//
// Run by Python, the source builds an object equal to what the unpickler returns, as `result`
// (`result0`, `result1`, ... if several pickles follow each other). Every import, call, state
// assignment, persistent load, extension look-up and buffer access of the stream is a statement, in
// the order of the stream, whether its result is used or not; plain values are written where they
// are used, or as variables where that would lose something (shared objects, cycles, changes after
// use, keys that are hashed by code). The source names what a loader may bring along:
// persistent_load(pid), buffers (an iterable) and encoding (for Python 2 strings); where it is not
// defined, loading fails as it would without it.
// A stream that breaks is decompiled up to the break; a comment says where and why, and there is no
// result. Nothing is imported or called here. The text is printable ASCII, whatever is in the file.
// Memory and text are linear in the stream, time as well but for a sort; nothing recurses on depth.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::pickle {

struct DecompileOptions {
  bool offsets = false;  // the offset of the opcode as a comment behind each statement: "# 35"
};

struct DecompileResult {
  std::optional<Error> broken;       // why and where the last stream breaks, if it does
  std::uint64_t pickle_count = 0;    // streams that end with STOP
  std::uint64_t trailing_bytes = 0;  // bytes at the end that are no pickle, and not decompiled
  bool cancelled = false;            // the sink did not take the text
};

// Takes the next piece of the text, which ends anywhere, not at the end of a line. False: no more.
using DecompileSink = std::function<bool(std::string_view)>;

// Decompiles the pickles that `stream` begins with, one behind the other. Offsets count from the
// start of `stream`.
DecompileResult decompile(ByteSpan stream, const DecompileOptions& options,
                          const DecompileSink& sink);

}  // namespace tare::pickle
