// What source code in a model file may refer to, and what it does by that.
//
// TorchScript is judged by an allow-list: the operators that compute and do nothing else. Python is
// never known to be harmless; a list of what reaches out of the program says what is dangerous.
#pragma once

#include <optional>
#include <string_view>

namespace tare::source_names {

// What using `path` ("os.system") can do, as the rest of a sentence: "starts programs". Nothing for
// what is on no list.
std::optional<const char*> harm_of(std::string_view path);
// The same for the module itself, of which anything may be taken: "os".
std::optional<const char*> harm_of_module(std::string_view module);
// The same for a name that stands alone and is called: `eval`, `open`.
std::optional<const char*> harm_of_builtin(std::string_view name);
// The same for what only TorchScript has: "torch.save", "ops.aten.from_file".
std::optional<const char*> harm_of_script(std::string_view path);

// True for an operator that computes and does nothing else: "torch.add", "ops.quantized.linear".
bool is_known_operator(std::string_view path);
// The same for the name of a schema, as mobile bytecode has it: "aten::add".
bool is_known_schema(std::string_view name);
// True for what the compiler of TorchScript gives a meaning to: "annotate", "int".
bool is_script_builtin(std::string_view name);

}  // namespace tare::source_names
