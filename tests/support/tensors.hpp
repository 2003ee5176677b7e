// Tensor views over bytes of a test.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string_view>

#include "tare/named_tensor.hpp"
#include "tare/safetensors_writer.hpp"
#include "tare/tensor.hpp"

namespace tare::test {

// A row-major view of all of `bytes`, which must outlive it.
inline TensorView view_of(DType dtype, Shape shape, std::string_view bytes) {
  auto strides = row_major_strides(shape);
  return {dtype, std::move(shape), std::move(strides), 0, as_bytes(bytes)};
}

// The elements of a tensor of F32, in row-major order.
inline std::vector<float> elements_of(const TensorView& view) {
  std::vector<float> elements(view.byte_count() / sizeof(float));
  EXPECT_TRUE(gather(view, std::as_writable_bytes(std::span(elements))).has_value());
  return elements;
}

// The bytes of the elements, packed, in row-major order.
inline std::string packed_elements(const TensorView& view) {
  std::string bytes(view.byte_count(), '\0');
  EXPECT_TRUE(gather(view, std::as_writable_bytes(std::span(bytes))).has_value());
  return bytes;
}

inline std::vector<std::string> names_of(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> names;
  for (const NamedTensor& tensor : tensors) names.push_back(tensor.name);
  return names;
}

using Random = std::mt19937_64;

inline std::uint64_t up_to(Random& random, std::uint64_t highest) {
  return std::uniform_int_distribution<std::uint64_t>(0, highest)(random);
}

inline std::string random_bytes(Random& random, std::size_t count) {
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>(up_to(random, 255));
  return bytes;
}

// A tensor with the bytes that its view refers to.
struct OwnedTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::string bytes;

  TensorView view() const { return view_of(dtype, shape, bytes); }
};

// Views of all of them, valid as long as they stay where they are.
inline std::vector<safetensors::TensorToSave> to_save(const std::vector<OwnedTensor>& tensors) {
  std::vector<safetensors::TensorToSave> views;
  views.reserve(tensors.size());
  for (const OwnedTensor& tensor : tensors) views.push_back({tensor.name, tensor.view()});
  return views;
}

// Up to `most` tensors of any whole-byte type with small shapes.
inline std::vector<OwnedTensor> random_tensors(Random& random, std::size_t most) {
  std::vector<OwnedTensor> tensors;
  for (std::uint64_t left = up_to(random, most); left > 0; --left) {
    OwnedTensor tensor;
    tensor.name = random_bytes(random, up_to(random, 3));
    for (char& c : tensor.name) c &= 0x7F;  // any ASCII, control bytes as well
    tensor.name += std::to_string(left);
    do {
      tensor.dtype = static_cast<DType>(up_to(random, kDTypeCount - 1));
    } while (dtype_bits(tensor.dtype) % 8 != 0);
    std::uint64_t count = 1;
    for (std::uint64_t rank = up_to(random, 4); rank > 0; --rank) {
      tensor.shape.push_back(up_to(random, 4));
      count *= tensor.shape.back();
    }
    tensor.bytes = random_bytes(random, count * dtype_bits(tensor.dtype) / 8);
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace tare::test
