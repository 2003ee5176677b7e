// Distributed checkpoints as torch.distributed.checkpoint writes them: metadata, and files of
// parts.
//
// What was added can be changed before the metadata is written, so that it lies.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/temp_dir.hpp"
#include "support/torch_builder.hpp"

namespace tare::test {

struct DistributedPart {
  Sizes start;
  Sizes shape;
  std::string file;
  std::int64_t offset = 0;
  std::int64_t length = 0;
  bool is_stored = true;  // storage_data has it
};

struct DistributedEntry {
  std::string name;
  std::optional<std::vector<std::string>> path;  // in planner_data
  std::optional<Sizes> shape;                    // of a tensor
  std::string dtype = "float32";
  std::vector<DistributedPart> parts;  // of an object: one
};

class DistributedBuilder {
 public:
  std::vector<DistributedEntry> entries;
  std::map<std::string, std::string> files;
  // Where the classes are.
  std::string module = "torch.distributed.checkpoint.metadata";

  // A part with these bytes at the end of a file.
  DistributedPart part(const std::string& file, const std::string& bytes) {
    std::string& content = files[file];
    DistributedPart part;
    part.file = file;
    part.offset = static_cast<std::int64_t>(content.size());
    part.length = static_cast<std::int64_t>(bytes.size());
    content += bytes;
    return part;
  }

  DistributedEntry& tensor(const std::string& name, const Sizes& shape) {
    entries.push_back({name, std::nullopt, shape, "float32", {}});
    return entries.back();
  }
  // A part of F32, for the tensor that was added last.
  DistributedPart& chunk(const std::string& file, const Sizes& start, const Sizes& shape,
                         const std::vector<float>& elements) {
    DistributedPart added = part(file, saved_tensor(shape, elements));
    added.start = start;
    added.shape = shape;
    entries.back().parts.push_back(std::move(added));
    return entries.back().parts.back();
  }
  // A tensor in one part.
  DistributedEntry& whole(const std::string& name, const std::string& file, const Sizes& shape,
                          const std::vector<float>& elements) {
    tensor(name, shape);
    chunk(file, Sizes(shape.size(), 0), shape, elements);
    return entries.back();
  }
  DistributedEntry& object(const std::string& name, const std::string& file,
                           const std::string& bytes) {
    entries.push_back({name, std::nullopt, std::nullopt, "", {part(file, bytes)}});
    return entries.back();
  }

  std::string metadata() const;

  // All files, the metadata among them. Returns the path of that.
  std::filesystem::path write(const TempDir& folder) const {
    for (const auto& [name, content] : files) folder.write(name, content);
    return folder.write(".metadata", metadata());
  }

 private:
  // An instance of a class, whose attributes follow; end_instance() behind them.
  void begin_instance(pickle::Writer& out, const std::string& of, const std::string& name) const {
    out.global(of, name).op(pickle::Op::kEmptyTuple, pickle::Op::kNewObj);
    out.op(pickle::Op::kEmptyDict, pickle::Op::kMark);
  }
  static void end_instance(pickle::Writer& out) {
    out.op(pickle::Op::kSetItems, pickle::Op::kBuild);
  }
  static void size(pickle::Writer& out, const Sizes& sizes) {
    out.global("torch", "Size");
    write_sizes(out, sizes);
    out.op(pickle::Op::kTuple1, pickle::Op::kReduce);
  }
  void properties(pickle::Writer& out, const std::string& dtype) const;
  void entry(pickle::Writer& out, const DistributedEntry& entry) const;
  void storage(pickle::Writer& out, const DistributedEntry& entry) const;
  void paths(pickle::Writer& out) const;
};

inline void DistributedBuilder::properties(pickle::Writer& out, const std::string& dtype) const {
  using pickle::Op;
  out.global(module, "TensorProperties").op(Op::kEmptyTuple, Op::kNewObj, Op::kMark);
  out.global("torch", dtype);
  out.global("torch.serialization", "_get_layout").text("torch.strided");
  out.op(Op::kTuple1, Op::kReduce).boolean(false);
  out.global(module, "_MEM_FORMAT_ENCODING").integer(0).op(Op::kTuple1, Op::kReduce);
  out.boolean(false).op(Op::kTuple, Op::kBuild);
}

inline void DistributedBuilder::entry(pickle::Writer& out, const DistributedEntry& entry) const {
  using pickle::Op;
  out.text(entry.name);
  if (!entry.shape) {
    out.global(module, "BytesStorageMetadata").op(Op::kEmptyTuple, Op::kNewObj);
    return;
  }
  begin_instance(out, module, "TensorStorageMetadata");
  out.text("properties");
  properties(out, entry.dtype);
  out.text("size");
  size(out, *entry.shape);
  out.text("chunks").op(Op::kEmptyList, Op::kMark);
  for (const DistributedPart& part : entry.parts) {
    begin_instance(out, module, "ChunkStorageMetadata");
    out.text("offsets");
    size(out, part.start);
    out.text("sizes");
    size(out, part.shape);
    end_instance(out);
  }
  out.op(Op::kAppends);
  end_instance(out);
}

inline void DistributedBuilder::storage(pickle::Writer& out, const DistributedEntry& entry) const {
  for (const DistributedPart& part : entry.parts) {
    if (!part.is_stored) continue;
    begin_instance(out, module, "MetadataIndex");
    out.text("fqn").text(entry.name).text("index").op(pickle::Op::kNone);
    if (entry.shape) {
      out.text("offset");
      size(out, part.start);
    }
    end_instance(out);
    begin_instance(out, "torch.distributed.checkpoint.filesystem", "_StorageInfo");
    out.text("relative_path").text(part.file);
    out.text("offset").integer(part.offset).text("length").integer(part.length);
    end_instance(out);
  }
}

inline void DistributedBuilder::paths(pickle::Writer& out) const {
  using pickle::Op;
  out.op(Op::kEmptyDict, Op::kMark);
  for (const DistributedEntry& entry : entries) {
    if (!entry.path) continue;
    out.text(entry.name).op(Op::kMark);
    for (const std::string& key : *entry.path) out.text(key);
    out.op(Op::kTuple);
  }
  out.op(Op::kSetItems);
}

inline std::string DistributedBuilder::metadata() const {
  using pickle::Op;
  pickle::Writer out;
  out.proto(2);
  begin_instance(out, module, "Metadata");
  out.text("state_dict_metadata").op(Op::kEmptyDict, Op::kMark);
  for (const DistributedEntry& added : entries) entry(out, added);
  out.op(Op::kSetItems).text("planner_data");
  paths(out);
  out.text("storage_data").op(Op::kEmptyDict, Op::kMark);
  for (const DistributedEntry& added : entries) storage(out, added);
  out.op(Op::kSetItems);
  end_instance(out);
  return take(out);
}

}  // namespace tare::test
