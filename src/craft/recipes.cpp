#include <algorithm>
#include <vector>

#include "craft/containers.hpp"
#include "craft/payload.hpp"
#include "tare/pickle_writer.hpp"

namespace tare::craft {
namespace {

using enum pickle::Op;
using namespace std::string_view_literals;
using pickle::Writer;

// The vocabulary of recipes.def.

// Calls what is below the top with the top as its one argument.
Writer& call(Writer& out) {
  return out.op(kTuple1, kReduce);
}
Writer& name(Writer& out, std::string_view module, std::string_view attribute) {
  return out.short_binunicode(module).short_binunicode(attribute).op(kStackGlobal);
}
// os.system('true') in protocol 0, by STRING and by UNICODE.
Writer& system_string(Writer& out) {
  return call(out.global_line("os", "system").string_line("'true'"));
}
Writer& system_unicode(Writer& out) {
  return call(out.global_line("os", "system").unicode_line("true"));
}

// A frame of two bytes, the second of which is the first of a length. In memory, the length is
// 0x107: BINBYTES swallows the payload. Read from a file, CPython before 3.13.15 and 3.14.7 drops
// what is left of the frame (cpython#154848): the length is 1, and the payload runs. File objects
// that read ahead hand out the frame in one piece unless their buffer ends inside of it; buffers
// end at multiples of 8 KiB, of 128 KiB in Python 3.14.
Writer& frame_straddle(Writer& out) {
  constexpr std::size_t kBuffer = std::size_t{1} << 17;
  constexpr std::size_t kFrame = 2;
  constexpr std::size_t kLength = 0x107;
  // The opcodes in front of the frame: PROTO, BINUNICODE and its length, POP, MARK, FRAME.
  constexpr std::size_t kOpcodes = 2 + 5 + 1 + 1 + 9;
  out.proto(4).binunicode(std::string(kBuffer - 1 - kOpcodes, 'A')).op(kPop, kMark);
  out.frame(kFrame).op(kBinBytes);
  const std::size_t end = out.view().size() + 4 + kLength;
  out.raw(as_bytes("\x07\x01\0\0\0\0"sv));
  system_string(out).op(kStop);
  out.raw(as_bytes(std::string(end - out.view().size(), 'A')));
  return out.op(kTuple, kStop);
}

constexpr Recipe kPickles[] = {
#define TARE_RECIPE(id, description, stream)  \
  {id, description, true, [](Marker marker) { \
     Writer out;                              \
     stream;                                  \
     Bytes file = out.take();                 \
     append_marker(file, marker);             \
     return file;                             \
   }},
#include "craft/recipes.def"
#undef TARE_RECIPE
};

const std::vector<Recipe>& all() {
  static const std::vector<Recipe> kAll = [] {
    std::vector<Recipe> made(std::begin(kPickles), std::end(kPickles));
    made.insert(made.end(), containers().begin(), containers().end());
    return made;
  }();
  return kAll;
}

}  // namespace

std::span<const Recipe> recipes() {
  return all();
}

const Recipe* find_recipe(std::string_view id) {
  const auto found = std::ranges::find(all(), id, &Recipe::id);
  return found == all().end() ? nullptr : &*found;
}

}  // namespace tare::craft
