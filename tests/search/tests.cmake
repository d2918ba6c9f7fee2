etalage_tests(search best closer_query longest_rows row_order scan top_k)

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
