# Writes a C++ file with the undefined symbols of LIBRARY, one per line.
execute_process(COMMAND ${NM} -u ${LIBRARY} OUTPUT_VARIABLE LISTING RESULT_VARIABLE STATUS)
if(NOT STATUS EQUAL 0)
  message(FATAL_ERROR "nm failed on ${LIBRARY}")
endif()
string(REGEX MATCHALL "U [A-Za-z0-9_.@$]+" UNDEFINED "${LISTING}")
list(REMOVE_DUPLICATES UNDEFINED)
list(SORT UNDEFINED)
set(ROWS "")
foreach(ENTRY IN LISTS UNDEFINED)
  string(SUBSTRING "${ENTRY}" 2 -1 NAME)
  string(APPEND ROWS "    \"${NAME}\",\n")
endforeach()
file(WRITE ${OUTPUT} "#include \"library_symbols.hpp\"

namespace tare::demo {
namespace {

constexpr std::string_view kSymbols[] = {
${ROWS}};

}  // namespace

std::span<const std::string_view> library_symbols() { return kSymbols; }

}  // namespace tare::demo
")
