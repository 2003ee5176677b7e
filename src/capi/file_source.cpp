#include "capi/source.hpp"

namespace tare::capi {
namespace {

class FileSource final : public Source {
 public:
  explicit FileSource(safetensors::File file)
      : file_(std::move(file)), metadata_(file_.header().metadata()) {}

  std::string_view format() const override { return "safetensors"; }
  std::size_t count() const override { return tensors().size(); }
  Tensor tensor(std::size_t number) const override {
    const auto& entry = tensors()[number];
    return {entry.name, entry.dtype, entry.shape, entry.byte_count()};
  }
  std::size_t find(std::string_view name) const override {
    const auto* const entry = file_.header().find(name);
    return entry == nullptr ? count() : static_cast<std::size_t>(entry - tensors().data());
  }
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  std::span<const Problem> problems() const override { return {}; }

  const void* data(std::size_t number) const override {
    if (file_.access() == safetensors::Access::kRead) return nullptr;
    return file_.bytes(tensors()[number]).data();
  }
  Result<void> read_range(std::size_t number, std::uint64_t first,
                          std::span<std::byte> out) const override {
    return file_.read_range(tensors()[number], first, out);
  }
  Result<void> read_slice(std::size_t number, const SlicePlan& plan,
                          std::span<std::byte> out) const override {
    return file_.read_slice(tensors()[number], plan, out);
  }
  Outcome read_all(std::span<const Request> requests,
                   const safetensors::ReadOptions& options) const override {
    std::vector<safetensors::File::Request> wanted;
    wanted.reserve(requests.size());
    for (const auto& [number, out] : requests) wanted.push_back({&tensors()[number], out});
    return file_.read_all(wanted, options);
  }

 private:
  std::span<const safetensors::TensorEntry> tensors() const { return file_.header().tensors(); }

  safetensors::File file_;
  safetensors::Metadata metadata_;
};

}  // namespace

OpenedSource open_file(const std::filesystem::path& path, const safetensors::OpenOptions& options) {
  auto file = safetensors::File::open(path, options);
  if (!file) return std::unexpected(file.error());
  return std::make_unique<FileSource>(std::move(*file));
}

}  // namespace tare::capi
