// Archives of torch.export and AOTInductor in the layout that PyTorch writes, with any lists.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/torch_builder.hpp"

namespace tare::test {

// One item of a list of payloads. What is set can lie.
struct ExportPayload {
  std::string name;
  std::string record = "weight_0";
  bool is_pickled = false;
  int dtype = 7;  // float32
  std::vector<std::string> sizes;
  std::vector<std::string> strides;
  std::string offset = "0";
  int layout = 7;  // strided
  bool has_meta = true;
};

inline std::string export_sizes(const std::vector<std::string>& sizes) {
  std::string text;
  for (const std::string& size : sizes) {
    text += (text.empty() ? "" : ", ") + ("{\"as_int\": " + size + "}");
  }
  return "[" + text + "]";
}

inline std::string export_payload(const ExportPayload& payload) {
  std::string text = "\"" + payload.name + "\": {\"path_name\": \"" + payload.record +
                     "\", \"is_param\": true, \"use_pickle\": ";
  text += payload.is_pickled ? "true" : "false";
  if (!payload.has_meta) return text + ", \"tensor_meta\": null}";
  text += ", \"tensor_meta\": {\"dtype\": " + std::to_string(payload.dtype);
  text += ", \"sizes\": " + export_sizes(payload.sizes) + ", \"requires_grad\": true";
  text += R"(, "device": {"type": "cpu", "index": null}, "strides": )";
  text += export_sizes(payload.strides) + ", \"storage_offset\": {\"as_int\": " + payload.offset;
  return text + "}, \"layout\": " + std::to_string(payload.layout) + "}}";
}

inline std::string export_list(const std::vector<ExportPayload>& payloads) {
  std::string text;
  for (const ExportPayload& payload : payloads) {
    text += (text.empty() ? "" : ", ") + export_payload(payload);
  }
  return "{\"config\": {" + text + "}}";
}

// Four floats under "weight_0", seen as [2, 2].
inline ExportPayload small_payload(std::string name = "w") {
  ExportPayload payload;
  payload.name = std::move(name);
  payload.sizes = {"2", "2"};
  payload.strides = {"2", "1"};
  return payload;
}

using NamedRecord = std::pair<std::string, std::string>;

// "m/NAME" for each record, and the records that every such archive has.
inline std::string export_zip(const std::vector<NamedRecord>& records) {
  ZipBuilder zip;
  zip.zip64_end = true;
  for (const auto& [name, content] : records) zip.add(torch_record("m/" + name, content));
  zip.add(torch_record("m/archive_format", "pt2"));
  zip.add(torch_record("m/archive_version", "0"));
  zip.add(torch_record("m/.data/version", "6\n"));
  zip.add(torch_record("m/byteorder", "little"));
  return zip.build();
}

// The records of a program with these weights, but for what holds them.
inline std::vector<NamedRecord> program_records(const std::vector<ExportPayload>& weights,
                                                const std::vector<ExportPayload>& constants = {},
                                                const std::string& name = "model") {
  return {{"data/weights/" + name + "_weights_config.json", export_list(weights)},
          {"data/constants/" + name + "_constants_config.json", export_list(constants)},
          {"models/" + name + ".json", "{\"graph_module\": {}}"}};
}

}  // namespace tare::test
