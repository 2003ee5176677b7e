// Writes the files that the C tests open and that C cannot easily write: capi_fixtures FOLDER.
#include <filesystem>
#include <fstream>

#include "support/safetensors_builder.hpp"
#include "support/torch_builder.hpp"

namespace {

using namespace tare::test;

void write(const std::filesystem::path& path, std::string_view content) {
  std::ofstream out(path, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
}

std::string checkpoint(const std::vector<NamedCall>& tensors, const std::string& storage) {
  return torch_zip(dict_pickle(tensors), {{"0", storage}}).build();
}

// The numbers 0, 1, 2 ... as floats.
std::string floats(std::size_t count) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += memory_of<float>({static_cast<float>(i)});
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 4;
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  // "w" as it is stored, "t" the transpose of it, "n" nothing at all.
  write(folder / "strided.pt", checkpoint({{"w", {"FloatStorage", "0", 6, 0, {2, 3}, {3, 1}}},
                                           {"t", {"FloatStorage", "0", 6, 0, {3, 2}, {1, 3}}},
                                           {"n", {"FloatStorage", "0", 6, 0, {0, 3}, {3, 1}}}},
                                          floats(6)));
  // More than one piece of what is copied at a time.
  const std::string large = floats(std::size_t{1} << 20);
  write(folder / "large.pt",
        checkpoint({{"t", {"FloatStorage", "0", 1 << 20, 0, {2048, 512}, {1, 2048}}}}, large));
  // 16 GiB out of four bytes.
  write(folder / "expanded.pt",
        checkpoint({{"e", {"FloatStorage", "0", 1, 0, {1 << 20, 4096}, {0, 0}}}}, floats(1)));
  // A tensor that reaches past its storage, beside one that does not.
  write(folder / "problem.pt", checkpoint({{"bad", {"FloatStorage", "0", 2, 1, {2}, {1}}},
                                           {"good", {"FloatStorage", "0", 2, 0, {2}, {1}}}},
                                          floats(2)));
  const auto shard = [](std::string_view name, std::string_view data) {
    return safetensors_file("{" + tensor_json(name, "U8", "[2]", 0, 2) + "}", data);
  };
  write(folder / "shard-1", shard("a", "AA"));
  write(folder / "shard-2", shard("b", "BB"));
  write(folder / "index.json",
        R"({"metadata":{"k":"v"},"weight_map":{"a":"shard-1","b":"shard-2","c":"shard-2"}})");
  // A name with a NUL and one of two characters outside ASCII.
  write(folder / "names.safetensors",
        safetensors_file(R"({"__metadata__":{"z":"1","a\u0000b":"\u00e9"},"x\u0000y":)"
                         R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]},)" +
                             tensor_json("", "U8", "[]", 1, 2) + "}",
                         "pq"));
  write(folder / "twice.safetensors",
        safetensors_file("{" + tensor_json("t", "U8", "[1]", 0, 1) + "," +
                             tensor_json("t", "U8", "[1]", 0, 1) + "}",
                         "x"));
  write(folder / "space.safetensors", safetensors_file(" {}"));
  write(folder / "broken.safetensors", safetensors_file(R"({"t":{"dtype":"F32","shape":[-1]}})"));
  write(folder / "page.html", "<!DOCTYPE html><html>Not found</html>");
  write(folder / "empty", "");
  return 0;
}
