#include "scan/source_names.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_set>

namespace tare::source_names {
namespace {

struct Harm {
  std::string_view path;  // with all that it holds: "os.exec" covers "os.execv" as well
  const char* meaning;
};

constexpr const char* kStarts = "starts programs";
constexpr const char* kRuns = "runs code that stands elsewhere";
constexpr const char* kImports = "imports modules by name";
constexpr const char* kFiles = "writes, moves or removes files";
constexpr const char* kNetwork = "reaches the network";
constexpr const char* kNative = "loads native code";
constexpr const char* kLoads = "loads another program";

// A path that ends with "." is a module: everything in it.
constexpr std::array kHarms = {
    Harm{"os.system", kStarts},
    Harm{"os.popen", kStarts},
    Harm{"os.exec", kStarts},
    Harm{"os.spawn", kStarts},
    Harm{"os.posix_spawn", kStarts},
    Harm{"os.fork", kStarts},
    Harm{"os.startfile", kStarts},
    Harm{"os.kill", kStarts},
    Harm{"os.remove", kFiles},
    Harm{"os.unlink", kFiles},
    Harm{"os.rmdir", kFiles},
    Harm{"os.rename", kFiles},
    Harm{"os.replace", kFiles},
    Harm{"os.chmod", kFiles},
    Harm{"os.chown", kFiles},
    Harm{"os.link", kFiles},
    Harm{"os.symlink", kFiles},
    Harm{"os.truncate", kFiles},
    Harm{"os.open", kFiles},
    Harm{"os.write", kFiles},
    Harm{"os.dup2", kFiles},
    Harm{"posix.", kStarts},
    Harm{"nt.", kStarts},
    Harm{"_posixsubprocess.", kStarts},
    Harm{"subprocess.", kStarts},
    Harm{"commands.", kStarts},
    Harm{"pty.", kStarts},
    Harm{"multiprocessing.Process", kStarts},
    Harm{"asyncio.create_subprocess", kStarts},
    Harm{"webbrowser.", kStarts},
    Harm{"pip.", kStarts},
    Harm{"ensurepip.", kStarts},
    Harm{"distutils.spawn", kStarts},
    Harm{"builtins.eval", kRuns},
    Harm{"builtins.exec", kRuns},
    Harm{"builtins.compile", kRuns},
    Harm{"builtins.__import__", kImports},
    Harm{"builtins.open", kFiles},
    Harm{"runpy.", kRuns},
    Harm{"code.", kRuns},
    Harm{"codeop.", kRuns},
    Harm{"timeit.", kRuns},
    Harm{"cProfile.", kRuns},
    Harm{"profile.", kRuns},
    Harm{"types.FunctionType", kRuns},
    Harm{"types.CodeType", kRuns},
    Harm{"atexit.", kRuns},
    Harm{"importlib.", kImports},
    Harm{"imp.", kImports},
    Harm{"zipimport.", kImports},
    Harm{"pkgutil.", kImports},
    Harm{"sys.modules", kImports},
    Harm{"sys.meta_path", kImports},
    Harm{"sys.path_hooks", kImports},
    Harm{"shutil.", kFiles},
    Harm{"io.open", kFiles},
    Harm{"io.FileIO", kFiles},
    Harm{"_io.", kFiles},
    Harm{"codecs.open", kFiles},
    Harm{"socket.", kNetwork},
    Harm{"_socket.", kNetwork},
    Harm{"ssl.", kNetwork},
    Harm{"socketserver.", kNetwork},
    Harm{"http.client", kNetwork},
    Harm{"http.server", kNetwork},
    Harm{"urllib.request", kNetwork},
    Harm{"urllib.urlopen", kNetwork},
    Harm{"urllib2.", kNetwork},
    Harm{"requests.", kNetwork},
    Harm{"httpx.", kNetwork},
    Harm{"aiohttp.", kNetwork},
    Harm{"ftplib.", kNetwork},
    Harm{"smtplib.", kNetwork},
    Harm{"telnetlib.", kNetwork},
    Harm{"xmlrpc.", kNetwork},
    Harm{"paramiko.", kNetwork},
    Harm{"torch.hub.", kNetwork},
    Harm{"torch.distributed.rpc.", kNetwork},
    Harm{"ctypes.", kNative},
    Harm{"_ctypes.", kNative},
    Harm{"cffi.", kNative},
    Harm{"torch.ops.load_library", kNative},
    Harm{"torch.classes.load_library", kNative},
    Harm{"torch.utils.cpp_extension.", kNative},
    Harm{"pickle.load", kLoads},
    Harm{"pickle.Unpickler", kLoads},
    Harm{"_pickle.", kLoads},
    Harm{"cPickle.", kLoads},
    Harm{"dill.", kLoads},
    Harm{"cloudpickle.", kLoads},
    Harm{"marshal.", kLoads},
    Harm{"shelve.", kLoads},
    Harm{"joblib.load", kLoads},
    Harm{"yaml.load", kLoads},
    Harm{"yaml.unsafe_load", kLoads},
    Harm{"torch.load", kLoads},
    Harm{"torch.jit.load", kLoads},
    Harm{"torch.save", kFiles},
    Harm{"torch.from_file", "maps a file of its own choice (aten::from_file)"},
    Harm{"numpy.load", kLoads},
};

constexpr std::array kBuiltins = {
    Harm{"eval", kRuns},       Harm{"exec", kRuns},          Harm{"execfile", kRuns},
    Harm{"compile", kRuns},    Harm{"__import__", kImports}, Harm{"open", kFiles},
    Harm{"breakpoint", kRuns},
};

constexpr const char* kSaves = "writes a file of its own choice (aten::save)";
constexpr const char* kMaps = "maps a file of its own choice (aten::from_file)";
constexpr const char* kCalls = "calls other machines (rpc)";

constexpr std::array kScriptHarms = {
    Harm{"torch.save", kSaves},
    Harm{"ops.aten.save", kSaves},
    Harm{"torch.from_file", kMaps},
    Harm{"ops.aten.from_file", kMaps},
    Harm{"torch.load", "reads a file of its own choice"},
    Harm{"ops.aten.load", "reads a file of its own choice"},
    Harm{"ops.prim.rpc_", kCalls},
    Harm{"torch.rpc_", kCalls},
    Harm{"rpc_", kCalls},
    Harm{"torch.to_here", kCalls},
    Harm{"ops.image.read_file", "reads a file of its own choice"},
    Harm{"ops.image.write_file", kFiles},
    Harm{"ops.prim.PythonOp", "calls Python"},
    Harm{"ops.c10d.", kNetwork},
};

constexpr std::string_view kOperators = " "
#define TARE_OPERATORS(names) names
#include "scan/script_operators.def"
#undef TARE_OPERATORS
    ;

// Of the language itself.
constexpr std::string_view kPrimitives =
    " NumToTensor RaiseException TupleIndex TupleUnpack Uninitialized abs data device dtype grad "
    "id "
    "is_cpu is_cuda is_ipu is_maia is_meta is_mkldnn is_mps is_mtia is_nested is_ort is_quantized "
    "is_sparse is_sparse_csr is_vulkan is_xla is_xpu itemsize layout max min name nbytes Print "
    "rangelist requires_grad tolist type unchecked_cast unchecked_unwrap_optional EnumName "
    "EnumValue "
    "StringIndex ModuleContainerIndex AutogradAnyNonZero AutogradAllZero AutogradAllNonZero "
    "BroadcastSizes ReductionSizes awaitable_nowait awaitable_wait isinstance Constant "
    "ConstantChunk "
    "index ListConstruct TupleConstruct If Loop GetAttr ";
// Of torchvision: detection models cannot do without them.
constexpr std::string_view kVision =
    " nms roi_align roi_pool ps_roi_align ps_roi_pool deform_conv2d _cuda_version ";
constexpr std::string_view kScriptBuiltins =
    " annotate unchecked_cast uninitialized getattr hasattr isinstance int float bool str complex "
    "range len min max abs round print tuple list dict set sorted enumerate zip sum any all divmod "
    "ord chr hex oct bin pow reversed super fork wait awaitable awaitable_wait awaitable_nowait "
    "rangelist del ";

// `words` has a space in front of and behind each.
bool holds(std::string_view words, std::string_view word) {
  if (word.empty() || word.find(' ') != std::string_view::npos) return false;
  return words.find(" " + std::string(word) + " ") != std::string_view::npos;
}

// The operators of aten: far more than the other lists have.
bool is_operator(std::string_view name) {
  static const auto kNames = [] {
    std::unordered_set<std::string_view> names;
    for (std::string_view left = kOperators.substr(1); !left.empty();) {
      const auto space = left.find(' ');
      names.insert(left.substr(0, space));
      left.remove_prefix(space + 1);
    }
    return names;
  }();
  return kNames.contains(name);
}

template <typename Harms>
std::optional<const char*> find(const Harms& harms, std::string_view path) {
  for (const Harm& harm : harms) {
    if (path.starts_with(harm.path)) return harm.meaning;
  }
  return std::nullopt;
}

bool is_known_in(std::string_view space, std::string_view name) {
  if (space == "aten") return is_operator(name);
  if (space == "prim") return holds(kPrimitives, name);
  if (space == "torchvision") return holds(kVision, name);
  // Kernels, and nothing else.
  return space == "quantized" || space == "mkldnn" || space == "prepacked" || space == "sparse";
}

}  // namespace

std::optional<const char*> harm_of(std::string_view path) {
  return find(kHarms, path);
}

std::optional<const char*> harm_of_module(std::string_view module) {
  for (const Harm& harm : kHarms) {
    if (harm.path.starts_with(module) && harm.path.substr(module.size()).starts_with('.')) {
      return harm.meaning;
    }
  }
  return std::nullopt;
}

std::optional<const char*> harm_of_builtin(std::string_view name) {
  const auto found = std::ranges::find(kBuiltins, name, &Harm::path);
  return found == kBuiltins.end() ? std::nullopt : std::optional(found->meaning);
}

std::optional<const char*> harm_of_script(std::string_view path) {
  return find(kScriptHarms, path);
}

bool is_known_operator(std::string_view path) {
  if (path.starts_with("torch.")) return is_operator(path.substr(6));
  if (!path.starts_with("ops.")) return false;
  path.remove_prefix(4);
  const auto dot = path.find('.');
  if (dot == std::string_view::npos || path.find('.', dot + 1) != std::string_view::npos) {
    return false;
  }
  return is_known_in(path.substr(0, dot), path.substr(dot + 1));
}

bool is_known_schema(std::string_view name) {
  const auto colons = name.find("::");
  return colons != std::string_view::npos &&
         is_known_in(name.substr(0, colons), name.substr(colons + 2));
}

bool is_script_builtin(std::string_view name) {
  return holds(kScriptBuiltins, name);
}

}  // namespace tare::source_names
