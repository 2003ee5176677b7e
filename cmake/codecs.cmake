# tare_codecs: the compression libraries that are here, and TARE_HAS_... for each that is optional.
# What is not here is read by no decoder, and tare says so (src/archive/decoder.cpp).
add_library(tare_codecs INTERFACE)
set(TARE_CODEC_LIBRARIES "") # those of them that are optional, by name
target_link_libraries(tare_codecs INTERFACE ZLIB::ZLIB)

function(tare_codec NAME HEADER LIBRARY)
  find_path(TARE_${NAME}_INCLUDE_DIR ${HEADER})
  find_library(TARE_${NAME}_LIBRARY ${LIBRARY})
  mark_as_advanced(TARE_${NAME}_INCLUDE_DIR TARE_${NAME}_LIBRARY)
  if(NOT TARE_${NAME}_INCLUDE_DIR OR NOT TARE_${NAME}_LIBRARY)
    message(STATUS "SKIPPED: ${LIBRARY} is not here: files that it packs are not read")
    return()
  endif()
  target_include_directories(tare_codecs SYSTEM INTERFACE ${TARE_${NAME}_INCLUDE_DIR})
  target_link_libraries(tare_codecs INTERFACE ${TARE_${NAME}_LIBRARY})
  target_compile_definitions(tare_codecs INTERFACE TARE_HAS_${NAME})
  set(TARE_CODEC_LIBRARIES ${TARE_CODEC_LIBRARIES} ${LIBRARY} PARENT_SCOPE)
endfunction()

tare_codec(BZIP2 bzlib.h bz2)
tare_codec(LZMA lzma.h lzma)
tare_codec(LZ4 lz4frame.h lz4)
tare_codec(ZSTD zstd.h zstd)
