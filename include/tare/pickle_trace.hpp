// Pickle traces: what each opcode of a stream does to the stack and the memo, as text.
//
// One line for each opcode with its offset and argument, and below it what it popped, pushed and
// memoized, the statement that it amounts to if it does more than that, and what is odd about it:
//      28: STACK_GLOBAL
//            Popped   'posix', 'system'
//            Pushed   posix.system
//            >>>      from posix import system
// Values are cut to a line. The trace of a stream that breaks goes up to the break and shows it.
// Nothing is imported or called. The text is printable ASCII, whatever is in the file, and handed
// on while the stream is read; memory is that of pickle::run().
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::pickle {

struct TraceResult {
  std::optional<Error> broken;       // why and where the last stream breaks, if it does
  std::uint64_t pickle_count = 0;    // streams that end with STOP
  std::uint64_t trailing_bytes = 0;  // bytes at the end that are no pickle, and not traced
  bool cancelled = false;            // the sink did not take the text
};

// Takes the next piece of the text, which ends anywhere, not at the end of a line. False: no more.
using TraceSink = std::function<bool(std::string_view)>;

// Traces the pickles that `stream` begins with, one behind the other. Offsets count from the start
// of `stream`.
TraceResult trace(ByteSpan stream, const TraceSink& sink);

}  // namespace tare::pickle
