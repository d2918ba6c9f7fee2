# Instructions of the hot paths beside a stored baseline (docs/performance.md); in optimised builds without sanitizers.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT ETALAGE_SANITIZE AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_executable(hot_paths instructions/hot_paths.cpp)
  target_link_libraries(hot_paths PRIVATE etalage::etalage)
  etalage_warnings(hot_paths)
  if(ETALAGE_WITH_FAISS)
    target_compile_definitions(hot_paths PRIVATE ETALAGE_TEST_FAISS)
  endif()
  find_package(Python3 COMPONENTS Interpreter)
  # A build of other flags, or without FAISS, has other counts.
  if(Python3_FOUND AND ETALAGE_WITH_FAISS AND NOT BUILD_SHARED_LIBS AND NOT CMAKE_CXX_FLAGS_RELEASE MATCHES "-O1")
    add_test(NAME instructions COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/instructions/check_instructions.py
             $<TARGET_FILE:hot_paths> "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
    set_tests_properties(instructions PROPERTIES LABELS slow SKIP_RETURN_CODE 77 TIMEOUT 900)
  endif()
endif()
