#include "report/json.hpp"

#include "report/content.hpp"
#include "report/json_text.hpp"
#include "report/sizes.hpp"
#include "tare/select.hpp"

namespace tare::report {
namespace {

Json problems_json(const ModelContents& contents) {
  Json out = Json::array();
  for (const Problem& problem : contents.problems) {
    out.push_back({{"subject", problem.subject},
                   {"error", error_code_name(problem.error.code)},
                   {"message", error_text(problem.error)}});
  }
  return out;
}

Json type_json(const NamedTensor* tensor) {
  if (tensor == nullptr) return nullptr;
  return {{"dtype", dtype_name(tensor->view.dtype)}, {"shape", tensor->view.shape}};
}

Json difference_json(const Difference& difference) {
  Json out;
  out["name"] = difference.name();
  out["difference"] = difference_name(difference.kind);
  out["a"] = type_json(difference.a);
  out["b"] = type_json(difference.b);
  if (difference.kind == DifferenceKind::kBytes) {
    out["first_byte"] = difference.first_byte;
    out["first_element"] = difference.first_element;
    out["differing_bytes"] = difference.differing_bytes;
  }
  return out;
}

Json text_or_null(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}

void add_nesting(Json& document, const Nesting& nesting) {
  document["nesting"] = Json::array();
  for (const NestedEntry& entry : nesting.entries) {
    Json out;
    out["name"] = entry.name;
    out["depth"] = entry.depth;
    out["what"] = entry.what;
    out["bytes"] = entry.size;
    out["entries"] = entry.entries;
    out["offset"] = entry.offset == Error::kNoOffset ? Json(nullptr) : Json(entry.offset);
    out["not_opened"] = entry.not_opened.empty() ? Json(nullptr) : Json(entry.not_opened);
    document["nesting"].push_back(std::move(out));
  }
  document["nesting_cut"] = nesting.is_cut;
}

void add_model(Json& document, const Model& model, const InspectOptions& options) {
  const ModelContents& contents = model.contents();
  document["format"] = model.format();
  if (options.fetched != nullptr) document["fetched"] = fetched_json(*options.fetched);
  document["shards"] = Json::array();
  for (const ModelFile& file : model.files()) {
    if (!file.name.empty()) document["shards"].push_back(file.name);
  }
  document["tensors"] = Json::array();
  for (const NamedTensor& tensor : contents.tensors) {
    document["tensors"].push_back({{"name", tensor.name},
                                   {"dtype", dtype_name(tensor.view.dtype)},
                                   {"shape", tensor.view.shape},
                                   {"bytes", tensor.view.byte_count()},
                                   {"entry", tensor.entry}});
  }
  document["special_tensors"] = Json::array();
  for (const SpecialTensor& tensor : contents.specials) {
    document["special_tensors"].push_back({{"name", tensor.name},
                                           {"layout", special_kind_name(tensor.kind)},
                                           {"dtype", dtype_name(tensor.dtype)},
                                           {"shape", tensor.shape},
                                           {"entry", tensor.entry}});
  }
  document["tensor_bytes"] = model.tensor_bytes();
  document["dtypes"] = Json::array();
  for (const DTypeSize& size : dtype_sizes(model)) {
    document["dtypes"].push_back(
        {{"dtype", dtype_name(size.dtype)}, {"tensors", size.tensors}, {"bytes", size.bytes}});
  }
  document["tree"] = Json::array();
  for (const SizeGroup& group : size_tree(model, options.depth)) {
    document["tree"].push_back({{"prefix", group.prefix},
                                {"label", group.label},
                                {"depth", group.depth},
                                {"tensors", group.tensors},
                                {"bytes", group.bytes},
                                {"folded", group.folded}});
  }
  const auto selection = select_tensors(model);
  document["key"] = selection ? Json(selection->key) : Json(nullptr);
  document["candidates"] = selection ? Json::array() : Json(selection.error().candidates);
  document["content"] = contents.objects ? content_json(*contents.objects) : Json::array();
  document["metadata"] = contents.metadata;
  document["imports"] = contents.imports;
  document["problems"] = problems_json(contents);
}

}  // namespace

std::string inspect_json(std::string_view path, const Model* model, const Nesting* nesting,
                         const InspectOptions& options) {
  Json document;
  document["schema_version"] = kSchemaVersion;
  document["path"] = path;
  if (model != nullptr) add_model(document, *model, options);
  if (nesting != nullptr) add_nesting(document, *nesting);
  return dump(document);
}

std::string verify_json(const ComparedModels& models) {
  const Comparison& comparison = models.comparison;
  Json document;
  document["schema_version"] = kSchemaVersion;
  document["a"] = models.path_a;
  document["b"] = models.path_b;
  document["equal"] = models.is_equal() && models.is_complete();
  document["equal_tensors"] = comparison.equal_tensors;
  document["compared_bytes"] = comparison.compared_bytes;
  document["differences"] = Json::array();
  for (const Difference& difference : comparison.differences) {
    document["differences"].push_back(difference_json(difference));
  }
  document["metadata_counts"] = models.metadata_counts;
  document["metadata_differences"] = Json::array();
  for (const MetadataDifference& difference : comparison.metadata) {
    document["metadata_differences"].push_back({{"key", difference.key},
                                                {"a", text_or_null(difference.a)},
                                                {"b", text_or_null(difference.b)}});
  }
  document["problems_a"] = problems_json(models.a.contents());
  document["problems_b"] = problems_json(models.b.contents());
  return dump(document);
}

std::string check_json(const std::vector<CheckedFile>& files) {
  Json document;
  document["schema_version"] = kSchemaVersion;
  document["files"] = Json::array();
  for (const CheckedFile& file : files) {
    const CheckReport& report = file.report;
    Json out;
    out["path"] = file.path;
    out["verdict"] = check_verdict(report);
    out["format"] = report.format.empty() ? Json(nullptr) : Json(report.format);
    out["rules"] = report.by_rules ? Json(rules_name(file.rules)) : Json(nullptr);
    out["checked"] = report.scope;
    out["shards"] = report.shards;
    out["tensors"] = report.tensors;
    out["tensor_bytes"] = report.tensor_bytes;
    out["reference_accepts"] = report.reference_accepts || (report.by_rules && report.is_valid());
    out["problems"] = Json::array();
    for (const CheckProblem& problem : report.problems) {
      const bool has_offset = problem.error.has_offset();
      out["problems"].push_back(
          {{"file", problem.file},
           {"subject", problem.subject},
           {"error", error_code_name(problem.error.code)},
           {"offset", has_offset ? Json(problem.error.offset) : Json(nullptr)},
           {"message", error_text(problem.error)}});
    }
    document["files"].push_back(std::move(out));
  }
  return dump(document);
}

std::string hash_json(const HashedModel& hashed) {
  Json document;
  document["schema_version"] = kSchemaVersion;
  document["path"] = hashed.path;
  document["algorithm"] = "sha256";
  document["files"] = Json::array();
  for (std::size_t i = 0; i < hashed.digest.files.size(); ++i) {
    const FileDigest& file = hashed.digest.files[i];
    document["files"].push_back({{"path", file_path(hashed.path, hashed.model.files()[i])},
                                 {"bytes", file.bytes},
                                 {"sha256", file.sha256}});
  }
  const std::string& all = hashed.digest.tensors_sha256;
  document["tensors_sha256"] = all.empty() ? Json(nullptr) : Json(all);
  document["tensors"] = Json::array();
  for (const TensorDigest& entry : hashed.digest.tensors) {
    const TensorView& view = entry.tensor->view;
    document["tensors"].push_back({{"name", entry.tensor->name},
                                   {"dtype", dtype_name(view.dtype)},
                                   {"shape", view.shape},
                                   {"bytes", view.byte_count()},
                                   {"sha256", entry.sha256}});
  }
  document["problems"] = problems_json(hashed.model.contents());
  return dump(document);
}

std::string convert_json(const ConvertedModel& converted) {
  const ConvertSummary& summary = converted.summary;
  Json document;
  document["schema_version"] = kSchemaVersion;
  document["path"] = converted.path;
  document["key"] = converted.selection.key;
  document["dry_run"] = converted.dry_run;
  if (converted.fetched != nullptr) document["fetched"] = fetched_json(*converted.fetched);
  document["files"] = Json::array();
  for (const WrittenFile& file : summary.files) {
    document["files"].push_back(
        {{"path", file.path.string()},
         {"bytes", file.bytes},
         {"sha256", file.sha256.empty() ? Json(nullptr) : Json(file.sha256)}});
  }
  document["tensors"] = summary.tensors;
  document["tensor_bytes"] = summary.tensor_bytes;
  document["file_bytes"] = summary.file_bytes;
  document["seconds"] = converted.seconds;
  document["verified"] = summary.verified;
  document["tied"] = summary.tied;
  document["overlapping"] = summary.overlapping;
  document["dropped"] = Json::array();
  for (const Dropped& dropped : converted.selection.dropped) {
    document["dropped"].push_back({{"path", dropped.path}, {"what", dropped.what}});
  }
  return dump(document);
}

}  // namespace tare::report
