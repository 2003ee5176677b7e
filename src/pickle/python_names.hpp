// Names for what a decompiled pickle imports: identifiers of Python that clash neither with each
// other nor with the names that the source itself uses. Internal to the decompiler.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "pickle/decompile_plan.hpp"

namespace tare::pickle {

// Whether `from module import name` can be written: ASCII identifiers that are no keywords, not too
// long to be repeated. (Python normalises others, and would look up another name.)
bool is_importable(std::string_view module, std::string_view name);
// "os.system", each part an identifier.
bool is_importable_path(std::string_view module, std::string_view path);

class PythonNames {
 public:
  // Names that nothing uses any more may be bound again: those of another run, and those of values
  // without uses left in the plan.
  void begin_run() { bound_.clear(); }

  // The name to bind `name` of `module` to: itself if it is free, else "name_2" or the like.
  std::string bind(std::string_view module, std::string_view name, Value owner,
                   const DecompilePlan& plan);

 private:
  bool is_free(const std::string& name, const DecompilePlan& plan) const;

  std::map<std::string, Value, std::less<>> bound_;
  std::map<std::string, std::uint64_t, std::less<>> last_suffix_;
};

}  // namespace tare::pickle
