// Any bytes as a .npy file, and as a Python literal: what is accepted makes sense.
#include <cstdlib>

#include "format/npy_header.hpp"
#include "format/python_literal.hpp"
#include "io/utf8.hpp"

namespace {

using namespace tare;
using namespace tare::format;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const NumpyDType& type) {
  require(type.item_size <= INT32_MAX);
  require(!to_tensor_dtype(type) || (type.is_scalar() && !type.has_objects));
  for (const NumpyField& field : type.fields) {
    require(tare::is_utf8(field.name, true));
    require(field.offset + field.type.item_size <= type.item_size);
    check(field.type);
  }
  for (const NumpyDType& base : type.base) check(base);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const tare::ByteSpan bytes = std::as_bytes(std::span(data, size));
  if (const auto header = parse_npy_header(bytes)) {
    require(header->data_offset <= size);
    require(!header->dtype.has_objects || header->data_bytes == 0);
    check(header->dtype);
  } else {
    require(header.error().offset <= size || !header.error().has_offset());
  }
  for (const bool old : {false, true}) {
    const auto literal =
        parse_python_literal(tare::as_text(bytes), {.latin1 = old, .python2_longs = old});
    require(literal || literal.error().offset <= size);
  }
  return 0;
}
