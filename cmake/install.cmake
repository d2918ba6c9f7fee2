# SPDX-License-Identifier: Apache-2.0
# find_package(etalage): headers, library, targets. A shared library asks nothing of its users; a static one makes them
# link what it was built on, which the package file finds again.
include(CMakePackageConfigHelpers)

set(_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/etalage)
set(ETALAGE_IS_SHARED ${BUILD_SHARED_LIBS})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/etalageConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/etalageConfig.cmake INSTALL_DESTINATION ${_package_dir})
# Before 1.0 a minor version may change the ABI; the SOVERSION says the same.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/etalageConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS etalage EXPORT etalageTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT etalage_development
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT etalage_runtime NAMELINK_COMPONENT etalage_development
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT etalage_runtime)
install(EXPORT etalageTargets NAMESPACE etalage:: DESTINATION ${_package_dir} COMPONENT etalage_development)
if(TARGET etalage_faiss)
  # An export of its own, read only where component "faiss" is asked for: it names FAISS.
  install(TARGETS etalage_faiss EXPORT etalageFaissTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT etalage_development
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT etalage_runtime NAMELINK_COMPONENT etalage_development
          RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT etalage_runtime)
  install(EXPORT etalageFaissTargets NAMESPACE etalage:: DESTINATION ${_package_dir} COMPONENT etalage_development)
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/etalage ${PROJECT_BINARY_DIR}/include/etalage
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT etalage_development FILES_MATCHING PATTERN "*.hpp")
install(FILES ${PROJECT_BINARY_DIR}/etalageConfig.cmake ${PROJECT_BINARY_DIR}/etalageConfigVersion.cmake
        DESTINATION ${_package_dir} COMPONENT etalage_development)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT etalage_development)
