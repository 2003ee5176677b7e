// Serialized objects of R. Data is safe; what R evaluates on its own when the object is read or
// looked at is dangerous; any other code, which waits for a caller, is suspicious, unless it names
// what reaches outside.
#include <algorithm>
#include <array>

#include "format/rdata.hpp"
#include "scan/analyzers.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

using format::RCodeKind;
using namespace std::string_view_literals;

// Functions of R that start programs, reach files or the network, load code, or make code of texts,
// by names that hardly stand for anything else.
constexpr std::array kGadgets = {
    "system"sv,
    "system2"sv,
    "shell"sv,
    "shell.exec"sv,
    "pipe"sv,
    "fifo"sv,
    "socketConnection"sv,
    "serverSocket"sv,
    "make.socket"sv,
    "download.file"sv,
    "readRDS"sv,
    "unserialize"sv,
    "source"sv,
    "sys.source"sv,
    "parse"sv,
    "str2lang"sv,
    "str2expression"sv,
    "dyn.load"sv,
    "library.dynam"sv,
    "unlink"sv,
    "file.remove"sv,
    "file.rename"sv,
    "file.copy"sv,
    "file.create"sv,
    "writeLines"sv,
    "writeBin"sv,
    "saveRDS"sv,
    "Sys.setenv"sv,
    "Sys.chmod"sv,
    "install.packages"sv,
    "setwd"sv,
    "reg.finalizer"sv,
    "assignInNamespace"sv,
    "makeActiveBinding"sv,
    "delayedAssign"sv,
    "makeCluster"sv,
    "mcparallel"sv,
};

// Packages that come with R.
constexpr std::array kPackages = {
    "base"sv,       "stats"sv, "utils"sv, "methods"sv, "graphics"sv,  "grDevices"sv,
    "datasets"sv,   "tools"sv, "grid"sv,  "splines"sv, "stats4"sv,    "parallel"sv,
    "compiler"sv,   "tcltk"sv, "MASS"sv,  "Matrix"sv,  "lattice"sv,   "nlme"sv,
    "survival"sv,   "boot"sv,  "class"sv, "cluster"sv, "codetools"sv, "foreign"sv,
    "KernSmooth"sv, "mgcv"sv,  "nnet"sv,  "rpart"sv,   "spatial"sv,
};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

bool is_known_package(std::string_view name) {
  if (name.starts_with("package:")) name.remove_prefix(8);
  return contains(kPackages, name);
}

const char* text_of(RCodeKind kind) {
  switch (kind) {
    case RCodeKind::kCall:
      return "expressions, formulas among them";
    case RCodeKind::kFunction:
      return "functions";
    case RCodeKind::kBytecode:
      return "compiled functions";
    case RCodeKind::kBuiltin:
      return "functions of R itself";
    case RCodeKind::kPointer:
      return "addresses or weak references";
    default:
      return "objects of the reading program";
  }
}

}  // namespace

void analyze_rdata(const format::Part& part, Findings& findings) {
  const auto view = format::read_rdata(part.bytes);
  if (!view) return;  // the format has refused it
  std::array<std::uint64_t, format::kRCodeKinds> counts{};
  std::array<std::uint64_t, format::kRCodeKinds> first{};
  for (const format::RCode& code : view->code) {
    const std::uint64_t at = part.base + code.offset;
    if (code.kind == RCodeKind::kPromise) {
      findings.add(scan_rules::kRPromise, part.path, at, "a promise, which is code that waits");
    } else if (code.kind == RCodeKind::kFile) {
      findings.add(scan_rules::kRGadget, part.path, at, code.text + ", which opens a file");
    } else if (code.kind == RCodeKind::kName) {
      if (contains(kGadgets, code.text)) {
        findings.add(scan_rules::kRGadget, part.path, at, code.text);
      }
    } else if (code.kind == RCodeKind::kPackage) {
      if (!is_known_package(code.text)) {
        findings.add(scan_rules::kRPackage, part.path, at, code.text);
      }
    } else {
      if (code.kind == RCodeKind::kBuiltin && contains(kGadgets, code.text)) {
        findings.add(scan_rules::kRGadget, part.path, at, code.text);
      }
      const auto kind = static_cast<std::size_t>(code.kind);
      if (counts[kind]++ == 0) first[kind] = at;
    }
  }
  for (std::size_t kind = 0; kind < counts.size(); ++kind) {
    if (counts[kind] == 0) continue;
    findings.add(scan_rules::kRCode, part.path, first[kind],
                 std::to_string(counts[kind]) + ": " + text_of(static_cast<RCodeKind>(kind)));
  }
  if (view->has_more_code) {
    findings.leave_out(scan_rules::kRGadget, Findings::kMaxPerSeverity + 1);
  }
}

}  // namespace tare
