#include "capi/dtype.hpp"
#include "capi/model.hpp"

namespace tare::capi {
namespace {

// What a caller offers for a tensor or a slice of it, if it is as large as that.
std::expected<std::span<std::byte>, Failure> output(const tare_tensor& tensor, void* out,
                                                    std::size_t size, std::uint64_t wanted) {
  if (size != wanted) {
    return invalid("the memory has another size than what is read", view_of(tensor.name));
  }
  return bytes_at(out, size);
}

std::unexpected<Failure> about(const tare_tensor& tensor, const Error& error) {
  return std::unexpected(Failure(error, std::string(view_of(tensor.name))));
}

Outcome read_range(const tare_tensor& tensor, std::uint64_t first, std::span<std::byte> out) {
  const auto read = tensor.source().read_range(tensor.number(), first, out);
  return read ? Outcome() : about(tensor, read.error());
}

Result<SlicePlan> plan_of(const tare_tensor& tensor, std::string_view index) {
  const auto axes = parse_index(index);
  if (!axes) return std::unexpected(axes.error());
  return SlicePlan::make(tensor.dtype, std::span(tensor.shape, tensor.rank), *axes);
}

std::expected<std::vector<Source::Request>, Failure> requests_of(
    const tare_model& model, std::span<const tare_read_request> given) {
  std::vector<Source::Request> requests;
  requests.reserve(given.size());
  for (const tare_read_request& request : given) {
    if (request.tensor == nullptr) return null_given();
    if (request.tensor->model != &model) return invalid("a tensor of another model");
    const auto out = output(*request.tensor, request.out, request.size, request.tensor->bytes);
    if (!out) return std::unexpected(out.error());
    requests.push_back({request.tensor->number(), *out});
  }
  return requests;
}

}  // namespace
}  // namespace tare::capi

using namespace tare::capi;

tare_text tare_tensor_name(const tare_tensor* tensor) {
  return tensor == nullptr ? tare_text{nullptr, 0} : tensor->name;
}

tare_dtype tare_tensor_dtype(const tare_tensor* tensor) {
  return tensor == nullptr ? 0 : number_of(tensor->dtype);
}

size_t tare_tensor_rank(const tare_tensor* tensor) {
  return tensor == nullptr ? 0 : tensor->rank;
}

const uint64_t* tare_tensor_shape(const tare_tensor* tensor) {
  return tensor == nullptr ? nullptr : tensor->shape;
}

uint64_t tare_tensor_bytes(const tare_tensor* tensor) {
  return tensor == nullptr ? 0 : tensor->bytes;
}

const void* tare_tensor_data(const tare_tensor* tensor) {
  return tensor == nullptr ? nullptr : tensor->source().data(tensor->number());
}

tare_status tare_tensor_read(const tare_tensor* tensor, void* out, size_t size) {
  return guarded([&]() -> Outcome {
    if (tensor == nullptr) return null_given();
    const auto place = output(*tensor, out, size, tensor->bytes);
    if (!place) return std::unexpected(place.error());
    return read_range(*tensor, 0, *place);
  });
}

tare_status tare_tensor_read_range(const tare_tensor* tensor, uint64_t first, void* out,
                                   size_t size) {
  return guarded([&]() -> Outcome {
    if (tensor == nullptr) return null_given();
    if (first > tensor->bytes || size > tensor->bytes - first) {
      return invalid("the range reaches outside the tensor", view_of(tensor->name));
    }
    const auto place = bytes_at(out, size);
    if (!place) return std::unexpected(place.error());
    return read_range(*tensor, first, *place);
  });
}

tare_status tare_model_read(const tare_model* model, const tare_read_request* requests,
                            size_t count, const tare_read_options* options) {
  return guarded([&]() -> Outcome {
    if (model == nullptr || (requests == nullptr && count > 0)) return null_given();
    const auto how = options_from(options, TARE_READ_OPTIONS_INIT);
    if (!how) return std::unexpected(how.error());
    const auto wanted = requests_of(*model, std::span(requests, count));
    if (!wanted) return std::unexpected(wanted.error());
    return model->source->read_all(*wanted,
                                   {.threads = how->threads, .past_cache = how->past_cache != 0});
  });
}

tare_status tare_slice_create(const tare_tensor* tensor, tare_text index, tare_slice** slice) {
  if (slice != nullptr) *slice = nullptr;
  return guarded([&]() -> Outcome {
    if (tensor == nullptr || index.data == nullptr || slice == nullptr) return null_given();
    auto plan = plan_of(*tensor, view_of(index));
    if (!plan) return about(*tensor, plan.error());
    *slice = std::make_unique<tare_slice>(tensor, std::move(*plan)).release();
    return {};
  });
}

void tare_slice_free(tare_slice* slice) {
  delete slice;
}

size_t tare_slice_rank(const tare_slice* slice) {
  return slice == nullptr ? 0 : slice->plan.shape().size();
}

const uint64_t* tare_slice_shape(const tare_slice* slice) {
  return slice == nullptr ? nullptr : slice->plan.shape().data();
}

uint64_t tare_slice_bytes(const tare_slice* slice) {
  return slice == nullptr ? 0 : slice->plan.byte_count();
}

tare_status tare_slice_read(const tare_slice* slice, void* out, size_t size) {
  return guarded([&]() -> Outcome {
    if (slice == nullptr) return null_given();
    const tare_tensor& tensor = *slice->tensor;
    const auto place = output(tensor, out, size, slice->plan.byte_count());
    if (!place) return std::unexpected(place.error());
    const auto read = tensor.source().read_slice(tensor.number(), slice->plan, *place);
    return read ? Outcome() : about(tensor, read.error());
  });
}
