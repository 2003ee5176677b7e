# What an embedding program needs: the C library, the static C++ library, their headers, and how
# pkg-config and CMake find them (docs/c-api.md). `cmake --install DIR --component development`.
include(CMakePackageConfigHelpers)

set(TARE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/tare)
install(TARGETS tare tare_shared EXPORT tareTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# craft.hpp belongs to a library that is not installed.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tare DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development PATTERN craft.hpp EXCLUDE)

install(EXPORT tareTargets NAMESPACE tare:: DESTINATION ${TARE_PACKAGE_DIR} COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tareConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/tareConfig.cmake
                              INSTALL_DESTINATION ${TARE_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tareConfigVersion.cmake
                                 COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tareConfig.cmake ${PROJECT_BINARY_DIR}/tareConfigVersion.cmake
        DESTINATION ${TARE_PACKAGE_DIR} COMPONENT development)

# The prefix is where the file stands, so that an installation can be moved.
set(TARE_PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH TARE_PKGCONFIG_PREFIX ${CMAKE_INSTALL_PREFIX}/${TARE_PKGCONFIG_DIR}
     ${CMAKE_INSTALL_PREFIX})
list(TRANSFORM TARE_CODEC_LIBRARIES PREPEND "-l" OUTPUT_VARIABLE TARE_CODEC_FLAGS)
list(JOIN TARE_CODEC_FLAGS " " TARE_CODEC_FLAGS)
foreach(NAME tare tare-cpp)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/${NAME}.pc.in ${PROJECT_BINARY_DIR}/${NAME}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${NAME}.pc DESTINATION ${TARE_PKGCONFIG_DIR}
          COMPONENT development)
endforeach()
