# SPDX-License-Identifier: Apache-2.0
# Whole builds of the library, so slow.
set(_launcher "")
if(CMAKE_CXX_COMPILER_LAUNCHER)
  set(_launcher -DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
foreach(kind static shared)
  set(_shared OFF)
  if(kind STREQUAL "shared")
    set(_shared ON)
  endif()
  add_test(NAME install.${kind}
           COMMAND ${CMAKE_COMMAND} -D SHARED=${_shared} -D SOURCE=${PROJECT_SOURCE_DIR}
                   -D WORK=${CMAKE_CURRENT_BINARY_DIR}/install_${kind}
                   -D "OPTIONS=-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER};${_launcher}"
                   -P ${CMAKE_CURRENT_SOURCE_DIR}/install/check_install.cmake)
  set_tests_properties(install.${kind} PROPERTIES LABELS "slow;install" TIMEOUT 1800)
endforeach()
