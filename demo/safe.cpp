// The gold path: the same kind of model as safetensors, and its four guarantees shown.
#include <Eigen/Core>
#include <cmath>
#include <fstream>
#include <random>

#include "io/sha256.hpp"
#include "library_symbols.hpp"
#include "report/text.hpp"
#include "resident_memory.hpp"
#include "tare/model.hpp"
#include "tare/safetensors_writer.hpp"
#include "torch_runner.hpp"

namespace tare::demo {
namespace {

constexpr std::uint64_t kClasses = 3;
constexpr std::uint64_t kInputs = std::uint64_t{3} * 224 * 224;
constexpr std::uint64_t kSeed = 42;

using RowMajorMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;

// Uniform in [-bound, bound), the same on every machine: the standard's distributions are not.
std::vector<float> uniform(std::mt19937_64& engine, std::size_t count, float bound) {
  std::vector<float> values(count);
  for (float& value : values) {
    const auto fraction = static_cast<float>(engine() >> 40) / static_cast<float>(1U << 24);
    value = (2 * fraction - 1) * bound;
  }
  return values;
}

ByteSpan bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

// Linear(224*224*3 -> 3), initialised as torch.nn.Linear does.
struct Classifier {
  std::vector<float> weight;
  std::vector<float> bias;

  explicit Classifier(std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    const float bound = 1 / std::sqrt(static_cast<float>(kInputs));
    weight = uniform(engine, kClasses * kInputs, bound);
    bias = uniform(engine, kClasses, bound);
  }

  std::vector<safetensors::TensorToSave> tensors() const {
    return {{"fc.weight", {DType::kF32, {kClasses, kInputs}, {kInputs, 1}, 0, bytes_of(weight)}},
            {"fc.bias", {DType::kF32, {kClasses}, {1}, 0, bytes_of(bias)}}};
  }
};

const NamedTensor* find(const Model& model, std::string_view name) {
  for (const NamedTensor& tensor : model.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// The elements where they lie in the file. The writer aligns the data section to 8 bytes.
const float* floats_in_place(const NamedTensor& tensor) {
  return reinterpret_cast<const float*>(tensor.view.contiguous_bytes().data());
}

Vector run_in_place(const Model& model, const std::vector<float>& image) {
  const NamedTensor& weight = *find(model, "fc.weight");
  const NamedTensor& bias = *find(model, "fc.bias");
  const Eigen::Map<const RowMajorMatrix> w(floats_in_place(weight), kClasses, kInputs);
  const Eigen::Map<const Vector> b(floats_in_place(bias), kClasses);
  const Eigen::Map<const Vector> x(image.data(), kInputs);
  return w * x + b;
}

// Names that would let the library run something: processes, libraries, interpreters, sockets.
bool can_run_code(std::string_view symbol) {
  static constexpr std::string_view kNames[] = {
      "system", "popen",   "fork",   "vfork",  "clone",       "execv",       "execve",
      "execvp", "execl",   "execlp", "execle", "execvpe",     "fexecve",     "execveat",
      "dlopen", "dlmopen", "dlsym",  "socket", "posix_spawn", "posix_spawnp"};
  const std::string_view name = symbol.substr(0, symbol.find('@'));
  return std::ranges::find(kNames, name) != std::end(kNames);
}

void show_no_code() {
  const auto symbols = library_symbols();
  const auto found = std::ranges::count_if(symbols, can_run_code);
  say("\n[1] no code on load");
  say("  libtare calls {} functions from outside itself; exec*, system, fork, dlopen, socket among "
      "them: {}",
      symbols.size(), found == 0 ? "none" : std::to_string(found));
}

void show_zero_copy(const Model& model, long before, long opened, long after) {
  const ByteSpan mapping = model.input().bytes();
  say("\n[2] zero-copy");
  for (const NamedTensor& tensor : model.tensors()) {
    const std::byte* data = tensor.view.contiguous_bytes().data();
    const bool inside = data >= mapping.data() && data < mapping.data() + mapping.size();
    say("  {}: at byte {} of the mapping, inside it: {}", report::printable(tensor.name),
        data - mapping.data(), inside ? "yes" : "no");
  }
  say("  resident memory: {} KiB before open, {} KiB after open, {} KiB after running (the file "
      "has "
      "{} KiB)",
      before, opened, after, mapping.size() / 1024);
}

int show_determinism(const Workplace& workplace, const std::string& first) {
  const auto path = workplace.file("safe_model_again.safetensors");
  const auto again =
      safetensors::save(path, Classifier(kSeed).tensors(), {{"format", "pt"}},
                        {.overwrite = safetensors::Overwrite::kYes, .file_sha256 = true});
  if (!again) return give_up(report::error_text(again.error()));
  std::filesystem::remove(path);
  say("\n[3] deterministic");
  say("  sha256 of two saves: {}\n                       {}", first, again->sha256);
  say("  equal: {}", first == again->sha256 ? "yes" : "no");
  return first == again->sha256 ? 0 : 2;
}

int show_header(const Model& model) {
  const auto header = safetensors::parse(model.input().bytes());
  if (!header) return give_up(report::error_text(header.error()));
  say("\n[4] a simple format: 8 bytes of length, this JSON, then the bytes of the tensors");
  say("  {}", report::printable(header->json()));
  return 0;
}

// torch computes the same layer from the same bytes, read by a few lines of Python.
int compare_with_torch(const Options& options, const std::filesystem::path& model,
                       const std::vector<float>& image, const Vector& ours) {
  const TemporaryDirectory scratch;
  const auto torch = TorchRunner::find(options, scratch.path());
  if (!torch) {
    say("\nSKIPPED: the same computation by torch: {}", torch.error().why);
    return 0;
  }
  const auto image_path = torch->sandbox().outside("/tmp/image.bin");
  {
    std::ofstream file(image_path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(image.data()),
               static_cast<std::streamsize>(image.size() * sizeof(float)));
  }
  const auto seen = torch->run("linear", {model.string(), "/tmp/image.bin"}, {model});
  std::filesystem::remove(image_path);
  if (!seen) return give_up(seen.error());
  const auto theirs = seen->result["output"].get<std::vector<float>>();
  if (theirs.size() != kClasses) return give_up("torch gave an output of another shape");
  float difference = 0;
  for (std::size_t i = 0; i < kClasses; ++i) {
    difference = std::max(difference, std::abs(theirs[i] - ours[static_cast<Eigen::Index>(i)]));
  }
  say("\ntorch {} computes the same layer: largest difference {:.3g}", torch->torch_version(),
      difference);
  return difference < 1e-3F ? 0 : give_up("torch computes something else");
}

}  // namespace

int run_safe(const Options& options) {
  heading("The safe path: the same model as safetensors");
  const Workplace workplace(options);
  const auto path = workplace.file("safe_model.safetensors");
  std::string sha256;
  {
    const auto saved =
        safetensors::save(path, Classifier(kSeed).tensors(), {{"format", "pt"}},
                          {.overwrite = safetensors::Overwrite::kYes, .file_sha256 = true});
    if (!saved) return give_up(report::error_text(saved.error()));
    sha256 = saved->sha256;
    say("saved {} ({}): Linear({} -> {}), seed {}", path.filename().string(),
        report::human_bytes(saved->file_bytes), kInputs, kClasses, kSeed);
  }
  std::mt19937_64 engine(kSeed + 1);
  const auto image = uniform(engine, kInputs, 1);

  const long before = resident_kib();
  const auto model = open_model(path);
  if (!model) return give_up(report::error_text(model.error()));
  const long opened = resident_kib();
  const Vector output = run_in_place(*model, image);
  const long after = resident_kib();
  say("ran it on a random 1x3x224x224 input, weights used in place: output shape [1, {}]",
      output.size());
  say("  output: [{:.6f}, {:.6f}, {:.6f}]", output[0], output[1], output[2]);

  show_no_code();
  show_zero_copy(*model, before, opened, after);
  if (const int code = show_determinism(workplace, sha256); code != 0) return code;
  if (const int code = show_header(*model); code != 0) return code;
  return compare_with_torch(options, path, image, output);
}

}  // namespace tare::demo
