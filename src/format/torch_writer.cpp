#include "format/torch_writer.hpp"

#include <algorithm>
#include <array>

#include "object/torch_types.hpp"
#include "tare/pickle_writer.hpp"

namespace tare::torch {
namespace {

using pickle::Op;
using safetensors::TensorPlan;

// CPython's pickler writes the items of a dict in batches of this size.
constexpr std::size_t kBatch = 1000;

void write_sizes(pickle::Writer& out, const std::vector<std::uint64_t>& sizes) {
  if (sizes.empty()) {  // () is shared by nature and not memoized
    out.op(Op::kEmptyTuple);
    return;
  }
  if (sizes.size() > 3) out.op(Op::kMark);
  for (const std::uint64_t size : sizes) out.integer(static_cast<std::int64_t>(size));
  switch (sizes.size()) {
    case 1:
      out.op(Op::kTuple1);
      break;
    case 2:
      out.op(Op::kTuple2);
      break;
    case 3:
      out.op(Op::kTuple3);
      break;
    default:
      out.op(Op::kTuple);
      break;
  }
  out.put();
}

std::uint64_t byte_count(const TensorPlan& tensor) {
  return TensorView{tensor.dtype, tensor.shape, {}, 0, {}}.byte_count();
}

// How torch names the element type, and the shape in elements as torch counts them: pairs of F4.
struct TorchType {
  std::string_view storage_class;  // empty: the storage is untyped, and `name` says the type
  std::string_view name;
  Shape shape;
};

Result<TorchType> torch_type(const TensorPlan& tensor) {
  TorchType type{"", "", tensor.shape};
  if (tensor.dtype == DType::kF4) {
    type.name = "float4_e2m1fn_x2";
    if (type.shape.empty() || type.shape.back() % 2 != 0) {
      return fail(ErrorCode::kUnsupported, "an odd number of 4-bit elements in a row");
    }
    type.shape.back() /= 2;
    return type;
  }
  type.storage_class = object::storage_class_of(tensor.dtype);
  type.name = object::torch_name_of(tensor.dtype);
  if (type.name.empty()) {
    return fail(ErrorCode::kUnsupported, "an element type that PyTorch does not have");
  }
  return type;
}

// torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()), or _v3 with
// the element type at the end.
void write_tensor(pickle::Writer& out, const TensorPlan& tensor, const TorchType& type,
                  std::string_view key) {
  const bool typed = !type.storage_class.empty();
  const std::uint64_t bytes = byte_count(tensor);
  out.global("torch._utils", typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3").op(Op::kMark);
  out.op(Op::kMark).text("storage");
  if (typed) {
    out.global("torch", type.storage_class);
  } else {
    out.global("torch.storage", "UntypedStorage");
  }
  out.text(key).text("cpu");
  out.integer(static_cast<std::int64_t>(typed ? bytes * 8 / dtype_bits(tensor.dtype) : bytes));
  out.op(Op::kTuple).put();
  out.op(Op::kBinPersId).integer(0);
  write_sizes(out, type.shape);
  write_sizes(out, row_major_strides(type.shape));
  out.boolean(false);
  out.global("collections", "OrderedDict").op(Op::kEmptyTuple).op(Op::kReduce).put();
  if (!typed) out.global("torch", type.name);
  out.op(Op::kTuple).put();
  out.op(Op::kReduce).put();
}

Result<std::vector<std::byte>> state_dict_pickle(std::span<const StreamedTensor> tensors) {
  pickle::Writer out;
  out.proto(2).op(Op::kEmptyDict).put();
  for (std::size_t start = 0; start < tensors.size(); start += kBatch) {
    const std::size_t end = std::min(tensors.size(), start + kBatch);
    const bool single = end - start == 1;
    if (!single) out.op(Op::kMark);
    for (std::size_t i = start; i < end; ++i) {
      const auto type = torch_type(tensors[i].plan);
      if (!type) return std::unexpected(type.error());
      out.text(tensors[i].plan.name);
      write_tensor(out, tensors[i].plan, *type, std::to_string(i));
    }
    out.op(single ? Op::kSetItem : Op::kSetItems);
  }
  out.op(Op::kStop);
  return out.take();
}

// A record whose content may come in pieces.
struct StreamedRecord {
  std::string name;
  std::uint64_t size;
  std::function<Result<void>(const ByteSink&)> stream;
};

StreamedRecord in_memory(std::string name, ByteSpan bytes) {
  return {std::move(name), bytes.size(), [bytes](const ByteSink& sink) { return sink(bytes); }};
}

// 40 digits, as long as PyTorch's: any value is valid, equal content gives equal digits.
std::string serialization_id(ByteSpan data_pkl, const std::vector<StreamedRecord>& storages) {
  std::uint64_t names = 0xcbf29ce484222325;
  std::uint64_t sizes = data_pkl.size();
  for (const StreamedRecord& record : storages) {
    for (const char c : record.name) {
      names = (names ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    sizes = sizes * 0x9e3779b97f4a7c15 + record.size;
  }
  const auto digits = [](std::uint64_t value) {
    const std::string text = std::to_string(value);
    return std::string(20 - text.size(), '0') + text;
  };
  return digits(names) + digits(sizes);
}

Result<void> add_record(zip::Writer& archive, std::string_view stem, const StreamedRecord& record) {
  const std::string name = std::string(stem) + "/" + record.name;
  if (auto begun = archive.begin(name, record.size); !begun) return begun;
  const auto streamed = record.stream([&](ByteSpan bytes) { return archive.append(bytes); });
  if (!streamed) return streamed;
  return archive.end();
}

// The records around a pickle and its storages, the latter named by their keys.
Result<void> write_checkpoint(zip::Writer& archive, std::string_view stem, ByteSpan data_pkl,
                              std::vector<StreamedRecord> storages, Layout layout) {
  if (layout == Layout::kTorch1) std::ranges::sort(storages, {}, &StreamedRecord::name);
  const std::string id = serialization_id(data_pkl, storages);
  std::vector<StreamedRecord> records;
  records.push_back(in_memory("data.pkl", data_pkl));
  if (layout == Layout::kTorch2) {
    records.push_back(in_memory(".format_version", as_bytes("1")));
    records.push_back(in_memory(".storage_alignment", as_bytes("64")));
    records.push_back(in_memory("byteorder", as_bytes("little")));
  }
  for (StreamedRecord& storage : storages) {
    storage.name.insert(0, "data/");
    records.push_back(std::move(storage));
  }
  records.push_back(in_memory("version", as_bytes("3\n")));
  if (layout == Layout::kTorch2)
    records.push_back(in_memory(".data/serialization_id", as_bytes(id)));
  for (const StreamedRecord& record : records) {
    if (auto added = add_record(archive, stem, record); !added) return added;
  }
  return archive.finish();
}

// Makes a file of what `write` puts into an archive.
template <typename Write>
Result<std::uint64_t> save_archive(const std::filesystem::path& path,
                                   safetensors::Overwrite overwrite, Write write) {
  auto file = AtomicFile::create(path, overwrite == safetensors::Overwrite::kYes
                                           ? AtomicFile::Replace::kYes
                                           : AtomicFile::Replace::kNo);
  if (!file) return std::unexpected(file.error());
  zip::Writer archive(*file);
  const Result<void> written = write(archive, path.stem().string());
  if (!written) return std::unexpected(written.error());
  if (auto committed = file->commit(); !committed) return std::unexpected(committed.error());
  return file->size();
}

}  // namespace

Result<void> write_state_dict(zip::Writer& archive, std::string_view stem,
                              std::span<const StreamedTensor> tensors, Layout layout) {
  const auto pickled = state_dict_pickle(tensors);
  if (!pickled) return std::unexpected(pickled.error());
  std::vector<StreamedRecord> storages;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    storages.push_back({std::to_string(i), byte_count(tensors[i].plan), tensors[i].stream});
  }
  return write_checkpoint(archive, stem, *pickled, std::move(storages), layout);
}

Result<std::uint64_t> save_records(const std::filesystem::path& path,
                                   const std::vector<Record>& records,
                                   safetensors::Overwrite overwrite) {
  return save_archive(path, overwrite, [&](zip::Writer& archive, const std::string& stem) {
    for (const Record& record : records) {
      const auto added = add_record(archive, stem, in_memory(record.name, record.bytes));
      if (!added) return added;
    }
    return archive.finish();
  });
}

Result<std::uint64_t> save_pickle(const std::filesystem::path& path, ByteSpan data_pkl,
                                  std::vector<Record> storages, Layout layout,
                                  safetensors::Overwrite overwrite) {
  std::vector<StreamedRecord> records;
  for (Record& storage : storages) {
    records.push_back(in_memory(std::move(storage.name), storage.bytes));
  }
  return save_archive(path, overwrite, [&](zip::Writer& archive, const std::string& stem) {
    return write_checkpoint(archive, stem, data_pkl, std::move(records), layout);
  });
}

Result<std::uint64_t> save_state_dict(const std::filesystem::path& path,
                                      const std::vector<safetensors::TensorToSave>& tensors,
                                      Layout layout, safetensors::Overwrite overwrite) {
  std::vector<StreamedTensor> streamed;
  for (const auto& [name, view] : tensors) {
    if (auto checked = check_view(view); !checked) return std::unexpected(checked.error());
    streamed.push_back({{name, view.dtype, view.shape},
                        [source = &view](const ByteSink& sink) { return stream(*source, sink); }});
  }
  return save_archive(path, overwrite, [&](zip::Writer& archive, const std::string& stem) {
    return write_state_dict(archive, stem, streamed, layout);
  });
}

}  // namespace tare::torch
