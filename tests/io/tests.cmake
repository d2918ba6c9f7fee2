# SPDX-License-Identifier: Apache-2.0
etalage_test(io/serialization_test.cpp LABELS threaded)
etalage_test(io/csv_test.cpp LABELS threaded)
etalage_test(io/damaged_file_test.cpp)
etalage_test(io/crash_safety_test.cpp)
etalage_test(io/model_files_test.cpp)
etalage_test(io/index_files_test.cpp)
etalage_test(io/recipe_test.cpp)
etalage_test(io/registration_test.cpp)
etalage_test(io/golden_files_test.cpp)
etalage_test(io/file_fuzz_test.cpp)

# Not part of a build: writes the golden files of a new format version or a new kind.
add_executable(make_golden EXCLUDE_FROM_ALL golden/make_golden.cpp)
target_link_libraries(make_golden PRIVATE etalage::etalage)
target_include_directories(make_golden PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
etalage_warnings(make_golden)
