#include "convert/shard_plan.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include "io/utf8.hpp"

namespace tare {
namespace {

// "-00001-of-00002"
std::string suffix(std::size_t number, std::size_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "-%05zu-of-%05zu", number, count);
  return text;
}

// A string of JSON, in ASCII as Python's json.dumps() writes it.
void append_json(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[at++];
    } else if (c >= 0x20 && c < 0x7F) {
      out += text[at++];
    } else {
      const std::uint32_t point = next_code_point(text, at);
      char unit[16];
      if (point >= 0x10000) {
        std::snprintf(unit, sizeof unit, "\\u%04x\\u%04x", 0xD800 + ((point - 0x10000) >> 10),
                      0xDC00 + ((point - 0x10000) & 0x3FF));
      } else {
        std::snprintf(unit, sizeof unit, "\\u%04x", point);
      }
      out += unit;
    }
  }
  out += '"';
}

// The entries of an object, the keys sorted as the hub's own tools write them.
void append_entries(std::string& out, const std::map<std::string, std::string>& entries) {
  out += "{\n";
  bool first = true;
  for (const auto& [key, json] : entries) {
    if (!first) out += ",\n";
    first = false;
    out += "    ";
    append_json(out, key);
    out += ": " + json;
  }
  out += "\n  }";
}

std::string json_of(std::string_view text) {
  std::string out;
  append_json(out, text);
  return out;
}

}  // namespace

std::vector<Shard> plan_shards(const ConvertPlan& plan, const std::filesystem::path& output,
                               std::uint64_t max_bytes) {
  std::vector<Shard> shards;
  std::uint64_t filled = 0;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    const std::uint64_t bytes = byte_count(plan.tensors[i]);
    const bool fits = !shards.empty() && bytes <= max_bytes && filled <= max_bytes - bytes;
    if (max_bytes > 0 ? !fits : shards.empty()) {
      shards.push_back({output, i, 0});
      filled = 0;
    }
    ++shards.back().count;
    filled += bytes;
  }
  if (shards.empty()) shards.push_back({output, 0, 0});
  if (shards.size() == 1) return shards;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    shards[i].path.replace_filename(output.stem().string() + suffix(i + 1, shards.size()) +
                                    output.extension().string());
  }
  return shards;
}

std::filesystem::path index_path(const std::filesystem::path& output) {
  return output.string() + ".index.json";
}

Result<std::string> index_text(const ConvertPlan& plan, const std::vector<Shard>& shards) {
  std::map<std::string, std::string> weights;
  for (const Shard& shard : shards) {
    const std::string file = shard.path.filename().string();
    for (std::size_t i = 0; i < shard.count; ++i) {
      const std::string& name = plan.tensors[shard.first + i].name;
      if (!is_utf8(name))
        return fail(ErrorCode::kInvalidArgument, "a tensor name that is not UTF-8");
      weights.emplace(name, json_of(file));
    }
  }
  std::map<std::string, std::string> metadata;
  for (const auto& [name, kept] : plan.tied) {
    if (!is_utf8(name)) return fail(ErrorCode::kInvalidArgument, "a tensor name that is not UTF-8");
    metadata.emplace(name, json_of(kept));
  }
  metadata.insert_or_assign("total_size", std::to_string(plan.tensor_bytes()));
  std::string out = "{\n  \"metadata\": ";
  append_entries(out, metadata);
  out += ",\n  \"weight_map\": ";
  append_entries(out, weights);
  return out + "\n}\n";
}

std::vector<std::filesystem::path> stale_shards(const std::vector<Shard>& shards,
                                                const std::filesystem::path& output) {
  std::vector<std::filesystem::path> stale;
  const auto folder = output.parent_path().empty() ? "." : output.parent_path();
  const std::string stem = output.stem().string();
  const std::string extension = output.extension().string();
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    unsigned number = 0;
    unsigned count = 0;
    int read = 0;
    if (!name.starts_with(stem)) continue;
    const std::string rest = name.substr(stem.size());
    if (std::sscanf(rest.c_str(), "-%5u-of-%5u%n", &number, &count, &read) != 2) continue;
    if (rest != suffix(number, count) + extension) continue;
    const bool is_new = std::ranges::any_of(
        shards, [&](const Shard& shard) { return shard.path.filename() == name; });
    if (!is_new) stale.push_back(it->path());
  }
  return stale;
}

}  // namespace tare
