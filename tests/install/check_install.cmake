# SPDX-License-Identifier: Apache-2.0
# cmake -D MODE=installed|subdirectory -D SHARED=ON|OFF -D SOURCE=... -D WORK=... -D OPTIONS=... -P check_install.cmake
# Builds the library the way MODE says, then a consumer project against it, and runs the consumer.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(code)
    string(REPLACE ";" " " command "${ARGV}")
    message(FATAL_ERROR "${command}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK}/prefix ${WORK}/consumer)
set(common -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=${SHARED} ${OPTIONS})
if(MODE STREQUAL "installed")
  run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/library ${common} -DCMAKE_INSTALL_PREFIX=${WORK}/first
      -DETALAGE_BUILD_TESTS=OFF -DETALAGE_BUILD_EXAMPLES=OFF -DETALAGE_INSTALL=ON)
  run(${CMAKE_COMMAND} --build ${WORK}/library)
  run(${CMAKE_COMMAND} --install ${WORK}/library)
  # The package must not remember where it was first installed.
  file(RENAME ${WORK}/first ${WORK}/prefix)
  run(${CMAKE_COMMAND} -S ${SOURCE}/tests/install/consumer -B ${WORK}/consumer ${common}
      -DCMAKE_PREFIX_PATH=${WORK}/prefix)
else()
  run(${CMAKE_COMMAND} -S ${SOURCE}/tests/install/consumer -B ${WORK}/consumer ${common} -DETALAGE_SOURCE=${SOURCE})
endif()
run(${CMAKE_COMMAND} --build ${WORK}/consumer)
run(${WORK}/consumer/consumer ${WORK}/consumer/model.etalage)
message(STATUS "${output}")
run(${CMAKE_COMMAND} -E chdir ${WORK}/consumer ./readme)
message(STATUS "the README's program says\n${output}")
if(NOT output MATCHES "^[0-9]+ [0-9.]+")
  message(FATAL_ERROR "the README's program printed no recommendation")
endif()
