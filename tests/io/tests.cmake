etalage_tests(io serialization csv LABELS threaded)
etalage_tests(io damaged_file crash_safety model_files index_files recipe registration golden_files file_fuzz)
# SPDX-License-Identifier: Apache-2.0

# Not part of a build: writes the golden files of a new format version or a new kind.
add_executable(make_golden EXCLUDE_FROM_ALL golden/make_golden.cpp)
target_link_libraries(make_golden PRIVATE etalage::etalage)
target_include_directories(make_golden PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
etalage_warnings(make_golden)
