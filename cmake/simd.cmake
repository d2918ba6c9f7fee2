# SPDX-License-Identifier: Apache-2.0
# Kernels are written once and compiled once for each SIMD level; the level is chosen at run time (kernels/dispatch.hpp).
# The flags stay on these files alone: they include nothing whose inline code the linker could keep for everyone.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(ETALAGE_SIMD_LEVELS baseline avx2 avx512)
  set(ETALAGE_SIMD_FLAGS_baseline "")
  set(ETALAGE_SIMD_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mlzcnt -mpopcnt)
  set(ETALAGE_SIMD_FLAGS_avx512 ${ETALAGE_SIMD_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd)
  # What only some CPUs of a level have, for the few files that gain from it.
  set(ETALAGE_SIMD_EXTRA_LEVELS avx512vnni)
  set(ETALAGE_SIMD_FLAGS_avx512vnni ${ETALAGE_SIMD_FLAGS_avx512} -mavx512vnni -DETALAGE_CODE_VNNI)
else()
  set(ETALAGE_SIMD_LEVELS baseline)
  set(ETALAGE_SIMD_FLAGS_baseline "")
endif()

# etalage_kernels(file...): each file defines its table in namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE. May be
# called more than once.
function(etalage_kernels)
  foreach(level ${ETALAGE_SIMD_LEVELS})
    etalage_kernels_of(${level} ${ARGN})
  endforeach()
endfunction()

# The same for one level.
function(etalage_kernels_of level)
  list(TRANSFORM ARGN PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/src/kernels/ OUTPUT_VARIABLE files)
  set(objects etalage_kernels_${level})
  if(TARGET ${objects})
    target_sources(${objects} PRIVATE ${files})
    return()
  endif()
  add_library(${objects} OBJECT ${files})
  target_compile_features(${objects} PRIVATE cxx_std_20)
  set_target_properties(${objects} PROPERTIES CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET ${ETALAGE_VISIBILITY}
                        VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${objects} PRIVATE ETALAGE_SIMD_NAMESPACE=${level} HWY_COMPILE_ONLY_STATIC
                             HWY_DISABLE_PCLMUL_AES HWY_IS_DEBUG_BUILD=0)
  target_compile_options(${objects} PRIVATE ${ETALAGE_SIMD_FLAGS_${level}} -O3 -fno-exceptions)
  target_include_directories(${objects} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_include_directories(${objects} SYSTEM PRIVATE ${ETALAGE_HIGHWAY_INCLUDE_DIR})
  etalage_warnings(${objects})
  target_sources(etalage PRIVATE $<TARGET_OBJECTS:${objects}>)
endfunction()
