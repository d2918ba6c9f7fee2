etalage_tests(kernels als_kernels code dense dot ratio row_scores row_sums sgd_kernels split_rows tree_masks)

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
