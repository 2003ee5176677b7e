// The functions that a decompiled pickle defines where it needs them: what unpicklers do beyond
// what one statement can say. They follow Lib/pickle.py of CPython.
#include "pickle/source_writer.hpp"

namespace tare::pickle {

std::string_view helper_source(Helper helper) {
  switch (helper) {
    case Helper::kBuild:
      return R"(def _build(obj, state):
    # obj.__setstate__(state), or else the state becomes attributes.
    if hasattr(obj, '__setstate__'):
        obj.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        attributes = obj.__dict__
        for key, value in state.items():
            attributes[key] = value
    if slots:
        for key, value in slots.items():
            setattr(obj, key, value)
)";
    case Helper::kInstantiate:
      return R"(def _instantiate(cls):
    # OBJ and INST without arguments: __init__ does not run, unless the class says so.
    if not isinstance(cls, type) or hasattr(cls, '__getinitargs__'):
        return cls()
    return cls.__new__(cls)
)";
    case Helper::kFindClass:
      return R"(def _find_class(module, name, dotted=True):
    # For names that no import statement can say. From protocol 4 on, dots make a path.
    import sys
    __import__(module)
    found = sys.modules[module]
    for part in name.split('.') if dotted else [name]:
        found = getattr(found, part)
    return found
)";
    case Helper::kExtensions:
      return "import copyreg\n";
    case Helper::kPersistentLoad:
      return R"(if 'persistent_load' not in globals():
    def persistent_load(pid):
        raise NotImplementedError('the loader must define persistent_load(pid)')
)";
    case Helper::kBuffers:
      return "buffers = iter(globals().get('buffers', ()))\n";
    case Helper::kReadonly:
      return R"(def _readonly(buffer):
    view = memoryview(buffer)
    return buffer if view.readonly else view.toreadonly()
)";
    case Helper::kPy2String:
      return R"(encoding = globals().get('encoding', 'ASCII')
def _py2_str(data):
    # A Python 2 string: what it means is up to the `encoding` of the loader.
    return data if encoding == 'bytes' else data.decode(encoding)
)";
  }
  return {};
}

}  // namespace tare::pickle
