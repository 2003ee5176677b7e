#include "capi/boundary.hpp"
#include "capi/dtype.hpp"
#include "tare/safetensors_writer.hpp"

using namespace tare::capi;

struct tare_writer {
  tare::safetensors::Writer writer;
  std::vector<std::size_t> positions;  // in the file, by the caller's index
};

namespace tare::capi {
namespace {

using safetensors::Metadata;
using safetensors::TensorPlan;
using safetensors::TensorToSave;
using safetensors::WriteOptions;

// What a caller gives for a new file. The texts are copies.
struct Order {
  std::vector<TensorPlan> plans;
  Metadata metadata;
  WriteOptions options;
};

std::expected<TensorPlan, Failure> plan_of(const tare_new_tensor& tensor) {
  if (tensor.name.data == nullptr) return invalid("a tensor without a name");
  const std::string_view name = view_of(tensor.name);
  if (tensor.shape == nullptr && tensor.rank > 0) return invalid("a tensor without a shape", name);
  const auto dtype = dtype_of(tensor.dtype);
  if (!dtype) return invalid("a tensor of an unknown dtype", name);
  return TensorPlan{std::string(name), *dtype, Shape(tensor.shape, tensor.shape + tensor.rank)};
}

std::expected<Metadata, Failure> metadata_of(std::span<const tare_pair> pairs) {
  Metadata metadata;
  for (const tare_pair& pair : pairs) {
    if (pair.key.data == nullptr || pair.value.data == nullptr) {
      return invalid("metadata without a key or a value");
    }
    if (!metadata.emplace(view_of(pair.key), view_of(pair.value)).second) {
      return invalid("a metadata key occurs twice", view_of(pair.key));
    }
  }
  return metadata;
}

std::expected<Order, Failure> order_of(std::span<const tare_new_tensor> tensors,
                                       const tare_save_options* given) {
  const auto options = options_from(given, TARE_SAVE_OPTIONS_INIT);
  if (!options) return std::unexpected(options.error());
  if (options->metadata == nullptr && options->metadata_count > 0) return null_given();
  auto metadata = metadata_of({options->metadata, options->metadata_count});
  if (!metadata) return std::unexpected(metadata.error());
  Order order;
  order.metadata = std::move(*metadata);
  order.options.overwrite =
      options->overwrite != 0 ? safetensors::Overwrite::kYes : safetensors::Overwrite::kNo;
  for (const tare_new_tensor& tensor : tensors) {
    auto plan = plan_of(tensor);
    if (!plan) return std::unexpected(plan.error());
    order.plans.push_back(std::move(*plan));
  }
  return order;
}

std::expected<TensorToSave, Failure> to_save(const TensorPlan& plan,
                                             const tare_new_tensor& tensor) {
  const auto count = element_count(plan.shape);
  const auto bytes = count ? packed_bytes(plan.dtype, *count) : count;
  if (!bytes) return std::unexpected(Failure(bytes.error(), plan.name));
  if (*bytes != tensor.bytes) {
    return invalid("data of another size than its dtype and shape come to", plan.name);
  }
  if (tensor.data == nullptr && tensor.bytes > 0)
    return invalid("a tensor without data", plan.name);
  const ByteSpan data(static_cast<const std::byte*>(tensor.data), tensor.bytes);
  return TensorToSave{plan.name, {plan.dtype, plan.shape, row_major_strides(plan.shape), 0, data}};
}

tare_writer* new_writer(safetensors::Writer&& writer) {
  std::vector<std::size_t> positions(writer.order().size());
  for (std::size_t i = 0; i < positions.size(); ++i) positions[writer.order()[i].index] = i;
  return new tare_writer{std::move(writer), std::move(positions)};
}

}  // namespace
}  // namespace tare::capi

tare_status tare_save(const char* path, const tare_new_tensor* tensors, size_t count,
                      const tare_save_options* options) {
  return guarded([&]() -> Outcome {
    if (path == nullptr || (tensors == nullptr && count > 0)) return null_given();
    const auto order = order_of(std::span(tensors, count), options);
    if (!order) return std::unexpected(order.error());
    std::vector<TensorToSave> views;
    views.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto view = to_save(order->plans[i], tensors[i]);
      if (!view) return std::unexpected(view.error());
      views.push_back(std::move(*view));
    }
    const auto saved = tare::safetensors::save(path, views, order->metadata, order->options);
    return saved ? Outcome() : std::unexpected(saved.error());
  });
}

tare_status tare_writer_create(const char* path, const tare_new_tensor* tensors, size_t count,
                               const tare_save_options* options, tare_writer** writer) {
  if (writer != nullptr) *writer = nullptr;
  return guarded([&]() -> Outcome {
    if (path == nullptr || writer == nullptr || (tensors == nullptr && count > 0)) {
      return null_given();
    }
    auto order = order_of(std::span(tensors, count), options);
    if (!order) return std::unexpected(order.error());
    auto created = tare::safetensors::Writer::create(path, std::move(order->plans), order->metadata,
                                                     order->options);
    if (!created) return std::unexpected(created.error());
    *writer = new_writer(std::move(*created));
    return {};
  });
}

size_t tare_writer_order(const tare_writer* writer, size_t position) {
  if (writer == nullptr || position >= writer->positions.size()) return SIZE_MAX;
  return writer->writer.order()[position].index;
}

tare_status tare_writer_begin(tare_writer* writer, size_t index) {
  return guarded([&]() -> Outcome {
    if (writer == nullptr) return null_given();
    if (index >= writer->positions.size()) return invalid("there are not so many tensors");
    const auto& placed = writer->writer.order()[writer->positions[index]];
    return writer->writer.begin(placed.tensor.name);
  });
}

tare_status tare_writer_write(tare_writer* writer, const void* data, size_t size) {
  return guarded([&]() -> Outcome {
    if (writer == nullptr || (data == nullptr && size > 0)) return null_given();
    return writer->writer.write({static_cast<const std::byte*>(data), size});
  });
}

tare_status tare_writer_finish(tare_writer* writer) {
  return guarded([&]() -> Outcome {
    if (writer == nullptr) return null_given();
    const auto finished = writer->writer.finish();
    return finished ? Outcome() : std::unexpected(finished.error());
  });
}

void tare_writer_free(tare_writer* writer) {
  delete writer;
}
