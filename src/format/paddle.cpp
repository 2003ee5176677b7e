// PaddlePaddle: programs (__model__, .pdmodel) and combined parameters (.pdiparams). Format:
// docs/formats/paddle.md.
#include "format/paddle.hpp"

#include <algorithm>
#include <array>

#include "io/checked.hpp"
#include "io/cursor.hpp"

namespace tare::format {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kMaxAxes = 64;
constexpr std::uint64_t kMaxLevels = 64;
constexpr std::uint32_t kMaxDescription = 4096;

constexpr std::array kFields = {MessageField{kPdProgram, 1, kPdBlock},
                                MessageField{kPdBlock, 4, kPdOperator},
                                MessageField{kPdOperator, 4, kPdAttribute}};

// ---- programs

// The first block is number 0, and has no parent.
bool is_program(ByteSpan bytes) {
  const auto block = ProtobufReader(bytes).next();
  if (!block || block->number != 1 || !block->is_bytes()) return false;
  return block->text().starts_with("\x08\0\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"sv) ||
         block->text().starts_with("\x08\0\x10\xFF\xFF\xFF\xFF\x0F"sv);
}

Result<PartList> list_program(ByteSpan bytes, ReadContext&) {
  PartList list;
  list.parts.push_back({"", PartKind::kPaddle, bytes, 0});
  return list;
}

// ---- parameters

std::optional<DType> dtype_of(std::uint64_t number) {
  switch (number) {
    case 0:
      return DType::kBool;
    case 1:
      return DType::kI16;
    case 2:
      return DType::kI32;
    case 3:
      return DType::kI64;
    case 4:
      return DType::kF16;
    case 5:
      return DType::kF32;
    case 6:
      return DType::kF64;
    case 20:
      return DType::kU8;
    case 21:
      return DType::kI8;
    case 22:
      return DType::kBF16;
    case 23:
      return DType::kC64;
    case 24:
      return DType::kC128;
    case 32:
      return DType::kF8E4M3;
    case 33:
      return DType::kF8E5M2;
    default:
      return std::nullopt;
  }
}

// data_type = 1, dims = 2, one by one or packed.
Result<TensorView> read_description(ByteSpan message, std::uint64_t at) {
  TensorView view;
  std::optional<DType> dtype;
  bool fits = true;
  const auto add = [&](std::uint64_t length) {
    fits = fits && length <= INT64_MAX && view.shape.size() < kMaxAxes;
    if (fits) view.shape.push_back(length);
  };
  ProtobufReader fields(message, at);
  while (const auto field = fields.next()) {
    if (field->number == 1 && field->type == WireType::kVarint) {
      fits = fits && !dtype;
      dtype = dtype_of(field->value);
      if (!dtype) return fail(ErrorCode::kUnsupported, "a tensor of a type that is not read", at);
    } else if (field->number == 2 && field->type == WireType::kVarint) {
      add(field->value);
    } else if (field->number != 2 || !field->is_bytes() || !each_varint(field->bytes, add)) {
      return fail(ErrorCode::kMalformed, "no description of a tensor", field->offset);
    }
  }
  if (fields.failed()) return std::unexpected(fields.error());
  if (!fits || !dtype) return fail(ErrorCode::kMalformed, "no description of a tensor", at);
  view.dtype = *dtype;
  view.strides = row_major_strides(view.shape);
  return view;
}

// u32 0, u64 levels, each u64 bytes and bytes, u32 0, i32 size, a description, elements.
Result<TensorView> read_tensor(Cursor& in) {
  const auto cut_off = [&in] {
    return fail(ErrorCode::kTruncated, "a tensor is cut off", in.offset());
  };
  const auto version = in.read<std::uint32_t>();
  const auto levels = in.read<std::uint64_t>();
  if (!levels) return cut_off();
  if (*version != 0 || *levels > kMaxLevels) {
    return fail(ErrorCode::kMalformed, "no tensor of a version that is known", in.offset());
  }
  for (std::uint64_t i = 0; i < *levels; ++i) {
    const auto size = in.read<std::uint64_t>();
    if (!size || !in.take(*size)) return cut_off();
  }
  const auto inner = in.read<std::uint32_t>();
  const auto size = in.read<std::uint32_t>();
  const std::uint64_t at = in.offset();
  if (!size) return cut_off();
  if (*inner != 0 || *size > kMaxDescription) {
    return fail(ErrorCode::kMalformed, "no description of a tensor", at);
  }
  const auto message = in.take(*size);
  if (!message) return cut_off();
  auto view = read_description(*message, at);
  if (!view) return view;
  const auto count = element_count(view->shape);
  const auto bytes = count ? packed_bytes(view->dtype, *count) : std::unexpected(count.error());
  if (!bytes) return fail(ErrorCode::kOverflow, "the size of a tensor overflows", at);
  const auto data = in.take(*bytes);
  if (!data) return cut_off();
  view->storage = *data;
  return view;
}

bool is_parameters(ByteSpan bytes) {
  constexpr std::size_t kZeros = 16;
  Cursor in(bytes);
  const auto zeros = in.take(kZeros);
  if (!zeros || std::ranges::any_of(*zeros, [](std::byte b) { return b != std::byte{0}; })) {
    return false;
  }
  const auto size = in.read<std::uint32_t>();
  if (!size || *size < 2 || *size > kMaxDescription) return false;
  const auto message = in.take(*size);
  return message && read_description(*message, 0).has_value();
}

Result<std::vector<TensorView>> read_parameters(ByteSpan bytes) {
  std::vector<TensorView> tensors;
  Cursor in(bytes);
  while (!in.at_end()) {
    auto tensor = read_tensor(in);
    if (!tensor) return std::unexpected(tensor.error());
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

Result<PartList> list_parameters(ByteSpan bytes, ReadContext&) {
  const auto tensors = read_parameters(bytes);
  if (!tensors) return std::unexpected(tensors.error());
  PartList list;
  list.parts.push_back({"", PartKind::kTensorData, bytes, 0});
  return list;
}

// Their names stand in the program, in the order of the names.
Result<ModelContents> read_tensors(ByteSpan bytes, ReadContext&) {
  auto tensors = read_parameters(bytes);
  if (!tensors) return std::unexpected(tensors.error());
  ModelContents contents;
  for (TensorView& tensor : *tensors) {
    contents.tensors.push_back(
        {"tensor." + std::to_string(contents.tensors.size()), std::move(tensor), ""});
  }
  return contents;
}

}  // namespace

std::span<const MessageField> paddle_fields() {
  return kFields;
}

const Format kPaddle = {"paddle", "a PaddlePaddle program", is_program, list_program, nullptr};
const Format kPaddleParams = {"paddle-params", "PaddlePaddle parameters", is_parameters,
                              list_parameters, read_tensors};

}  // namespace tare::format
