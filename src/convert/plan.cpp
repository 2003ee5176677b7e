#include "convert/plan.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "convert/special_source.hpp"
#include "tensor/elements.hpp"

namespace tare {
namespace {

constexpr const char* kFormatKey = "format";

std::unexpected<Failure> failure(ErrorCode code, const char* what, const std::string& subject) {
  return std::unexpected(Failure(Error{code, 0, Error::kNoOffset, what}, subject));
}

// The whole of its storage: what save_model() calls complete. Only such a tensor is written in the
// place of others.
bool is_complete(const TensorView& view) {
  return view.offset == 0 && view.byte_count() == view.storage.size();
}

// Two views with equal ones are the same elements. Strides that are never taken do not count.
using ViewKey = std::tuple<const std::byte*, std::size_t, std::uint64_t, DType, bool, bool, Shape,
                           std::vector<std::uint64_t>>;

ViewKey key_of(const TensorView& view) {
  std::vector<std::uint64_t> strides = view.strides;
  for (std::size_t axis = 0; axis < strides.size(); ++axis) {
    if (view.shape[axis] == 1) strides[axis] = 0;
  }
  const Stored stored = view.stored.value_or(Stored{});
  return {view.storage.data(), view.storage.size(), view.offset, view.dtype,
          stored.conjugated,   stored.negated,      view.shape,  std::move(strides)};
}

bool can_be_tied(const TensorView& view) {
  return view.blocks.empty() && view.byte_count() > 0;
}

// Tensors whose storage another one that is written uses as well.
std::uint64_t count_overlapping(std::span<const PlannedTensor> tensors) {
  std::unordered_map<const std::byte*, std::uint64_t> users;
  for (const PlannedTensor& tensor : tensors) {
    if (tensor.special == nullptr && can_be_tied(tensor.view)) ++users[tensor.view.storage.data()];
  }
  std::uint64_t count = 0;
  for (const auto& [storage, number] : users) count += number > 1 ? number : 0;
  return count;
}

bool is_cast(DType from, const ConvertOptions& options) {
  return options.cast && from != *options.cast && can_cast(from, *options.cast);
}

PlannedTensor planned(const NamedTensor& tensor, const ConvertOptions& options) {
  PlannedTensor plan{tensor.name, tensor.view.dtype, tensor.view.shape, tensor.view};
  if (!is_cast(plan.dtype, options)) return plan;
  plan.dtype = *options.cast;
  const auto cast_view = [&](TensorView& view) {
    if (!view.stored) view.stored = Stored{.dtype = view.dtype};
    view.dtype = *options.cast;
  };
  cast_view(plan.view);
  for (TensorBlock& block : plan.view.blocks) cast_view(block.view);
  return plan;
}

// What a special tensor is written as. The text of an error says what would convert it.
Result<PlannedTensor> planned(const SpecialTensor& tensor, const ConvertOptions& options) {
  PlannedTensor plan{tensor.name, tensor.dtype, tensor.shape, {}, &tensor};
  switch (tensor.kind) {
    case SpecialKind::kSparseCoo:
    case SpecialKind::kSparseCsr:
    case SpecialKind::kSparseCsc:
    case SpecialKind::kSparseBsr:
    case SpecialKind::kSparseBsc:
      if (!options.densify) {
        return fail(ErrorCode::kUnsupported, "is sparse; --densify writes its zeros as well");
      }
      break;
    case SpecialKind::kQuantizedPerTensor:
    case SpecialKind::kQuantizedPerChannel:
      if (!options.dequantize) {
        return fail(ErrorCode::kUnsupported,
                    "is quantized, which the target cannot say; --dequantize writes F32");
      }
      plan.dtype = DType::kF32;
      break;
    case SpecialKind::kNested:
      return fail(ErrorCode::kUnsupported, "is a nested tensor, which has no shape");
    case SpecialKind::kMeta:
      return fail(ErrorCode::kUnsupported, "is a meta tensor, which has no elements");
    case SpecialKind::kBlockQuantized:
      return fail(ErrorCode::kUnsupported,
                  "is quantized in blocks of ggml, which tare does not convert");
    case SpecialKind::kSubclass:
      return fail(ErrorCode::kUnsupported,
                  "is of a class that keeps its elements in other tensors in its own way");
  }
  if (is_cast(plan.dtype, options)) plan.dtype = *options.cast;
  return plan;
}

}  // namespace

std::map<std::string, std::string> find_ties(std::span<const NamedTensor> tensors) {
  std::map<ViewKey, std::vector<const std::string*>> names;
  for (const NamedTensor& tensor : tensors) {
    if (can_be_tied(tensor.view) && is_complete(tensor.view)) {
      names[key_of(tensor.view)].push_back(&tensor.name);
    }
  }
  std::map<std::string, std::string> ties;
  for (auto& [key, group] : names) {
    if (group.size() < 2) continue;
    std::ranges::sort(group, {},
                      [](const std::string* name) -> const std::string& { return *name; });
    for (const std::string* name : group) {
      // The metadata has another use for this one.
      if (name != group.front() && *name != kFormatKey) ties.emplace(*name, *group.front());
    }
  }
  return ties;
}

std::uint64_t byte_count(const PlannedTensor& tensor) {
  return TensorView{tensor.dtype, tensor.shape, {}, 0, {}}.byte_count();
}

std::uint64_t ConvertPlan::tensor_bytes() const {
  std::uint64_t bytes = 0;
  for (const PlannedTensor& tensor : tensors) bytes += byte_count(tensor);
  return bytes;
}

Result<void> stream(const PlannedTensor& tensor, const ByteSink& sink) {
  if (tensor.special == nullptr) return stream(tensor.view, sink);
  const bool sparse = is_sparse(tensor.special->kind);
  const DType from = sparse ? tensor.special->dtype : DType::kF32;
  std::vector<std::byte> buffer;
  const ByteSink cast = [&](ByteSpan bytes) -> Result<void> {
    if (from == tensor.dtype) return sink(bytes);
    buffer.resize(bytes.size() * dtype_bits(tensor.dtype) / dtype_bits(from));
    read_elements({.dtype = from}, bytes, tensor.dtype, buffer.data());
    return sink(buffer);
  };
  return sparse ? stream_dense(*tensor.special, cast) : stream_dequantized(*tensor.special, cast);
}

std::expected<ConvertPlan, Failure> plan_conversion(const Selection& selection,
                                                    const ConvertOptions& options) {
  if (!selection.problems.empty()) {
    const Problem& first = selection.problems.front();
    return std::unexpected(Failure(first.error, first.subject));
  }
  ConvertPlan plan;
  plan.tied = find_ties(selection.tensors);
  for (const NamedTensor& tensor : selection.tensors) {
    if (plan.tied.contains(tensor.name)) continue;
    if (auto checked = check_expansion(tensor.view); !checked) {
      return std::unexpected(Failure(checked.error(), tensor.name));
    }
    plan.tensors.push_back(planned(tensor, options));
  }
  for (const SpecialTensor& tensor : selection.specials) {
    auto special = planned(tensor, options);
    if (!special) return std::unexpected(Failure(special.error(), tensor.name));
    const auto count = element_count(special->shape);
    const auto bytes =
        count ? packed_bytes(special->dtype, *count) : std::unexpected(count.error());
    if (!bytes) return std::unexpected(Failure(bytes.error(), tensor.name));
    plan.tensors.push_back(std::move(*special));
  }
  if (options.target == ConvertTarget::kSafetensors) {
    for (const PlannedTensor& tensor : plan.tensors) {
      if (has_safetensors_type(tensor.dtype)) continue;
      return failure(ErrorCode::kUnsupported,
                     tensor.dtype == DType::kC128
                         ? "is complex128 (C128), which safetensors has no type for"
                         : "is complex32 (C32), which safetensors has no type for",
                     tensor.name);
    }
  }
  if (plan.tensors.empty() && !selection.dropped.empty()) {
    return failure(ErrorCode::kNotFound, "holds no tensors", selection.key);
  }
  plan.overlapping = count_overlapping(plan.tensors);
  plan.metadata = selection.scalars;
  plan.metadata.insert_or_assign(kFormatKey, "pt");
  return plan;
}

}  // namespace tare
