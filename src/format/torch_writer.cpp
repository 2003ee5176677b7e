#include <algorithm>

#include "archive/zip_writer.hpp"
#include "object/torch_types.hpp"
#include "tare/pickle_writer.hpp"
#include "tare/torch_save.hpp"

namespace tare::torch {
namespace {

using pickle::Op;

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

// torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())
void write_tensor(pickle::Writer& out, const TensorView& view, std::string_view key) {
  out.global("torch._utils", "_rebuild_tensor_v2").op(Op::kMark);
  out.op(Op::kMark).text("storage").global("torch", object::storage_class_of(view.dtype));
  out.text(key).text("cpu");
  out.integer(static_cast<std::int64_t>(view.byte_count() * 8 / dtype_bits(view.dtype)));
  out.op(Op::kTuple).put();
  out.op(Op::kBinPersId).integer(0);
  write_sizes(out, view.shape);
  write_sizes(out, row_major_strides(view.shape));
  out.boolean(false);
  out.global("collections", "OrderedDict").op(Op::kEmptyTuple).op(Op::kReduce).put();
  out.op(Op::kTuple).put();
  out.op(Op::kReduce).put();
}

std::vector<std::byte> state_dict_pickle(const std::vector<safetensors::TensorToSave>& tensors) {
  pickle::Writer out;
  out.proto(2).op(Op::kEmptyDict).put();
  for (std::size_t start = 0; start < tensors.size(); start += kBatch) {
    const std::size_t end = std::min(tensors.size(), start + kBatch);
    const bool single = end - start == 1;
    if (!single) out.op(Op::kMark);
    for (std::size_t i = start; i < end; ++i) {
      out.text(tensors[i].name);
      write_tensor(out, tensors[i].view, std::to_string(i));
    }
    out.op(single ? Op::kSetItem : Op::kSetItems);
  }
  out.op(Op::kStop);
  return out.take();
}

// 40 digits, as long as PyTorch's: any value is valid, equal content gives equal digits.
std::string serialization_id(ByteSpan data_pkl, const std::vector<Record>& storages) {
  std::uint64_t names = 0xcbf29ce484222325;
  std::uint64_t sizes = data_pkl.size();
  for (const Record& record : storages) {
    for (const char c : record.name) {
      names = (names ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    sizes = sizes * 0x9e3779b97f4a7c15 + record.bytes.size();
  }
  const auto digits = [](std::uint64_t value) {
    const std::string text = std::to_string(value);
    return std::string(20 - text.size(), '0') + text;
  };
  return digits(names) + digits(sizes);
}

}  // namespace

Result<std::uint64_t> save_records(const std::filesystem::path& path,
                                   const std::vector<Record>& records,
                                   safetensors::Overwrite overwrite) {
  auto file = AtomicFile::create(path, overwrite == safetensors::Overwrite::kYes
                                           ? AtomicFile::Replace::kYes
                                           : AtomicFile::Replace::kNo);
  if (!file) return std::unexpected(file.error());
  zip::Writer archive(*file);
  const std::string folder = path.stem().string() + "/";
  for (const Record& record : records) {
    if (auto added = archive.add(folder + record.name, record.bytes); !added) {
      return std::unexpected(added.error());
    }
  }
  if (auto finished = archive.finish(); !finished) return std::unexpected(finished.error());
  if (auto committed = file->commit(); !committed) return std::unexpected(committed.error());
  return file->size();
}

Result<std::uint64_t> save_pickle(const std::filesystem::path& path, ByteSpan data_pkl,
                                  std::vector<Record> storages, Layout layout,
                                  safetensors::Overwrite overwrite) {
  if (layout == Layout::kTorch1) std::ranges::sort(storages, {}, &Record::name);
  const std::string id = serialization_id(data_pkl, storages);
  std::vector<Record> records = {{"data.pkl", data_pkl}};
  if (layout == Layout::kTorch2) {
    records.push_back({".format_version", as_bytes("1")});
    records.push_back({".storage_alignment", as_bytes("64")});
    records.push_back({"byteorder", as_bytes("little")});
  }
  for (const Record& storage : storages) {
    records.push_back({"data/" + storage.name, storage.bytes});
  }
  records.push_back({"version", as_bytes("3\n")});
  if (layout == Layout::kTorch2) records.push_back({".data/serialization_id", as_bytes(id)});
  return save_records(path, records, overwrite);
}

Result<std::uint64_t> save_state_dict(const std::filesystem::path& path,
                                      const std::vector<safetensors::TensorToSave>& tensors,
                                      Layout layout, safetensors::Overwrite overwrite) {
  std::vector<Record> storages;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& view = tensors[i].view;
    if (!view.is_contiguous()) return fail(ErrorCode::kUnsupported, "a tensor is not contiguous");
    if (object::storage_class_of(view.dtype).empty()) {
      return fail(ErrorCode::kUnsupported, "an element type without a storage class in torch");
    }
    storages.push_back({std::to_string(i), view.contiguous_bytes()});
  }
  const auto stream = state_dict_pickle(tensors);
  return save_pickle(path, stream, std::move(storages), layout, overwrite);
}

}  // namespace tare::torch
