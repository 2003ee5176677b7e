// Writes hostile and odd pickles and torch files, to test scanners, loaders and filters with.
//
// Everything here makes bytes; nothing runs them. A payload is one call of one function. The file
// says what it is: behind a pickle, or in a comment or entry of a container, stands kMarker, unless
// Marker::kNo asks for bytes without it. Same arguments, same bytes. Thread-safe: no state.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tare/bytes.hpp"
#include "tare/error.hpp"

namespace tare::craft {

using Bytes = std::vector<std::byte>;
// Takes the next bytes of an output.
using Sink = std::function<Result<void>(ByteSpan)>;

inline constexpr std::string_view kMarker = "# crafted by tare craft: a test file\n";
enum class Marker : bool { kNo, kYes };

// A Python value that a payload can be called with. The string is UTF-8.
struct None {
  friend bool operator==(None, None) = default;
};
using Literal = std::variant<None, bool, std::int64_t, double, std::string>;

// Reads None, True, False, an integer, a float or a string in quotes (with the escapes \\ \' \" \n
// \r \t \xNN \uNNNN). Any other text is itself, as a string: `id` is 'id', `'5'` is '5'. Errors:
// kOverflow for an integer of more than 64 bits, kMalformed for a string with a bad escape,
// kInvalidArgument for what is not UTF-8.
Result<Literal> parse_literal(std::string_view text);

struct Call {
  std::string module;
  std::string name;  // may have dots
  std::vector<Literal> arguments;
};

// os.system("echo tare-craft: this code ran"): harmless, and seen.
Call default_call();
// builtins.exec(source).
Call exec_call(std::string_view source);
// The function that "MODULE.NAME" means: the last dot divides, or a colon if there is one
// ("pathlib:os.system"); a name without either is a builtin. Errors: kInvalidArgument if a part is
// empty or holds a newline, or the text is not UTF-8.
Result<Call> parse_callable(std::string_view text);

// How a stream makes the call.
enum class Form : std::uint8_t {
  kReduce,    // callable, arguments, REDUCE
  kInst,      // arguments above a mark, INST
  kObj,       // callable and arguments above a mark, OBJ
  kNewObj,    // tuple(map(callable, [argument], ...)), both by NEWOBJ: leaves (result,)
  kNewObjEx,  // the same by NEWOBJ_EX
  kBuild,     // object.__setstate__ = callable; object.__setstate__(argument): leaves the object
  kExt1,      // copyreg.add_extension registers the callable, EXT1 fetches it; then REDUCE
  kExt2,
  kExt4,
};
inline constexpr std::pair<std::string_view, Form> kForms[] = {
    {"REDUCE", Form::kReduce}, {"INST", Form::kInst},          {"OBJ", Form::kObj},
    {"NEWOBJ", Form::kNewObj}, {"NEWOBJ_EX", Form::kNewObjEx}, {"BUILD", Form::kBuild},
    {"EXT1", Form::kExt1},     {"EXT2", Form::kExt2},          {"EXT4", Form::kExt4},
};

struct StreamOptions {
  Form form = Form::kReduce;
  // 0 to 5: GLOBAL below 4, STACK_GLOBAL from 4 on; what the protocol has for the arguments.
  // Opcodes that `form` needs are used whatever the protocol: unpicklers do not check.
  unsigned protocol = 4;
  bool break_after = false;  // an invalid opcode in place of STOP: fails after the payload has run
  Marker marker = Marker::kYes;
};

// A pickle that makes the call and returns its result. Errors: kInvalidArgument if the form cannot
// make the call: NEWOBJ and NEWOBJ_EX need an argument, BUILD exactly one.
Result<Bytes> pickle_of(const Call& call, const StreamOptions& options);

// `pickle` as data.pkl of an archive like that of torch.save; the records lie in `folder`.
Result<Bytes> torch_of(ByteSpan pickle, std::string_view folder, Marker marker);

enum class Position : std::uint8_t { kFirst, kLast };

struct InjectOptions {
  Form form = Form::kReduce;
  std::optional<unsigned> protocol = std::nullopt;  // without one, that of the stream
  Position position = Position::kFirst;
  // Load a tuple of both, in the order in which they were made, instead of the object alone.
  bool keep_result = false;
  Marker marker = Marker::kYes;
};

// Writes `file` with a payload in it that runs before or after the object is made. `file`: an
// archive of torch.save (every other record keeps its name and content), the stacked pickles of
// torch before 1.6, or a pickle; the payload goes where the object is. The object is the same.
// Errors: kMalformed if the pickle is broken, kUnsupported for TorchScript, kRefused for an archive
// of which loaders read different things, those of pickle_of() and of reading and writing.
Result<void> inject(ByteSpan file, const Call& call, const InjectOptions& options,
                    const Sink& write);

// A file that is always the same.
struct Recipe {
  std::string_view id;
  std::string_view description;
  bool is_pickle;  // as opposed to a container, or a pickle among other things
  Bytes (*make)(Marker marker);
};
// Pickles first, then containers, each in the order of their ids.
std::span<const Recipe> recipes();
const Recipe* find_recipe(std::string_view id);  // null if there is none

// A file that two loaders read differently.
struct Polyglot {
  std::string_view id;
  std::string_view extension;  // of a file that such loaders open
  std::string_view payload_runs;
  std::string_view payload_hidden;
  Bytes (*make)(ByteSpan payload, Marker marker);
};
std::span<const Polyglot> polyglots();
const Polyglot* find_polyglot(std::string_view id);  // null if there is none

}  // namespace tare::craft
