// The objects behind the handles for reading: what a source has, laid out for C.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capi/source.hpp"

// A tensor of a model; its place in the model's list is its number in the source.
struct tare_tensor {
  const tare_model* model;
  tare_text name;
  const std::uint64_t* shape;
  std::size_t rank;
  std::uint64_t bytes;
  tare::DType dtype;

  const tare::capi::Source& source() const;
  std::size_t number() const;
};

struct tare_model {
  explicit tare_model(std::unique_ptr<tare::capi::Source> opened);
  tare_model(const tare_model&) = delete;
  tare_model& operator=(const tare_model&) = delete;
  ~tare_model() = default;

  std::unique_ptr<tare::capi::Source> source;
  std::string format;
  std::vector<char> names;  // of all tensors, each with a NUL
  std::vector<tare_tensor> tensors;
  std::vector<tare_pair> metadata;
  std::vector<std::string> messages;  // of the problems
  std::vector<tare_error> problems;

 private:
  void add_tensors();
  void add_problems();
};

inline const tare::capi::Source& tare_tensor::source() const {
  return *model->source;
}

inline std::size_t tare_tensor::number() const {
  return static_cast<std::size_t>(this - model->tensors.data());
}

struct tare_slice {
  const tare_tensor* tensor;
  tare::SlicePlan plan;
};
