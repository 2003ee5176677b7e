// Checkpoints in the layout of torch.save, in memory, with any data.pkl.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/zip_builder.hpp"
#include "tare/pickle_writer.hpp"

namespace tare::test {

// One call of torch._utils._rebuild_tensor_v2, with any arguments.
struct TensorCall {
  std::string storage_class = "FloatStorage";
  std::string key = "0";
  std::int64_t numel = 0;  // of the storage
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
};

inline void write_sizes(pickle::Writer& out, const std::vector<std::int64_t>& sizes) {
  out.op(pickle::Op::kMark);
  for (const std::int64_t size : sizes) out.integer(size);
  out.op(pickle::Op::kTuple);
}

inline void write_storage(pickle::Writer& out, const TensorCall& call) {
  out.op(pickle::Op::kMark).text("storage").global("torch", call.storage_class);
  out.text(call.key).text("cpu").integer(call.numel);
  out.op(pickle::Op::kTuple).op(pickle::Op::kBinPersId);
}

inline void write_tensor(pickle::Writer& out, const TensorCall& call) {
  using pickle::Op;
  out.global("torch._utils", "_rebuild_tensor_v2").op(Op::kMark);
  write_storage(out, call);
  out.integer(call.offset);
  write_sizes(out, call.shape);
  write_sizes(out, call.strides);
  out.boolean(false);
  out.global("collections", "OrderedDict").op(Op::kEmptyTuple).op(Op::kReduce);
  out.op(Op::kTuple).op(Op::kReduce);
}

inline std::string take(pickle::Writer& out) {
  return std::string(as_text(out.op(pickle::Op::kStop).view()));
}

using NamedCall = std::pair<std::string, TensorCall>;

// {name: tensor, ...}
inline std::string dict_pickle(const std::vector<NamedCall>& tensors) {
  pickle::Writer out;
  out.proto(2).op(pickle::Op::kEmptyDict).op(pickle::Op::kMark);
  for (const auto& [name, call] : tensors) {
    out.text(name);
    write_tensor(out, call);
  }
  out.op(pickle::Op::kSetItems);
  return take(out);
}

// Four floats under the key "0", seen as [2, 2].
inline TensorCall small_tensor() {
  return {"FloatStorage", "0", 4, 0, {2, 2}, {2, 1}};
}
inline std::string small_storage() {
  return memory_of<float>({1, 2, 3, 4});
}

// A record of an archive as torch writes it: stored, sizes behind the data.
inline ZipEntry torch_record(std::string name, std::string content) {
  ZipEntry entry;
  entry.name = std::move(name);
  entry.descriptor = !content.empty();
  entry.content = std::move(content);
  return entry;
}

// The archive around a data.pkl: "m/data.pkl", the storages as "m/data/KEY", "m/version".
inline ZipBuilder torch_zip(std::string data_pkl,
                            const std::vector<std::pair<std::string, std::string>>& storages) {
  ZipBuilder zip;
  zip.zip64_end = true;
  zip.add(torch_record("m/data.pkl", std::move(data_pkl)));
  for (const auto& [key, bytes] : storages) zip.add(torch_record("m/data/" + key, bytes));
  zip.add(torch_record("m/version", "3\n"));
  return zip;
}

// A checkpoint around any pickle, without storages.
inline std::string torch_file(const std::string& data_pkl) {
  return torch_zip(data_pkl, {}).build();
}

// A clean checkpoint with one tensor.
inline ZipBuilder clean_torch_zip() {
  return torch_zip(dict_pickle({{"w", small_tensor()}}), {{"0", small_storage()}});
}

using Sizes = std::vector<std::int64_t>;

// What torch.save writes for one tensor of F32.
inline std::string saved_tensor(const Sizes& shape, const std::vector<float>& elements) {
  TensorCall call;
  call.numel = static_cast<std::int64_t>(elements.size());
  call.shape = shape;
  call.strides.assign(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis > 1; --axis) {
    call.strides[axis - 2] = call.strides[axis - 1] * shape[axis - 1];
  }
  pickle::Writer out;
  out.proto(2);
  write_tensor(out, call);
  return torch_zip(take(out), {{"0", memory_of<float>(elements)}}).build();
}

// What torch.save writes for an integer.
inline std::string saved_integer(std::int64_t value) {
  pickle::Writer out;
  out.proto(2).integer(value);
  return torch_zip(take(out), {}).build();
}

}  // namespace tare::test
