// Writes runs of the pickle machine as Python source. Internal to the decompiler.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "pickle/decompile_plan.hpp"
#include "pickle/line_buffer.hpp"
#include "pickle/python_names.hpp"
#include "tare/pickle_decompile.hpp"

namespace tare::pickle {

// Functions and names that the source defines where it needs them.
enum class Helper : std::uint8_t {
  kBuild,
  kInstantiate,
  kFindClass,
  kExtensions,
  kPersistentLoad,
  kBuffers,
  kReadonly,
  kPy2String,
};
inline constexpr std::size_t kHelperCount = 8;
std::string_view helper_source(Helper helper);

class SourceWriter {
 public:
  SourceWriter(const DecompileOptions& options, const DecompileSink& sink);

  // The program of a run; offsets in comments count from `base` on. Variable numbers go on from one
  // run to the next.
  void write(const Run& run, std::uint64_t base, std::string_view result_name);
  // The same as comments.
  void write_commented(const Run& run, std::uint64_t base, std::string_view result_name);
  void comment(std::string_view text);

  void flush();
  bool refused() const { return refused_; }

 private:
  void begin_run(const Run& run, std::uint64_t base);
  void write_program(std::string_view result_name);
  void write_helpers();
  void write_helpers_for(const Event& event);
  void write_helper(Helper helper);

  // Statements.
  void write_event(const Event& event);
  void write_import(const Event& event);
  void add_alias(std::string_view bound);
  void write_path_import(const Event& event, std::string_view module, std::string_view path);
  bool is_instantiation(const Event& event) const;
  void write_call(const Event& event);
  void append_arguments(Value arguments, bool is_first);
  void write_appended(const Event& event);
  void write_stored(const Event& event);
  void write_added(const Event& event);
  void write_step(const DecompilePlan::Step& step);
  void fill(Value container, const Update& update);
  void add_group(Value container, Kind kind, std::size_t count, std::size_t key_end);
  void write_result(std::string_view name);
  // Writes line_ as a statement, with what belongs in front of it.
  void end_statement(std::string_view front = {}, std::string_view back = {});
  void end_assignment(Value value);

  // Expressions, appended to line_.
  void append(Value value);
  void append_plain(Value value, Kind kind);
  void append_text(Value value, Kind kind);
  void append_bytes(std::string_view bytes);
  void append_tuple(Value tuple);
  void append_contents(Value container);
  void append_update(const Update& update, bool& is_first);
  void append_items(std::span<const Value> items, bool& is_first);
  std::span<const Value> append_integers(std::span<const Value> items);
  void append_name(Value value);

  // Variables.
  // 0, or a variable counted from first_variable_ - 1, or kBound and an index of bound_names_.
  std::uint32_t& slot(Value value) { return plan_->slot(value); }
  std::string name_of(Value value);
  std::string new_variable(Value value);
  void define(Value value);
  void write_long_text(std::string_view name, Value value);

  void add_line(std::string_view front, std::string_view middle = {}, std::string_view back = {});

  const DecompileOptions& options_;
  const DecompileSink& sink_;
  std::string out_;  // whole lines that are not yet handed on
  LineBuffer line_;  // the statement that is being written
  std::string scratch_;
  std::string_view prefix_;  // of every line
  PythonNames names_;
  std::array<bool, kHelperCount> defined_helpers_{};
  std::uint64_t next_variable_ = 0;
  bool refused_ = false;

  // The run that is being written.
  const Run* run_ = nullptr;
  const Graph* graph_ = nullptr;
  DecompilePlan* plan_ = nullptr;
  std::uint64_t base_ = 0;
  const Event* event_ = nullptr;  // what the statement is written for, if for an event
  std::uint64_t first_variable_ = 0;
  static constexpr std::uint32_t kBound = std::uint32_t{1} << 31;
  std::vector<std::string> bound_names_;
};

}  // namespace tare::pickle
