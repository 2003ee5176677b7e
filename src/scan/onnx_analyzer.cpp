// ONNX models: what of a graph reaches files or runs what is not in the graph, and what parsers
// read differently (docs/formats/onnx.md).
#include <algorithm>
#include <array>
#include <map>

#include "format/onnx.hpp"
#include "format/onnx_types.hpp"
#include "io/checked.hpp"
#include "io/cursor.hpp"
#include "scan/analyzers.hpp"
#include "scan/excerpt.hpp"
#include "scan/onnx_operators.hpp"
#include "scan/rules.hpp"

namespace tare {
namespace {

using namespace format;

// More are not told apart.
constexpr std::size_t kMaxOperators = 100'000;
// Sparse tensors that stand for more than this, and for a thousand times what they hold.
constexpr std::uint64_t kMaxSparseElements = std::uint64_t{1} << 28;
constexpr std::uint64_t kMaxSparseGrowth = 1000;
constexpr std::uint64_t kMaxExpandedNodes = 10'000'000;

// An operator, or the function that is its definition: "domain::name".
std::string operator_name(std::string_view domain, std::string_view name) {
  if (domain == "ai.onnx") domain = "";
  return std::string(domain) + "::" + std::string(name);
}

struct Use {
  std::string_view domain;
  std::string_view name;
  std::uint64_t offset;
};

class OnnxAnalyzer {
 public:
  OnnxAnalyzer(const Part& part, Findings& findings) : part_(part), findings_(findings) {}

  void run();
  void begin(unsigned kind, const WireField& field);
  void field(unsigned kind, const WireField& field);
  void end(unsigned kind);

 private:
  // A message that is being read.
  struct Level {
    unsigned kind = kOnnxModel;
    std::uint64_t offset = 0;
    std::string_view name;  // of a node its operator, of others their own
    std::string_view domain;
    std::uint64_t seen = 0;                 // fields that must not be repeated
    std::vector<OnnxTensorView> tensors{};  // of a sparse one: values, indices
    std::vector<std::int64_t> dims{};       // likewise
  };
  struct Function {
    std::uint64_t offset = 0;
    std::map<std::string, std::uint64_t> calls;  // how often it has a node of each operator
    std::uint64_t nodes = 0;
  };

  void report(const Rule& rule, std::uint64_t offset, std::string detail,
              std::string_view evidence = "");
  void note_repeated(Level& level, const WireField& field);
  void judge_tensor(const WireField& field);
  void judge_external(const OnnxTensorView& tensor);
  void judge_size(const OnnxTensorView& tensor);
  void judge_sparse(const Level& level);
  void end_node(const Level& level);
  void end_function(const Level& level);
  void judge_operators();
  void judge_functions();

  const Part& part_;
  Findings& findings_;
  std::vector<Level> levels_{Level{}};
  std::map<std::string, Use> uses_;
  std::map<std::string, Function> functions_;
  Function current_;  // the function that is being read, if there is one
};

void OnnxAnalyzer::report(const Rule& rule, std::uint64_t offset, std::string detail,
                          std::string_view evidence) {
  Finding* finding = findings_.add(rule, part_.path, offset, std::move(detail));
  if (finding != nullptr) finding->evidence = shown(evidence);
}

void OnnxAnalyzer::run() {
  const auto walked = walk_messages(part_.bytes, kOnnxModel, onnx_fields(), *this, part_.base);
  if (!walked) {
    report(scan_rules::kUnreadableFile, walked.error().offset, walked.error().what);
  }
  judge_operators();
  judge_functions();
}

void OnnxAnalyzer::begin(unsigned kind, const WireField& field) {
  note_repeated(levels_.back(), field);
  levels_.push_back(Level{kind, field.offset, {}, {}});
  if (kind == kOnnxFunction) current_ = Function{field.offset, {}, 0};
  if (kind == kOnnxTensor) judge_tensor(field);
}

// ---- fields

struct Known {
  std::uint64_t once;    // may stand there once
  std::uint64_t others;  // may be repeated
};

// By kind: kOnnxModel to kOnnxSparse, without tensors.
constexpr std::array<Known, 9> kKnown = {{
    {field_bits({1, 2, 3, 4, 5, 6, 7}), field_bits({8, 14, 20, 25, 26})},
    {field_bits({2, 10}), field_bits({1, 5, 11, 12, 13, 14, 15, 16})},
    {field_bits({3, 4, 6, 7, 8}), field_bits({1, 2, 5, 9, 10})},
    {field_bits({1, 2, 3, 4, 5, 6, 13, 14, 20, 21, 22}), field_bits({7, 8, 9, 10, 11, 15, 23})},
    {field_bits({1, 8, 10, 13}), field_bits({4, 5, 6, 7, 9, 11, 12, 14})},
    {field_bits({1, 2}), field_bits({3, 4})},
    {field_bits({1, 2}), 0},
    {0, 0},
    {field_bits({1, 2}), field_bits({3})},
}};

void OnnxAnalyzer::note_repeated(Level& level, const WireField& field) {
  if (level.kind == kOnnxTensor || level.kind >= kKnown.size()) return;
  const std::uint64_t bit = field_bit(field.number);
  const Known& known = kKnown[level.kind];
  if ((known.once & bit) != 0 && (level.seen & bit) != 0) {
    report(scan_rules::kOnnxAmbiguous, field.offset,
           "field " + std::to_string(field.number) + " of a message stands there twice");
  } else if (((known.once | known.others) & bit) == 0) {
    report(scan_rules::kOnnxAmbiguous, field.offset,
           "field " + std::to_string(field.number) + " of a message is in no version of ONNX");
  }
  level.seen |= bit;
}

void OnnxAnalyzer::field(unsigned kind, const WireField& field) {
  if (kind == kOnnxTensor) return;
  Level& level = levels_.back();
  note_repeated(level, field);
  if (kind == kOnnxNode && field.number == 4) level.name = field.text();
  if (kind == kOnnxNode && field.number == 7) level.domain = field.text();
  if (kind == kOnnxFunction && field.number == 1) level.name = field.text();
  if (kind == kOnnxFunction && field.number == 10) level.domain = field.text();
  if (kind != kOnnxSparse || field.number != 3) return;
  const auto add = [&](std::uint64_t value) {
    if (level.dims.size() <= 64) level.dims.push_back(static_cast<std::int64_t>(value));
  };
  if (!field.is_bytes()) return add(field.value);
  static_cast<void>(each_varint(field.bytes, add));
}

void OnnxAnalyzer::end(unsigned kind) {
  const Level level = std::move(levels_.back());
  levels_.pop_back();
  if (kind == kOnnxNode) end_node(level);
  if (kind == kOnnxFunction) end_function(level);
  if (kind == kOnnxSparse) judge_sparse(level);
}

void OnnxAnalyzer::end_node(const Level& level) {
  const std::string name = operator_name(level.domain, level.name);
  const bool in_function =
      std::ranges::any_of(levels_, [](const Level& outer) { return outer.kind == kOnnxFunction; });
  if (in_function) {
    ++current_.nodes;
    if (current_.calls.size() < kMaxOperators) ++current_.calls[name];
  }
  if (uses_.size() < kMaxOperators)
    uses_.try_emplace(name, Use{level.domain, level.name, level.offset});
}

void OnnxAnalyzer::end_function(const Level& level) {
  const std::string name = operator_name(level.domain, level.name);
  if (is_onnx_domain(level.domain)) {
    report(scan_rules::kOnnxFunction, level.offset, "a function replaces an operator of ONNX",
           name);
  }
  if (functions_.size() < kMaxOperators &&
      !functions_.try_emplace(name, std::move(current_)).second) {
    report(scan_rules::kOnnxAmbiguous, level.offset, "a function is defined twice", name);
  }
}

// ---- tensors

void OnnxAnalyzer::judge_tensor(const WireField& field) {
  auto tensor = read_onnx_tensor(field.bytes, field.content);
  if (!tensor) {
    return report(scan_rules::kUnreadableFile, tensor.error().offset, tensor.error().what);
  }
  if (tensor->is_ambiguous) {
    report(scan_rules::kOnnxAmbiguous, field.offset,
           "a field of a tensor stands there twice, or is in no version of ONNX", tensor->name);
  }
  judge_external(*tensor);
  judge_size(*tensor);
  Level& outer = levels_[levels_.size() - 2];
  if (outer.kind == kOnnxSparse && outer.tensors.size() < 3) {
    outer.tensors.push_back(std::move(*tensor));
  }
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 19 &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

void OnnxAnalyzer::judge_external(const OnnxTensorView& tensor) {
  for (const OnnxExternalView& entry : tensor.external) {
    const bool is_known = entry.key == "location" || entry.key == "offset" ||
                          entry.key == "length" || entry.key == "checksum";
    if (entry.key == "location" && !is_inside_folder(entry.value)) {
      report(scan_rules::kOnnxPath, entry.offset,
             "the elements of a tensor are read from a path outside of the folder", entry.value);
    } else if (!is_known) {
      report(scan_rules::kOnnxExternalKey, entry.offset,
             "external data has a key that readers set as an attribute", entry.key);
    } else if ((entry.key == "offset" || entry.key == "length") && !is_number(entry.value)) {
      report(scan_rules::kOnnxExternalKey, entry.offset,
             "the offset or length of external data is no number", entry.value);
    }
  }
  if (tensor.is_external && tensor.external_value("location").empty()) {
    report(scan_rules::kOnnxExternalKey, tensor.at, "external data without a location",
           tensor.name);
  }
}

// Raw data has its size; what stands in typed fields is at least a byte for each number.
void OnnxAnalyzer::judge_size(const OnnxTensorView& tensor) {
  const auto wrong = [&](const char* what) {
    report(scan_rules::kOnnxTensor, tensor.at, what, tensor.name);
  };
  const auto count = onnx_element_count(tensor.dims);
  if (!count) return wrong(count.error().what);
  const unsigned bits = onnx_type_bits(tensor.type);
  const auto total = checked_mul(*count, std::max(bits, 1U));
  if (!total || *total > INT64_MAX) return wrong("the size of a tensor overflows");
  if (tensor.is_external) return;
  if (tensor.has_raw) {
    if (bits == 0) return wrong("a tensor of an unknown type has raw data");
    if (!tensor.typed.empty() || tensor.text_count > 0)
      return wrong("a tensor has two sets of elements");
    if ((*total + 7) / 8 != tensor.raw.size()) wrong("raw data does not fit the shape of a tensor");
    return;
  }
  if (bits == 0) {
    if (tensor.text_count != *count) wrong("a tensor has more or fewer texts than its shape");
    return;
  }
  const OnnxTypedField number = onnx_typed_field(tensor.type);
  std::uint64_t found = 0;
  for (const WireField& field : tensor.typed) {
    if (number != kNoTyped && field.number != number)
      return wrong("a tensor has elements of another type");
    if (!field.is_bytes()) {
      found += field.type == WireType::kVarint ? 1 : 32 / 8;
    } else if (field.number == kFloatData || field.number == kDoubleData) {
      found += field.bytes.size();
    } else if (!each_varint(field.bytes, [&](std::uint64_t) { ++found; })) {
      return wrong("the elements of a tensor are cut off");
    }
  }
  const bool in_bytes = number == kFloatData || number == kDoubleData;
  // Types of 4 bits stand in pairs.
  const std::uint64_t needed = in_bytes ? *total / 8 : bits < 8 ? (*total + 7) / 8 : *count;
  if (found != needed) wrong("a tensor has more or fewer elements than its shape");
}

void OnnxAnalyzer::judge_sparse(const Level& level) {
  const auto wrong = [&](const char* what) {
    report(scan_rules::kOnnxTensor, level.offset, what,
           level.tensors.empty() ? "" : level.tensors.front().name);
  };
  const auto count = onnx_element_count(level.dims);
  if (!count) return wrong("the shape of a sparse tensor has no size");
  if (level.dims.empty() || level.tensors.size() != 2 || level.tensors[0].dims.size() != 1) {
    return wrong("the parts of a sparse tensor do not fit each other");
  }
  const OnnxTensorView& indices = level.tensors[1];
  const std::int64_t entries = level.tensors[0].dims[0];
  const bool linear = indices.dims.size() == 1;
  if (indices.dims.empty() || indices.dims.size() > 2 || indices.dims[0] != entries ||
      (!linear && indices.dims[1] != static_cast<std::int64_t>(level.dims.size()))) {
    return wrong("the parts of a sparse tensor do not fit each other");
  }
  if (*count > kMaxSparseElements &&
      *count / kMaxSparseGrowth > static_cast<std::uint64_t>(std::max<std::int64_t>(entries, 1))) {
    wrong("a small sparse tensor stands for a huge one");
  }
  std::size_t place = 0;
  bool inside = true;
  const auto check = [&](std::uint64_t index) {
    const std::uint64_t end =
        linear ? *count : static_cast<std::uint64_t>(level.dims[place++ % level.dims.size()]);
    inside = inside && index < end;
  };
  for (const WireField& field : indices.typed) {
    if (!field.is_bytes()) {
      check(field.value);
    } else {
      static_cast<void>(each_varint(field.bytes, check));
    }
  }
  Cursor raw(indices.raw);
  while (const auto index = raw.read<std::uint64_t>()) check(*index);
  if (!inside) wrong("a sparse tensor has an index outside of its shape");
}

// ---- operators and functions

void OnnxAnalyzer::judge_operators() {
  if (uses_.size() == kMaxOperators) {
    report(scan_rules::kOnnxHost, 0, "more kinds of operators than tare tells apart");
  }
  for (const auto& [name, use] : uses_) {
    if (functions_.contains(name)) continue;
    switch (onnx_operator_trust(use.domain, use.name)) {
      case OnnxTrust::kKnown:
        break;
      case OnnxTrust::kForeign:
        report(scan_rules::kOnnxDomain, use.offset,
               "an operator that a native library of the user has to bring", name);
        break;
      case OnnxTrust::kHost:
        report(scan_rules::kOnnxHost, use.offset,
               "an operator that runs what is not in the graph, or that tare does not know", name);
        break;
    }
  }
}

// Every function after those that it calls: how many nodes it grows to. Iterative.
void OnnxAnalyzer::judge_functions() {
  enum class State : std::uint8_t { kOpen, kDone };
  std::map<std::string_view, State> states;
  std::map<std::string_view, std::uint64_t> sizes;
  for (const auto& [root, unused] : functions_) {
    std::vector<std::string_view> stack{root};
    while (!stack.empty()) {
      const std::string_view name = stack.back();
      const Function& function = functions_.find(std::string(name))->second;
      const auto state = states.find(name);
      if (state != states.end() && state->second == State::kDone) {
        stack.pop_back();
        continue;
      }
      const bool returns = state != states.end();
      states.insert_or_assign(name, returns ? State::kDone : State::kOpen);
      std::uint64_t size = function.nodes;
      for (const auto& [callee, times] : function.calls) {
        const auto called = functions_.find(callee);
        if (called == functions_.end()) continue;
        const auto known = states.find(called->first);
        if (known == states.end()) {
          stack.push_back(called->first);
        } else if (known->second == State::kOpen && !returns) {
          report(scan_rules::kOnnxFunction, function.offset, "a function calls itself", name);
        }
        const auto grown = checked_mul(times, sizes[called->first]);
        size = checked_add(size, grown.value_or(UINT64_MAX)).value_or(UINT64_MAX);
      }
      if (!returns) continue;
      stack.pop_back();
      sizes[name] = size;
      if (size > kMaxExpandedNodes) {
        report(scan_rules::kOnnxFunction, function.offset,
               "a function grows to more than ten million nodes", name);
      }
    }
  }
}

}  // namespace

void analyze_onnx(const Part& part, Findings& findings) {
  OnnxAnalyzer(part, findings).run();
}

}  // namespace tare
