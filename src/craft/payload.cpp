#include "craft/payload.hpp"

#include <array>
#include <charconv>

#include "io/utf8.hpp"

namespace tare::craft {
namespace {

using enum pickle::Op;
using pickle::Writer;

// Codes that PEP 307 leaves to private use: 240 to 255, and anything that is not registered.
constexpr std::uint8_t kExt1Code = 0xF0;
constexpr std::uint16_t kExt2Code = 0xF0F0;
constexpr std::int32_t kExt4Code = 0x70F0F0F0;

// raw-unicode-escape, with everything escaped that is not printable ASCII.
std::string raw_unicode_escape(std::string_view utf8) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (std::size_t at = 0; at < utf8.size();) {
    const std::uint32_t point = next_code_point(utf8, at);
    if (point >= 0x20 && point < 0x7F && point != '\\') {
      out += static_cast<char>(point);
      continue;
    }
    const unsigned digits = point > 0xFFFF ? 8 : 4;
    out += digits == 8 ? "\\U" : "\\u";
    for (unsigned i = digits; i-- > 0;) out += kDigits[point >> (4 * i) & 15];
  }
  return out;
}

// The shortest text that reads back as the same number.
template <typename T>
std::string number_text(T value) {
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), end};
}

// The opcodes of values and calls, as the protocol has them.
class Encoder {
 public:
  Encoder(Writer& out, unsigned protocol) : out_(out), protocol_(protocol) {}

  void text(std::string_view utf8) {
    if (protocol_ == 0) {
      out_.unicode_line(raw_unicode_escape(utf8));
    } else if (protocol_ >= 4 && utf8.size() <= 0xFF) {
      out_.short_binunicode(utf8);
    } else {
      out_.binunicode(utf8);
    }
  }

  void global(std::string_view module, std::string_view name) {
    if (protocol_ < 4) {
      out_.global_line(module, name);
    } else {
      text(module);
      text(name);
      out_.op(kStackGlobal);
    }
  }

  void operator()(None) { out_.op(kNone); }
  void operator()(bool value) {
    if (protocol_ >= 2) {
      out_.boolean(value);
    } else {
      out_.int_line(value ? "01" : "00");
    }
  }
  void operator()(std::int64_t value) {
    const bool is_short = value >= INT32_MIN && value <= INT32_MAX;
    if (protocol_ >= 2 || (protocol_ == 1 && is_short)) {
      out_.integer(value);
    } else if (is_short) {
      out_.int_line(number_text(value));
    } else {
      out_.long_line(number_text(value) + "L");
    }
  }
  void operator()(double value) {
    if (protocol_ >= 1) {
      out_.binfloat(value);
    } else {
      out_.float_line(number_text(value));
    }
  }
  void operator()(const std::string& value) { text(value); }

  void values(const std::vector<Literal>& literals) {
    for (const Literal& literal : literals) std::visit(*this, literal);
  }

  void tuple(const std::vector<Literal>& literals) {
    if (literals.empty() && protocol_ >= 1) {
      out_.op(kEmptyTuple);
    } else if (!literals.empty() && literals.size() <= 3 && protocol_ >= 2) {
      values(literals);
      out_.op(literals.size() == 1 ? kTuple1 : literals.size() == 2 ? kTuple2 : kTuple3);
    } else {
      out_.op(kMark);
      values(literals);
      out_.op(kTuple);
    }
  }

  void call(const Call& call, Form form);

 private:
  void new_object(const Call& call, pickle::Op op);
  void build(const Call& call);
  void extension(const Call& call, Form form);

  Writer& out_;
  unsigned protocol_;
};

// cls.__new__(cls, ...) is all that these opcodes call, and most functions are no classes. map and
// tuple are: tuple(map(f, [a], [b])) calls f(a, b).
void Encoder::new_object(const Call& call, pickle::Op op) {
  const auto make = [&] {
    if (op == kNewObjEx) out_.op(kEmptyDict);
    out_.op(op);
  };
  global("builtins", "tuple");
  global("builtins", "map");
  out_.op(kMark);
  global(call.module, call.name);
  for (const Literal& argument : call.arguments) {
    out_.op(kMark);
    std::visit(*this, argument);
    out_.op(kList);
  }
  out_.op(kTuple);
  make();
  out_.op(kTuple1);
  make();
}

// The first BUILD puts the callable into the object's dict as __setstate__, and the second calls
// it.
void Encoder::build(const Call& call) {
  global("collections", "OrderedDict");
  tuple({});
  out_.op(kReduce, kEmptyDict);
  text("__setstate__");
  global(call.module, call.name);
  out_.op(kSetItem, kBuild);
  values(call.arguments);
  out_.op(kBuild);
}

void Encoder::extension(const Call& call, Form form) {
  const std::int64_t code = form == Form::kExt1   ? kExt1Code
                            : form == Form::kExt2 ? kExt2Code
                                                  : kExt4Code;
  global("copyreg", "add_extension");
  tuple({call.module, call.name, code});
  out_.op(kReduce, kPop);
  if (form == Form::kExt1) {
    out_.ext1(kExt1Code);
  } else if (form == Form::kExt2) {
    out_.ext2(kExt2Code);
  } else {
    out_.ext4(kExt4Code);
  }
  tuple(call.arguments);
  out_.op(kReduce);
}

void Encoder::call(const Call& call, Form form) {
  switch (form) {
    case Form::kReduce:
      global(call.module, call.name);
      tuple(call.arguments);
      out_.op(kReduce);
      return;
    case Form::kInst:
      out_.op(kMark);
      values(call.arguments);
      out_.inst(call.module, call.name);
      return;
    case Form::kObj:
      out_.op(kMark);
      global(call.module, call.name);
      values(call.arguments);
      out_.op(kObj);
      return;
    case Form::kNewObj:
      return new_object(call, kNewObj);
    case Form::kNewObjEx:
      return new_object(call, kNewObjEx);
    case Form::kBuild:
      return build(call);
    case Form::kExt1:
    case Form::kExt2:
    case Form::kExt4:
      return extension(call, form);
  }
}

}  // namespace

Result<void> write_call(Writer& out, const Call& call, Form form, unsigned protocol) {
  const std::size_t count = call.arguments.size();
  if ((form == Form::kNewObj || form == Form::kNewObjEx) && count == 0) {
    return fail(ErrorCode::kInvalidArgument, "a call by NEWOBJ needs at least one argument");
  }
  if (form == Form::kBuild && count != 1) {
    return fail(ErrorCode::kInvalidArgument, "a call by BUILD has exactly one argument, the state");
  }
  if (protocol > 5) return fail(ErrorCode::kInvalidArgument, "there is no protocol above 5");
  Encoder(out, protocol).call(call, form);
  return {};
}

void append_marker(Bytes& file, Marker marker) {
  if (marker == Marker::kNo) return;
  const ByteSpan bytes = as_bytes(kMarker);
  file.insert(file.end(), bytes.begin(), bytes.end());
}

Result<Bytes> pickle_of(const Call& call, const StreamOptions& options) {
  Writer out;
  if (options.protocol >= 2) out.proto(static_cast<std::uint8_t>(options.protocol));
  if (auto written = write_call(out, call, options.form, options.protocol); !written) {
    return std::unexpected(written.error());
  }
  if (options.break_after) {
    out.raw(as_bytes("\xFF"));
  } else {
    out.op(kStop);
  }
  Bytes file = out.take();
  append_marker(file, options.marker);
  return file;
}

}  // namespace tare::craft
