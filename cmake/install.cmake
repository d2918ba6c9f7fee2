# SPDX-License-Identifier: Apache-2.0
include(CMakePackageConfigHelpers)

set(_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/etalage)
# A shared library brings its dependencies with it; a static one leaves the linking to the consumer, whose config file
# then has to find them again.
get_target_property(_type etalage TYPE)
if(_type STREQUAL "STATIC_LIBRARY")
  set(ETALAGE_IS_STATIC ON)
else()
  set(ETALAGE_IS_STATIC OFF)
endif()

install(TARGETS etalage EXPORT etalageTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT etalage_development
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT etalage_runtime NAMELINK_COMPONENT etalage_development
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT etalage_runtime)
install(DIRECTORY include/etalage DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT etalage_development
        FILES_MATCHING PATTERN "*.hpp")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/include/etalage/export.hpp
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/etalage COMPONENT etalage_development)
install(EXPORT etalageTargets NAMESPACE etalage:: DESTINATION ${_package_dir} COMPONENT etalage_development)
configure_package_config_file(cmake/etalageConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/etalageConfig.cmake
                              INSTALL_DESTINATION ${_package_dir})
# Until 1.0 a minor release may break.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/etalageConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/etalageConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/etalageConfigVersion.cmake
        DESTINATION ${_package_dir} COMPONENT etalage_development)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT etalage_development)
