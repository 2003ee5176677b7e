#include <algorithm>
#include <cstring>

#include "capi/source.hpp"
#include "io/parallel.hpp"

namespace tare::capi {
namespace {

// The elements from byte `first` on. A strided tensor is walked up to there.
Result<void> copy_range(const TensorView& view, std::uint64_t first, std::span<std::byte> out) {
  if (out.empty()) return {};
  if (view.is_contiguous()) {
    std::memcpy(out.data(), view.contiguous_bytes().data() + first, out.size());
    return {};
  }
  if (auto bounded = check_expansion(view); !bounded) return bounded;
  if (out.size() == view.byte_count()) return gather(view, out);
  std::uint64_t before = first;  // bytes of the walk that are not wanted
  const auto walked = stream(view, [&](ByteSpan bytes) -> Result<void> {
    const std::size_t skipped = std::min<std::uint64_t>(bytes.size(), before);
    before -= skipped;
    bytes = bytes.subspan(skipped, std::min(bytes.size() - skipped, out.size()));
    std::ranges::copy(bytes, out.begin());
    out = out.subspan(bytes.size());
    if (!out.empty()) return {};
    return fail(ErrorCode::kLimit, "enough");  // only to end the walk
  });
  return out.empty() ? Result<void>() : walked;
}

class ModelSource final : public Source {
 public:
  explicit ModelSource(Model model) : model_(std::move(model)) {
    for (std::size_t i = 0; i < count(); ++i) by_name_.push_back(i);
    std::ranges::stable_sort(by_name_, {}, [this](std::size_t i) { return name(i); });
  }

  std::string_view format() const override { return model_.format(); }
  std::size_t count() const override { return model_.tensors().size(); }
  Tensor tensor(std::size_t number) const override {
    const TensorView& view = view_at(number);
    return {name(number), view.dtype, view.shape, view.byte_count()};
  }
  std::size_t find(std::string_view wanted) const override {
    const auto place =
        std::ranges::lower_bound(by_name_, wanted, {}, [this](std::size_t i) { return name(i); });
    return place != by_name_.end() && name(*place) == wanted ? *place : count();
  }
  const std::map<std::string, std::string>& metadata() const override {
    return model_.contents().metadata;
  }
  std::span<const Problem> problems() const override { return model_.contents().problems; }

  const void* data(std::size_t number) const override {
    const TensorView& view = view_at(number);
    if (view.byte_count() == 0) return "";
    return view.is_contiguous() ? view.contiguous_bytes().data() : nullptr;
  }
  Result<void> read_range(std::size_t number, std::uint64_t first,
                          std::span<std::byte> out) const override {
    return copy_range(view_at(number), first, out);
  }
  Result<void> read_slice(std::size_t number, const SlicePlan& plan,
                          std::span<std::byte> out) const override {
    const TensorView& view = view_at(number);
    if (view.is_contiguous()) {
      plan.copy(view.contiguous_bytes(), out);
      return {};
    }
    if (auto bounded = check_expansion(view); !bounded) return bounded;
    std::vector<std::byte> packed(view.byte_count());
    if (auto gathered = gather(view, packed); !gathered) return gathered;
    plan.copy(packed, out);
    return {};
  }
  Outcome read_all(std::span<const Request> requests,
                   const safetensors::ReadOptions& options) const override;

 private:
  const TensorView& view_at(std::size_t number) const { return model_.tensors()[number].view; }
  std::string_view name(std::size_t number) const { return model_.tensors()[number].name; }

  Model model_;
  std::vector<std::size_t> by_name_;  // of equal names the first comes first
};

Outcome ModelSource::read_all(std::span<const Request> requests,
                              const safetensors::ReadOptions& options) const {
  const std::size_t threads = thread_count(options.threads, requests.size());
  std::vector<Result<void>> results(requests.size());
  share_tasks(threads, requests.size(), [&](std::size_t, std::size_t task) {
    const auto& [number, out] = requests[task];
    results[task] = read_range(number, 0, out);
    return results[task].has_value();
  });
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i]) continue;
    return std::unexpected(Failure(results[i].error(), std::string(name(requests[i].tensor))));
  }
  return {};
}

}  // namespace

OpenedSource open_any_model(const std::filesystem::path& path) {
  auto model = open_model(path);
  if (!model) return std::unexpected(model.error());
  return std::make_unique<ModelSource>(std::move(*model));
}

}  // namespace tare::capi
