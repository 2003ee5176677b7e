// Names of Python 2 and what Python 3 imports instead, for streams of protocol 0 to 2.
// Source: the tables NAME_MAPPING and IMPORT_MAPPING of CPython's _compat_pickle, which the
// unpicklers apply when fix_imports is on, as it is by default and in torch.load.
#pragma once

#include <string_view>

namespace tare::pickle {

struct Py3Name {
  std::string_view module;
  std::string_view name;
};

// The views are those of the arguments, or of static storage.
Py3Name py3_name(std::string_view module, std::string_view name);

}  // namespace tare::pickle
