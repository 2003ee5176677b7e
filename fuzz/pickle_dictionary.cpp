// Prints a libFuzzer dictionary: every opcode of the table, and a few names that matter.
#include <cstdio>

int main() {
#define TARE_OPCODE(identifier, name, byte, ...) \
  std::printf("%s=\"\\x%02x\"\n", name, static_cast<unsigned>(byte));
#include "tare/pickle_opcodes.def"
#undef TARE_OPCODE
  std::puts("global=\"cos\\x0asystem\\x0a\"");
  std::puts("extension=\"ccopyreg\\x0aadd_extension\\x0a\"");
  std::puts("old=\"c__builtin__\\x0aeval\\x0a\"");
  std::puts("tensor=\"ctorch._utils\\x0a_rebuild_tensor_v2\\x0a\"");
  std::puts("storage=\"ctorch\\x0aFloatStorage\\x0a\"");
}
