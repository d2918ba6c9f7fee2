# SPDX-License-Identifier: Apache-2.0
# etalage::faiss: FaissIndex and its files. A target of its own, so that only those who want it link FAISS and a BLAS.
# Debian's FAISS asks for whatever libblas.so points at; OpenBLAS is named so that it comes first.
find_package(OpenMP QUIET COMPONENTS CXX)  # FAISS names its target
if(OpenMP_CXX_FOUND)
  find_package(faiss QUIET)
endif()
if(NOT faiss_FOUND)
  message(STATUS "FAISS was not found: etalage::faiss is left out (libfaiss-dev, libopenblas-serial-dev)")
  return()
endif()
find_library(ETALAGE_OPENBLAS_LIBRARY NAMES openblas)
if(ETALAGE_OPENBLAS_LIBRARY AND NOT TARGET etalage::openblas)
  add_library(etalage::openblas UNKNOWN IMPORTED GLOBAL)
  set_target_properties(etalage::openblas PROPERTIES IMPORTED_LOCATION ${ETALAGE_OPENBLAS_LIBRARY})
endif()

set(_sources
  src/io/faiss/faiss_files.cpp
  src/retrieval/faiss/faiss_index.cpp
  src/retrieval/faiss/faiss_index_search.cpp
  src/retrieval/faiss/faiss_index_state.cpp
  src/retrieval/faiss/faiss_structure.cpp)
set(_faiss_all "")
if(NOT PROJECT_IS_TOP_LEVEL AND NOT ETALAGE_INSTALL)
  set(_faiss_all EXCLUDE_FROM_ALL)  # built where it is linked
endif()
add_library(etalage_faiss ${_faiss_all} ${_sources})
add_library(etalage::faiss ALIAS etalage_faiss)
target_compile_features(etalage_faiss PUBLIC cxx_std_20)
set_target_properties(etalage_faiss PROPERTIES EXPORT_NAME faiss ${ETALAGE_LIBRARY_PROPERTIES})
target_include_directories(etalage_faiss PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
target_link_libraries(etalage_faiss PUBLIC etalage
                      PRIVATE $<$<BOOL:${ETALAGE_OPENBLAS_LIBRARY}>:etalage::openblas> faiss OpenMP::OpenMP_CXX)
if(BUILD_SHARED_LIBS AND NOT ETALAGE_SANITIZE)
  # The loops of the library are not exported.
  target_sources(etalage_faiss PRIVATE src/detail/parallel_for.cpp)
  target_link_libraries(etalage_faiss PRIVATE Threads::Threads)
  if(ETALAGE_THREADS STREQUAL "omp")
    target_compile_definitions(etalage_faiss PRIVATE ETALAGE_USE_OPENMP)
  endif()
  if(UNIX AND NOT APPLE)
    target_link_options(etalage_faiss PRIVATE LINKER:--version-script=${CMAKE_CURRENT_SOURCE_DIR}/cmake/exports.map)
  endif()
endif()
etalage_warnings(etalage_faiss)
if(ETALAGE_UNITY)
  include(unity)
  etalage_unity(etalage_faiss 20)
endif()
