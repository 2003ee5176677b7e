// Reads safetensors files from standard input, each with its length in front (u64, little-endian),
// and says of each what tare makes of it under the reference's rules:
//   tare_safetensors_files read      one line: "no", or the tensors by name and the metadata
//   tare_safetensors_files rewrite   the file anew, with its length in front; nothing if refused
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tare/safetensors_writer.hpp"

namespace {

using namespace tare;

bool read_exactly(void* place, std::size_t count) {
  return std::fread(place, 1, count, stdin) == count;
}

void append_hex(std::string& out, std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : text) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
}

std::string described(const safetensors::Header& header, ByteSpan data) {
  std::vector<std::string> lines;
  for (const auto& entry : header.tensors()) {
    std::string line;
    append_hex(line, entry.name);
    line.append("=").append(dtype_name(entry.dtype)).append("[");
    for (const std::uint64_t size : entry.shape) line += std::to_string(size) + ",";
    line += "]";
    append_hex(line, as_text(data.subspan(entry.begin, entry.byte_count())));
    lines.push_back(line);
  }
  std::ranges::sort(lines);
  std::string out;
  for (const std::string& line : lines) out += line + " ";
  for (const auto& [key, value] : header.metadata()) {
    append_hex(out += "meta ", key);
    append_hex(out += "=", value);
    out += " ";
  }
  return out;
}

void rewrite(const safetensors::Header& header, ByteSpan data) {
  std::vector<safetensors::TensorPlan> tensors;
  for (const auto& entry : header.tensors()) {
    tensors.push_back(
        {std::string(entry.name), entry.dtype, Shape(entry.shape.begin(), entry.shape.end())});
  }
  const auto plan =
      safetensors::plan_file(std::move(tensors), header.metadata(),
                             header.has_metadata() ? safetensors::EmptyMetadata::kWrite
                                                   : safetensors::EmptyMetadata::kLeaveOut);
  if (!plan) return;
  std::string out(as_text(plan->header));
  for (const auto& placed : plan->order) {
    const safetensors::TensorEntry& entry = header.tensors()[placed.index];
    out += as_text(data.subspan(entry.begin, entry.byte_count()));
  }
  const std::uint64_t size = out.size();
  std::fwrite(&size, sizeof size, 1, stdout);
  std::fwrite(out.data(), 1, out.size(), stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_rewrite = argc == 2 && std::strcmp(argv[1], "rewrite") == 0;
  if (argc != 2 || (!is_rewrite && std::strcmp(argv[1], "read") != 0)) return 4;
  std::uint64_t length = 0;
  while (read_exactly(&length, sizeof length)) {
    std::vector<std::byte> file(length);
    if (!read_exactly(file.data(), length)) return 2;
    const auto header = safetensors::parse(file, safetensors::Rules::kReference);
    const ByteSpan data = header ? ByteSpan(file).subspan(header->data_offset()) : ByteSpan();
    if (is_rewrite) {
      if (header) rewrite(*header, data);
    } else {
      std::puts(header ? described(*header, data).c_str() : "no");
    }
  }
  return 0;
}
