# SPDX-License-Identifier: Apache-2.0
# cmake -D SHARED=ON|OFF -D SOURCE=... -D WORK=... -D OPTIONS=... -P check_install.cmake
# A consumer project takes the library by add_subdirectory; what that built is installed, moved to another place, and
# taken by find_package. Both consumers run, and so does the README's program.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(code)
    string(REPLACE ";" " " command "${ARGV}")
    message(FATAL_ERROR "${command}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

function(use folder)
  run(${CMAKE_COMMAND} --build ${folder})
  run(${folder}/consumer ${folder}/model.etalage)
  message(STATUS "${output}")
  run(${folder}/extender ${folder}/own.etalage)
  message(STATUS "${output}")
  if(EXISTS ${folder}/with_faiss)
    run(${folder}/with_faiss ${folder}/faiss.etalage)
    message(STATUS "${output}")
  else()
    message(STATUS "FAISS was not found: nothing links etalage::faiss")
  endif()
  run(${CMAKE_COMMAND} -E chdir ${folder} ./readme)
  message(STATUS "the README's program says\n${output}")
  if(NOT output MATCHES "^[0-9]+ [0-9.]+")
    message(FATAL_ERROR "the README's program printed no recommendation")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK}/first ${WORK}/prefix ${WORK}/installed)
set(consumer ${CMAKE_COMMAND} -S ${SOURCE}/tests/install/consumer -G Ninja -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DBUILD_SHARED_LIBS=${SHARED} ${OPTIONS})
run(${consumer} -B ${WORK}/subdirectory -DETALAGE_SOURCE=${SOURCE} -DETALAGE_INSTALL=ON)
use(${WORK}/subdirectory)

run(${CMAKE_COMMAND} --install ${WORK}/subdirectory --prefix ${WORK}/first)
# The package must not remember where it was first installed.
file(RENAME ${WORK}/first ${WORK}/prefix)
run(${consumer} -B ${WORK}/installed -DCMAKE_PREFIX_PATH=${WORK}/prefix)
use(${WORK}/installed)

# What a host may call is there to be linked, and nothing of Boost or the standard library is.
if(SHARED)
  find_program(python3 NAMES python3 REQUIRED)
  file(GLOB_RECURSE library ${WORK}/prefix/libetalage.so)
  run(${python3} ${SOURCE}/tests/architecture/check_exports.py ${SOURCE} --library ${library})
  message(STATUS "${output}")
  file(GLOB_RECURSE library ${WORK}/prefix/libetalage_faiss.so)
  if(library)
    run(${python3} ${SOURCE}/tests/architecture/check_exports.py ${SOURCE} --library ${library})
    message(STATUS "${output}")
  endif()
endif()
