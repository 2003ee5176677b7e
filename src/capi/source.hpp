// What a model of the C interface reads from: one safetensors file with its own ways to the bytes,
// or a Model of any format. Tensors are numbers below count(), in file order.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "capi/boundary.hpp"
#include "tare/safetensors_file.hpp"

namespace tare::capi {

class Source {
 public:
  struct Tensor {
    std::string_view name;
    DType dtype;
    std::span<const std::uint64_t> shape;
    std::uint64_t bytes;
  };
  struct Request {
    std::size_t tensor;
    std::span<std::byte> out;  // of its size
  };

  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  virtual std::string_view format() const = 0;
  virtual std::size_t count() const = 0;
  virtual Tensor tensor(std::size_t number) const = 0;
  // count() if there is none.
  virtual std::size_t find(std::string_view name) const = 0;
  virtual const std::map<std::string, std::string>& metadata() const = 0;
  virtual std::span<const Problem> problems() const = 0;

  // nullptr if the elements do not stand in memory, packed and row-major.
  virtual const void* data(std::size_t number) const = 0;
  // The range was checked; so was that `out` is as large as the plan wants.
  virtual Result<void> read_range(std::size_t number, std::uint64_t first,
                                  std::span<std::byte> out) const = 0;
  virtual Result<void> read_slice(std::size_t number, const SlicePlan& plan,
                                  std::span<std::byte> out) const = 0;
  virtual Outcome read_all(std::span<const Request> requests,
                           const safetensors::ReadOptions& options) const = 0;
};

using OpenedSource = std::expected<std::unique_ptr<Source>, Failure>;

OpenedSource open_file(const std::filesystem::path& path, const safetensors::OpenOptions& options);
OpenedSource open_any_model(const std::filesystem::path& path);

}  // namespace tare::capi
