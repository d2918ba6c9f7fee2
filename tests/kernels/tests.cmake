etalage_test(kernels/als_kernels_test.cpp)
etalage_test(kernels/code_test.cpp)
etalage_test(kernels/dense_test.cpp)
etalage_test(kernels/dot_test.cpp)
etalage_test(kernels/ratio_test.cpp)
etalage_test(kernels/row_order_test.cpp)
etalage_test(kernels/row_scores_test.cpp)
etalage_test(kernels/row_sums_test.cpp)
etalage_test(kernels/scan_test.cpp)
etalage_test(kernels/sgd_kernels_test.cpp)
etalage_test(kernels/tree_masks_test.cpp)

# The environment variable decides, is checked, and everything above the kernels answers on every level. Levels that this
# CPU does not have are skipped.
foreach(level scalar ${ETALAGE_SIMD_LEVELS})
  foreach(test scan_test factor_model_test)
    add_test(NAME ${test}.forced_${level} COMMAND ${test} --gtest_brief=1)
    set_tests_properties(${test}.forced_${level} PROPERTIES ENVIRONMENT ETALAGE_SIMD=${level}
                         SKIP_REGULAR_EXPRESSION "ETALAGE_SIMD is '${level}', must be one of")
  endforeach()
endforeach()
add_test(NAME scan_test.forced_to_nonsense COMMAND scan_test --gtest_filter=Dispatch.*)
set_tests_properties(scan_test.forced_to_nonsense PROPERTIES ENVIRONMENT ETALAGE_SIMD=nonsense
                     PASS_REGULAR_EXPRESSION "ETALAGE_SIMD is 'nonsense', must be one of scalar, baseline")

if(NOT ETALAGE_SANITIZE AND UNIX)
  foreach(level ${ETALAGE_SIMD_LEVELS} ${ETALAGE_SIMD_EXTRA_LEVELS})
    add_test(NAME kernels.only_tables_${level}
             COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/kernels/only_tables.sh $<TARGET_OBJECTS:etalage_kernels_${level}>
             COMMAND_EXPAND_LISTS)
  endforeach()
  add_test(NAME kernels.neon
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/kernels/run_neon.sh ${CMAKE_CURRENT_BINARY_DIR}/neon)
  set_tests_properties(kernels.neon PROPERTIES LABELS slow SKIP_RETURN_CODE 77 TIMEOUT 900
                       ENVIRONMENT HWY_INCLUDE=${ETALAGE_HIGHWAY_INCLUDE_DIR})
endif()
