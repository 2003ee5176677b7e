#include "format/npy_writer.hpp"

#include "io/byte_buffer.hpp"

namespace tare::npy {
namespace {

// Arrays start at multiples of this.
constexpr std::size_t kAlignment = 64;

std::string_view descr_of(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "|b1";
    case DType::kU8:
      return "|u1";
    case DType::kI8:
      return "|i1";
    case DType::kI16:
      return "<i2";
    case DType::kU16:
      return "<u2";
    case DType::kF16:
      return "<f2";
    case DType::kI32:
      return "<i4";
    case DType::kU32:
      return "<u4";
    case DType::kF32:
      return "<f4";
    case DType::kC64:
      return "<c8";
    case DType::kF64:
      return "<f8";
    case DType::kI64:
      return "<i8";
    case DType::kU64:
      return "<u8";
    case DType::kC128:
      return "<c16";
    default:
      return "";
  }
}

// "(2, 3)", "(2,)", "()".
std::string shape_text(const Shape& shape) {
  std::string out = "(";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis > 0) out += ", ";
    out += std::to_string(shape[axis]);
  }
  return out + (shape.size() == 1 ? ",)" : ")");
}

}  // namespace

Result<std::vector<std::byte>> header_of(DType dtype, const Shape& shape) {
  const std::string_view descr = descr_of(dtype);
  if (descr.empty())
    return fail(ErrorCode::kUnsupported, "an element type that numpy does not have");
  std::string text = "{'descr': '" + std::string(descr) +
                     "', 'fortran_order': False, 'shape': " + shape_text(shape) + ", }";
  std::size_t front = 10;  // magic, version, u16
  const auto padded = [&] { return (front + text.size() + kAlignment) / kAlignment * kAlignment; };
  const bool is_long = padded() - front > UINT16_MAX;
  if (is_long) front = 12;
  text.resize(padded() - front - 1, ' ');
  text += '\n';
  ByteBuffer out;
  out.u8(0x93).text("NUMPY").u8(is_long ? 2 : 1).u8(0);
  if (is_long) {
    out.u32(static_cast<std::uint32_t>(text.size()));
  } else {
    out.u16(static_cast<std::uint16_t>(text.size()));
  }
  return out.text(text).take();
}

Result<void> write_npz(zip::Writer& archive, std::span<const torch::StreamedTensor> tensors) {
  for (const torch::StreamedTensor& tensor : tensors) {
    const auto header = header_of(tensor.plan.dtype, tensor.plan.shape);
    if (!header) return std::unexpected(header.error());
    const std::uint64_t bytes =
        TensorView{tensor.plan.dtype, tensor.plan.shape, {}, 0, {}}.byte_count();
    const auto begun = archive.begin(tensor.plan.name + ".npy", header->size() + bytes);
    if (!begun) return begun;
    if (auto appended = archive.append(*header); !appended) return appended;
    const auto streamed = tensor.stream([&](ByteSpan piece) { return archive.append(piece); });
    if (!streamed) return streamed;
    if (auto ended = archive.end(); !ended) return ended;
  }
  return archive.finish();
}

}  // namespace tare::npy
