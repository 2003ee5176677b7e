#include "capi/model.hpp"

#include "format/format.hpp"
#include "format/shards.hpp"

namespace tare::capi {
namespace {

using safetensors::Access;
using safetensors::OpenOptions;
using safetensors::Rules;

std::expected<OpenOptions, Failure> options_of(const tare_open_options* given) {
  const auto wanted = options_from(given, TARE_OPEN_OPTIONS_INIT);
  if (!wanted) return std::unexpected(wanted.error());
  if (wanted->rules != TARE_STRICT && wanted->rules != TARE_REFERENCE) {
    return invalid("unknown rules");
  }
  if (wanted->access != TARE_MAP && wanted->access != TARE_READ) return invalid("unknown access");
  return OpenOptions{wanted->rules == TARE_STRICT ? Rules::kStrict : Rules::kReference,
                     wanted->access == TARE_MAP ? Access::kMap : Access::kRead};
}

// Whether the bytes are for the reader of safetensors files. Rules that are not strict take files
// that look like nothing at their front.
bool is_safetensors(ByteSpan bytes, Rules rules) {
  if (format::is_shard_index(bytes)) return false;
  for (const format::Format* const format : format::detect(bytes)) {
    if (format->read_tensors != nullptr) return format == &format::kSafetensors;
  }
  return rules == Rules::kReference;
}

OpenedSource open_mapped(const std::filesystem::path& path, const OpenOptions& options) {
  const auto input = Input::map(path);
  if (!input) return std::unexpected(input.error());
  return is_safetensors(input->bytes(), options.rules) ? open_file(path, options)
                                                       : open_any_model(path);
}

OpenedSource open_read(const std::filesystem::path& path, const OpenOptions& options) {
  auto source = open_file(path, options);
  if (source || source.error().code != ErrorCode::kWrongFormat) return source;
  const auto copy = Input::copy_of(path, format::kMaxIndexBytes);
  if (!copy || !format::is_shard_index(copy->bytes())) return source;
  return fail(ErrorCode::kUnsupported, "an index of shards, which only TARE_MAP opens");
}

}  // namespace
}  // namespace tare::capi

tare_model::tare_model(std::unique_ptr<tare::capi::Source> opened)
    : source(std::move(opened)), format(source->format()) {
  add_tensors();
  add_problems();
  metadata.reserve(source->metadata().size());
  for (const auto& [key, value] : source->metadata()) {
    metadata.push_back({tare::capi::text_of(key), tare::capi::text_of(value)});
  }
}

void tare_model::add_tensors() {
  std::size_t size = 0;
  for (std::size_t i = 0; i < source->count(); ++i) size += source->tensor(i).name.size() + 1;
  names.reserve(size);
  tensors.reserve(source->count());
  for (std::size_t i = 0; i < source->count(); ++i) {
    const tare::capi::Source::Tensor tensor = source->tensor(i);
    const char* const name = names.data() + names.size();
    names.insert(names.end(), tensor.name.begin(), tensor.name.end());
    names.push_back('\0');
    tensors.push_back({this,
                       {name, tensor.name.size()},
                       tensor.shape.data(),
                       tensor.shape.size(),
                       tensor.bytes,
                       tensor.dtype});
  }
}

void tare_model::add_problems() {
  messages.reserve(source->problems().size());
  for (const tare::Problem& problem : source->problems()) {
    messages.push_back(error_text(problem.error));
    problems.push_back(
        tare::capi::error_of(problem.error, messages.back().c_str(), problem.subject));
  }
}

tare_status tare_open(const char* path, const tare_open_options* options, tare_model** model) {
  using namespace tare::capi;
  if (model != nullptr) *model = nullptr;
  return guarded([&]() -> Outcome {
    if (path == nullptr || model == nullptr) return null_given();
    const auto wanted = options_of(options);
    if (!wanted) return std::unexpected(wanted.error());
    auto source =
        wanted->access == Access::kMap ? open_mapped(path, *wanted) : open_read(path, *wanted);
    if (!source) return std::unexpected(source.error());
    *model = std::make_unique<tare_model>(std::move(*source)).release();
    return {};
  });
}

void tare_close(tare_model* model) {
  delete model;
}

tare_text tare_model_format(const tare_model* model) {
  return model == nullptr ? tare_text{nullptr, 0} : tare::capi::text_of(model->format);
}

size_t tare_model_tensor_count(const tare_model* model) {
  return model == nullptr ? 0 : model->tensors.size();
}

const tare_tensor* tare_model_tensor(const tare_model* model, size_t index) {
  return index < tare_model_tensor_count(model) ? &model->tensors[index] : nullptr;
}

const tare_tensor* tare_model_find(const tare_model* model, tare_text name) {
  if (model == nullptr || name.data == nullptr) return nullptr;
  return tare_model_tensor(model, model->source->find(tare::capi::view_of(name)));
}

size_t tare_model_metadata_count(const tare_model* model) {
  return model == nullptr ? 0 : model->metadata.size();
}

const tare_pair* tare_model_metadata(const tare_model* model, size_t index) {
  return index < tare_model_metadata_count(model) ? &model->metadata[index] : nullptr;
}

size_t tare_model_problem_count(const tare_model* model) {
  return model == nullptr ? 0 : model->problems.size();
}

const tare_error* tare_model_problem(const tare_model* model, size_t index) {
  return index < tare_model_problem_count(model) ? &model->problems[index] : nullptr;
}
