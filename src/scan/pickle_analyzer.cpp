#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "format/object_contents.hpp"
#include "format/torch_archive.hpp"
#include "object/joblib_arrays.hpp"
#include "object/torch_objects.hpp"
#include "scan/analyzers.hpp"
#include "scan/carve.hpp"
#include "scan/policy.hpp"
#include "scan/rules.hpp"
#include "tare/pickle.hpp"

namespace tare {
namespace {

using pickle::Event;
using pickle::EventKind;
using pickle::Graph;
using pickle::Kind;
using pickle::Value;

// Offsets in findings count from the start of the entry.
// Judges one stream.
class StreamAnalyzer {
 public:
  StreamAnalyzer(const format::Part& part, std::uint64_t base, const pickle::Run& run,
                 Findings& findings, std::vector<NestedFile>& files)
      : part_(part),
        base_(base),
        run_(run),
        graph_(run.graph),
        findings_(findings),
        policy_(findings.policy()),
        files_(files) {}

  void analyze();

 private:
  void analyze_event(const Event& event);
  void analyze_import(const Event& event);
  void note_held(std::span<const Value> values);
  void note_held_callables();
  void analyze_call(const Event& event);
  void analyze_state(const Event& event);
  void analyze_items(const Event& event);
  void analyze_ending();
  // The files in a value that something unknown gets its hands on.
  void collect_files(Value value, std::uint64_t offset);
  void collect_file(Value value, std::uint64_t offset);
  void push_parts(Value value, std::vector<Value>& pending);
  Finding* add(const Rule& rule, std::uint64_t offset, std::string detail) {
    return findings_.add(rule, part_.path, part_.base + base_ + offset, std::move(detail));
  }
  void add(const Rule& rule, const Event& event, std::string detail) {
    Finding* finding = add(rule, event.offset, std::move(detail));
    if (finding == nullptr) return;
    finding->opcode = pickle::op_name(event.op);
    finding->evidence = pickle::statement(graph_, event);
    finding->name = subject_name(event);
  }
  // True unless the state was given to many objects before. Picklers give each its own; looking at
  // one for each of many would take more than linear time.
  bool is_own_state(const Event& event) {
    constexpr unsigned kMaxUses = 16;
    return ++given_[event.argument.bits()] <= kMaxUses;
  }
  // The gadget behind a global, under its Python 3 name or as written.
  std::optional<scan_policy::Category> gadget(Value global) const;
  bool is_allowed(Value global) const;
  // "module.name" of what an event imports, calls or changes; empty if nobody knows.
  std::string subject_name(const Event& event) const;
  bool is_script_class(Value value) const;
  bool is_script_object(Value value) const;
  std::string global_name(Value global) const { return pickle::expression(graph_, global); }

  const format::Part& part_;
  std::uint64_t base_;
  const pickle::Run& run_;
  const Graph& graph_;
  Findings& findings_;
  scan_policy::NamePolicy policy_;
  std::vector<NestedFile>& files_;
  std::unordered_set<std::uint32_t> called_;           // globals that are the callable of some call
  std::unordered_set<std::uint32_t> held_;             // of those, the ones that are values as well
  std::unordered_map<std::uint32_t, unsigned> given_;  // how often each value was a state
  std::unordered_set<std::uint32_t> visited_;          // values that were searched for files
};

bool holds_updates(Kind kind) {
  switch (kind) {
    case Kind::kList:
    case Kind::kDict:
    case Kind::kSet:
    case Kind::kFrozenSet:
    case Kind::kGlobal:
    case Kind::kCall:
    case Kind::kPersistent:
    case Kind::kExtension:
    case Kind::kBuffer:
      return true;
    default:
      return false;
  }
}

// A class of TorchScript: its code is in the archive, and judged there. Native ones are known ones.
bool StreamAnalyzer::is_script_class(Value value) const {
  if (part_.kind != format::PartKind::kScriptPickle || graph_.kind(value) != Kind::kGlobal) {
    return false;
  }
  const std::string_view module = graph_.module_text(value);
  if (module != "__torch__" && !module.starts_with("__torch__.")) return false;
  if (!module.starts_with("__torch__.torch.classes")) return true;
  return module == "__torch__.torch.classes.quantized" ||
         module == "__torch__.torch.classes.sparse" || module == "__torch__.torch.classes.xnnpack";
}

// An object of such a class, made without arguments.
bool StreamAnalyzer::is_script_object(Value value) const {
  return graph_.kind(value) == Kind::kCall && is_script_class(graph_.callable(value)) &&
         graph_.made_by(value) == pickle::Op::kNewObj &&
         graph_.kind(graph_.arguments(value)) == Kind::kTuple &&
         graph_.tuple_items(graph_.arguments(value)).empty();
}

void StreamAnalyzer::collect_file(Value value, std::uint64_t offset) {
  NestedFile file{part_.base + base_ + offset, {}, {}, false};
  const std::string_view text = graph_.text(value);
  file.bytes = as_bytes(text);
  if (graph_.kind(value) == Kind::kString || format::detect(file.bytes).empty()) {
    auto decoded = decode_text(text);
    if (!decoded) return;
    file.decoded = std::move(*decoded);
    file.bytes = file.decoded;
  }
  if (!format::detect(file.bytes).empty()) files_.push_back(std::move(file));
}

void StreamAnalyzer::push_parts(Value value, std::vector<Value>& pending) {
  if (graph_.kind(value) == Kind::kTuple) {
    const auto items = graph_.tuple_items(value);
    pending.insert(pending.end(), items.begin(), items.end());
    return;
  }
  if (graph_.kind(value) == Kind::kCall) {
    pending.push_back(graph_.arguments(value));
    pending.push_back(graph_.keywords(value));
  }
  for (const auto& update : graph_.updates(value)) {
    pending.insert(pending.end(), update.items.begin(), update.items.end());
  }
}

void StreamAnalyzer::collect_files(Value value, std::uint64_t offset) {
  std::vector<Value> pending{value};
  while (!pending.empty()) {
    const Value next = pending.back();
    pending.pop_back();
    if (!graph_.node_index(next) || !visited_.insert(next.bits()).second) continue;
    switch (graph_.kind(next)) {
      case Kind::kString:
      case Kind::kPy2String:
      case Kind::kBytes:
      case Kind::kByteArray:
        collect_file(next, offset);
        break;
      default:
        push_parts(next, pending);
    }
  }
}

std::optional<scan_policy::Category> StreamAnalyzer::gadget(Value global) const {
  if (const auto found =
          scan_policy::find_gadget(graph_.module_text(global), graph_.name_text(global))) {
    return found;
  }
  return scan_policy::find_gadget(graph_.text_or_empty(graph_.written_module(global)),
                                  graph_.text_or_empty(graph_.written_name(global)));
}

bool StreamAnalyzer::is_allowed(Value global) const {
  return policy_.allows_name(graph_.module_text(global), graph_.name_text(global));
}

std::string StreamAnalyzer::subject_name(const Event& event) const {
  const auto global = event.kind == EventKind::kImport
                          ? std::optional(event.subject)
                          : scan_policy::class_of(graph_, event.subject);
  return global ? global_name(*global) : std::string();
}

void StreamAnalyzer::analyze_import(const Event& event) {
  if (is_allowed(event.subject) || is_script_class(event.subject)) return;
  // The finding about the call says more.
  const std::uint32_t global = event.subject.bits();
  if (called_.contains(global) && !held_.contains(global)) return;
  if (const auto category = gadget(event.subject)) {
    add(scan_rules::kPickleDangerousImport, event,
        global_name(event.subject) + " " + scan_policy::category_text(*category));
    return;
  }
  const bool known =
      policy_.find(graph_.module_text(event.subject), graph_.name_text(event.subject)).has_value();
  add(scan_rules::kPickleUnknownImport, event,
      global_name(event.subject) + (known ? " is known as what is called, not as a value"
                                          : " is not on the list of what is known to be harmless"));
}

void StreamAnalyzer::note_held(std::span<const Value> values) {
  for (const Value value : values) {
    if (called_.contains(value.bits())) held_.insert(value.bits());
  }
}

// Callables that some object holds as well: something may call them later, with what it likes.
void StreamAnalyzer::note_held_callables() {
  std::unordered_set<std::uint32_t> passed;  // arguments of copyreg._reconstructor, their shape
  for (const Event& event : run_.events) {
    if (event.kind == EventKind::kCall &&
        object::is_call_to(graph_, event.subject, "copyreg", "_reconstructor")) {
      passed.insert(graph_.arguments(event.subject).bits());
    }
  }
  for (std::uint32_t index = 0; index < graph_.node_count(); ++index) {
    const Value value = Graph::node_at(index);
    const Kind kind = graph_.kind(value);
    if (kind == Kind::kTuple) {
      if (!passed.contains(value.bits())) note_held(graph_.tuple_items(value));
    } else if (holds_updates(kind)) {
      for (const pickle::Update& update : graph_.updates(value)) note_held(update.items);
    }
    if (kind == Kind::kCall) {
      const Value parts[] = {graph_.arguments(value), graph_.keywords(value)};
      note_held(parts);
    }
  }
}

void StreamAnalyzer::analyze_call(const Event& event) {
  // What a call returns is judged as a value; as something to call nobody knows it.
  if (policy_.allows_call(graph_, event.subject) && !called_.contains(event.subject.bits())) {
    if (object::is_call_to(graph_, event.subject, "torch.storage", "_load_from_bytes")) {
      const Value bytes = object::call_arguments(graph_, event.subject)[0];
      files_.push_back(
          {part_.base + base_ + event.offset, as_bytes(graph_.text(bytes)), {}, false});
    }
    return;
  }
  if (is_script_object(event.subject)) return;
  collect_files(event.subject, event.offset);
  const Value callable = graph_.callable(event.subject);
  if (graph_.kind(callable) != Kind::kGlobal) {
    add(scan_rules::kPickleUnknownCall, event, "what is called is computed by the pickle itself");
    return;
  }
  if (is_allowed(callable)) {
    add(scan_rules::kPickleUnknownCall, event,
        global_name(callable) + " is known, but not with these arguments");
    return;
  }
  if (const auto category = gadget(callable)) {
    add(scan_rules::kPickleGadget, event,
        global_name(callable) + " " + scan_policy::category_text(*category));
    return;
  }
  add(scan_rules::kPickleUnknownCall, event,
      global_name(callable) + " is not on the list of what is known to be harmless");
}

void StreamAnalyzer::analyze_state(const Event& event) {
  if (is_own_state(event) && policy_.allows_state(graph_, event)) return;
  // Its __setstate__ is code of the archive.
  if (is_script_object(event.subject)) return;
  collect_files(event.argument, event.offset);
  add(scan_rules::kPickleState, event, "the state is not one that is known to be harmless");
}

void StreamAnalyzer::analyze_items(const Event& event) {
  if (policy_.allows_items(graph_, event)) return;
  collect_files(event.argument, event.offset);
  add(object::is_tensor(graph_, event.subject) ? scan_rules::kPickleItems
                                               : scan_rules::kPickleObjectItems,
      event,
      "a " + std::string(pickle::kind_name(graph_.kind(event.subject))) + " takes items here");
}

void StreamAnalyzer::analyze_event(const Event& event) {
  switch (event.kind) {
    case EventKind::kImport:
      return analyze_import(event);
    case EventKind::kCall:
      return analyze_call(event);
    case EventKind::kBuild:
      return analyze_state(event);
    case EventKind::kAppend:
    case EventKind::kSetItems:
    case EventKind::kAddItems:
      return analyze_items(event);
    case EventKind::kPersistentLoad:
      if (scan_policy::is_allowed_persistent(graph_, event.subject)) return;
      return add(scan_rules::kPicklePersistent, event, "the id is not the id of a tensor storage");
    case EventKind::kExtension:
      return add(scan_rules::kPickleExternal, event,
                 "the extension code is not registered in the file");
    case EventKind::kBuffer:
      return add(scan_rules::kPickleExternal, event, "the data comes from outside the file");
  }
}

// What is odd about how it is written, and whether it ends.
void StreamAnalyzer::analyze_ending() {
  for (const auto& oddity : run_.oddities) {
    const bool is_old = oddity.kind == pickle::OddityKind::kNonAsciiString;
    add(is_old ? scan_rules::kPickleOldString : scan_rules::kPickleOdd, oddity.offset,
        pickle::oddity_text(oddity.kind));
  }
  if (run_.end != pickle::End::kStop) {
    const std::uint64_t offset = run_.error.has_offset() ? run_.error.offset : run_.end_offset;
    add(scan_rules::kPickleBroken, offset, run_.error.what);
  }
}

void StreamAnalyzer::analyze() {
  for (const Event& event : run_.events) {
    if (event.kind == EventKind::kCall) {
      called_.insert(graph_.callable(event.subject).bits());
    }
  }
  const bool some_only_called = std::ranges::any_of(called_, [&](std::uint32_t bits) {
    return graph_.kind(Value::from_bits(bits)) == Kind::kGlobal &&
           !is_allowed(Value::from_bits(bits));
  });
  if (some_only_called) note_held_callables();
  for (const Event& event : run_.events) analyze_event(event);
  analyze_ending();
  if (part_.kind == format::PartKind::kScriptPickle) analyze_script_names(part_, run_, findings_);
}

}  // namespace

namespace {

// What an unpickler that knows nothing of joblib makes of the arrays between the opcodes: it takes
// their bytes for opcodes, and what stands there runs. That it breaks is no finding.
void analyze_plain_reading(const format::Part& part, std::uint64_t base, std::uint64_t first_array,
                           Findings& findings, std::vector<NestedFile>& files) {
  const auto run = pickle::run(part.bytes.subspan(base), {.deadline = findings.deadline()});
  const bool acts = std::ranges::any_of(
      run.events, [first_array](const Event& event) { return event.offset >= first_array; });
  if (acts) StreamAnalyzer(part, base, run, findings, files).analyze();
}

// Whether the tensors of a pickle that stands alone fit into what it has for storages itself.
void check_tensors(const format::Part& part, std::uint64_t base, pickle::Run run,
                   object::JoblibArrays& arrays, Findings& findings) {
  object::Surroundings surroundings;
  surroundings.externals = arrays.take_externals();
  surroundings.nested = format::nested_opener();
  object::Document document(std::move(run), std::move(surroundings));
  format::PartList list;
  format::note_misfits(document, part.path, list);
  for (format::Note& note : list.notes) {
    note.offset += part.base + base;
    add_note(findings, note, part.path);
  }
  count_unnoted(findings, list);
}

// One stream at `base`. Returns where it ends, or nothing if it breaks.
std::optional<std::uint64_t> analyze_stream(const format::Part& part, std::uint64_t base,
                                            Findings& findings, std::vector<NestedFile>& files) {
  const ByteSpan rest = part.bytes.subspan(base);
  object::JoblibArrays arrays(rest);
  auto run = pickle::run(rest, {.inline_data = &arrays, .deadline = findings.deadline()});
  // Behind a first stream there may be others, which loaders of stacked pickles read, or bytes
  // that are none. A stream that neither ends nor does anything is not worth its own findings.
  const bool is_stream = run.end == pickle::End::kStop || !run.events.empty() ||
                         (run.other_reading && !run.other_reading->events.empty());
  if (base > 0) {
    const bool plain = run.end == pickle::End::kStop;
    findings.add(scan_rules::kPickleTrailing, part.path, part.base + base,
                 std::to_string(rest.size()) + " bytes follow the end of the pickle" +
                     (plain ? ", another pickle among them" : ""));
    if (!is_stream) {
      files.push_back({part.base + base, rest, {}, true});
      return std::nullopt;
    }
  }
  StreamAnalyzer(part, base, run, findings, files).analyze();
  if (run.other_reading) StreamAnalyzer(part, base, *run.other_reading, findings, files).analyze();
  for (const auto& nested : arrays.nested()) {
    const format::Part inner{part.path, part.kind, rest.subspan(nested.offset, nested.length),
                             Error::kNoOffset, part.base + base + nested.offset};
    const auto inner_run = pickle::run(inner.bytes, {.deadline = findings.deadline()});
    StreamAnalyzer(inner, 0, inner_run, findings, files).analyze();
  }
  if (arrays.first_offset()) {
    analyze_plain_reading(part, base, *arrays.first_offset(), findings, files);
  }
  const auto end =
      run.end == pickle::End::kStop ? std::optional(base + run.end_offset) : std::nullopt;
  if (part.is_alone) check_tensors(part, base, std::move(run), arrays, findings);
  return end;
}

}  // namespace

std::vector<NestedFile> analyze_pickle(const format::Part& part, Findings& findings,
                                       Streams streams) {
  std::vector<NestedFile> files;
  std::optional<std::uint64_t> base = 0;
  do {
    base = analyze_stream(part, *base, findings, files);
  } while (base && *base < part.bytes.size() && streams == Streams::kAll && !findings.is_late());
  return files;
}

}  // namespace tare
