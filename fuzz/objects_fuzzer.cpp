// Any bytes as a model: what each format reads of it can be walked, selected from, planned and
// read, and nothing of that reaches out of the file.
#include <cstdlib>

#include "convert/plan.hpp"
#include "format/format.hpp"
#include "tare/model.hpp"
#include "tare/select.hpp"
#include "tensor/packed_reader.hpp"

namespace {

using namespace tare;

// Larger tensors are read at their ends only.
constexpr std::uint64_t kMostBytes = 1 << 16;

unsigned sum = 0;  // of what was read, so that it is

void require(bool condition) {
  if (!condition) std::abort();
}

void touch(ByteSpan bytes) {
  if (bytes.empty()) return;
  sum += static_cast<unsigned>(bytes.front()) + static_cast<unsigned>(bytes.back());
}

bool is_empty(const Shape& shape) {
  return std::ranges::find(shape, 0U) != shape.end();
}

// The first and the last element.
void touch_ends(const TensorView& view) {
  require(check_view(view).has_value());
  for (const TensorBlock& block : view.blocks) touch_ends(block.view);
  if (!view.blocks.empty() || is_empty(view.shape)) return;
  std::uint64_t last = view.offset;
  for (std::size_t axis = 0; axis < view.shape.size(); ++axis) {
    last += (view.shape[axis] - 1) * view.strides[axis];
  }
  const std::uint64_t bits = view.stored_bits();
  touch(view.storage.subspan(view.offset * bits / 8, 1));
  touch(view.storage.subspan(((last + 1) * bits + 7) / 8 - 1, 1));
}

void read(const TensorView& view) {
  touch_ends(view);
  auto reader = PackedReader::make(view);
  if (!reader) return;
  std::uint64_t count = 0;
  for (ByteSpan bytes = reader->peek(); !bytes.empty() && count < kMostBytes;
       bytes = reader->peek()) {
    touch(bytes);
    count += bytes.size();
    reader->skip(bytes.size());
  }
  require(count == view.byte_count() || count >= kMostBytes);
}

void walk(const ModelContents& contents) {
  if (!contents.objects) return;
  contents.objects->walk([](const ObjectNode& node) {
    sum += static_cast<unsigned>(node.key.size() + node.type.size() + node.value.size());
    require(node.kind != ObjectKind::kTensor || node.tensor != nullptr);
    require(node.kind != ObjectKind::kSpecial || node.special != nullptr);
    if (node.tensor != nullptr) touch_ends(*node.tensor);
    return true;
  });
}

void plan(const Selection& selection, const ConvertOptions& options) {
  const auto planned = plan_conversion(selection, options);
  if (!planned) return;
  for (const PlannedTensor& tensor : planned->tensors) {
    if (byte_count(tensor) > kMostBytes) continue;
    std::uint64_t count = 0;
    const auto streamed = stream(tensor, [&](ByteSpan bytes) -> Result<void> {
      touch(bytes);
      count += bytes.size();
      return {};
    });
    require(!streamed || count == byte_count(tensor));
  }
}

void convert(const Model& model) {
  for (const char* key : {"", ".", "model", "state_dict", "a.b", "0"}) {
    SelectOptions options;
    options.key = key;
    options.strip_prefixes = {"module.", "a"};
    options.keep_scalars = true;
    const auto selection = select_tensors(model, options);
    if (!selection) continue;
    for (const ConvertTarget target : {ConvertTarget::kSafetensors, ConvertTarget::kNpz}) {
      ConvertOptions convert_options;
      convert_options.target = target;
      convert_options.densify = true;
      convert_options.dequantize = true;
      plan(*selection, convert_options);
      convert_options.cast = DType::kBF16;
      plan(*selection, convert_options);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes = std::as_bytes(std::span(data, size));
  for (const auto* format : format::detect(bytes)) {
    if (format->read_tensors == nullptr) continue;
    Input input = Input::from_bytes({bytes.begin(), bytes.end()});
    auto context = format::context_of(bytes);
    context.inflate_left = std::uint64_t{4} << 20;
    auto contents = format->read_tensors(input.bytes(), context);
    if (!contents) continue;
    for (const NamedTensor& tensor : contents->tensors) read(tensor.view);
    for (const SpecialTensor& tensor : contents->specials) {
      for (const NamedTensor& part : tensor.parts) read(part.view);
    }
    walk(*contents);
    convert(Model(std::move(input), format->name, std::move(*contents)));
  }
  return sum == 0xFFFFFFFF ? 1 : 0;
}
